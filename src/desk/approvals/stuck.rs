//! Approvals that nobody can give as things stand, for those who see their runs.

use crate::approvals::{Candidate, Circle, Stuck};
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunStatus, StageIndex, StageStatus};
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
    let waiting: Vec<_> = waiting(loaded).collect();
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let Some(project) = app.store.find_project(&loaded.row.project).await? else {
        return Ok(Vec::new());
    };
    let mut stuck = Vec::new();
    for (index, asked) in waiting {
        if let Some(circle) = circle(app, &project, asked).await? {
            stuck.extend(Stuck::of(&loaded.run, index, &circle, app.now()));
        }
    }
    Ok(stuck)
}

/// Those of the newest runs that the caller sees.
pub async fn list(app: &App, visitor: &Visitor) -> Result<Vec<StuckApproval>, Problem> {
    let filter = RunFilter {
        teams: visitor.0.teams_as(Role::Viewer),
        statuses: vec![RunStatus::Waiting, RunStatus::Running],
        limit: RUNS_MAX,
        ..RunFilter::default()
    };
    let mut all = Vec::new();
    for row in app.store.list_runs(&filter).await? {
        let stuck = of_run(app, &app.runs.load(&row.id).await?).await?;
        all.extend(stuck.into_iter().map(|stuck| StuckApproval { row: row.clone(), stuck }));
    }
    Ok(all)
}

/// Stages that wait for people now, and what each asks for.
fn waiting(loaded: &LoadedRun) -> impl Iterator<Item = (StageIndex, &Approval)> {
    let stages = loaded.run.stages().filter(|(_, it)| it.status == StageStatus::Waiting);
    stages.filter_map(|(index, _)| match &loaded.run.plan().stages.get(index.as_usize())?.work {
        Work::Approval(asked) => Some((index, asked)),
        Work::Container(_) | Work::Image(_) | Work::Builtin { .. } => None,
    })
}

/// Who can be asked, and how they stand to the project; `None` for more people than are looked through.
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
