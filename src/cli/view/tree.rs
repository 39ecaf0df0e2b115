//! The stages of a run as lines: live while it runs, and once more at the end.

use std::collections::BTreeMap;

use super::{View, format, line};
use crate::engine::Stage;
use crate::engine::run::WaitsFor;
use crate::model::{StageIndex, StageStatus};
use crate::pipeline::PlannedStage;

/// A matrix with more cells than this is folded into one line, and only cells that need attention
/// have their own.
const FOLD_ABOVE: usize = 3;
/// Columns that the name of a stage may take.
const NAME_LIMIT: usize = 32;

/// One line of the tree, before it is laid out.
struct Row {
    status: StageStatus,
    is_allowed: bool,
    indent: usize,
    name: String,
    time: String,
    detail: String,
}

/// A head line, one line for each stage, and a foot line; at most `height` lines in all.
#[must_use]
pub fn lines(view: View<'_>, height: usize) -> Vec<String> {
    let body = collapse(rows(view), height.saturating_sub(2));
    let name_columns = body.iter().map(|it| it.indent + format::width(&it.name)).max();
    let name_columns = name_columns.unwrap_or(0).min(NAME_LIMIT);
    let mut lines = vec![head(view)];
    lines.extend(body.iter().map(|row| lay_out(view, row, name_columns)));
    lines.push(foot(view));
    lines.into_iter().map(|it| format::fit(&it, view.columns).into_owned()).collect()
}

fn head(view: View<'_>) -> String {
    let plan = view.run.plan();
    let git = &view.run.context().git;
    let sha = git.sha.get(..8).unwrap_or(&git.sha);
    let mut parts = vec![view.paint.bold(&format!("{} #{}", plan.pipeline, view.number))];
    parts.extend(
        [git.branch.as_str(), sha].iter().filter(|it| !it.is_empty()).map(|it| (*it).to_owned()),
    );
    if git.dirty {
        parts.push("with uncommitted changes".to_owned());
    } else if !git.message.is_empty() {
        parts.push(view.paint.dim(&git.message));
    }
    parts.join("  ")
}

/// `3 of 9 done, 2 running, 1 failed  12.3s`
fn foot(view: View<'_>) -> String {
    let count = |wanted: &[StageStatus]| {
        view.stages().filter(|(_, _, stage)| wanted.contains(&stage.status)).count()
    };
    let (mut done, mut total) = (0, 0);
    for (_, _, stage) in view.stages() {
        total += 1;
        done += usize::from(stage.status.is_finished());
    }
    let mut parts = vec![format!("{done} of {total} done")];
    if view.is_interrupted {
        parts.push(line::INTERRUPTED.to_owned());
    }
    for (statuses, word) in [
        (&[StageStatus::Running][..], "running"),
        (&[StageStatus::Waiting], "waiting for approval"),
        (&[StageStatus::Failed], "failed"),
        (&[StageStatus::Skipped], "skipped"),
        (&[StageStatus::Cancelled], "cancelled"),
    ] {
        let number = count(statuses);
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    // Nothing says until when an interrupted run went on.
    let time = format!("  {}", format::duration(view.time_of_run()));
    let time = if view.is_interrupted { String::new() } else { time };
    view.paint.dim(&format!("{}{time}", parts.join(", ")))
}

fn lay_out(view: View<'_>, row: &Row, name_columns: usize) -> String {
    let glyph = view.glyph(row.status, row.is_allowed);
    let indent = " ".repeat(row.indent);
    let name = format::fit(&row.name, NAME_LIMIT - row.indent);
    let name = format::pad(&name, name_columns - row.indent.min(name_columns)).into_owned();
    let line = format!("{indent}{glyph} {name}  {:>6}  {}", row.time, row.detail);
    line.trim_end().to_owned()
}

fn rows(view: View<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, cells) in by_name(view) {
        if cells.len() > FOLD_ABOVE {
            rows.push(folded(name, &cells));
            let loud = cells.iter().filter(|(_, _, stage)| needs_attention(stage.status));
            rows.extend(loud.map(|it| Row { indent: 2, ..row(view, *it) }));
        } else {
            rows.extend(cells.iter().map(|it| row(view, *it)));
        }
    }
    rows
}

