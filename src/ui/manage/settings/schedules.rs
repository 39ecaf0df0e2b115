//! `/projects/{team}/{name}/settings/schedules`: what the pipelines of the trunk say under `on: schedule`.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Names, OfProject};
use crate::desk::projects::remote::{self, BrokenTrunk};
use crate::desk::projects::settings;
use crate::http::{App, Path, Problem};
use crate::model::{Milliseconds, Timestamp};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::schedules::ScheduleRow;
use crate::ui::manage::place::Place;
use crate::ui::places::path_of;
use crate::ui::shell::{Section, Shell, Visit, page};
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

impl SchedulesPage {
    /// Whether nothing starts this one: paused, or a moment that never comes.
    fn never(&self, row: &ScheduleRow) -> Option<&'static str> {
        if self.project.archived_at.is_some() {
            Some("never: the project is archived")
        } else if row.is_paused {
            Some("never: it is paused")
        } else if row.next_at == Timestamp(i64::MAX) {
            Some("never: its fields name no moment")
        } else {
            None
        }
    }

    fn is_late(&self, row: &ScheduleRow) -> bool {
        self.never(row).is_none() && self.words.now() > row.next_at.plus(LATE_AFTER)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn missed(&self, row: &ScheduleRow) -> &'static str {
        if row.missed == "skip" { "left out" } else { "made up for, once" }
    }

    fn branch<'a>(&'a self, row: &'a ScheduleRow) -> &'a str {
        if row.branch.is_empty() { &self.project.default_branch } else { &row.branch }
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
) -> Result<Response, Problem> {
    let OfProject { project, place } =
        OfProject::find(&app, &visit, (&names, "/schedules")).await?;
    let schedules = settings::list_schedules(&app, &project).await?;
    let broken = remote::find(&app, &project).await?.1.as_ref().and_then(BrokenTrunk::of);
    let (shell, words) = (place.shell(&visit, Section::Home), visit.words());
    let path = path_of(&project);
    page(&SchedulesPage { shell, words, place, project, path, broken, schedules })
}
