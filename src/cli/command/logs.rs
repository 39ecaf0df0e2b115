//! `trunkline logs`: what stages printed, now or as it comes.

pub mod args;
mod server;

use std::collections::BTreeMap;

use crate::blobs::{LogReader, LogSection};
use crate::cli::drive::follower::Follower;
use crate::cli::drive::standing;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::Remote;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::log::LogStyle;
use crate::cli::view::{format, line};
use crate::engine::Stage;
use crate::model::{AttemptName, StageIndex, StageStatus};
use crate::runs::LoadedRun;
use crate::runs::view::RunView;
use crate::worker::OUTPUT_SECTION;

use args::{LogsArgs, with_attempt};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// A line longer than this is shown in pieces.
const LINE_LIMIT_BYTES: usize = 1024 * 1024;

/// Shows the logs.
pub async fn execute(session: &Session, args: &LogsArgs) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::chosen(session)? {
        let run = remote.find_run(&args.run).await?;
        let stages = stages(&run, args)?;
        let several =
            if args.follow { stages.len() } else { with_attempt(&run, &stages, args)?.len() };
        check_raw(session, args)?;
        let style = style(session, (&run, &remote.hint), (several > 1, args));
        return server::execute(session, (&remote, run), (&stages, args, style)).await;
    }
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    let run = standing::view_of(session, &state, &loaded);
    let stages = stages(&run, args)?;
    if args.follow {
        let style = style(session, (&run, ""), (stages.len() > 1, args));
        let show = Show { session, state: &state, args, run, style };
        return show.follow(loaded, &stages).await;
    }
    let names = with_attempt(&run, &stages, args)?;
    check_raw(session, args)?;
    let style = style(session, (&run, ""), (names.len() > 1, args));
    let show = Show { session, state: &state, args, run, style };
    for (stage, attempt) in names {
        show.whole(&AttemptName { run: loaded.row.id.clone(), stage, attempt }).await?;
    }
    Ok(Exit::Passed)
}

/// Bytes as they are are no JSON.
fn check_raw(session: &Session, args: &LogsArgs) -> Result<(), Usage> {
    let both = || Usage::new("`--raw` and `--json` exclude each other", "leave one of them out");
    if args.raw && session.output.json { Err(both()) } else { Ok(()) }
}

fn stages(run: &RunView, args: &LogsArgs) -> Result<Vec<StageIndex>, Usage> {
    match &args.stage {
        Some(wanted) => super::find_stages(run, wanted),
        None => Ok(default_stages(run, args.follow)),
    }
}

fn style(
    session: &Session,
    (run, server): (&RunView, &str),
    (with_key, args): (bool, &LogsArgs),
) -> LogStyle {
    let output = session.output;
    let keys = with_key.then(|| line::Style::of(run, server, &output));
    LogStyle { output, keys, timestamps: args.timestamps }
}

/// What failed; else everything that has run.
fn default_stages(run: &RunView, follow: bool) -> Vec<StageIndex> {
    let failed = run
        .stages
        .iter()
        .filter(|it| it.status == StageStatus::Failed && !it.attempts.is_empty())
        .map(|it| it.stage);
    let failed: Vec<_> = failed.collect();
    let all = || run.stages.iter().map(|it| it.stage).collect();
    if failed.is_empty() || follow { all() } else { failed }
}

struct Show<'a> {
    session: &'a Session,
    state: &'a State,
    args: &'a LogsArgs,
    run: RunView,
    style: LogStyle,
}

