//! `/runs/{run}/stages/{stage}`: what came of a stage, attempt by attempt, and its log.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::address::{Address, encode};
use super::lines::{self, Group, OutlineBody, step_title};
use super::log::started_at;
use crate::desk::logs::{self, Outline, SearchQuery, SearchResult, StageLog};
use crate::desk::runs;
use crate::http::{App, Path, Problem, Query, Visitor};
use crate::model::{FailureClass, Role, StageStatus};
use crate::runs::view::{AttemptView, GateView, OutcomeView, StageView, StepView, WaitView};
use crate::ui::above::AboveRun;
use crate::ui::live::{self, Part, Render};
use crate::ui::runs::{advice, name_of};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Lines that a page without scripts shows, and those of them before a wanted one.
const LINES: u64 = 200;
const LINES_BEFORE: u64 = 20;

/// Which attempt, and where in its log.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct StageQuery {
    attempt: Option<u32>,
    /// A line that is marked.
    line: Option<u64>,
    /// The first line that is shown.
    from: Option<u64>,
    /// What is looked for.
    #[serde(default)]
    q: String,
    /// The line from which on it is looked for.
    after: Option<i64>,
}

#[derive(Template)]
#[template(path = "stages/show.html")]
struct StagePage {
    shell: Shell,
    words: Words,
    above: AboveRun,
    head: Head,
    address: Address,
    /// Query of the live parts.
    chosen: String,
    log: Option<LogPart>,
}

#[derive(Template)]
#[template(path = "stages/_head.html")]
struct HeadPart<'a> {
    words: Words,
    head: &'a Head,
    address: &'a Address,
}

/// A stage and the attempt that is looked at.
struct Head {
    stage: StageView,
    /// 0 when there is none.
    number: u32,
    attempt: Option<AttemptView>,
    is_last: bool,
    /// Whether the one who looks may run it again now.
    may_rerun: bool,
}

/// The log of the attempt.
struct LogPart {
    outline: Outline,
    /// Where every byte of it is.
    raw: String,
    json: String,
    /// Where its news come from; empty when there will be none.
    follow: String,
    line: u64,
    /// The lines from and to, where some are shown.
    shown: (u64, u64),
    groups: Vec<Group>,
    query: String,
    found: Option<SearchResult>,
    /// What is said where there are no lines.
    nothing: &'static str,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<StageQuery>,
) -> Result<Response, Problem> {
    let log = StageLog::find(&app, &visit.visitor, (&run, &stage)).await?;
    let head = Head::of((&app, &visit.visitor), &log, query.attempt).await?;
    let address = Address::new(&run, &stage);
    let words = visit.words();
    let log_part = if head.has_log() {
        Some(log_part(&app, &log, (&head, &address), (&query, words)).await?)
    } else {
        None
    };
    let title = format!("{} of run {}", head.stage.key, log.loaded.row.number);
    page(&StagePage {
        shell: visit.shell(Section::Runs, title),
        words,
        above: AboveRun::of(&log.loaded.row),
        head,
        address,
        chosen: query.attempt.map_or_else(String::new, |it| format!("?attempt={it}")),
        log: log_part,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<StageQuery>,
) -> Result<Response, Problem> {
    let log = StageLog::find(&app, &visitor, (&run, &stage)).await?;
    let id = log.loaded.row.id.clone();
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor, query) = (of_parts.clone(), who.clone(), query.clone());
        let (run, stage) = (run.clone(), stage.clone());
        Box::pin(async move {
            let log = StageLog::find(&app, &visitor, (&run, &stage)).await?;
            let head = Head::of((&app, &visitor), &log, query.attempt).await?;
            let address = Address::new(&run, &stage);
            let words = Words::at(app.now());
            let html = part(&HeadPart { words, head: &head, address: &address })?;
            Ok(vec![Part { id: "stage-head", html }])
        })
    });
    live::stream(&app, &visitor, id, render)
}

async fn log_part(
    app: &App,
    log: &StageLog,
    (head, address): (&Head, &Address),
    (query, words): (&StageQuery, Words),
) -> Result<LogPart, Problem> {
    let outline = logs::outline(app, log, head.number).await?;
    let found = if query.q.is_empty() {
        None
    } else {
        Some(logs::search(app, log, &query.search(head.number)).await?)
    };
    let line = query.line.unwrap_or(0);
    let from = match (query.from, query.line) {
        (Some(from), _) => from.max(1),
        (None, Some(line)) => line.saturating_sub(LINES_BEFORE).max(1),
        (None, None) => (outline.lines + 1).saturating_sub(LINES).max(1),
    };
    let count = usize::try_from(LINES).unwrap_or(0);
    let window = logs::window(app, log, head.number, (from, count)).await?;
    let rows = lines::rows(&window, (address, head.number), started_at(log, head.number));
    let last = window.lines.last().map_or(0, |it| it.number);
    let chosen = query.attempt.map_or_else(String::new, |it| format!("?attempt={it}"));
    let is_over =
        outline.is_complete && (query.attempt.is_some() || head.stage.status.is_finished());
    Ok(LogPart {
        raw: address.raw(head.number),
        json: OutlineBody::of(&outline, &head.stage, words).to_json(),
        follow: if is_over { String::new() } else { format!("{}/log{chosen}", address.live()) },
        line,
        shown: (from, last),
        groups: lines::groups(&window, rows, (&outline, &head.stage), words),
        query: query.q.clone(),
        found,
        nothing: nothing(&outline, head),
        outline,
    })
}

