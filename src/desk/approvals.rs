//! Stages that wait for people: which, what they would let through, and what somebody says.

pub mod stuck;

use crate::approvals::{
    Approvals, ApprovalsError, ChangeAuthor, Repositories, ShownApproval, Stuck,
};
use crate::auth::{Caller, Verdict};
use crate::desk::runs;
use crate::engine::{Command, Stage};
use crate::http::{App, CursorForm, Detail, Page, PageQuery, Problem, Visitor};
use crate::model::{Role, RunId, RunStatus, StageIndex, StageStatus, TeamId, Timestamp};
use crate::pipeline::plan::Work;
use crate::runs::LoadedRun;
use crate::runs::view::ApprovalView;
use crate::store::runs::{RunFilter, RunRow};
use crate::store::spend::sums::SpendRow;

/// Unfinished runs that are looked through for a page.
const RUNS_MAX: u32 = 100;
/// Authors of a change that the audit log names.
const NOTED_MAX: usize = 20;

/// A stage that waits for the caller.
#[derive(Debug)]
pub struct WaitingApproval {
    /// Its run.
    pub row: RunRow,
    /// Key of the stage.
    pub stage: String,
    /// What it asks for.
    pub approval: ApprovalView,
    /// Who has approved so far.
    pub approvals: Vec<String>,
    /// Until when it waits.
    pub until: Option<Timestamp>,
    /// Whether it passes then, where nobody has decided.
    pub approves_on_timeout: bool,
}

/// An approval as the caller sees it.
#[derive(Debug)]
pub struct SeenApproval {
    /// Its run.
    pub loaded: LoadedRun,
    /// What it asks for, and what it would let through.
    pub shown: ShownApproval,
    /// Why the caller may not say yes now; `None` when they may.
    pub refusal: Option<String>,
    /// Why the caller may not say no now; `None` when they may.
    pub rejection_refusal: Option<String>,
    /// Why nobody can give it as things stand; `None` when enough people may.
    pub stuck: Option<Stuck>,
    /// What each stage of the run has spent on models so far.
    pub spend: Vec<SpendRow>,
}

/// What came of an answer.
#[derive(Debug)]
pub struct Answered {
    /// The run as it is now.
    pub loaded: LoadedRun,
    /// What the audit log is to say of it.
    pub noted: Detail,
}

/// What somebody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// The stages that the caller may approve now, of the newest runs first.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    query: PageQuery,
) -> Result<Page<WaitingApproval>, Problem> {
    let teams = teams(app, visitor).await?;
    let names = names(app, &visitor.0).await?;
    let query = query.checked(CursorForm::Id)?;
    let limit = query.limit().min(RUNS_MAX);
    let filter = RunFilter {
        teams: visitor.0.teams_as(Role::Approver),
        statuses: vec![RunStatus::Waiting, RunStatus::Running],
        before: query.cursor.map(RunId),
        limit: limit + 1,
        ..RunFilter::default()
    };
    let rows = app.store.list_runs(&filter).await?;
    let page = Page::new(rows, limit, |it| it.id.0.clone());
    let mut items = Vec::new();
    for row in page.items {
        let loaded = app.runs.load_listed(row).await?;
        let waiting = loaded.waiting_for((&visitor.0.login, &names), &teams, app.now());
        items.extend(waiting.into_iter().filter_map(|stage| waiting_at(&loaded, stage)));
    }
    Ok(Page { items, next: page.next })
}

fn waiting_at(loaded: &LoadedRun, index: StageIndex) -> Option<WaitingApproval> {
    let stage = loaded.run.stage(index)?;
    let planned = loaded.run.plan().stages.get(index.as_usize())?;
    Some(WaitingApproval {
        row: loaded.row.clone(),
        stage: planned.key.clone(),
        approval: ApprovalView::of(&loaded.run, index, planned)?,
        approvals: stage.approvals.clone(),
        until: stage.waits_until,
        approves_on_timeout: matches!(&planned.work, Work::Approval(it) if it.approve_on_timeout),
    })
}

/// An approval by the key or the place of its stage.
pub async fn show(
    app: &App,
    visitor: &Visitor,
    (run, stage): (&str, &str),
) -> Result<SeenApproval, Problem> {
    let loaded = runs::load(app, visitor, run, Role::Viewer).await?;
    let repositories = Repositories::Projects(app.triggers.projects().clone());
    let approvals = Approvals::new(app.runs.clone(), repositories);
    let shown = approvals.show(&loaded, stage).await.map_err(|error| match error {
        ApprovalsError::NoApproval(_) => Problem::not_found("this approval"),
        ApprovalsError::Runs(error) => error.into(),
        ApprovalsError::Store(error) => error.into(),
    })?;
    let [refusal, rejection_refusal] = refusals(app, &visitor.0, (&loaded, &shown)).await?;
    let spend = runs::spend(app, &loaded.row).await?;
    let mut stuck = stuck::of_run(app, &loaded).await?;
    stuck.retain(|it| it.stage == shown.key);
    Ok(SeenApproval { loaded, shown, refusal, rejection_refusal, stuck: stuck.pop(), spend })
}

