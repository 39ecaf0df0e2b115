//! Events as plain lines, for logs of another system and for files.

use super::{command, format, shell_word, tree};
use crate::cli::output::Output;
use crate::cli::view::paint::Paint;
use crate::engine::event::Failure;
use crate::engine::{AttemptOutcome, Event};
use crate::model::{FailureClass, RunStatus, StageIndex, StageStatus, Timestamp};
use crate::runs::view::RunView;

/// Columns that a stage's key takes at most before its lines go out of step.
const KEY_LIMIT: usize = 24;

/// How lines look.
#[derive(Debug, Clone)]
pub struct Style {
    /// Colours.
    pub paint: Paint,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset_seconds: i32,
    /// Columns of the key of a stage.
    pub key_columns: usize,
    /// The server that commands for a person have to name, or empty.
    pub server: String,
}

impl Style {
    /// A style in which the lines of this run are in step.
    #[must_use]
    pub fn of(run: &RunView, server: &str, output: &Output) -> Self {
        let widest = run.stages.iter().map(|it| format::width(&it.key)).max();
        Self {
            paint: output.paint,
            utc_offset_seconds: output.utc_offset_seconds,
            key_columns: widest.unwrap_or(0).clamp(3, KEY_LIMIT),
            server: server.to_owned(),
        }
    }

    /// `12:03:44 unit  passed in 3.2s`
    #[must_use]
    pub fn line(&self, at: Timestamp, key: &str, text: &str) -> String {
        let time = self.paint.dim(&format::time_of_day(at, self.utc_offset_seconds));
        format!("{time} {}  {text}", format::pad(key, self.key_columns))
    }

    /// `unit | what it printed`
    #[must_use]
    pub fn log_line(&self, key: &str, text: &str) -> String {
        let key = self.paint.dim(&format!("{} |", format::pad(key, self.key_columns)));
        format!("{key} {text}")
    }
}

/// What a person should know of an event; `None` for bookkeeping. `run` has the event applied.
#[must_use]
pub fn of_event(run: &RunView, (event, at): (&Event, Timestamp), style: &Style) -> Option<String> {
    let (stage, text) = describe(run, (event, at), style)?;
    let key = stage.map_or("run", |it| run.key_of(it));
    Some(style.line(at, key, &text))
}

fn describe(
    run: &RunView,
    (event, now): (&Event, Timestamp),
    style: &Style,
) -> Option<(Option<StageIndex>, String)> {
    let paint = style.paint;
    let of_stage = |stage: &StageIndex, text: String| Some((Some(*stage), text));
    match event {
        Event::StageSkipped { stage, .. } => {
            let reason = run.stage(*stage).and_then(|it| it.skipped_because.as_deref());
            of_stage(stage, paint.dim(&format!("skipped: {}", reason.unwrap_or_default())))
        }
        Event::StageReused { stage, .. } => {
            of_stage(stage, paint.green("unchanged: an earlier result is reused"))
        }
        Event::AttemptStarted { stage, attempt, .. } => {
            of_stage(stage, format!("started attempt {attempt}"))
        }
        Event::StepStarted { stage, step, .. } => of_stage(stage, step_name(run, *stage, *step)?),
        Event::StopRequested { stage, message, kill_at, .. } => {
            let how = if *kill_at <= now { "killing" } else { "stopping" };
            of_stage(stage, paint.yellow(&format!("{how}: {message}")))
        }
        Event::AttemptFinished { stage, attempt, outcome } => {
            of_stage(stage, finished(run, *stage, *attempt, (outcome, paint)))
        }
        Event::RetryScheduled { stage, retry_at } => {
            let wait = format::duration(retry_at.since(now));
            of_stage(stage, paint.yellow(&format!("tries again in {wait}")))
        }
        Event::ApprovalRequested { stage, .. } => {
            let key = shell_word(run.key_of(*stage));
            let command = command(&format!("approve {} {key}", run.number), &style.server);
            of_stage(stage, paint.yellow(&format!("waits for approval: {command}")))
        }
        Event::Approved { stage, by, comment } => {
            of_stage(stage, with_comment(format!("approved by {by}"), comment))
        }
        Event::Rejected { stage, by, comment } => {
            of_stage(stage, with_comment(format!("rejected by {by}"), comment))
        }
        Event::StageFinished { stage, failure: None, .. }
            if run.stage(*stage).is_some_and(|it| it.undecided) =>
        {
            of_stage(stage, paint.yellow(&tree::undecided(run.stage(*stage)?)))
        }
        Event::StageFinished { stage, status, allowed, failure } => {
            of_stage(stage, stage_finished(*status, *allowed, (failure.as_ref(), paint))?)
        }
        Event::LeaseTaken { .. }
        | Event::Admitted
        | Event::RunStarted
        | Event::StageReady { .. }
        | Event::SlotGranted { .. }
        | Event::StepFinished { .. }
        | Event::AnswerIgnored { .. }
        | Event::CancelRequested { .. }
        | Event::RunTimedOut
        | Event::RunFinished { .. }
        | Event::RerunRequested { .. } => Some((None, describe_run(run, event, paint)?)),
    }
}

