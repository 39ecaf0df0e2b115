//! What people do with runs: start, stop, and try again.

use std::collections::BTreeMap;

use crate::desk::projects;
use crate::desk::runs::{load, text_of};
use crate::engine::{Command, Event, Refused, RerunScope};
use crate::http::{App, Detail, Problem, ProblemKind, Visitor};
use crate::model::{Digest, Role, RunStatus, StageIndex};
use crate::runs::LoadedRun;
use crate::store::access::projects::ProjectRow;
use crate::store::runs::RunRow;
use crate::triggers::{ManualError, ManualOrder, Startable};

/// Inputs that a run may be started with, and the longest of them.
const INPUTS_MAX: usize = 100;
const INPUT_CHARS_MAX: usize = 64 * 1024;

/// Why and how a run is stopped.
#[derive(Debug, Clone, Copy)]
pub struct CancelOrder<'a> {
    /// For those who look at it later; may be empty.
    pub reason: &'a str,
    /// Whether neither the grace nor `always()` stages are waited for.
    pub is_forced: bool,
}

/// Cancels a run; a second time, or by force, at once.
pub async fn cancel(
    app: &App,
    visitor: &Visitor,
    run: &str,
    order: CancelOrder<'_>,
) -> Result<LoadedRun, Problem> {
    let mut loaded = load(app, visitor, run, Role::Developer).await?;
    let cancel =
        Command::Cancel { by: visitor.0.login.clone(), reason: text_of(order.reason, "a reason")? };
    let is_first = loaded.run.status() != RunStatus::Cancelling;
    app.runs.execute(&mut loaded, &cancel, app.now()).await?;
    // A run of which nothing was under way has ended by the first.
    if order.is_forced && is_first && !loaded.run.status().is_finished() {
        app.runs.execute(&mut loaded, &cancel, app.now()).await?;
    }
    Ok(loaded)
}

/// What is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RerunOrder {
    /// Only what failed or was cancelled, and what was skipped because of that.
    pub is_failed_only: bool,
    /// Only these stages and what follows them, by key or name; all when empty.
    pub stages: Vec<String>,
    /// Whether stages run although nothing they depend on has changed.
    pub no_reuse: bool,
}

/// Runs stages of a finished run again; of an archived project nothing begins anew.
pub async fn rerun(
    app: &App,
    visitor: &Visitor,
    run: &str,
    order: &RerunOrder,
) -> Result<LoadedRun, Problem> {
    let mut loaded = load(app, visitor, run, Role::Developer).await?;
    let project = app.store.find_project(&loaded.row.project).await?;
    if let Some(project) = project.filter(|it| it.archived_at.is_some()) {
        return Err(problem(ManualError::Archived(project.slug())));
    }
    let command = order.command(&loaded, &visitor.0.login)?;
    app.runs.execute(&mut loaded, &command, app.now()).await?;
    Ok(loaded)
}

impl RerunOrder {
    fn command(&self, loaded: &LoadedRun, by: &str) -> Result<Command, Problem> {
        let scope = self.scope(loaded)?;
        Ok(Command::Rerun { scope, by: by.to_owned(), no_reuse: self.no_reuse })
    }

    fn scope(&self, loaded: &LoadedRun) -> Result<RerunScope, Problem> {
        if self.is_failed_only && !self.stages.is_empty() {
            return Err(Problem::bad_request("`failed` and `stages` exclude each other"));
        }
        if self.is_failed_only {
            return Ok(RerunScope::Failed);
        }
        if self.stages.is_empty() {
            return Ok(RerunScope::All);
        }
        let stages = self.stages.iter().map(|it| loaded.find_stage(it));
        Ok(RerunScope::Stages(stages.collect::<Result<_, _>>()?))
    }
}

/// The stages that would run again; why not, where nothing would.
pub fn rerun_stages(
    app: &App,
    loaded: &LoadedRun,
    scope: RerunScope,
) -> Result<Vec<StageIndex>, Refused> {
    let command = Command::Rerun { scope, by: String::new(), no_reuse: false };
    let events = loaded.run.decide(&command, app.now())?;
    let stages = events.into_iter().find_map(|it| {
        if let Event::RerunRequested { stages, .. } = it { Some(stages) } else { None }
    });
    Ok(stages.unwrap_or_default())
}

/// A run to start by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartOrder {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Branch, tag or commit id; empty for the default branch.
    pub revision: String,
    /// Values of its inputs, as text.
    pub inputs: BTreeMap<String, String>,
    /// Tells two orders of one person apart: of those with the same key, one run is made.
    pub key: Option<String>,
}

/// Starts a pipeline with inputs, whatever would start it otherwise.
pub async fn start(
    app: &App,
    visitor: &Visitor,
    project: &str,
    order: StartOrder,
) -> Result<RunRow, Problem> {
    let project = startable_project(app, visitor, project).await?;
    check_inputs(&order.inputs)?;
    let key = order.key.map(|it| Digest::of(it.as_bytes()).hex().to_owned());
    let key = key.unwrap_or_else(|| app.new_id());
    let order = ManualOrder {
        pipeline: order.pipeline,
        revision: order.revision,
        inputs: order.inputs,
        by: visitor.0.login.clone(),
        cause: format!("manual:{}:{key}", visitor.0.person),
    };
    app.triggers.start_manual(&project, order).await.map_err(problem)
}

/// What the audit log is to say of a run that was started.
#[must_use]
pub fn noted_start(run: &RunRow) -> Detail {
    let detail = Detail::default().with("pipeline", run.pipeline.as_str());
    detail.with("number", run.number).with("run", run.id.0.as_str())
}

/// The pipelines that the caller may start in a project.
pub async fn startable(
    app: &App,
    visitor: &Visitor,
    project: &str,
) -> Result<(ProjectRow, Vec<Startable>), Problem> {
    let project = startable_project(app, visitor, project).await?;
    let startable = app.triggers.list_startable(&project).await?;
    Ok((project, startable))
}

async fn startable_project(
    app: &App,
    visitor: &Visitor,
    project: &str,
) -> Result<ProjectRow, Problem> {
    let project = projects::find(app, visitor, project).await?;
    visitor.require(&project.team, Role::Developer, "this project")?;
    Ok(project)
}

fn check_inputs(inputs: &BTreeMap<String, String>) -> Result<(), Problem> {
    if inputs.len() > INPUTS_MAX {
        return Err(Problem::bad_request(format!("`inputs` has more than {INPUTS_MAX} values")));
    }
    match inputs.iter().find(|(_, text)| text.chars().count() > INPUT_CHARS_MAX) {
        None => Ok(()),
        Some((name, _)) => {
            let title = format!("input `{name}` has more than {INPUT_CHARS_MAX} characters");
            Err(Problem::bad_request(title))
        }
    }
}

fn problem(error: ManualError) -> Problem {
    if let ManualError::Remote(..) = &error {
        tracing::warn!(error = &error as &dyn std::error::Error, "a remote failed");
    }
    let help = error.help();
    let problem = match error {
        ManualError::Trigger(error) => error.into(),
        ManualError::Archived(_)
        | ManualError::NoRevision(..)
        | ManualError::NoPipeline { .. }
        | ManualError::Refused(_)
        | ManualError::Remote(..) => Problem::new(ProblemKind::Refused, error.to_string()),
    };
    if let Some(help) = help { problem.with_help(help) } else { problem }
}
