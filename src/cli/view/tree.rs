//! The stages of a run as lines: live while it runs, and once more at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{View, format};
use crate::model::StageStatus;
use crate::runs::view::{StageView, WaitView};

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
    let run = view.run;
    let sha = run.revision.get(..8).unwrap_or(&run.revision);
    let mut parts = vec![view.paint.bold(&format!("{} #{}", run.pipeline, run.number))];
    parts.extend(
        [run.branch.as_str(), sha].iter().filter(|it| !it.is_empty()).map(|it| (*it).to_owned()),
    );
    if run.dirty {
        parts.push("with uncommitted changes".to_owned());
    } else if !run.title.is_empty() {
        parts.push(view.paint.dim(&run.title));
    }
    parts.join("  ")
}

/// `3 of 9 done, 2 running, 1 failed  12.3s`
fn foot(view: View<'_>) -> String {
    let count =
        |wanted: &[StageStatus]| view.stages().filter(|it| wanted.contains(&it.status)).count();
    let (mut done, mut total) = (0, 0);
    for stage in view.stages() {
        total += 1;
        done += usize::from(stage.status.is_finished());
    }
    let mut parts = vec![format!("{done} of {total} done")];
    if view.run.interrupted {
        parts.push(format::INTERRUPTED.to_owned());
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
    let time = if view.run.interrupted { String::new() } else { time };
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
            let loud = cells.iter().filter(|it| needs_attention(it.status));
            rows.extend(loud.map(|it| Row { indent: 2, ..row(view, it) }));
        } else {
            rows.extend(cells.iter().map(|it| row(view, it)));
        }
    }
    rows
}

/// The stages by their name in the file, in its order.
fn by_name<'a>(view: View<'a>) -> Vec<(&'a str, Vec<&'a StageView>)> {
    let mut groups: Vec<(&str, Vec<&'a StageView>)> = Vec::new();
    let mut places = BTreeMap::new();
    for cell in view.stages() {
        let name = cell.name.as_str();
        let place = *places.entry(name).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, cells)) => cells.push(cell),
            None => groups.push((name, vec![cell])),
        }
    }
    groups
}

fn row(view: View<'_>, stage: &StageView) -> Row {
    Row {
        status: stage.status,
        is_allowed: stage.allowed,
        indent: 0,
        name: stage.key.clone(),
        time: view.time_of(stage).map(format::duration).unwrap_or_default(),
        detail: detail(view, stage),
    }
}

/// One line for all cells of a matrix: the most urgent status, and how many have passed.
fn folded(name: &str, cells: &[&StageView]) -> Row {
    let status = cells.iter().map(|it| it.status).min_by_key(|it| urgency(*it));
    let passed = cells.iter().filter(|it| it.status == StageStatus::Passed).count();
    Row {
        status: status.unwrap_or(StageStatus::Pending),
        is_allowed: cells.iter().all(|it| it.status != StageStatus::Failed || it.allowed),
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

fn detail(view: View<'_>, stage: &StageView) -> String {
    match stage.status {
        StageStatus::Running => running(view, stage),
        StageStatus::Passed if stage.undecided => view.paint.yellow(&undecided(stage)),
        StageStatus::Passed => passed(view, stage),
        StageStatus::Failed => failed(view, stage),
        StageStatus::Skipped => {
            view.paint.dim(stage.skipped_because.as_deref().unwrap_or_default())
        }
        StageStatus::Cancelled => view.paint.dim("cancelled"),
        StageStatus::Pending | StageStatus::Ready | StageStatus::Delayed | StageStatus::Waiting => {
            stage.waits_for.as_ref().map(|it| waiting(view, stage, it)).unwrap_or_default()
        }
    }
}

fn waiting(view: View<'_>, stage: &StageView, wait: &WaitView) -> String {
    let group = wait.group.as_deref().unwrap_or_default();
    match wait.kind.as_str() {
        "admission" | "slot" => view.paint.dim(&format!("waits for group `{group}`")),
        "needs" => view.paint.dim(&after(view, &wait.needs)),
        "room" => view.paint.dim("waits for room"),
        "retry" => {
            let left = format::duration(wait.until.unwrap_or_default().since(view.now));
            let attempts = stage.attempts.len();
            view.paint.yellow(&format!("attempt {attempts} failed, tries again in {left}"))
        }
        "people" => {
            let people = format::count(u64::from(wait.missing.unwrap_or(0)), "approval");
            let key = super::shell_word(&stage.key);
            let command = view.command(&format!("approve {} {key}", view.run.number));
            view.paint.yellow(&format!("waits for {people}: {command}"))
        }
        _ => String::new(),
    }
}

/// `after lint, unit, eval and 3 more`, each matrix once.
fn after(view: View<'_>, needs: &[String]) -> String {
    let wanted: BTreeSet<&str> = needs.iter().map(String::as_str).collect();
    let needs = view.stages().filter(|it| wanted.contains(it.key.as_str()));
    let mut names: Vec<&str> = needs.map(|it| it.name.as_str()).collect();
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
fn running(view: View<'_>, stage: &StageView) -> String {
    let mut parts = Vec::new();
    let attempts = stage.present_attempts().len();
    if attempts > 1 {
        parts.push(view.paint.yellow(&format!("attempt {attempts}")));
    }
    let names = &stage.step_names;
    let current = stage.open_attempt().and_then(|it| it.steps.last().map(|it| it.step));
    let name = current.and_then(|it| Some((it, names.get(usize::try_from(it).ok()?)?)));
    if let Some((place, name)) = name.filter(|_| names.len() > 1) {
        parts.push(format!("{}/{} {}", place + 1, names.len(), format::tame(name)));
    }
    if let Some(tail) = view.tails.get(&stage.stage) {
        parts.push(view.paint.dim(&format::tame(tail)));
    }
    parts.join("  ")
}

fn passed(view: View<'_>, stage: &StageView) -> String {
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
pub(super) fn undecided(stage: &StageView) -> String {
    let span = format::duration(stage.timeout_ms);
    format!("passed without approval: nobody decided within {span}")
}

fn failed(view: View<'_>, stage: &StageView) -> String {
    let (class, message) = stage.failure();
    let message = message.lines().next().unwrap_or_default();
    let allowed = if stage.allowed { "allowed to fail: " } else { "" };
    let class = class.map(|it| it.to_string()).unwrap_or_default();
    let text = [class.as_str(), message].into_iter().filter(|it| !it.is_empty());
    let text = format!("{allowed}{}", text.collect::<Vec<_>>().join(": "));
    if stage.allowed { view.paint.yellow(&text) } else { view.paint.red(&text) }
}
