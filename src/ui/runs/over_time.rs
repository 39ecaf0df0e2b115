//! `/runs/{run}/timeline`: what waited and what ran when.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::timeline::Timeline;
use super::{path_of, path_of_stage};
use crate::desk::runs::{self, SeenRun};
use crate::http::{App, Path, Problem, Query, Visitor};
use crate::model::Role;
use crate::ui::above::AboveRun;
use crate::ui::live::{self, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// What stands in the address.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
pub(super) struct RoundQuery {
    /// Which round, from 1; the last when it is left out.
    round: Option<usize>,
}

#[derive(Template)]
#[template(path = "runs/timeline.html")]
struct TimelinePage {
    shell: Shell,
    above: AboveRun,
    path: String,
    tab: &'static str,
    live: String,
    timeline: String,
}

#[derive(Template)]
#[template(path = "runs/_timeline.html")]
struct TimelinePart<'a> {
    words: Words,
    timeline: Timeline,
    path: &'a str,
}

impl TimelinePart<'_> {
    fn stage_path(&self, key: &str) -> String {
        path_of_stage(self.path, key)
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
    Query(query): Query<RoundQuery>,
) -> Result<Response, Problem> {
    let seen = SeenRun::find(&app, &visit.visitor, &run).await?;
    let timeline = render(&app, &seen, query)?;
    let path = path_of(&seen.view.id);
    let round = query.round.map(|it| format!("?round={it}")).unwrap_or_default();
    let title = format!("Timeline of {} #{}", seen.view.pipeline, seen.view.number);
    page(&TimelinePage {
        shell: visit.shell(Section::Runs, title),
        live: format!("/live{path}/timeline{round}"),
        tab: "timeline",
        above: AboveRun::of(&seen.loaded.row),
        path,
        timeline,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<RoundQuery>,
) -> Result<Response, Problem> {
    let id = runs::find(&app, &visitor, &run, Role::Viewer).await?.id;
    let (of_parts, who, wanted) = (app.clone(), visitor.clone(), id.0.clone());
    let make: Render = Box::new(move || {
        let (app, visitor, run) = (of_parts.clone(), who.clone(), wanted.clone());
        Box::pin(async move {
            let seen = SeenRun::find(&app, &visitor, &run).await?;
            Ok(vec![Part { id: "timeline", html: render(&app, &seen, query)? }])
        })
    });
    live::stream(&app, &visitor, id, make)
}

fn render(app: &App, seen: &SeenRun, query: RoundQuery) -> Result<String, Problem> {
    let timeline = Timeline::new(&seen.view, &seen.events, (query.round, app.now()));
    part(&TimelinePart { words: Words::at(app.now()), timeline, path: &path_of(&seen.view.id) })
}
