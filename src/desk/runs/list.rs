//! Lists of runs, by filters that can be combined.

use std::collections::HashMap;

use crate::desk::projects::remote::BrokenTrunk;
use crate::desk::{projects, teams};
use crate::http::{App, CursorForm, Page, PageQuery, Problem, Visitor};
use crate::model::{Role, RunId, RunStatus, TeamId};
use crate::pipeline::EVENTS;
use crate::store::access::projects::ProjectRow;
use crate::store::runs::{RunFilter, RunRow};

/// Where runs stand that go on.
const UNFINISHED: [RunStatus; 4] =
    [RunStatus::Queued, RunStatus::Running, RunStatus::Waiting, RunStatus::Cancelling];
/// Trunks that are told.
const BROKEN_MAX: usize = 5;

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// Only this project: `team/name`.
    pub project: Option<String>,
    /// Only projects of this team.
    pub team: Option<String>,
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this branch.
    pub branch: Option<String>,
    /// Only this event: `push`, `pull_request`, `schedule` or `manual`.
    pub event: Option<String>,
    /// Only this commit: its id, or the first 4 or more letters of it.
    pub revision: Option<String>,
    /// Only these statuses, separated by commas.
    pub status: Option<String>,
}

/// A page of the runs of the caller's teams, newest first.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    query: RunsQuery,
    page: PageQuery,
) -> Result<Page<RunRow>, Problem> {
    let (wanted, limit) = wanted(app, visitor, (query, page)).await?;
    let rows = app.store.list_runs(&wanted).await?;
    Ok(Page::new(rows, limit, |it| it.id.0.clone()))
}

/// As [`list`], with the runs beside them that go on and have failed already. Each kind is read by its own index:
/// together they have none.
pub async fn list_with_failing(
    app: &App,
    visitor: &Visitor,
    query: RunsQuery,
    page: PageQuery,
) -> Result<Page<RunRow>, Problem> {
    let (wanted, limit) = wanted(app, visitor, (query, page)).await?;
    let statuses = UNFINISHED.to_vec();
    let failing = RunFilter { statuses, has_failed_stages: true, ..wanted.clone() };
    let mut rows = app.store.list_runs(&wanted).await?;
    rows.extend(app.store.list_runs(&failing).await?);
    rows.sort_by(|one, other| other.id.cmp(&one.id));
    // One that has ended in between is there twice.
    rows.dedup_by(|one, other| one.id == other.id);
    Ok(Page::new(rows, limit, |it| it.id.0.clone()))
}

/// What the store is asked for a page, one row more than it has, and how many rows it has.
async fn wanted(
    app: &App,
    visitor: &Visitor,
    (query, page): (RunsQuery, PageQuery),
) -> Result<(RunFilter, u32), Problem> {
    let filter = filter(app, visitor, query).await?;
    let page = page.checked(CursorForm::Id)?;
    let limit = page.limit();
    Ok((RunFilter { before: page.cursor.map(RunId), limit: limit + 1, ..filter }, limit))
}

/// What a list of runs cannot show: trunks among the `visible` projects that it is about whose newest push could not be read, a bounded
/// number of them. Filters by anything but team and project ask for other things.
pub async fn broken_trunks(
    app: &App,
    visible: &[ProjectRow],
    query: &RunsQuery,
) -> Result<Vec<(ProjectRow, BrokenTrunk)>, Problem> {
    let is_told = RunsQuery { project: None, team: None, ..query.clone() } == RunsQuery::default();
    if !is_told {
        return Ok(Vec::new());
    }
    let is_meant = |it: &&ProjectRow| {
        query.project.as_ref().is_none_or(|slug| it.slug() == *slug)
            && query.team.as_ref().is_none_or(|team| it.team_name == *team)
    };
    let meant: HashMap<_, _> = visible.iter().filter(is_meant).map(|it| (&it.id, it)).collect();
    let ids: Vec<_> = meant.keys().map(|&it| it.clone()).collect();
    let looks = app.store.list_looks(&ids).await?;
    let mut broken: Vec<_> = looks
        .iter()
        .filter_map(|look| Some(((*meant.get(&look.project)?).clone(), BrokenTrunk::of(look)?)))
        .collect();
    broken.sort_by_key(|(project, _)| project.slug());
    broken.truncate(BROKEN_MAX);
    Ok(broken)
}

/// What the caller asks for, of what they may see.
pub async fn filter(app: &App, visitor: &Visitor, query: RunsQuery) -> Result<RunFilter, Problem> {
    let project = match query.project.as_deref() {
        Some(slug) => Some(projects::find(app, visitor, slug).await?.id),
        None => None,
    };
    Ok(RunFilter {
        project,
        teams: teams(app, visitor, query.team.as_deref()).await?,
        pipeline: query.pipeline,
        branch: query.branch,
        event: event(query.event)?,
        revision: query.revision,
        statuses: statuses(query.status.as_deref().unwrap_or_default())?,
        ..RunFilter::default()
    })
}

/// The teams whose runs are looked at; `None` for all there are, with those of nobody.
async fn teams(
    app: &App,
    visitor: &Visitor,
    wanted: Option<&str>,
) -> Result<Option<Vec<TeamId>>, Problem> {
    let Some(name) = wanted else { return Ok(visitor.0.teams_as(Role::Viewer)) };
    Ok(Some(vec![teams::find(app, visitor, name, Role::Viewer).await?.id]))
}

fn event(word: Option<String>) -> Result<Option<String>, Problem> {
    match word {
        Some(word) if !EVENTS.contains(&word.as_str()) => {
            Err(Problem::unknown_word("event", &word, EVENTS))
        }
        word => Ok(word),
    }
}

fn statuses(words: &str) -> Result<Vec<RunStatus>, Problem> {
    let known = || RunStatus::ALL.map(RunStatus::as_str);
    let words = words.split(',').map(str::trim).filter(|it| !it.is_empty());
    words
        .map(|word| {
            RunStatus::parse(word).ok_or_else(|| Problem::unknown_word("status", word, &known()))
        })
        .collect()
}
