//! `/projects/{team}/{name}`: where the trunk of a project stands, and its newest runs.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::path_of;
use super::strip::Strip;
use crate::desk::places::{self, PipelineState, SeenProject};
use crate::desk::projects::remote::{BrokenTrunk, RemoteState};
use crate::http::{App, Path, Problem, Visitor};
use crate::store::access::projects::ProjectRow;
use crate::store::runs::RunRow;
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "places/project.html")]
struct ProjectPage {
    shell: Shell,
    words: Words,
    seen: SeenProject,
    path: String,
    tab: &'static str,
    parts: Vec<Part>,
}

#[derive(Template)]
#[template(path = "places/_trunk.html")]
struct TrunkPart<'a> {
    words: Words,
    project: &'a ProjectRow,
    path: &'a str,
    broken: Option<&'a BrokenTrunk>,
    remote: &'a RemoteState,
    may_change: bool,
    lines: Vec<TrunkLine<'a>>,
}

/// A pipeline on the trunk.
struct TrunkLine<'a> {
    pipeline: &'a str,
    is_pushed: bool,
    newest: &'a RunRow,
    strip: Strip,
}

#[derive(Template)]
#[template(path = "places/_newest.html")]
struct NewestPart<'a> {
    words: Words,
    rows: &'a [RunRow],
    shows_project: bool,
    may_start: bool,
    is_archived: bool,
    path: &'a str,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((team, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let seen = places::project(&app, &visit.visitor, &format!("{team}/{name}")).await?;
    let words = visit.words();
    page(&ProjectPage {
        shell: visit.shell(Section::Home, seen.project.slug()),
        words,
        path: path_of(&seen.project),
        tab: "overview",
        parts: parts(words, &seen)?,
        seen,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let _visible = crate::desk::projects::find(&app, &visitor, &slug).await?;
    let name = format!("project {slug}");
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor, slug) = (of_parts.clone(), who.clone(), slug.clone());
        Box::pin(async move {
            let seen = places::project(&app, &visitor, &slug).await?;
            parts(Words::at(app.now()), &seen)
        })
    });
    live::stream_of_many(&app, &visitor, vec![(Audience::Alike, name, render)])
}

fn parts(words: Words, seen: &SeenProject) -> Result<Vec<Part>, Problem> {
    let path = path_of(&seen.project);
    let trunk = TrunkPart {
        words,
        project: &seen.project,
        path: &path,
        broken: seen.broken.as_ref(),
        remote: &seen.remote,
        may_change: seen.may_change,
        lines: seen.trunk.iter().filter_map(|it| TrunkLine::of(it, words)).collect(),
    };
    let newest = NewestPart {
        words,
        rows: &seen.newest,
        shows_project: false,
        may_start: seen.may_run && seen.project.archived_at.is_none(),
        is_archived: seen.project.archived_at.is_some(),
        path: &path,
    };
    Ok(vec![Part { id: "trunk", html: part(&trunk)? }, Part { id: "newest", html: part(&newest)? }])
}

impl<'a> TrunkLine<'a> {
    fn of(state: &'a PipelineState, words: Words) -> Option<Self> {
        let strip = Strip::of(&state.runs, words.now());
        let newest = state.runs.first()?;
        Some(Self { pipeline: &state.pipeline, is_pushed: state.is_pushed, newest, strip })
    }
}

impl ProjectPage {
    /// The address of its repository, where a browser can open it.
    fn is_link(&self) -> bool {
        let address = &self.seen.project.address;
        let is_web = address.starts_with("https://") || address.starts_with("http://");
        is_web && !address.contains('@')
    }
}