/// Why there are no lines.
fn nothing(outline: &Outline, head: &Head) -> &'static str {
    match (outline.is_there, outline.is_complete) {
        (true, true) => "This attempt has printed nothing.",
        (true, false) => "Nothing has been printed yet. Lines appear here as they come.",
        (false, false) => "The attempt has not begun to print. Lines appear here as they come.",
        (false, true) if head.number == 0 => "This stage had no attempt, so nothing was printed.",
        (false, true) if head.steps().is_empty() => {
            "This attempt ended before its first step began, so nothing was printed."
        }
        (false, true) => {
            "This log is no longer kept: it was removed after the days that the server keeps logs. What came of \
             the stage stays."
        }
    }
}

impl StageQuery {
    fn search(&self, attempt: u32) -> SearchQuery {
        SearchQuery {
            text: self.q.clone(),
            attempt: Some(attempt).filter(|it| *it > 0),
            from_line: self.after,
            matches: None,
        }
    }
}

impl Head {
    async fn of(
        (app, visitor): (&App, &Visitor),
        log: &StageLog,
        wanted: Option<u32>,
    ) -> Result<Self, Problem> {
        let row = &log.loaded.row;
        let developer = runs::find(app, visitor, &row.id.0, Role::Developer).await;
        let project = app.store.find_project(&row.project).await?;
        let is_archived = project.is_some_and(|it| it.archived_at.is_some());
        let may_rerun = developer.is_ok() && row.status.is_finished() && !is_archived;
        let number = log.attempt(wanted)?;
        let stage = log.view(app.now())?;
        let attempt = lines::attempt_of(&stage, number).cloned();
        let is_last = number == log.attempts();
        Ok(Self { stage, number, attempt, is_last, may_rerun })
    }

    /// Whether there is a log or there may be one.
    fn has_log(&self) -> bool {
        let may_begin = !self.stage.status.is_finished() && self.stage.approval.is_none();
        self.number > 0 || may_begin
    }

    /// What came of the attempt; of the reused one where there was none.
    fn outcome(&self) -> Option<&OutcomeView> {
        let own = self.attempt.as_ref().and_then(|it| it.outcome.as_ref());
        own.or_else(|| self.stage.reused_outcome.as_ref().filter(|_| self.number == 0))
    }

    /// What it waits for, where it does not just run.
    fn waits(&self) -> Option<&WaitView> {
        self.stage.waits_for.as_ref().filter(|_| self.stage.status != StageStatus::Running)
    }

    fn attempts(&self) -> &[AttemptView] {
        &self.stage.attempts
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn status_of(&self, attempt: &AttemptView) -> &'static str {
        match &attempt.outcome {
            Some(it) if it.class.is_none() => "passed",
            Some(_) => "failed",
            None => "running",
        }
    }

    fn failure_class(&self) -> Option<FailureClass> {
        if self.is_last { self.stage.failure_class } else { self.outcome().and_then(|it| it.class) }
    }

    /// Its class in words; empty when it has not failed.
    fn class(&self) -> &'static str {
        self.failure_class().map_or("", name_of)
    }

    /// What went wrong, and what to do about it: what the message says, or what holds for the class.
    fn failure(&self) -> (String, String) {
        let of_stage = self.stage.failure_message.as_deref().filter(|_| self.is_last);
        let of_attempt = self.outcome().map(|it| it.message.as_str());
        let message = of_stage.or(of_attempt).unwrap_or_default();
        let of_class = self.failure_class().map_or("", advice);
        let (what, help) = message.split_once("\nhelp: ").unwrap_or((message, of_class));
        (what.to_owned(), help.to_owned())
    }

    fn steps(&self) -> &[StepView] {
        self.attempt.as_ref().map_or(&[], |it| it.steps.as_slice())
    }

    fn step_title(&self, step: &StepView) -> String {
        step_title(&self.stage, step.step)
    }

    fn step_status(&self, step: &StepView) -> &'static str {
        match (step.exit_code, step.finished_at) {
            (Some(0), _) => "passed",
            (Some(_), _) => "failed",
            (None, None) if self.attempt.as_ref().is_some_and(|it| it.finished_at.is_none()) => {
                "running"
            }
            (None, _) => "cancelled",
        }
    }

    /// Steps that have not begun.
    fn steps_to_come(&self) -> &[String] {
        let is_open = self.attempt.as_ref().is_none_or(|it| it.finished_at.is_none());
        let begun = self.steps().len();
        self.stage.step_names.get(begun..).filter(|_| is_open && self.is_last).unwrap_or_default()
    }

    /// Judged for the last attempt.
    fn gates(&self) -> &[GateView] {
        if self.is_last { &self.stage.gates } else { &[] }
    }
}

impl LogPart {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The first lines of the windows before and after this one.
    fn previous(&self) -> Option<u64> {
        (self.shown.0 > 1).then(|| self.shown.0.saturating_sub(LINES).max(1))
    }

    fn next(&self) -> Option<u64> {
        (self.shown.1 > 0 && self.shown.1 < self.outline.lines).then_some(self.shown.1 + 1)
    }

    fn encoded_query(&self) -> String {
        encode(&self.query)
    }
}
