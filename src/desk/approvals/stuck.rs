//! Approvals that nobody can give as things stand, for those who see their runs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::approvals::{Candidate, Circle, Stuck};
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunStatus, StageIndex, StageStatus, TeamId};
use crate::pipeline::plan::{Approval, Work};
use crate::runs::LoadedRun;
use crate::store::access::candidates::Candidates;
use crate::store::access::people::PersonRow;
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::MemberRow;
use crate::store::runs::{RunFilter, RunRow};

/// Unfinished runs that are looked through.
const RUNS_MAX: u32 = 50;
/// People who are asked about for one approval: where there are more, it is not called stuck.
const PEOPLE_MAX: u32 = 500;

/// An approval that cannot be given, and its run.
#[derive(Debug)]
pub struct StuckApproval {
    /// The run.
    pub row: RunRow,
    /// Why, and what to do.
    pub stuck: Stuck,
}

/// Those of a run.
pub async fn of_run(app: &App, loaded: &LoadedRun) -> Result<Vec<Stuck>, Problem> {
    if waiting(loaded).next().is_none() {
        return Ok(Vec::new());
    }
    let Some(project) = app.store.find_project(&loaded.row.project).await? else {
        return Ok(Vec::new());
    };
    of_project(app, loaded, (&project, &mut Circles::new())).await
}

/// Those of the newest runs that the caller sees.
pub async fn list(app: &App, visitor: &Visitor) -> Result<Vec<StuckApproval>, Problem> {
    let filter = RunFilter {
        teams: visitor.0.teams_as(Role::Viewer),
        statuses: vec![RunStatus::Waiting, RunStatus::Running],
        limit: RUNS_MAX,
        ..RunFilter::default()
    };
    let (mut all, mut circles) = (Vec::new(), Circles::new());
    let mut projects: HashMap<_, _> = HashMap::new();
    for row in app.store.list_runs(&filter).await? {
        let loaded = app.runs.load_listed(row).await?;
        if waiting(&loaded).next().is_none() {
            continue;
        }
        let id = loaded.row.project.clone();
        if let Entry::Vacant(place) = projects.entry(id.clone()) {
            place.insert(app.store.find_project(&id).await?);
        }
        let Some(Some(project)) = projects.get(&id) else { continue };
        let stuck = of_project(app, &loaded, (project, &mut circles)).await?;
        all.extend(stuck.into_iter().map(|stuck| StuckApproval { row: loaded.row.clone(), stuck }));
    }
    Ok(all)
}

/// Whom the approvals of a team ask, by its id and `approval.by`; `None` for more people than are looked through.
type Circles = HashMap<(TeamId, Vec<String>), Option<Circle>>;

async fn of_project(
    app: &App,
    loaded: &LoadedRun,
    (project, circles): (&ProjectRow, &mut Circles),
) -> Result<Vec<Stuck>, Problem> {
    let mut stuck = Vec::new();
    for (index, asked) in waiting(loaded) {
        let place = circles.entry((project.team.clone(), asked.by.clone()));
        let circle = match place {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(circle(app, project, asked).await?),
        };
        let found = circle.as_ref().and_then(|it| Stuck::of(&loaded.run, index, it, app.now()));
        stuck.extend(found);
    }
    Ok(stuck)
}

/// Stages that wait for people now, and what each asks for.
fn waiting(loaded: &LoadedRun) -> impl Iterator<Item = (StageIndex, &Approval)> {
    let stages = loaded.run.stages().filter(|(_, it)| it.status == StageStatus::Waiting);
    stages.filter_map(|(index, _)| match &loaded.run.plan().stages.get(index.as_usize())?.work {
        Work::Approval(asked) => Some((index, asked)),
        Work::Container(_) | Work::Image(_) | Work::Builtin { .. } => None,
    })
}

/// Who can be asked, and how they stand to the team of the project.
async fn circle(
    app: &App,
    project: &ProjectRow,
    asked: &Approval,
) -> Result<Option<Circle>, Problem> {
    let named = |it: &String| it.strip_prefix("team/").map(str::to_owned);
    let wanted = if asked.by.is_empty() {
        Candidates::ApproversOf(project.team.clone())
    } else {
        let logins = asked.by.iter().map(|it| it.to_ascii_lowercase()).collect();
        Candidates::Named { logins, teams: asked.by.iter().filter_map(named).collect() }
    };
    let people = app.store.list_candidates(&wanted, PEOPLE_MAX).await?;
    if people.len() >= PEOPLE_MAX as usize {
        return Ok(None);
    }
    let ids: Vec<_> = people.iter().map(|it| it.id.clone()).collect();
    let members = app.store.list_memberships_of(&ids).await?;
    let mut teams = Vec::new();
    for name in asked.by.iter().filter_map(named) {
        teams.extend(app.store.find_team(&name).await?.map(|it| it.name));
    }
    let people = people.iter().map(|it| candidate(it, &members, project)).collect();
    Ok(Some(Circle { team: project.team_name.clone(), teams, people }))
}

fn candidate(person: &PersonRow, members: &[MemberRow], project: &ProjectRow) -> Candidate {
    let own = || members.iter().filter(|it| it.person == person.id);
    Candidate {
        login: person.login.clone(),
        names: vec![person.name.clone(), person.email.clone()],
        teams: own().map(|it| it.team_name.clone()).collect(),
        is_approver: person.is_owner
            || own().any(|it| it.team == project.team && it.role >= Role::Approver),
        is_shut_out: person.disabled_at.is_some(),
    }
}