/// Why the caller may not say yes, and why not no; `None` when they may.
async fn refusals(
    app: &App,
    caller: &Caller,
    (loaded, shown): (&LoadedRun, &ShownApproval),
) -> Result<[Option<String>; 2], Problem> {
    let both = |reason: String| Ok([Some(reason.clone()), Some(reason)]);
    if shown.status != StageStatus::Waiting {
        return both(format!("the stage is {}", shown.status));
    }
    let project = app.store.find_project(&loaded.row.project).await?;
    let team = project.map_or_else(|| TeamId(String::new()), |it| it.team);
    if caller.judge(&team, Role::Approver) != Verdict::Allowed {
        return both("this takes the role `approver`".to_owned());
    }
    let memberships = app.store.list_memberships(&caller.person).await?;
    let teams: Vec<_> = memberships.into_iter().map(|it| it.team_name).collect();
    let place = loaded.run.plan().stages.iter().position(|it| it.key == shown.key);
    let stage = StageIndex(u32::try_from(place.unwrap_or_default()).unwrap_or_default());
    let (by, names) = (caller.login.clone(), names(app, caller).await?);
    let no =
        Command::Reject { stage, by: by.clone(), teams: teams.clone(), comment: String::new() };
    let yes = Command::Approve { stage, by, teams, names, comment: String::new() };
    Ok([yes, no].map(|it| loaded.run.decide(&it, app.now()).err().map(|it| it.to_string())))
}

/// The stages of a run that the caller may say no to now, and so has an answer to.
pub async fn answerable(
    app: &App,
    visitor: &Visitor,
    (loaded, team): (&LoadedRun, &TeamId),
) -> Result<Vec<StageIndex>, Problem> {
    let is_waiting = |(_, stage): &(StageIndex, &Stage)| stage.status == StageStatus::Waiting;
    let waiting: Vec<_> = loaded.run.stages().filter(is_waiting).map(|(index, _)| index).collect();
    if waiting.is_empty() || visitor.0.judge(team, Role::Approver) != Verdict::Allowed {
        return Ok(Vec::new());
    }
    let teams = teams(app, visitor).await?;
    let may = |stage: &StageIndex| {
        let (by, teams) = (visitor.0.login.clone(), teams.clone());
        let no = Command::Reject { stage: *stage, by, teams, comment: String::new() };
        loaded.run.decide(&no, app.now()).is_ok()
    };
    Ok(waiting.into_iter().filter(may).collect())
}

/// Records what somebody says to a stage of a run. Who may is decided by the pipeline's rules and the role.
pub async fn answer(
    app: &App,
    visitor: &Visitor,
    (run, stage): (&str, &str),
    (answer, comment): (Answer, &str),
) -> Result<Answered, Problem> {
    let mut loaded = runs::load(app, visitor, run, Role::Approver).await?;
    let stage = loaded.find_stage(stage)?;
    let teams = teams(app, visitor).await?;
    let by = visitor.0.login.clone();
    let comment = runs::text_of(comment, "a comment")?;
    let command = match answer {
        Answer::Approve => {
            let names = names(app, &visitor.0).await?;
            Command::Approve { stage, by, teams, names, comment }
        }
        Answer::Reject => Command::Reject { stage, by, teams, comment },
    };
    app.runs.execute(&mut loaded, &command, app.now()).await?;
    let noted = noted(app, &loaded).await?;
    Ok(Answered { loaded, noted })
}

/// Who has made the change that was answered about, for the audit log.
async fn noted(app: &App, loaded: &LoadedRun) -> Result<Detail, Problem> {
    let repositories = Repositories::Projects(app.triggers.projects().clone());
    let authors = Approvals::new(app.runs.clone(), repositories).authors(loaded).await?;
    let known: Vec<_> = authors.iter().filter_map(|it| it.login.clone()).collect();
    let unknown: Vec<_> =
        authors.iter().filter(|it| it.is_unknown()).map(ChangeAuthor::shown).collect();
    let mut detail = Detail::default();
    for (key, names) in [("authors", known), ("unknown_authors", unknown)] {
        let names: Vec<_> = names.into_iter().take(NOTED_MAX).collect();
        if !names.is_empty() {
            detail.0.insert(key.to_owned(), names.into());
        }
    }
    Ok(detail)
}

/// Name and address of a person, by which a commit may know them.
async fn names(app: &App, caller: &Caller) -> Result<Vec<String>, Problem> {
    let person = app.store.find_person_by_id(&caller.person).await?;
    Ok(person.map(|it| vec![it.name, it.email]).unwrap_or_default())
}

/// Names of the teams that a person is in.
async fn teams(app: &App, visitor: &Visitor) -> Result<Vec<String>, Problem> {
    let memberships = app.store.list_memberships(&visitor.0.person).await?;
    Ok(memberships.into_iter().map(|it| it.team_name).collect())
}
