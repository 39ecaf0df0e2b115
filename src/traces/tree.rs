//! From the events of a run to spans: the run, its stages, their attempts and their steps. Each re-run of a run is
//! a root of its own in the same trace. Pure. Names of attributes are those of
//! <https://opentelemetry.io/docs/specs/semconv/registry/attributes/cicd/> where there are such.

use std::collections::BTreeMap;

use super::span::{Span, SpanStatus};
use crate::engine::{AttemptOutcome, Event, Run};
use crate::model::trace;
use crate::model::{FailureClass, RunStatus, StageIndex, StageStatus, Timestamp};
use crate::pipeline::plan::{Program, Work};
use crate::store::runs::{RunRow, StoredEvent};

/// The longest text of an attribute or a status.
const TEXT_CHARS_MAX: usize = 1000;

/// The run whose events are told.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its plan and context.
    pub run: &'a Run,
    /// Its row.
    pub row: &'a RunRow,
    /// Where people find the server.
    pub public_url: Option<&'a str>,
    /// What ended before this event was sent before.
    pub from_seq: i64,
}

/// The spans of all rounds that have ended since.
#[must_use]
pub fn spans(facts: &Facts<'_>, events: &[StoredEvent]) -> Vec<Span> {
    let mut round = Round::new(facts, 0, facts.row.created_at);
    let mut spans = Vec::new();
    for stored in events {
        if let Event::RerunRequested { by, .. } = &stored.event {
            round = Round::new(facts, round.number + 1, stored.at);
            round.root.with("trunkline.rerun.by", by.as_str());
        }
        round.tell(stored);
        if let Event::RunFinished { status } = stored.event {
            let ended = round.end(status, stored.at);
            if stored.seq >= facts.from_seq {
                spans.extend(ended);
            }
        }
    }
    spans
}

/// From the making of a run, or the order to run again, to its end.
struct Round<'a> {
    facts: &'a Facts<'a>,
    number: usize,
    root: Span,
    /// By path: what has begun and not ended.
    open: BTreeMap<String, Span>,
    ended: Vec<Span>,
}

