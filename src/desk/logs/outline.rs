//! How long a log is and where its sections begin: what a reader must know before any line.

use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::broadcast;

use super::StageLog;
use super::follow::wait;
use crate::blobs::{LogReader, LogSection, OUTPUT_SECTION};
use crate::http::{App, Problem};
use crate::model::Timestamp;
use crate::runs::Change;
use crate::runs::view::StageView;

/// Between two outlines of a log that grows.
const EVERY: Duration = Duration::from_millis(250);

/// A log without its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The attempt; 0 when there is none yet.
    pub attempt: u32,
    /// Lines that there are.
    pub lines: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// Whether there is a log: false before anything was printed, and when it is no longer kept.
    pub is_there: bool,
    /// Whether nothing more will come.
    pub is_complete: bool,
    /// Whether the attempt has ended and nobody has written down that its log is whole.
    pub may_lack_end: bool,
    /// What was printed by whom, in order.
    pub sections: Vec<OutlineSection>,
}

/// What the engine or a step has printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlineSection {
    /// Place of the step in its stage; `None` for what was printed by the engine or outside of steps.
    pub step: Option<u32>,
    /// Whether it is what the engine says before the output.
    pub is_engine: bool,
    /// Its first line, counted from 1; one behind the last line when it has none yet.
    pub first_line: u64,
    /// When it began; `None` for the engine's.
    pub started_at: Option<Timestamp>,
}

/// The outline of an attempt's log as it is now.
pub async fn outline(app: &App, log: &StageLog, attempt: u32) -> Result<Outline, Problem> {
    let is_ended = log.is_ended(attempt);
    let Some(reader) = log.open(app, attempt).await? else {
        let is_complete = is_ended || log.is_over(false);
        return Ok(Outline { attempt, is_complete, ..Outline::default() });
    };
    let extent = reader.extent().await?;
    Ok(Outline {
        attempt,
        lines: extent.lines,
        size_bytes: extent.size_bytes,
        is_there: true,
        is_complete: extent.is_complete || is_ended,
        may_lack_end: is_ended && !extent.is_complete,
        sections: sections(&reader, extent.lines).await?,
    })
}

async fn sections(reader: &LogReader, lines: u64) -> Result<Vec<OutlineSection>, Problem> {
    let mut all = Vec::new();
    for section in reader.sections().await? {
        let first_line = first_line_of(reader, &section).await?.min(lines + 1);
        if all.is_empty() && first_line > 1 {
            all.push(OutlineSection {
                step: None,
                is_engine: true,
                first_line: 1,
                started_at: None,
            });
        }
        // The output as a whole has no head of its own where steps follow at once.
        let step = Some(section.step).filter(|it| *it != OUTPUT_SECTION);
        let started_at = Some(section.started_at);
        all.push(OutlineSection { step, is_engine: false, first_line, started_at });
    }
    if all.is_empty() {
        all.push(OutlineSection { step: None, is_engine: true, first_line: 1, started_at: None });
    }
    Ok(all)
}

/// A line that began before a section belongs to the one before it.
async fn first_line_of(reader: &LogReader, section: &LogSection) -> Result<u64, Problem> {
    let line = reader.line_at(section.offset).await?;
    let is_begun = reader.offset_of_line(line).await?.is_some_and(|it| it < section.offset);
    Ok(line + 1 + u64::from(is_begun))
}

/// The outline of the wanted attempt, or of the last, with its stage: now and whenever they have changed. Ends
/// with the log.
pub fn outlines(
    app: App,
    changes: broadcast::Receiver<Change>,
    log: StageLog,
    wanted: Option<u32>,
) -> impl Stream<Item = Result<(Outline, StageView), Problem>> {
    let watch = Watch { app, changes, log, wanted, last: None };
    stream::try_unfold(watch, |mut it| async {
        let next = it.next().await?;
        Ok(next.map(|news| (news, it)))
    })
}

struct Watch {
    app: App,
    changes: broadcast::Receiver<Change>,
    log: StageLog,
    wanted: Option<u32>,
    /// With how many steps have begun and ended.
    last: Option<(Outline, usize)>,
}

impl Watch {
    async fn next(&mut self) -> Result<Option<(Outline, StageView)>, Problem> {
        loop {
            let is_over = self.last.as_ref().is_some_and(|it| self.is_over(&it.0));
            if is_over {
                return Ok(None);
            }
            if self.last.is_some() {
                self.wait().await?;
                tokio::time::sleep(EVERY).await;
            }
            self.app.runs.refresh(&mut self.log.loaded).await?;
            let attempt = self.log.attempt(self.wanted)?;
            let outline = outline(&self.app, &self.log, attempt).await?;
            let steps = self.log.steps(attempt);
            if self.last.as_ref().is_none_or(|it| (&it.0, it.1) != (&outline, steps)) {
                self.last = Some((outline.clone(), steps));
                return Ok(Some((outline, self.log.view(self.app.now())?)));
            }
        }
    }

    /// Whether neither this attempt nor, when the last is followed, a later one will print more.
    fn is_over(&self, last: &Outline) -> bool {
        last.is_complete && (self.wanted.is_some() || self.log.is_over(false))
    }

    async fn wait(&mut self) -> Result<(), Problem> {
        let Some(last) = self.last.as_ref().map(|it| &it.0).filter(|it| it.attempt > 0) else {
            return wait(&self.app, &mut self.changes, &self.log, None).await;
        };
        let reader = self.log.open(&self.app, last.attempt).await?;
        let open = reader.as_ref().map(|it| (it, last.size_bytes));
        wait(&self.app, &mut self.changes, &self.log, open).await
    }
}