/// The stages by their name in the file, in its order.
fn by_name<'a>(view: View<'a>) -> Vec<(&'a str, Vec<Cell<'a>>)> {
    let mut groups: Vec<(&str, Vec<Cell<'a>>)> = Vec::new();
    let mut places = BTreeMap::new();
    for cell in view.stages() {
        let name = cell.1.name.as_str();
        let place = *places.entry(name).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, cells)) => cells.push(cell),
            None => groups.push((name, vec![cell])),
        }
    }
    groups
}

type Cell<'a> = (StageIndex, &'a PlannedStage, &'a Stage);

fn row(view: View<'_>, (index, planned, stage): Cell<'_>) -> Row {
    Row {
        status: stage.status,
        is_allowed: stage.allowed,
        indent: 0,
        name: planned.key.clone(),
        time: view.time_of(planned, stage).map(format::duration).unwrap_or_default(),
        detail: detail(view, index, planned, stage),
    }
}

/// One line for all cells of a matrix: the most urgent status, and how many have passed.
fn folded(name: &str, cells: &[Cell<'_>]) -> Row {
    let status = cells.iter().map(|(_, _, it)| it.status).min_by_key(|it| urgency(*it));
    let passed = cells.iter().filter(|(_, _, it)| it.status == StageStatus::Passed).count();
    Row {
        status: status.unwrap_or(StageStatus::Pending),
        is_allowed: cells.iter().all(|(_, _, it)| it.status != StageStatus::Failed || it.allowed),
        indent: 0,
        name: name.to_owned(),
        time: String::new(),
        detail: format!("{passed} of {} passed", cells.len()),
    }
}

fn needs_attention(status: StageStatus) -> bool {
    urgency(status) < urgency(StageStatus::Ready)
}

fn urgency(status: StageStatus) -> u8 {
    match status {
        StageStatus::Failed => 0,
        StageStatus::Waiting => 1,
        StageStatus::Running => 2,
        StageStatus::Delayed => 3,
        StageStatus::Ready => 4,
        StageStatus::Cancelled => 5,
        StageStatus::Pending => 6,
        StageStatus::Skipped => 7,
        StageStatus::Passed => 8,
    }
}

/// Drops what says least until `height` rows are left, and says how many were dropped.
fn collapse(mut rows: Vec<Row>, height: usize) -> Vec<Row> {
    for (statuses, word) in [
        (&[StageStatus::Passed, StageStatus::Skipped, StageStatus::Cancelled][..], "more done"),
        (&[StageStatus::Pending, StageStatus::Ready], "to come"),
        (&[StageStatus::Running, StageStatus::Delayed, StageStatus::Waiting], "more under way"),
        (&[StageStatus::Failed], "more failed"),
    ] {
        let excess = rows.len().saturating_sub(height);
        let candidates = rows.iter().filter(|it| statuses.contains(&it.status)).count();
        if excess == 0 || candidates < 2 {
            continue;
        }
        drop_rows(&mut rows, statuses, (excess + 1).min(candidates), word);
    }
    rows
}

/// Replaces the first `number` rows of these statuses by one.
fn drop_rows(rows: &mut Vec<Row>, statuses: &[StageStatus], number: usize, word: &str) {
    let mut left = number;
    let mut place = None;
    let mut index = 0;
    rows.retain(|row| {
        let is_dropped = left > 0 && statuses.contains(&row.status);
        if is_dropped {
            left -= 1;
            place.get_or_insert(index);
        } else {
            index += 1;
        }
        !is_dropped
    });
    let status = statuses.first().copied().unwrap_or(StageStatus::Pending);
    let name = format!("… {number} {word}");
    let row = Row {
        status,
        is_allowed: false,
        indent: 0,
        name,
        time: String::new(),
        detail: String::new(),
    };
    rows.insert(place.unwrap_or(0).min(rows.len()), row);
}

fn detail(view: View<'_>, index: StageIndex, planned: &PlannedStage, stage: &Stage) -> String {
    match stage.status {
        StageStatus::Running => running(view, index, stage),
        StageStatus::Passed if view.run.is_undecided(index) => {
            view.paint.yellow(&undecided(planned))
        }
        StageStatus::Passed => passed(view, stage),
        StageStatus::Failed => failed(view, stage),
        StageStatus::Skipped => {
            let reason = stage.skip_reason.as_ref().map(|it| view.run.explain_skip(it));
            view.paint.dim(&reason.unwrap_or_default())
        }
        StageStatus::Cancelled => view.paint.dim("cancelled"),
        StageStatus::Pending | StageStatus::Ready | StageStatus::Delayed | StageStatus::Waiting => {
            let waits_for = view.run.waits_for(index);
            waits_for.map(|it| waiting(view, planned, stage, &it)).unwrap_or_default()
        }
    }
}

fn waiting(view: View<'_>, planned: &PlannedStage, stage: &Stage, waits_for: &WaitsFor) -> String {
    match waits_for {
        WaitsFor::Driver | WaitsFor::Attempt => String::new(),
        WaitsFor::Admission { group } | WaitsFor::Slot { group } => {
            view.paint.dim(&format!("waits for group `{group}`"))
        }
        WaitsFor::Needs(needs) => view.paint.dim(&after(view, needs)),
        WaitsFor::Room => view.paint.dim("waits for room"),
        WaitsFor::Retry { until } => {
            let left = format::duration(until.since(view.now));
            let attempts = stage.attempts.len();
            view.paint.yellow(&format!("attempt {attempts} failed, tries again in {left}"))
        }
        WaitsFor::People { missing, .. } => {
            let people = format::count(u64::from(*missing), "approval");
            let key = super::shell_word(&planned.key);
            let command = format!("trunkline approve {} {key}", view.number);
            view.paint.yellow(&format!("waits for {people}: {command}"))
        }
    }
}

/// `after lint, unit, eval and 3 more`, each matrix once.
fn after(view: View<'_>, needs: &[StageIndex]) -> String {
    let stages = &view.run.plan().stages;
    let mut names: Vec<&str> = needs
        .iter()
        .filter_map(|it| stages.get(it.as_usize()))
        .map(|it| it.name.as_str())
        .collect();
    names.dedup();
    match names.as_slice() {
        [] => String::new(),
        [first, second, third, _, ..] => {
            format!("after {first}, {second}, {third} and {} more", names.len() - 3)
        }
        _ => format!("after {}", names.join(", ")),
    }
}

/// Its step, and the last line it printed.
fn running(view: View<'_>, index: StageIndex, stage: &Stage) -> String {
    let mut parts = Vec::new();
    let attempts = stage.present_attempts().len();
    if attempts > 1 {
        parts.push(view.paint.yellow(&format!("attempt {attempts}")));
    }
    let steps = line::steps_of(view.run, index);
    let current = stage.open_attempt().and_then(|(_, it)| it.steps.keys().next_back().copied());
    let step = current.and_then(|it| Some((it, steps.get(usize::try_from(it).ok()?)?)));
    if let Some((place, step)) = step.filter(|_| steps.len() > 1) {
        parts.push(format!("{}/{} {}", place + 1, steps.len(), format::tame(&step.name)));
    }
    if let Some(tail) = view.tails.get(&index) {
        parts.push(view.paint.dim(&format::tame(tail)));
    }
    parts.join("  ")
}

fn passed(view: View<'_>, stage: &Stage) -> String {
    let mut parts = Vec::new();
    if stage.reused_from.is_some() {
        parts.push("unchanged, reused".to_owned());
    }
    if stage.present_attempts().len() > 1 {
        parts.push(format!("attempt {}", stage.present_attempts().len()));
    }
    if let Some(tests) = stage.outcome().and_then(|it| it.tests) {
        parts.push(format::count(tests.passed, "test"));
    }
    if !stage.approvals.is_empty() {
        parts.push(format!("approved by {}", stage.approvals.join(", ")));
    }
    view.paint.dim(&parts.join(", "))
}

/// What is said of an approval that passed because the file says so.
pub(super) fn undecided(planned: &PlannedStage) -> String {
    let span = format::duration(planned.timeout);
    format!("passed without approval: nobody decided within {span}")
}

fn failed(view: View<'_>, stage: &Stage) -> String {
    let (class, message) = super::failure_of(stage);
    let message = message.lines().next().unwrap_or_default();
    let allowed = if stage.allowed { "allowed to fail: " } else { "" };
    let class = class.map(|it| it.to_string()).unwrap_or_default();
    let text = [class.as_str(), message].into_iter().filter(|it| !it.is_empty());
    let text = format!("{allowed}{}", text.collect::<Vec<_>>().join(": "));
    if stage.allowed { view.paint.yellow(&text) } else { view.paint.red(&text) }
}
