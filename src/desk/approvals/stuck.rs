//! Approvals that nobody can give as things stand, for those who see their runs.

use std::collections::HashMap;

use crate::approvals::{Candidate, Circle, Stuck};
use crate::http::{App, Problem, Visitor};
use crate::model::{PersonId, Role, RunStatus, StageStatus};
use crate::runs::LoadedRun;
use crate::store::access::people::PersonRow;
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::MemberRow;
use crate::store::runs::{RunFilter, RunRow};

/// Unfinished runs that are looked through.
const RUNS_MAX: u32 = 50;

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
    if !is_waiting(loaded) {
        return Ok(Vec::new());
    }
    let Some(project) = app.store.find_project(&loaded.row.project).await? else {
        return Ok(Vec::new());
    };
    Ok(of(app, loaded, &Everybody::load(app).await?.circle(&project)))
}

/// Those of the newest runs that the caller sees.
pub async fn list(app: &App, visitor: &Visitor) -> Result<Vec<StuckApproval>, Problem> {
    let filter = RunFilter {
        teams: visitor.0.teams_as(Role::Viewer),
        statuses: vec![RunStatus::Waiting, RunStatus::Running],
        limit: RUNS_MAX,
        ..RunFilter::default()
    };
    let mut everybody = None;
    let mut all = Vec::new();
    for row in app.store.list_runs(&filter).await? {
        let loaded = app.runs.load(&row.id).await?;
        let project = app.store.find_project(&row.project).await?;
        let Some(project) = project.filter(|_| is_waiting(&loaded)) else { continue };
        let known = match everybody.take() {
            Some(known) => known,
            None => Everybody::load(app).await?,
        };
        let stuck = of(app, &loaded, &known.circle(&project));
        all.extend(stuck.into_iter().map(|stuck| StuckApproval { row: row.clone(), stuck }));
        everybody = Some(known);
    }
    Ok(all)
}

fn is_waiting(loaded: &LoadedRun) -> bool {
    loaded.run.stages().any(|(_, it)| it.status == StageStatus::Waiting)
}

fn of(app: &App, loaded: &LoadedRun, circle: &Circle) -> Vec<Stuck> {
    let (run, now) = (&loaded.run, app.now());
    run.stages().filter_map(|(index, _)| Stuck::of(run, index, circle, now)).collect()
}

/// People and teams of this server.
struct Everybody {
    people: Vec<PersonRow>,
    memberships: HashMap<PersonId, Vec<MemberRow>>,
    teams: Vec<String>,
}

impl Everybody {
    async fn load(app: &App) -> Result<Self, Problem> {
        let people = app.store.list_people().await?;
        let ids: Vec<_> = people.iter().map(|it| it.id.clone()).collect();
        let mut memberships: HashMap<_, Vec<_>> = HashMap::new();
        for member in app.store.list_memberships_of(&ids).await? {
            memberships.entry(member.person.clone()).or_default().push(member);
        }
        let teams = app.store.list_teams().await?.into_iter().map(|it| it.name).collect();
        Ok(Self { people, memberships, teams })
    }

    /// Them, as they stand to a project.
    fn circle(&self, project: &ProjectRow) -> Circle {
        let people = self.people.iter().map(|it| self.candidate(it, project)).collect();
        Circle { team: project.team_name.clone(), teams: self.teams.clone(), people }
    }

    fn candidate(&self, person: &PersonRow, project: &ProjectRow) -> Candidate {
        let own = self.memberships.get(&person.id).map(Vec::as_slice).unwrap_or_default();
        let has_role = |it: &MemberRow| it.team == project.team && it.role >= Role::Approver;
        Candidate {
            login: person.login.clone(),
            names: vec![person.name.clone(), person.email.clone()],
            teams: own.iter().map(|it| it.team_name.clone()).collect(),
            is_approver: person.is_owner || own.iter().any(has_role),
            is_shut_out: person.disabled_at.is_some(),
        }
    }
}