/// What its last attempt has not said yet.
fn stage_finished(
    status: StageStatus,
    is_allowed: bool,
    (failure, paint): (Option<&Failure>, Paint),
) -> Option<String> {
    if let Some(failure) = failure {
        let first = failure.message.lines().next().unwrap_or_default();
        return Some(paint.red(&with_comment(format!("failed ({})", failure.class), first)));
    }
    match status {
        StageStatus::Failed if is_allowed => {
            Some(paint.yellow("is allowed to fail: the run goes on"))
        }
        StageStatus::Cancelled => Some(paint.yellow("cancelled")),
        StageStatus::Pending
        | StageStatus::Ready
        | StageStatus::Running
        | StageStatus::Delayed
        | StageStatus::Waiting
        | StageStatus::Passed
        | StageStatus::Failed
        | StageStatus::Skipped => None,
    }
}

/// Events of the run as a whole.
fn describe_run(run: &RunView, event: &Event, paint: Paint) -> Option<String> {
    if let Event::RunFinished { status } = event {
        let (started, finished) = (run.started_at, run.finished_at);
        let time = finished.zip(started).map(|(end, start)| format::duration(end.since(start)));
        return Some(
            status_word(*status, paint) + &time.map_or(String::new(), |it| format!(" in {it}")),
        );
    }
    if let Event::LeaseTaken { epoch, owner, .. } = event {
        return (*epoch > 1).then(|| format!("taken over by {owner}"));
    }
    if let Event::CancelRequested { by, reason, force } = event {
        let how = if *force { "cancelled by force" } else { "cancel asked" };
        return Some(paint.yellow(&with_comment(format!("{how} by {by}"), reason)));
    }
    if let Event::RerunRequested { by, stages, .. } = event {
        let stages = format::count(stages.len() as u64, "stage");
        return Some(format!("{by} runs {stages} again"));
    }
    matches!(event, Event::RunTimedOut).then(|| paint.red("took longer than it may"))
}

/// A run's status as a word, coloured.
#[must_use]
pub fn status_word(status: RunStatus, paint: Paint) -> String {
    let word = status.as_str();
    match status {
        RunStatus::Passed => paint.green(word),
        RunStatus::Failed => paint.red(word),
        RunStatus::Cancelled | RunStatus::Cancelling | RunStatus::Waiting => paint.yellow(word),
        RunStatus::Queued | RunStatus::Running => paint.cyan(word),
    }
}

fn with_comment(text: String, comment: &str) -> String {
    if comment.is_empty() { text } else { format!("{text}: {comment}") }
}

fn finished(
    run: &RunView,
    stage: StageIndex,
    attempt: u32,
    (outcome, paint): (&AttemptOutcome, Paint),
) -> String {
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let attempt = run.stage(stage).and_then(|it| it.attempts.get(index));
    let span = attempt.and_then(|it| Some(it.finished_at?.since(it.started_at)));
    let time = span.map(|it| format!(" in {}", format::duration(it))).unwrap_or_default();
    match outcome.class {
        None => paint.green(&format!("passed{time}")),
        Some(FailureClass::Cancelled) => paint.yellow(&format!("cancelled{time}")),
        Some(class) => {
            let first = outcome.message.lines().next().unwrap_or_default();
            paint.red(&with_comment(format!("failed{time} ({class})"), first))
        }
    }
}

fn step_name(run: &RunView, stage: StageIndex, step: u32) -> Option<String> {
    let names = &run.stage(stage)?.step_names;
    let name = names.get(usize::try_from(step).ok()?).filter(|_| names.len() > 1)?;
    Some(format!("step {} of {}: {}", step + 1, names.len(), format::tame(name)))
}
