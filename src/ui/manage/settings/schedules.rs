//! `/projects/{team}/{name}/settings/schedules`: what the pipelines of the trunk say under `on: schedule`.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{AGAIN, Names, OfProject};
use crate::desk::projects::remote::{self, BrokenTrunk};
use crate::desk::projects::settings;
use crate::http::{App, Path, Problem};
use crate::model::{Milliseconds, Timestamp};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::schedules::ScheduleRow;
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::manage::place::Place;
use crate::ui::places::path_of;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// A moment that is this long past, and still has not started anything, is waited for.
const LATE_AFTER: Milliseconds = Milliseconds::from_seconds(120);

#[derive(Template)]
#[template(path = "settings/schedules.html")]
struct SchedulesPage {
    shell: Shell,
    words: Words,
    place: Place,
    project: ProjectRow,
    /// Path of the project.
    path: String,
    /// Why the newest commit of the trunk could not be read: its schedules are not known then.
    broken: Option<BrokenTrunk>,
    schedules: Vec<ScheduleRow>,
}

#[derive(Template)]
#[template(path = "settings/_schedules.html")]
struct SchedulesPart {
    words: Words,
    project: ProjectRow,
    path: String,
    broken: Option<BrokenTrunk>,
    schedules: Vec<ScheduleRow>,
}

impl ScheduleRow {
    /// Whether nothing starts this one: paused, or a moment that never comes.
    fn never(&self, project: &ProjectRow) -> Option<&'static str> {
        if project.archived_at.is_some() {
            Some("never: the project is archived")
        } else if self.is_paused {
            Some("never: it is paused")
        } else if self.next_at == Timestamp(i64::MAX) {
            Some("never: its fields name no moment")
        } else {
            None
        }
    }

    fn is_late(&self, project: &ProjectRow, now: Timestamp) -> bool {
        self.never(project).is_none() && now > self.next_at.plus(LATE_AFTER)
    }

    /// What becomes of a moment at which no server was there.
    fn missed_as_told(&self) -> &'static str {
        if self.missed == "skip" { "left out" } else { "made up for, once" }
    }

    fn branch_of<'a>(&'a self, project: &'a ProjectRow) -> &'a str {
        if self.branch.is_empty() { &project.default_branch } else { &self.branch }
    }
}

async fn read(
    app: &App,
    project: &ProjectRow,
) -> Result<(Vec<ScheduleRow>, Option<BrokenTrunk>), Problem> {
    let schedules = settings::list_schedules(app, project).await?;
    let broken = remote::find(app, project).await?.1.as_ref().and_then(BrokenTrunk::of);
    Ok((schedules, broken))
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
) -> Result<Response, Problem> {
    let OfProject { project, place } =
        OfProject::find(&app, &visit, (&names, "/schedules")).await?;
    let (schedules, broken) = read(&app, &project).await?;
    let (shell, words) = (place.shell(&visit, Section::Home), visit.words());
    let path = path_of(&project);
    page(&SchedulesPage { shell, words, place, project, path, broken, schedules })
}

pub(super) async fn watch(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
) -> Result<Response, Problem> {
    let project = OfProject::find(&app, &visit, (&names, "/schedules")).await?.project;
    let key = format!("schedules {}", project.id.0);
    let of_parts = app.clone();
    let render: Render = Box::new(move || {
        let (app, project) = (of_parts.clone(), project.clone());
        Box::pin(async move {
            let (schedules, broken) = read(&app, &project).await?;
            let (words, path) = (Words::at(app.now()), path_of(&project));
            let html = part(&SchedulesPart { words, project, path, broken, schedules })?;
            Ok(vec![Part { id: "schedules", html }])
        })
    });
    live::stream_of_many_every(&app, &visit.visitor, (vec![(Audience::One, key, render)], AGAIN))
}
