//! Logs of a server: what stages have printed, and what they print.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::follow::Follow;
use super::watch::{News, Wanted, Watch};
use super::{Call, Remote, RemoteError};
use crate::cli::command::logs::{LogsArgs, with_attempt};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::view::log::LogStyle;
use crate::cli::view::summary::Ends;
use crate::model::{StageIndex, StageStatus, Timestamp};
use crate::runs::view::{CaseView, RunView, StageView};

/// Lines that are asked for at once.
const PAGE_LINES: u32 = 5000;
/// Lines of a failed stage's log in a summary, and stages that are shown with them.
const FAILURE_LINES: i64 = 20;
const FAILURES_MAX: usize = 20;
/// Test cases that are asked for.
const CASES_MAX: usize = 400;
/// A line longer than this is shown in pieces.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line of a log, or a piece of one that is very long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RemoteLine {
    /// The step that printed it, from 0; none for what comes before the first.
    #[serde(default)]
    pub step: Option<u32>,
    /// When it was printed.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
    /// Whether it goes on in the next one.
    #[serde(default)]
    pub is_cut: bool,
}

/// Lines of a log.
#[derive(Debug, Deserialize)]
struct LogPage {
    items: Vec<RemoteLine>,
    #[serde(default)]
    next: Option<String>,
}

impl Remote {
    /// What a stage prints, as a stream.
    #[must_use]
    pub fn follow_log(&self, run: &RunView, (stage, attempt): (StageIndex, u32)) -> Follow {
        let segments = ["runs", &run.id.0, "stages", run.key_of(stage), "log", "stream"];
        let call = Call::get(&segments).query("attempt", attempt);
        Follow::new(self.client.clone(), call)
    }

    /// The ends of the logs of failed stages, and the tests that failed.
    pub async fn failure_ends(&self, run: &RunView) -> Result<Ends, RemoteError> {
        let (logs, cases) = (self.log_ends(run).await?, self.failed_cases(run).await?);
        Ok(Ends { logs, cases, ..Ends::default() })
    }

    /// Test cases that failed or were flaky.
    async fn failed_cases(&self, run: &RunView) -> Result<Vec<CaseView>, RemoteError> {
        let has_tests = |it: &StageView| it.outcome().is_some_and(|it| it.tests.is_some());
        if !run.stages.iter().any(has_tests) {
            return Ok(Vec::new());
        }
        let call = Call::get(&["runs", &run.id.0, "tests"]).query("outcome", "failed,error,flaky");
        match self.client.list(&call, CASES_MAX).await {
            // A server of an older version names none.
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            other => other,
        }
    }