impl<'a> Round<'a> {
    fn new(facts: &'a Facts<'a>, number: usize, began: Timestamp) -> Self {
        let row = facts.row;
        let mut root = Span::new(&row.id, &root_path(number), "", row.pipeline.clone());
        root.began = began.into();
        root.with("cicd.pipeline.name", row.pipeline.as_str());
        root.with("cicd.pipeline.run.id", row.id.0.as_str());
        root.with("trunkline.run.number", row.number);
        root.with("trunkline.run.event", row.event.as_str());
        root.with("vcs.ref.head.name", row.branch.as_str());
        root.with("vcs.ref.head.revision", row.revision.as_str());
        root.with("vcs.repository.url.full", without_password(&row.repository));
        root.with("trunkline.team", facts.run.context().team.clone().unwrap_or_default());
        if let Some(url) = facts.public_url {
            root.with("cicd.pipeline.run.url.full", format!("{url}/runs/{}", row.id));
        }
        Self { facts, number, root, open: BTreeMap::new(), ended: Vec::new() }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other events begin and end nothing")]
    fn tell(&mut self, stored: &StoredEvent) {
        let at = stored.at;
        match &stored.event {
            Event::StageReady { stage } | Event::ApprovalRequested { stage, .. } => {
                self.stage(*stage, at);
            }
            Event::AttemptStarted { stage, attempt, .. } => {
                self.attempt_started((*stage, *attempt), at);
            }
            Event::StepStarted { stage, attempt, step } => {
                self.step_started((*stage, *attempt, *step), at);
            }
            Event::StepFinished { stage, attempt, step, exit_code } => {
                let path = Self::step_path(*stage, *attempt, *step);
                self.finish(&path, at, |it| {
                    it.with("process.exit.code", *exit_code);
                    it.status = match exit_code {
                        0 => SpanStatus::Ok,
                        code => SpanStatus::Error(format!("exit code {code}")),
                    };
                });
            }
            Event::AttemptFinished { stage, attempt, outcome } => {
                let path = Self::attempt_path(*stage, *attempt);
                self.finish(&path, at, |it| note_outcome(it, outcome));
            }
            Event::Approved { stage, by, .. } => self.note(*stage, at, ("approved", by)),
            Event::Rejected { stage, by, .. } => self.note(*stage, at, ("rejected", by)),
            Event::StageSkipped { stage, .. } => {
                self.stage(*stage, at);
                self.finish_stage(*stage, at, ("skip", SpanStatus::Unset));
            }
            Event::StageReused { stage, from, .. } => {
                self.stage(*stage, at).with("trunkline.reused_from", from.to_string());
                self.finish_stage(*stage, at, ("success", SpanStatus::Ok));
            }
            Event::StageFinished { stage, status, allowed, failure } => {
                let span = self.stage(*stage, at);
                span.with("trunkline.failure.allowed", *allowed);
                if let Some(failure) = failure {
                    span.with("error.type", failure.class.as_str());
                }
                let message = failure.as_ref().map_or("", |it| it.message.as_str());
                self.finish_stage(*stage, at, stage_result(*status, message));
            }
            _ => (),
        }
    }

    /// Everything that is still open ends with the round.
    fn end(&mut self, status: RunStatus, at: Timestamp) -> Vec<Span> {
        for path in self.open.keys().cloned().collect::<Vec<_>>() {
            self.finish(&path, at, |_| ());
        }
        let mut root = self.root.clone();
        let (result, status) = match status {
            RunStatus::Passed => ("success", SpanStatus::Ok),
            RunStatus::Cancelled => ("cancellation", SpanStatus::Unset),
            RunStatus::Failed
            | RunStatus::Queued
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::Cancelling => ("failure", SpanStatus::Error(String::new())),
        };
        root.with("cicd.pipeline.result", result);
        (root.ended, root.status) = (at.into(), status);
        let mut spans = vec![root];
        spans.append(&mut self.ended);
        spans
    }

    /// The span of a stage; begins it when there is none.
    fn stage(&mut self, stage: StageIndex, at: Timestamp) -> &mut Span {
        let path = self.stage_path(stage);
        let (row, root) = (self.facts.row, root_path(self.number));
        let plan = self.facts.run.plan();
        let key = plan.stages.get(stage.as_usize()).map(|it| it.key.clone()).unwrap_or_default();
        self.open.entry(path.clone()).or_insert_with(|| {
            let mut span = Span::new(&row.id, &path, &root, key.clone());
            span.began = at.into();
            span.with("cicd.pipeline.task.name", key);
            span
        })
    }

    fn attempt_started(&mut self, (stage, attempt): (StageIndex, u32), at: Timestamp) {
        let name = format!("{} #{attempt}", self.stage(stage, at).name);
        let (path, parent) = (Self::attempt_path(stage, attempt), self.stage_path(stage));
        let mut span = Span::new(&self.facts.row.id, &path, &parent, name);
        span.began = at.into();
        span.with("trunkline.attempt", attempt);
        let id = format!("{}-{}-{attempt}", self.facts.row.id, stage.0);
        span.with("cicd.pipeline.task.run.id", id);
        self.open.insert(path, span);
    }

    fn step_started(&mut self, (stage, attempt, step): (StageIndex, u32, u32), at: Timestamp) {
        let path = Self::step_path(stage, attempt, step);
        let parent = Self::attempt_path(stage, attempt);
        let name = self.step_name(stage, step).unwrap_or_else(|| format!("step {}", step + 1));
        let mut span = Span::new(&self.facts.row.id, &path, &parent, name);
        span.began = at.into();
        span.with("trunkline.step", step);
        self.open.insert(path, span);
    }

    fn step_name(&self, stage: StageIndex, step: u32) -> Option<String> {
        let work = &self.facts.run.plan().stages.get(stage.as_usize())?.work;
        let Work::Container(work) = work else { return None };
        let Program::Steps(steps) = &work.program else { return None };
        let step = steps.get(usize::try_from(step).ok()?)?;
        Some(step.name.clone()).filter(|it| !it.is_empty())
    }

    fn note(&mut self, stage: StageIndex, at: Timestamp, (what, by): (&str, &str)) {
        let more = vec![("enduser.id".into(), by.into())];
        self.stage(stage, at).events.push((at.into(), what.to_owned(), more));
    }

    fn finish_stage(
        &mut self,
        stage: StageIndex,
        at: Timestamp,
        (result, status): (&'static str, SpanStatus),
    ) {
        let path = self.stage_path(stage);
        self.finish(&path, at, |it| {
            it.with("cicd.pipeline.task.run.result", result);
            it.status = status;
        });
    }

    fn finish(&mut self, path: &str, at: Timestamp, more: impl FnOnce(&mut Span)) {
        let Some(mut span) = self.open.remove(path) else { return };
        span.ended = at.into();
        more(&mut span);
        self.ended.push(span);
    }

    fn stage_path(&self, stage: StageIndex) -> String {
        format!("{}/{}", root_path(self.number), stage.0)
    }

    /// The same in every round, as their numbers go on: what an attempt calls finds it.
    fn attempt_path(stage: StageIndex, attempt: u32) -> String {
        trace::attempt_path(stage.0, attempt)
    }

    fn step_path(stage: StageIndex, attempt: u32, step: u32) -> String {
        format!("{}/{step}", Self::attempt_path(stage, attempt))
    }
}

fn root_path(number: usize) -> String {
    format!("round {number}")
}

fn note_outcome(span: &mut Span, outcome: &AttemptOutcome) {
    if let Some(code) = outcome.exit_code {
        span.with("process.exit.code", code);
    }
    let Some(class) = outcome.class else {
        span.with("cicd.pipeline.task.run.result", "success");
        span.status = SpanStatus::Ok;
        return;
    };
    span.with("error.type", class.as_str());
    let result = match class {
        FailureClass::Timeout => "timeout",
        FailureClass::Cancelled => "cancellation",
        FailureClass::Infra | FailureClass::ImagePull | FailureClass::LostWorker => "error",
        FailureClass::User
        | FailureClass::OutOfMemory
        | FailureClass::Gate
        | FailureClass::Budget
        | FailureClass::Approval => "failure",
    };
    span.with("cicd.pipeline.task.run.result", result);
    span.status = if class == FailureClass::Cancelled {
        SpanStatus::Unset
    } else {
        SpanStatus::Error(shorten(&outcome.message))
    };
}

fn stage_result(status: StageStatus, message: &str) -> (&'static str, SpanStatus) {
    match status {
        StageStatus::Passed => ("success", SpanStatus::Ok),
        StageStatus::Cancelled => ("cancellation", SpanStatus::Unset),
        StageStatus::Skipped => ("skip", SpanStatus::Unset),
        StageStatus::Failed
        | StageStatus::Pending
        | StageStatus::Ready
        | StageStatus::Running
        | StageStatus::Delayed
        | StageStatus::Waiting => ("failure", SpanStatus::Error(shorten(message))),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

fn without_password(address: &str) -> String {
    match reqwest::Url::parse(address) {
        Ok(mut url) if url.has_host() => {
            let _no_host = url.set_password(None);
            url.to_string()
        }
        _ => address.to_owned(),
    }
}
