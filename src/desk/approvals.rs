//! Stages that wait for people: which, what they would let through, and what somebody says.

use crate::approvals::{Approvals, ApprovalsError, Repositories, ShownApproval};
use crate::auth::{Caller, Verdict};
use crate::desk::runs;
use crate::engine::Command;
use crate::http::{App, CursorForm, Page, PageQuery, Problem, Visitor};
use crate::model::{Role, RunId, RunStatus, StageIndex, StageStatus, TeamId, Timestamp};
use crate::runs::LoadedRun;
use crate::runs::view::ApprovalView;
use crate::store::runs::{RunFilter, RunRow};
use crate::store::spend::sums::SpendRow;

/// Unfinished runs that are looked through for a page.
const RUNS_MAX: u32 = 100;
/// The longest comment that is kept.
const COMMENT_CHARS_MAX: usize = 10_000;

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
    /// What each stage of the run has spent on models so far.
    pub spend: Vec<SpendRow>,
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
        let loaded = app.runs.load(&row.id).await?;
        let waiting = loaded.waiting_for(&visitor.0.login, &teams, app.now());
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
    let refusal = refusal(app, &visitor.0, (&loaded, &shown)).await?;
    let spend = runs::spend(app, &loaded.row).await?;
    Ok(SeenApproval { loaded, shown, refusal, spend })
}

/// Why the caller may not say yes now; `None` when they may.
async fn refusal(
    app: &App,
    caller: &Caller,
    (loaded, shown): (&LoadedRun, &ShownApproval),
) -> Result<Option<String>, Problem> {
    if shown.status != StageStatus::Waiting {
        return Ok(Some(format!("the stage is {}", shown.status)));
    }
    let project = app.store.find_project(&loaded.row.project).await?;
    let team = project.map_or_else(|| TeamId(String::new()), |it| it.team);
    if caller.judge(&team, Role::Approver) != Verdict::Allowed {
        return Ok(Some("this takes the role `approver`".to_owned()));
    }
    let memberships = app.store.list_memberships(&caller.person).await?;
    let teams = memberships.into_iter().map(|it| it.team_name).collect();
    let place = loaded.run.plan().stages.iter().position(|it| it.key == shown.key);
    let stage = StageIndex(u32::try_from(place.unwrap_or_default()).unwrap_or_default());
    let command =
        Command::Approve { stage, by: caller.login.clone(), teams, comment: String::new() };
    Ok(loaded.run.decide(&command, app.now()).err().map(|it| it.to_string()))
}

/// Records what somebody says to a stage of a run. Who may is decided by the pipeline's rules and the role.
pub async fn answer(
    app: &App,
    visitor: &Visitor,
    (run, stage): (&str, &str),
    (answer, comment): (Answer, &str),
) -> Result<LoadedRun, Problem> {
    let mut loaded = runs::load(app, visitor, run, Role::Approver).await?;
    let stage = loaded.find_stage(stage)?;
    let teams = teams(app, visitor).await?;
    let by = visitor.0.login.clone();
    let comment = comment.chars().take(COMMENT_CHARS_MAX).collect();
    let command = match answer {
        Answer::Approve => Command::Approve { stage, by, teams, comment },
        Answer::Reject => Command::Reject { stage, by, teams, comment },
    };
    app.runs.execute(&mut loaded, &command, app.now()).await?;
    Ok(loaded)
}

/// Names of the teams that a person is in.
async fn teams(app: &App, visitor: &Visitor) -> Result<Vec<String>, Problem> {
    let memberships = app.store.list_memberships(&visitor.0.person).await?;
    Ok(memberships.into_iter().map(|it| it.team_name).collect())
}
