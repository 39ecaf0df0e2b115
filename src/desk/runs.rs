//! Runs: found by what people call them, listed, seen, and what people do with them.

mod list;
mod order;
mod seen;
mod spend;

pub use list::{RunsQuery, broken_trunks, filter, list, list_with_failing};
pub use order::{
    CancelOrder, RerunOrder, StartOrder, cancel, noted_start, rerun, rerun_stages, start, startable,
};
pub use seen::{Deed, DeedKind, SeenRun, Tail};
pub use spend::spend;

use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunId, TeamId};
use crate::runs::LoadedRun;
use crate::store::runs::{RunFilter, RunRow};

/// Characters of an id, and the fewest of its beginning that stand for it.
const ID_CHARS: usize = 26;
const PREFIX_CHARS_MIN: usize = 4;
/// The longest text that a person may leave with what they do.
const TEXT_CHARS_MAX: usize = 10_000;

/// A run that the caller may use for what takes `needed`.
pub async fn load(
    app: &App,
    visitor: &Visitor,
    id: &str,
    needed: Role,
) -> Result<LoadedRun, Problem> {
    let row = find(app, visitor, id, needed).await?;
    Ok(app.runs.load(&row.id).await?)
}

/// A text that a person leaves, called `what`: never cut, for somebody will read it as theirs. A browser sends two
/// characters for the end of a line.
pub(in crate::desk) fn text_of(text: &str, what: &str) -> Result<String, Problem> {
    let text = text.replace("\r\n", "\n");
    match text.chars().count() {
        0..=TEXT_CHARS_MAX => Ok(text),
        count => Err(Problem::bad_request(format!(
            "{what} has at most {TEXT_CHARS_MAX} characters, and this one {count}"
        ))),
    }
}

/// Its row. A run from a terminal belongs to nobody but the owners of the installation.
pub async fn find(
    app: &App,
    visitor: &Visitor,
    reference: &str,
    needed: Role,
) -> Result<RunRow, Problem> {
    let not_found = || Problem::not_found("this run");
    let row = named(app, visitor, &reference.to_lowercase()).await?.ok_or_else(not_found)?;
    let project = app.store.find_project(&row.project).await?;
    let team = project.map_or_else(|| TeamId(String::new()), |it| it.team);
    visitor.require(&team, needed, "this run")?;
    visitor.note_run(&row.id);
    Ok(row)
}

/// The run with this id or this number; else the only one that the caller may see whose id begins so.
async fn named(app: &App, visitor: &Visitor, reference: &str) -> Result<Option<RunRow>, Problem> {
    if let Some(row) = app.store.find_run(&RunId(reference.to_owned())).await? {
        return Ok(Some(row));
    }
    let is_number = !reference.starts_with('0') && reference.bytes().all(|it| it.is_ascii_digit());
    if let Some(number) = reference.parse().ok().filter(|_| is_number) {
        return Ok(app.store.find_run_by_number(number).await?);
    }
    if !(PREFIX_CHARS_MIN..ID_CHARS).contains(&reference.len()) {
        return Ok(None);
    }
    let filter = RunFilter {
        id_prefix: Some(reference.to_owned()),
        teams: visitor.0.teams_as(Role::Viewer),
        limit: 2,
        ..RunFilter::default()
    };
    let mut rows = app.store.list_runs(&filter).await?;
    if rows.len() > 1 {
        let title = format!("`{reference}` is the beginning of several ids");
        return Err(Problem::bad_request(title).with_help("Give more of the id, or the number."));
    }
    Ok(rows.pop())
}