    async fn log_ends(
        &self,
        run: &RunView,
    ) -> Result<BTreeMap<StageIndex, Vec<String>>, RemoteError> {
        let failed = |status| status == StageStatus::Failed;
        let failed = run.stages.iter().filter(|it| failed(it.status) && !it.attempts.is_empty());
        let mut ends = BTreeMap::new();
        for stage in failed.take(FAILURES_MAX) {
            let call = log_call(run, (stage.stage, None)).query("from_line", -FAILURE_LINES);
            let page: LogPage = match self.client.fetch(&call).await {
                // Logs are not kept for ever.
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            let lines = page.items.into_iter().map(|it| it.text);
            let lines = lines.filter(|it| !it.trim().is_empty()).collect();
            ends.insert(stage.stage, lines);
        }
        Ok(ends)
    }

    /// A whole log, line by line.
    async fn print_log(
        &self,
        run: &RunView,
        (stage, attempt): (StageIndex, u32),
        (args, style): (&LogsArgs, &LogStyle),
    ) -> anyhow::Result<()> {
        let mut from = "1".to_owned();
        let mut joined = Joined::default();
        loop {
            let call = log_call(run, (stage, Some(attempt)));
            let call = call.query("from_line", &from).query("lines", PAGE_LINES);
            let page: LogPage = self.client.fetch(&call).await?;
            let mut shown = String::new();
            for line in page.items.into_iter().filter(|it| is_wanted(it, args)) {
                let Some(line) = joined.push(line) else { continue };
                shown.push_str(&style.line(run, (stage, attempt), (&line.text, Some(line.at)))?);
            }
            style.output.bytes(shown.as_bytes())?;
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        if let Some(rest) = joined.0 {
            let shown = style.line(run, (stage, attempt), (&rest.text, Some(rest.at)))?;
            style.output.bytes(shown.as_bytes())?;
        }
        Ok(())
    }

    /// A whole log, byte for byte.
    async fn print_raw(
        &self,
        run: &RunView,
        name: (StageIndex, u32),
        style: &LogStyle,
    ) -> anyhow::Result<()> {
        let call = log_call(run, (name.0, Some(name.1))).query("format", "text");
        let mut response = self.client.open(&call, &reqwest::header::HeaderMap::new()).await?;
        while let Some(piece) = response.chunk().await? {
            style.output.bytes(&piece)?;
        }
        Ok(())
    }

    /// Shows what stages print until they have ended, over restarts of the server.
    async fn follow_logs(
        &self,
        run: RunView,
        (stages, args, style): (&[StageIndex], &LogsArgs, &LogStyle),
    ) -> anyhow::Result<Exit> {
        let wanted = Wanted { stages: Some(stages.to_vec()), attempt: args.attempt };
        let mut watch = Watch::start(self, run, wanted);
        while !watch.is_over(stages) {
            let news = watch.next().await?;
            if let News::Lines { stage, attempt, lines } = &news {
                let lines = lines.iter().filter(|it| is_wanted(it, args));
                let shown = lines
                    .map(|it| style.line(watch.run(), (*stage, *attempt), (&it.text, Some(it.at))))
                    .collect::<Result<String, _>>()?;
                style.output.bytes(shown.as_bytes())?;
            }
            watch.refresh().await?;
        }
        Ok(Exit::Passed)
    }
}

/// Shows logs, as `args` says.
pub async fn execute(
    session: &Session,
    (remote, run): (&Remote, RunView),
    (stages, args, style): (&[StageIndex], &LogsArgs, LogStyle),
) -> anyhow::Result<Exit> {
    debug_assert_eq!(session.output.json, style.output.json, "one output");
    if args.follow {
        return remote.follow_logs(run, (stages, args, &style)).await;
    }
    for name in with_attempt(&run, stages, args)? {
        if args.raw {
            remote.print_raw(&run, name, &style).await?;
        } else {
            remote.print_log(&run, name, (args, &style)).await?;
        }
    }
    Ok(Exit::Passed)
}

fn log_call(run: &RunView, (stage, attempt): (StageIndex, Option<u32>)) -> Call {
    let call = Call::get(&["runs", &run.id.0, "stages", run.key_of(stage), "log"]);
    match attempt {
        Some(attempt) => call.query("attempt", attempt),
        None => call,
    }
}

fn is_wanted(line: &RemoteLine, args: &LogsArgs) -> bool {
    args.step.is_none_or(|it| line.step == Some(it - 1))
}

/// Pieces of one long line, put together again.
#[derive(Debug, Default)]
struct Joined(Option<RemoteLine>);

impl Joined {
    /// The whole line, once its last piece is there.
    fn push(&mut self, piece: RemoteLine) -> Option<RemoteLine> {
        let is_cut = piece.is_cut;
        let line = match self.0.take() {
            Some(line) => RemoteLine { text: line.text + &piece.text, ..line },
            None => piece,
        };
        if is_cut && line.text.len() < LINE_BYTES_MAX {
            self.0 = Some(line);
            return None;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_long_line_become_one() {
        let piece = |text: &str, is_cut| RemoteLine {
            step: None,
            at: Timestamp(1),
            text: text.to_owned(),
            is_cut,
        };
        let mut joined = Joined::default();
        assert_eq!(joined.push(piece("a", false)).unwrap().text, "a");
        assert_eq!(joined.push(piece("b", true)), None);
        assert_eq!(joined.push(piece("c", true)), None);
        assert_eq!(joined.push(piece("d", false)).unwrap().text, "bcd");
        assert!(joined.0.is_none());
    }
}
