//! Runs and events as JSON. The shapes are those of [`crate::runs::view`], which the API has too.

use serde_json::{Value, json};

use super::{View, key_of};
use crate::engine::Run;
use crate::model::StageIndex;
use crate::runs::view::{EventView, RunRowView, RunView, Surroundings};
use crate::store::runs::{RunRow, StoredEvent};

/// One event: the stored one, with the stage's key beside its place.
#[must_use]
pub fn event(run: &Run, stored: &StoredEvent) -> Value {
    json!(EventView::of(run, stored))
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

/// A row of a list of runs, with the stages about which nobody decided in time.
#[must_use]
pub fn row(row: &RunRow, is_interrupted: bool, undecided: &[String]) -> Value {
    let mut row = json!(RunRowView::of(row, is_interrupted));
    if let Some(row) = row.as_object_mut() {
        row.insert("undecided".to_owned(), json!(undecided));
    }
    row
}

/// A run with its stages and their attempts: the last line of `run --json`, and `show --json`.
#[must_use]
pub fn run(view: View<'_>, around: Surroundings<'_>) -> Value {
    let is_interrupted = view.is_interrupted;
    let mut run =
        json!(RunView::new(view.run, Surroundings { is_interrupted, ..around }, view.now));
    let stages = run.get_mut("stages").and_then(Value::as_array_mut).into_iter().flatten();
    for (stage, (index, planned, stands)) in stages.zip(view.stages()) {
        let Some(stage) = stage.as_object_mut() else { continue };
        stage.insert("undecided".to_owned(), json!(view.run.is_undecided(index)));
        stage.insert("duration_ms".to_owned(), json!(view.time_of(planned, stands)));
    }
    run
}
