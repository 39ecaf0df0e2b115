//! `/runs/{run}/changes`: what a run brings, compared with the last green run of the trunk before it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::path_of;
use crate::approvals::Changes;
use crate::desk::runs::SeenRun;
use crate::http::{App, Path, Problem};
use crate::source::LineKind;
use crate::ui::above::AboveRun;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Files of one part that are named.
const FILES_MAX: usize = 500;

#[derive(Template)]
#[template(path = "runs/changes.html")]
struct ChangesPage {
    shell: Shell,
    words: Words,
    above: AboveRun,
    path: String,
    tab: &'static str,
    changes: Changes,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let seen = SeenRun::find(&app, &visit.visitor, &run).await?;
    let changes = seen.changes(&app).await?;
    page(&ChangesPage {
        shell: visit.shell(Section::Runs, format!("Changes of #{}", seen.view.number)),
        words: visit.words(),
        path: path_of(&seen.view.id),
        tab: "changes",
        above: AboveRun::of(&seen.loaded.row),
        changes,
    })
}
