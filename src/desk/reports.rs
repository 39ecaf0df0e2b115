//! What the reports of a run say: test cases, gates with their trends, findings.

pub mod trends;

use crate::desk::runs;
use crate::http::{App, Problem, Visitor};
use crate::model::{CaseOutcome, Role};
use crate::runs::LoadedRun;
use crate::runs::view::{CaseView, FindingView};

/// Runs whose gates are looked at for the trend beside a value.
const TREND_RUNS: u32 = 30;
/// How far back these may be.
const TREND_DAYS: u32 = 90;

/// Everything that the reports of a run say.
#[derive(Debug)]
pub struct RunReports {
    /// The run.
    pub loaded: LoadedRun,
    /// Test cases worth a line.
    pub cases: Vec<CaseView>,
    /// What scanners have found.
    pub findings: Vec<FindingView>,
    /// Gates over the runs of the same pipeline and branch; empty for a run of no project.
    pub gates: Vec<trends::GateTrend>,
    /// Cases and findings that are stored of no attempt that counts, because there were too many.
    pub left_out: u64,
}

/// Test cases of a run; only of a stage, and only with these outcomes (words with commas between), where given.
pub async fn cases(
    app: &App,
    visitor: &Visitor,
    run: &str,
    (stage, outcomes): (Option<&str>, &str),
) -> Result<Vec<CaseView>, Problem> {
    let loaded = runs::load(app, visitor, run, Role::Viewer).await?;
    let stage = stage.map(|it| loaded.find_stage(it)).transpose()?;
    let outcomes = parse_outcomes(outcomes)?;
    let mut cases = app.runs.cases(&loaded).await?;
    cases.retain(|it| stage.is_none_or(|stage| stage == it.stage));
    cases.retain(|it| outcomes.is_empty() || outcomes.contains(&it.outcome));
    Ok(cases)
}

fn parse_outcomes(words: &str) -> Result<Vec<CaseOutcome>, Problem> {
    let words = words.split(',').map(str::trim).filter(|it| !it.is_empty());
    let parsed = words.map(|word| {
        let unknown = || {
            let help = "There are `failed`, `error`, `flaky` and `passed`.";
            Problem::bad_request(format!("`{word}` is no outcome of a test")).with_help(help)
        };
        CaseOutcome::parse(word).ok_or_else(unknown)
    });
    parsed.collect()
}

/// What scanners have found in a run; only in a stage, where one is given.
pub async fn findings(
    app: &App,
    visitor: &Visitor,
    run: &str,
    stage: Option<&str>,
) -> Result<Vec<FindingView>, Problem> {
    let loaded = runs::load(app, visitor, run, Role::Viewer).await?;
    let stage = stage.map(|it| loaded.find_stage(it)).transpose()?;
    let mut findings = app.runs.findings(&loaded).await?;
    findings.retain(|it| stage.is_none_or(|stage| stage == it.stage));
    Ok(findings)
}

/// Everything that the reports of a run say.
pub async fn show(app: &App, visitor: &Visitor, run: &str) -> Result<RunReports, Problem> {
    let loaded = runs::load(app, visitor, run, Role::Viewer).await?;
    let cases = app.runs.cases(&loaded).await?;
    let findings = app.runs.findings(&loaded).await?;
    let gates = match app.store.find_project(&loaded.row.project).await? {
        Some(project) => {
            let asked = trends::GatesAsked {
                pipeline: Some(loaded.row.pipeline.clone()),
                branch: Some(loaded.row.branch.clone()),
                days: TREND_DAYS,
                limit: TREND_RUNS,
            };
            trends::gates_of(app, &project, &asked).await?
        }
        None => Vec::new(),
    };
    let rows = app.store.list_reports(&loaded.row.id).await?;
    let is_last = |it: &&crate::store::results::reports::ReportRow| {
        let stage = loaded.run.stage(it.attempt.stage);
        stage.is_some_and(|stage| stage.attempts.len() == it.attempt.attempt as usize)
    };
    let left_out: i64 =
        rows.iter().filter(is_last).map(|it| it.cases_left_out + it.findings_left_out).sum();
    let left_out = u64::try_from(left_out).unwrap_or(0);
    Ok(RunReports { loaded, cases, findings, gates, left_out })
}
