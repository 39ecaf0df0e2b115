//! Logs of a server: what stages have printed, and what they print.

use std::collections::BTreeMap;

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::follow::Follow;
use super::{Call, Remote, RemoteError};
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
pub struct LogPage {
    /// The lines.
    pub items: Vec<RemoteLine>,
    /// The line that the next ones are asked for with; none at the end.
    #[serde(default)]
    pub next: Option<String>,
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

    /// Lines of a log, from the one that an earlier page has named, or from line 1.
    pub async fn log_page(
        &self,
        run: &RunView,
        (stage, attempt): (StageIndex, u32),
        from: &str,
    ) -> Result<LogPage, RemoteError> {
        let call = log_call(run, (stage, Some(attempt)));
        let call = call.query("from_line", from).query("lines", PAGE_LINES);
        self.client.fetch(&call).await
    }

    /// A whole log, byte for byte.
    pub async fn open_log(
        &self,
        run: &RunView,
        (stage, attempt): (StageIndex, u32),
    ) -> Result<Response, RemoteError> {
        let call = log_call(run, (stage, Some(attempt))).query("format", "text");
        self.client.open(&call, &HeaderMap::new()).await
    }
}

fn log_call(run: &RunView, (stage, attempt): (StageIndex, Option<u32>)) -> Call {
    let call = Call::get(&["runs", &run.id.0, "stages", run.key_of(stage), "log"]);
    match attempt {
        Some(attempt) => call.query("attempt", attempt),
        None => call,
    }
}