impl Show<'_> {
    /// One log, or the part of it that one step printed.
    async fn whole(&self, name: &AttemptName) -> anyhow::Result<()> {
        let reader = match self.state.logs.reader(name).await {
            Err(crate::blobs::BlobError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        let (from, to) = self.part(&reader).await?;
        if self.args.raw {
            return self.raw(&reader, from, to).await;
        }
        let mut lines = Lines { offset: from, partial: Vec::new() };
        while lines.end() < to {
            let wanted = usize::try_from(to - lines.end()).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let bytes = reader.read_at(lines.end(), wanted).await?;
            if bytes.is_empty() {
                break;
            }
            self.print((&reader, name), &lines.push(&bytes)).await?;
        }
        self.print((&reader, name), &lines.take_rest()).await
    }

    async fn raw(&self, reader: &LogReader, from: u64, to: u64) -> anyhow::Result<()> {
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let bytes = reader.read_at(at, wanted).await?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            self.session.output.bytes(&bytes)?;
        }
        Ok(())
    }

    /// Where the wanted part begins and ends.
    async fn part(&self, reader: &LogReader) -> anyhow::Result<(u64, u64)> {
        let size = reader.extent().await?.size_bytes;
        let Some(step) = self.args.step else { return Ok((0, size)) };
        let sections = reader.sections().await?;
        let found = part_of_step(&sections, step - 1, size);
        found.ok_or_else(|| {
            let steps = sections.iter().filter(|it| it.step != OUTPUT_SECTION).count() as u64;
            let message = format!("step {step} has printed nothing");
            Usage::new(message, format!("the log has {}", format::count(steps, "step"))).into()
        })
    }

    async fn follow(&self, mut loaded: LoadedRun, stages: &[StageIndex]) -> anyhow::Result<Exit> {
        let mut follower = Follower::new(self.state.logs.clone());
        let mut changes = self.state.runs.subscribe();
        let mut seen: BTreeMap<StageIndex, usize> = BTreeMap::new();
        loop {
            // Looked at before the logs are read, so that what is printed last is shown too.
            self.state.runs.refresh(&mut loaded).await?;
            let is_over = loaded.run.status().is_finished()
                || stages
                    .iter()
                    .all(|it| loaded.run.stage(*it).is_none_or(|stage| self.is_over(stage)));
            let mut is_quiet = true;
            for stage in stages {
                let attempts = loaded.run.stage(*stage).map_or(0, |it| it.attempts.len());
                let wanted = self.args.attempt.map(|it| it as usize);
                let last = wanted.map_or(attempts, |it| it.min(attempts));
                let first = *seen.entry(*stage).or_insert_with(|| wanted.unwrap_or(last.max(1)));
                for number in first..=last {
                    let attempt = u32::try_from(number).unwrap_or(u32::MAX);
                    let name = AttemptName { run: loaded.row.id.clone(), stage: *stage, attempt };
                    is_quiet &= !self.new_lines(&mut follower, &name).await?;
                }
                seen.insert(*stage, wanted.unwrap_or(attempts.max(1)));
            }
            if is_over && is_quiet {
                self.unfinished_lines(&mut follower)?;
                return Ok(Exit::Passed);
            }
            if is_quiet {
                self.state.runs.changed(&mut changes, &loaded).await;
            }
        }
    }

    /// Whether a stage prints nothing more of what is wanted.
    fn is_over(&self, stage: &Stage) -> bool {
        let wanted = self.args.attempt.map(|it| it as usize - 1);
        let attempt = wanted.and_then(|it| stage.attempts.get(it));
        stage.status.is_finished() || attempt.is_some_and(|it| it.finished_at.is_some())
    }

    /// Shows last lines that have no line feed.
    fn unfinished_lines(&self, follower: &mut Follower) -> anyhow::Result<()> {
        for (name, rest) in follower.finish_all() {
            let line = self.style.line(&self.run, (name.stage, name.attempt), (&rest, None))?;
            self.session.output.bytes(line.as_bytes())?;
        }
        Ok(())
    }

    /// Shows what is new in a log; says whether there was something.
    async fn new_lines(&self, follower: &mut Follower, name: &AttemptName) -> anyhow::Result<bool> {
        let lines = follower.read(name, u64::MAX).await?;
        let shown = lines
            .iter()
            .map(|it| self.style.line(&self.run, (name.stage, name.attempt), (it, None)))
            .collect::<Result<String, _>>()?;
        self.session.output.bytes(shown.as_bytes())?;
        Ok(!lines.is_empty())
    }

    /// Writes lines at once; each with its place in the log.
    async fn print(
        &self,
        (reader, name): (&LogReader, &AttemptName),
        lines: &[(u64, String)],
    ) -> anyhow::Result<()> {
        let mut shown = String::new();
        for (offset, text) in lines {
            let at = if self.style.timestamps || self.session.output.json {
                reader.time_at(*offset).await?
            } else {
                None
            };
            let attempt = (name.stage, name.attempt);
            shown.push_str(&self.style.line(&self.run, attempt, (text, at))?);
        }
        Ok(self.session.output.bytes(shown.as_bytes())?)
    }
}

/// From the step's section to the next one.
fn part_of_step(sections: &[LogSection], step: u32, size: u64) -> Option<(u64, u64)> {
    let mut steps = sections.iter().filter(|it| it.step != OUTPUT_SECTION);
    let from = steps.find(|it| it.step == step)?.offset;
    Some((from, steps.next().map_or(size, |it| it.offset)))
}

/// Cuts bytes into lines and knows where each begins.
struct Lines {
    /// Where `partial` begins.
    offset: u64,
    partial: Vec<u8>,
}

impl Lines {
    fn end(&self) -> u64 {
        self.offset + self.partial.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<(u64, String)> {
        self.partial.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let whole = self.partial.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
        let rest = self.partial.split_off(whole);
        for line in self.partial.split_inclusive(|it| *it == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            lines.push((self.offset, String::from_utf8_lossy(text).into_owned()));
            self.offset += line.len() as u64;
        }
        self.partial = rest;
        if self.partial.len() > LINE_LIMIT_BYTES {
            lines.extend(self.take_rest());
        }
        lines
    }

    /// A last line without its end, or what there is of one that is too long.
    fn take_rest(&mut self) -> Vec<(u64, String)> {
        let rest = std::mem::take(&mut self.partial);
        let offset = self.offset;
        self.offset += rest.len() as u64;
        let text = String::from_utf8_lossy(&rest).into_owned();
        if rest.is_empty() { Vec::new() } else { vec![(offset, text)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_step_ends_where_the_next_begins() {
        let section = |step, offset| LogSection { step, offset, started_at: Timestamp(0) };
        let sections = [section(0, 10), section(OUTPUT_SECTION, 10), section(1, 30)];
        assert_eq!(part_of_step(&sections, 0, 50), Some((10, 30)));
        assert_eq!(part_of_step(&sections, 1, 50), Some((30, 50)));
        assert_eq!(part_of_step(&sections, 2, 50), None);
    }

    #[test]
    fn lines_know_where_they_begin() {
        let mut lines = Lines { offset: 100, partial: Vec::new() };
        assert_eq!(lines.push(b"ab\nc"), [(100, "ab".to_owned())]);
        assert_eq!(lines.push(b"d\n\n"), [(103, "cd".to_owned()), (106, String::new())]);
        assert_eq!(lines.end(), 107);
        assert_eq!(lines.push(b"rest"), []);
        assert_eq!(lines.take_rest(), [(107, "rest".to_owned())]);
        assert_eq!((lines.end(), lines.take_rest()), (111, Vec::new()));
    }
}
