//! Following a log through the attempts of its stage.

use std::time::Duration;

use tokio::sync::broadcast;

use super::{StageLog, first_line};
use crate::blobs::{LogLine, LogPlace, LogReader};
use crate::http::{App, Problem};
use crate::runs::Change;

/// Lines given at once, at most.
const LINES_MAX: usize = 1000;
/// How long a log is waited for before the run is looked at again: its worker may be gone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where the reading of an attempt's log begins.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// At a byte.
    Offset(u64),
    /// At a line, from 1; below 0 counts from the end.
    Line(i64),
}

/// What is new.
#[derive(Debug)]
pub enum LogNews {
    /// Lines.
    Lines {
        /// The attempt they are of.
        attempt: u32,
        /// The lines.
        lines: Vec<LogLine>,
        /// The byte behind them.
        end: u64,
    },
    /// No more will come.
    End {
        /// The last attempt; 0 when there was none.
        attempt: u32,
        /// Where the stage stands.
        status: String,
    },
}

/// Reads what is new, and waits for it.
#[derive(Debug)]
pub struct Follower {
    app: App,
    log: StageLog,
    changes: broadcast::Receiver<Change>,
    attempt: u32,
    is_only_one: bool,
    start: Start,
    open: Option<(LogReader, LogPlace)>,
    /// How much of the log there was when it was last read.
    size_bytes: u64,
    is_over: bool,
}

impl Follower {
    /// Begins with this attempt, and goes on with those after it. The changes are subscribed to before the run is read.
    #[must_use]
    pub fn new(
        app: App,
        changes: broadcast::Receiver<Change>,
        log: StageLog,
        (attempt, start): (u32, Start),
    ) -> Self {
        Self {
            app,
            log,
            changes,
            attempt,
            is_only_one: false,
            start,
            open: None,
            size_bytes: 0,
            is_over: false,
        }
    }

    /// The same without the attempts that follow.
    #[must_use]
    pub fn only(self, is_only_one: bool) -> Self {
        Self { is_only_one, ..self }
    }

    /// What is new; `None` behind the end.
    pub async fn next(&mut self) -> Result<Option<LogNews>, Problem> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            // Looked at before the log is read, so that what is printed last is not missed.
            self.app.runs.refresh(&mut self.log.loaded).await?;
            let is_ended = self.log.is_ended(self.attempt);
            self.open_log().await?;
            if let Some(news) = self.new_lines(is_ended).await? {
                return Ok(Some(news));
            }
            if self.has_next_attempt() {
                (self.attempt, self.start, self.open) = (self.attempt + 1, Start::Line(1), None);
            } else if self.is_last(is_ended) {
                self.is_over = true;
                return Ok(Some(self.end()));
            } else {
                let open = self.open.as_ref().map(|it| (&it.0, self.size_bytes));
                wait(&self.app, &mut self.changes, &self.log, open).await?;
            }
        }
    }

    async fn open_log(&mut self) -> Result<(), Problem> {
        if self.open.is_some() {
            return Ok(());
        }
        let Some(reader) = self.log.open(&self.app, self.attempt).await? else { return Ok(()) };
        let place = match self.start {
            Start::Offset(offset) => reader.place_of_offset(offset).await?,
            Start::Line(from) => {
                let lines = reader.extent().await?.lines;
                reader.place_of_line(first_line(from, lines)).await?
            }
        };
        self.open = Some((reader, place));
        Ok(())
    }

    async fn new_lines(&mut self, is_ended: bool) -> Result<Option<LogNews>, Problem> {
        let Some((reader, place)) = &mut self.open else { return Ok(None) };
        self.size_bytes = reader.extent().await?.size_bytes;
        let (lines, end) = reader.next_lines(*place, LINES_MAX, !is_ended).await?;
        if lines.is_empty() {
            return Ok(None);
        }
        *place = end;
        Ok(Some(LogNews::Lines { attempt: self.attempt, lines, end: end.offset }))
    }

    /// Whether a later attempt has begun: then this one has nothing more to say.
    fn has_next_attempt(&self) -> bool {
        !self.is_only_one && self.attempt < self.log.attempts()
    }

    /// Whether no more will come: of this attempt, or of the stage.
    fn is_last(&self, is_ended: bool) -> bool {
        self.log.is_over(self.is_only_one && is_ended)
            || (!self.is_only_one && self.log.loaded.run.status().is_finished())
    }

    fn end(&self) -> LogNews {
        let stage = self.log.loaded.run.stage(self.log.stage);
        let status = stage.map_or_else(String::new, |it| it.status.to_string());
        LogNews::End { attempt: self.attempt.min(self.log.attempts()), status }
    }
}

impl StageLog {
    /// Whether its stage has ended, or it is known otherwise.
    pub(super) fn is_over(&self, is_known: bool) -> bool {
        let stage = self.loaded.run.stage(self.stage);
        is_known || stage.is_none_or(|it| it.status.is_finished())
    }
}

/// Until a log has grown over what was read of it or the run has changed, or a short while.
pub(super) async fn wait(
    app: &App,
    changes: &mut broadcast::Receiver<Change>,
    log: &StageLog,
    open: Option<(&LogReader, u64)>,
) -> Result<(), Problem> {
    let Some((reader, size_bytes)) = open else {
        app.runs.changed(changes, &log.loaded).await;
        return Ok(());
    };
    let grown = async {
        match reader.wait_for(size_bytes).await {
            Ok(true) => Ok(()),
            // The run will say that it has ended.
            Ok(false) => std::future::pending().await,
            Err(error) => Err(error),
        }
    };
    tokio::select! {
        grown = grown => grown?,
        () = app.runs.changed(changes, &log.loaded) => (),
        () = tokio::time::sleep(LOOK_AGAIN) => (),
    }
    Ok(())
}
