//! Where a project or a team stands: its trunk, its newest runs, who is in it.

use crate::auth::Verdict;
use crate::desk::overview::{self, ProjectState};
use crate::desk::{projects, teams};
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunStatus};
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::{MemberRow, TeamRow};
use crate::store::runs::{RunFilter, RunRow};

/// Runs of the trunk, and of all branches, that are looked at.
const TRUNK_MAX: u32 = 60;
const NEWEST_MAX: u32 = 15;
const ACTIVE_MAX: u32 = 20;

/// A project as somebody sees it.
#[derive(Debug)]
pub struct SeenProject {
    /// The project.
    pub project: ProjectRow,
    /// Its pipelines with their newest runs of the trunk, by name.
    pub trunk: Vec<PipelineState>,
    /// Its newest runs, of every branch.
    pub newest: Vec<RunRow>,
    /// Whether the one who looks may start runs, and change settings.
    pub may_run: bool,
    /// Whether they may change its settings.
    pub may_change: bool,
}

/// A pipeline on the trunk.
#[derive(Debug)]
pub struct PipelineState {
    /// Its name.
    pub pipeline: String,
    /// Its runs of the trunk, newest first; at least one.
    pub runs: Vec<RunRow>,
}

/// A team as somebody sees it.
#[derive(Debug)]
pub struct SeenTeam {
    /// The team.
    pub team: TeamRow,
    /// Its projects and where their trunks stand; archived ones last.
    pub projects: Vec<ProjectState>,
    /// Its runs that have not ended, newest first.
    pub active: Vec<RunRow>,
    /// Who is in it, by login.
    pub members: Vec<MemberRow>,
    /// Whether the one who looks may change it.
    pub may_change: bool,
}

/// The project `team/name`.
pub async fn project(app: &App, visitor: &Visitor, slug: &str) -> Result<SeenProject, Problem> {
    let project = projects::find(app, visitor, slug).await?;
    let of_project = RunFilter { project: Some(project.id.clone()), ..RunFilter::default() };
    let trunk = RunFilter {
        branch: Some(project.default_branch.clone()),
        limit: TRUNK_MAX,
        ..of_project.clone()
    };
    let trunk = app.store.list_runs(&trunk).await?;
    let newest = app.store.list_runs(&RunFilter { limit: NEWEST_MAX, ..of_project }).await?;
    let may = |role| visitor.0.judge(&project.team, role) == Verdict::Allowed;
    let (may_run, may_change) = (may(Role::Developer), may(Role::Admin));
    Ok(SeenProject { trunk: by_pipeline(trunk), newest, may_run, may_change, project })
}

/// Runs of requests belong to no trunk, though their branch may be called like it.
fn by_pipeline(rows: Vec<RunRow>) -> Vec<PipelineState> {
    let mut states: Vec<PipelineState> = Vec::new();
    for row in rows.into_iter().filter(|it| it.event != "pull_request") {
        match states.iter_mut().find(|it| it.pipeline == row.pipeline) {
            Some(state) => state.runs.push(row),
            None => states.push(PipelineState { pipeline: row.pipeline.clone(), runs: vec![row] }),
        }
    }
    states.sort_by(|one, other| one.pipeline.cmp(&other.pipeline));
    states
}

/// The team of this name.
pub async fn team(app: &App, visitor: &Visitor, name: &str) -> Result<SeenTeam, Problem> {
    let team = teams::find(app, visitor, name, Role::Viewer).await?;
    let mut own = app.store.list_projects().await?;
    own.retain(|it| it.team == team.id);
    own.sort_by(|one, other| {
        let key = |it: &ProjectRow| (it.archived_at.is_some(), it.name.clone());
        key(one).cmp(&key(other))
    });
    let active = RunFilter {
        teams: Some(vec![team.id.clone()]),
        statuses: vec![
            RunStatus::Queued,
            RunStatus::Running,
            RunStatus::Waiting,
            RunStatus::Cancelling,
        ],
        limit: ACTIVE_MAX,
        ..RunFilter::default()
    };
    Ok(SeenTeam {
        projects: overview::states(app, own).await?,
        active: app.store.list_runs(&active).await?,
        members: app.store.list_members(&team.id).await?,
        may_change: visitor.0.judge(&team.id, Role::Admin) == Verdict::Allowed,
        team,
    })
}
