//! Runs and events as JSON. The shapes are part of the interface: keys are added, never changed.

use serde_json::{Map, Value, json};

use super::{View, key_of};
use crate::engine::{Attempt, AttemptOutcome, Run, Stage};
use crate::model::StageIndex;
use crate::pipeline::PlannedStage;
use crate::store::runs::{RunRow, StoredEvent};

/// One event: the stored one, with the stage's key beside its place.
#[must_use]
pub fn event(run: &Run, stored: &StoredEvent) -> Value {
    let mut object = match serde_json::to_value(&stored.event) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    };
    if let Some(stage) = stored.event.stage() {
        object.insert("stage_key".to_owned(), json!(key_of(run, stage)));
    }
    object.insert("run".to_owned(), json!(run.id()));
    object.insert("seq".to_owned(), json!(stored.seq));
    object.insert("at".to_owned(), json!(stored.at));
    Value::Object(object)
}

/// One line of a log.
#[must_use]
pub fn log_line(run: &Run, stage: StageIndex, attempt: u32, text: &str) -> Value {
    json!({
        "type": "log",
        "run": run.id(),
        "stage": stage,
        "stage_key": key_of(run, stage),
        "attempt": attempt,
        "text": text,
    })
}

/// A row of a list of runs.
#[must_use]
pub fn row(row: &RunRow, is_interrupted: bool, undecided: &[String]) -> Value {
    json!({
        "id": row.id,
        "number": row.number,
        "pipeline": row.pipeline,
        "repository": row.repository,
        "event": row.event,
        "branch": row.branch,
        "revision": row.revision,
        "title": row.title,
        "status": row.status,
        "interrupted": is_interrupted,
        "undecided": undecided,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    })
}

/// A run with its stages and their attempts: the last line of `run --json`, and `show --json`.
#[must_use]
pub fn run(view: View<'_>, repository: &str) -> Value {
    let context = view.run.context();
    let (started_at, finished_at) = view.run.times();
    json!({
        "type": "run",
        "id": view.run.id(),
        "number": view.number,
        "pipeline": view.run.plan().pipeline,
        "repository": repository,
        "event": context.event,
        "branch": context.git.branch,
        "revision": context.git.sha,
        "dirty": context.git.dirty,
        "status": view.run.status(),
        "interrupted": view.is_interrupted,
        "started_at": started_at,
        "finished_at": finished_at,
        "duration_ms": view.time_of_run(),
        "stages": view.stages().map(|it| stage(view, it)).collect::<Vec<_>>(),
    })
}

fn stage(view: View<'_>, (index, planned, stage): (StageIndex, &PlannedStage, &Stage)) -> Value {
    let outcome = stage.outcome();
    json!({
        "stage": index,
        "key": planned.key,
        "name": planned.name,
        "matrix": planned.matrix,
        "needs": planned.needs.iter().map(|it| key_of(view.run, it.stage)).collect::<Vec<_>>(),
        "status": stage.status,
        "skip_reason": stage.skip_reason,
        "allowed": stage.allowed,
        "failure": stage.failure,
        "reused_from": stage.reused_from.as_ref().map(ToString::to_string),
        "approvals": stage.approvals,
        "undecided": view.run.is_undecided(index),
        "duration_ms": view.time_of(planned, stage),
        "gates": gates(view, index, planned, outcome),
        "attempts": stage.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let steps = attempt.steps.iter().map(|(step, it)| {
        json!({
            "step": step,
            "started_at": it.started_at,
            "finished_at": it.finished.map(|(at, _)| at),
            "exit_code": it.finished.map(|(_, code)| code),
        })
    });
    json!({
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "outcome": attempt.outcome,
        "steps": steps.collect::<Vec<_>>(),
    })
}

fn gates(
    view: View<'_>,
    index: StageIndex,
    planned: &PlannedStage,
    outcome: Option<&AttemptOutcome>,
) -> Vec<Value> {
    let Some(outcome) = outcome else { return Vec::new() };
    let judged = super::summary::judge_gates(view.run, index, planned, outcome);
    let as_json = judged.into_iter().map(|it| {
        json!({
            "metric": it.metric,
            "comparison": it.comparison,
            "value": it.value,
            "passed": it.passed,
        })
    });
    as_json.collect()
}
