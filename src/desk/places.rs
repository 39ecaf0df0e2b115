//! Where a project or a team stands: its trunk, its newest runs, who is in it.

use std::collections::HashMap;

use crate::auth::Verdict;
use crate::desk::overview::{self, ProjectState};
use crate::desk::projects::remote::{BrokenTrunk, RemoteState};
use crate::desk::{projects, teams};
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunStatus, TeamId};
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::{MemberRow, TeamRow};
use crate::store::intake::looks::TrunkReading;
use crate::store::runs::{RunFilter, RunRow};

/// Pipelines that are shown, and runs of the trunk that are looked at for each.
const PIPELINES_MAX: usize = 20;
const TRUNK_MAX: u32 = 60;
/// Runs of all branches that are shown.
const NEWEST_MAX: u32 = 15;
const ACTIVE_MAX: u32 = 20;

/// A project as somebody sees it.
#[derive(Debug)]
pub struct SeenProject {
    /// The project.
    pub project: ProjectRow,
    /// Its pipelines with their newest runs of the trunk: what pushes start, then the rest; each by name.
    pub trunk: Vec<PipelineState>,
    /// What is known of its remote.
    pub remote: RemoteState,
    /// Why the newest commit of its trunk could not be read, if it could not.
    pub broken: Option<BrokenTrunk>,
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
    /// Whether pushes started these runs: only they say how the trunk stands.
    pub is_pushed: bool,
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

/// A team in a list.
#[derive(Debug)]
pub struct ListedTeam {
    /// The team.
    pub team: TeamRow,
    /// What the one who looks may do there.
    pub role: Option<Role>,
    /// Its projects that are not archived.
    pub projects: usize,
}

/// The teams that the caller may see, by name.
pub async fn teams(app: &App, visitor: &Visitor) -> Result<Vec<ListedTeam>, Problem> {
    let mut projects: HashMap<TeamId, usize> = HashMap::new();
    for project in overview::visible(app, visitor).await? {
        *projects.entry(project.team).or_default() += 1;
    }
    let listed = |team: TeamRow| ListedTeam {
        role: Role::ALL
            .into_iter()
            .rfind(|role| visitor.0.judge(&team.id, *role) == Verdict::Allowed),
        projects: projects.get(&team.id).copied().unwrap_or_default(),
        team,
    };
    let teams = teams::list(app, visitor, Role::Viewer).await?;
    Ok(teams.into_iter().map(listed).collect())
}

/// The project `team/name`.
pub async fn project(app: &App, visitor: &Visitor, slug: &str) -> Result<SeenProject, Problem> {
    let project = projects::find(app, visitor, slug).await?;
    let of_project = RunFilter { project: Some(project.id.clone()), ..RunFilter::default() };
    let (remote, look) = projects::remote::find(app, &project).await?;
    let broken = look.as_ref().and_then(BrokenTrunk::of);
    let trunk = trunk(app, &project, look.and_then(|it| it.trunk)).await?;
    let newest = app.store.list_runs(&RunFilter { limit: NEWEST_MAX, ..of_project }).await?;
    let may = |role| visitor.0.judge(&project.team, role) == Verdict::Allowed;
    let (may_run, may_change) = (may(Role::Developer), may(Role::Admin));
    Ok(SeenProject { project, trunk, remote, broken, newest, may_run, may_change })
}

/// Runs of requests belong to no trunk, though their branch may be called like it; and those of pipelines that
/// the trunk has no more say nothing of it.
async fn trunk(
    app: &App,
    project: &ProjectRow,
    reading: Option<TrunkReading>,
) -> Result<Vec<PipelineState>, Problem> {
    let counts = |pipeline: &str, is_pushed| {
        reading.as_ref().is_none_or(|it| it.counts(pipeline, is_pushed))
    };
    let newest = app.store.list_trunk_runs(std::slice::from_ref(&project.id)).await?;
    let mut names: Vec<String> = Vec::new();
    for row in newest {
        if names.len() < PIPELINES_MAX && !names.contains(&row.pipeline) {
            names.push(row.pipeline);
        }
    }
    let mut states = Vec::new();
    for pipeline in names {
        let filter = RunFilter {
            project: Some(project.id.clone()),
            pipeline: Some(pipeline.clone()),
            branch: Some(project.default_branch.clone()),
            limit: TRUNK_MAX,
            ..RunFilter::default()
        };
        let mut rows = app.store.list_runs(&filter).await?;
        rows.retain(|it| it.event != "pull_request");
        let (pushed, other): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|it| it.event == overview::PUSH);
        for (is_pushed, runs) in [(true, pushed), (false, other)] {
            let pipeline = pipeline.clone();
            let is_shown = !runs.is_empty() && counts(&pipeline, is_pushed);
            states.extend(is_shown.then_some(PipelineState { pipeline, is_pushed, runs }));
        }
    }
    states.sort_by(|one, other| {
        let key = |it: &PipelineState| (!it.is_pushed, it.pipeline.clone());
        key(one).cmp(&key(other))
    });
    Ok(states)
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
