//! `/admin/workers`: the processes that drive runs.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::desk::server::fleet;
use crate::http::{App, Problem, Subject, Visitor};
use crate::store::DatabaseKind;
use crate::store::fleet::workers::WorkerRow;
use crate::ui::form::{Posted, onward};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Between two looks: signs of life are no news, and that they end is to be seen.
const BEAT: Duration = Duration::from_secs(5);

#[derive(Template)]
#[template(path = "admin/workers.html")]
struct WorkersPage {
    shell: Shell,
    words: Words,
    place: Place,
    workers: Vec<WorkerRow>,
    /// Whether there can be others.
    is_shared: bool,
    csrf: String,
}

#[derive(Template)]
#[template(path = "admin/_workers.html")]
struct WorkersPart<'a> {
    words: Words,
    workers: &'a [WorkerRow],
    csrf: &'a str,
}

impl WorkerRow {
    /// Attempts under way, of all teams.
    fn under_way(&self) -> u32 {
        self.running.values().sum()
    }

    /// Labels as pipelines name them.
    fn labelled(&self) -> Vec<String> {
        self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

/// Which worker, and whether it takes nothing new from now on.
#[derive(Debug, serde::Deserialize)]
pub(super) struct DrainForm {
    name: String,
    #[serde(default)]
    draining: String,
}

pub(super) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let place = super::place(&visit, "/workers")?;
    let workers = fleet::list_workers(&app, &visit.visitor).await?;
    let shell = place.shell(&visit, Section::Server);
    let csrf = shell.csrf.clone();
    let is_shared = app.store.database_kind() == DatabaseKind::Postgres;
    page(&WorkersPage { shell, words: visit.words(), place, workers, is_shared, csrf })
}

pub(super) async fn watch(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.visitor.require_owner()?;
    let csrf = visit.shell(Section::Server, "").csrf;
    let (of_parts, who): (App, Visitor) = (app.clone(), visit.visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor, csrf) = (of_parts.clone(), who.clone(), csrf.clone());
        Box::pin(async move {
            let workers = fleet::list_workers(&app, &visitor).await?;
            let words = Words::at(app.now());
            let html = part(&WorkersPart { words, workers: &workers, csrf: &csrf })?;
            Ok(vec![Part { id: "workers", html }])
        })
    });
    let views = vec![(Audience::One, "workers".to_owned(), render)];
    live::stream_of_many_every(&app, &visit.visitor, (views, BEAT))
}

pub(super) async fn drain(
    State(app): State<App>,
    Posted(visitor, form): Posted<DrainForm>,
) -> Result<Response, Problem> {
    let draining = !form.draining.is_empty();
    fleet::save_draining(&app, &visitor, (&form.name, draining)).await?;
    let done = if draining { "draining" } else { "undrained" };
    let to = onward(&format!("/admin/workers?done={done}"));
    Ok((axum::Extension(Subject(form.name)), to).into_response())
}
