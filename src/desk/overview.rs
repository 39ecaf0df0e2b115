//! What concerns somebody now: the trunks of their projects, what runs, and what waits for them.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::auth::Verdict;
use crate::desk::approvals::{self, WaitingApproval};
use crate::desk::projects::remote::BrokenTrunk;
use crate::http::{App, PageQuery, Problem, Visitor};
use crate::model::{Role, RunStatus};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::looks::Look;
use crate::store::runs::{RunFilter, RunRow};

/// Runs under way, and approvals, that are shown.
const ACTIVE_MAX: u32 = 10;
/// What makes a run count for the state of a trunk.
pub(in crate::desk) const PUSH: &str = "push";
const WAITING_MAX: u32 = 10;

/// A project, and where its trunk stands.
#[derive(Debug)]
pub struct ProjectState {
    /// The project.
    pub project: ProjectRow,
    /// The newest run of its trunk of each pipeline that pushes start; what most wants to be seen first.
    pub trunk: Vec<RunRow>,
    /// The same of what else started runs there, schedules and people; the newest first.
    pub beside: Vec<RunRow>,
    /// Why the newest commit of its trunk could not be read, if it could not.
    pub broken: Option<BrokenTrunk>,
    /// Whether the last look at its repository has failed: what is new there is not known.
    pub is_away: bool,
}

impl ProjectState {
    /// Where the trunk stands: of its pipelines' states the one that most wants to be seen. What a push did
    /// not start does not count. A commit that could not be read is a failure.
    #[must_use]
    pub fn status(&self) -> Option<RunStatus> {
        if self.broken.is_some() {
            return Some(RunStatus::Failed);
        }
        self.trunk.first().map(|it| it.status)
    }

    /// The newest run that a push of the trunk has started.
    #[must_use]
    pub fn newest(&self) -> Option<&RunRow> {
        self.trunk.iter().max_by_key(|it| &it.id)
    }
}

fn urgency(run: &RunRow) -> u8 {
    if run.is_failing() {
        return 6;
    }
    match run.status {
        RunStatus::Failed => 6,
        RunStatus::Cancelled => 5,
        RunStatus::Waiting => 4,
        RunStatus::Cancelling => 3,
        RunStatus::Running => 2,
        RunStatus::Queued => 1,
        RunStatus::Passed => 0,
    }
}

/// What concerns somebody now.
#[derive(Debug)]
pub struct Now {
    /// Stages that wait for them.
    pub waiting: Vec<WaitingApproval>,
    /// Runs that have not ended, newest first.
    pub active: Vec<RunRow>,
}

/// Where the trunks of somebody's projects stand.
#[derive(Debug)]
pub struct Trunks {
    /// Projects by team and name; archived ones are left out.
    pub projects: Vec<ProjectState>,
    /// The project to go on behind, where there are more.
    pub next: Option<String>,
}

/// What waits for the caller, and what runs.
pub async fn now(app: &App, visitor: &Visitor) -> Result<Now, Problem> {
    let page = PageQuery { limit: Some(WAITING_MAX), cursor: None };
    let waiting = approvals::list(app, visitor, page).await?.items;
    let active = RunFilter {
        teams: visitor.0.teams_as(Role::Viewer),
        statuses: vec![
            RunStatus::Queued,
            RunStatus::Running,
            RunStatus::Waiting,
            RunStatus::Cancelling,
        ],
        limit: ACTIVE_MAX,
        ..RunFilter::default()
    };
    Ok(Now { waiting, active: app.store.list_runs(&active).await? })
}

/// The caller's projects behind `query.cursor`, a `team/name`. The same for all with the same rights.
pub async fn trunks(app: &App, visitor: &Visitor, query: &PageQuery) -> Result<Trunks, Problem> {
    let mut shown: Vec<_> = visible(app, visitor).await?;
    if let Some(after) = query.cursor.as_ref().filter(|it| !it.is_empty()) {
        shown.retain(|it| it.slug() > *after);
    }
    let limit = usize::try_from(query.limit()).unwrap_or(usize::MAX);
    let has_more = shown.len() > limit;
    shown.truncate(limit);
    let next = shown.last().filter(|_| has_more).map(ProjectRow::slug);
    Ok(Trunks { projects: states(app, shown).await?, next })
}

/// Projects that are not archived and that the caller may see, by team and name.
pub async fn visible(app: &App, visitor: &Visitor) -> Result<Vec<ProjectRow>, Problem> {
    let all = app.store.list_projects().await?.into_iter();
    let may_see = |it: &ProjectRow| visitor.0.judge(&it.team, Role::Viewer) == Verdict::Allowed;
    Ok(all.filter(|it| it.archived_at.is_none() && may_see(it)).collect())
}

/// Where the trunks of these projects stand.
pub async fn states(app: &App, projects: Vec<ProjectRow>) -> Result<Vec<ProjectState>, Problem> {
    let ids: Vec<_> = projects.iter().map(|it| it.id.clone()).collect();
    let runs = app.store.list_trunk_runs(&ids).await?;
    let mut trunks: HashMap<_, Vec<RunRow>> = HashMap::new();
    let looks = app.store.list_looks(&ids).await?;
    let looks: HashMap<_, Look> = looks.into_iter().map(|it| (it.project.clone(), it)).collect();
    for run in runs {
        let reading = looks.get(&run.project).and_then(|it| it.trunk.as_ref());
        // What was removed from the trunk says no more how it stands.
        if reading.is_some_and(|it| !it.counts(&run.pipeline, run.event == PUSH)) {
            continue;
        }
        trunks.entry(run.project.clone()).or_default().push(run);
    }
    let state = |project: ProjectRow| {
        let runs = trunks.remove(&project.id).unwrap_or_default();
        let (mut trunk, beside): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|it| it.event == PUSH);
        trunk.sort_by(|one, other| {
            let key = |it: &RunRow| (Reverse(urgency(it)), it.pipeline.clone());
            key(one).cmp(&key(other))
        });
        let look = looks.get(&project.id);
        let (broken, is_away) =
            (look.and_then(BrokenTrunk::of), look.is_some_and(|it| !it.error.is_empty()));
        ProjectState { project, trunk, beside, broken, is_away }
    };
    Ok(projects.into_iter().map(state).collect())
}
