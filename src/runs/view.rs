//! A run as people and programs see it: the one JSON shape that `--json` prints and the API answers. Keys are
//! added, never changed or removed. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine::{Event, Run, Stage};
use crate::model::{
    FailureClass, Milliseconds, RunId, RunStatus, StageIndex, StageStatus, Timestamp,
};
use crate::pipeline::PlannedStage;
use crate::pipeline::plan::{Program, Work};
use crate::runs::{LoadedRun, title_of};
use crate::store::runs::{RunRow, StoredEvent};

mod attempt;
mod calls;
mod gates;
mod log;
pub mod reading;
mod report;
mod waits;

pub use attempt::{ArtifactRefView, AttemptView, OutcomeView, StepView, TestsView};
pub use calls::ModelCallsView;
pub use gates::{GateView, JudgedGate, judge_gates};
pub use log::LogLineView;
pub use report::{CaseView, FindingView};
pub use waits::WaitView;

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunRowView {
    /// Its id: a ULID in lower case.
    #[schema(value_type = String)]
    pub id: RunId,
    /// Counts the runs from 1; for people.
    pub number: i64,
    /// Id of its project; empty for runs from a terminal.
    pub project: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where the code comes from: `team/project`, a folder or an address.
    pub repository: String,
    /// What started it: `push`, `pull_request`, `schedule` or `manual`.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Subject line of the commit.
    pub title: String,
    /// `queued`, `running`, `waiting`, `cancelling`, `passed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub status: RunStatus,
    /// Whether nobody goes on with it although it has not ended.
    pub interrupted: bool,
    /// Milliseconds since 1970-01-01 UTC.
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    /// Milliseconds since 1970-01-01 UTC; null until it has ended.
    #[schema(value_type = Option<i64>)]
    pub finished_at: Option<Timestamp>,
    /// When its stages could start, where that was looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub started_at: Option<Timestamp>,
    /// Stages about which nobody decided in time, where that was looked up.
    #[serde(default)]
    pub undecided: Vec<String>,
    /// Stages that have failed and were not allowed to; of a run that goes on, too.
    #[serde(default)]
    pub failed_stages: i64,
}

/// A run with its stages and their attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// `run`: tells it apart from events where both are lines of one output.
    pub r#type: String,
    /// Its id: a ULID in lower case.
    #[schema(value_type = String)]
    pub id: RunId,
    /// Counts the runs from 1; for people.
    pub number: i64,
    /// Id of its project; empty for runs from a terminal.
    pub project: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where the code comes from: `team/project`, a folder or an address.
    pub repository: String,
    /// What started it.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Subject line of the commit.
    pub title: String,
    /// Whether changes that are not committed are part of it.
    pub dirty: bool,
    /// Where it stands.
    #[schema(value_type = String)]
    pub status: RunStatus,
    /// Whether nobody goes on with it although it has not ended.
    pub interrupted: bool,
    /// When it was asked for.
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    /// When its first stage could start.
    #[schema(value_type = Option<i64>)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<i64>)]
    pub finished_at: Option<Timestamp>,
    /// Who asked to stop it: a login, or what else it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// How long it has taken so far.
    #[schema(value_type = u64)]
    pub duration_ms: Milliseconds,
    /// Number of its events so far; the next one has this sequence number.
    pub events: i64,
    /// Its stages in the order of the plan.
    pub stages: Vec<StageView>,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StageView {
    /// Its place in the plan.
    #[schema(value_type = u32)]
    pub stage: StageIndex,
    /// Unique in the run: the name, or `name (a, b)` with the values of the matrix cell.
    pub key: String,
    /// The name in the file.
    pub name: String,
    /// Values of the matrix cell; empty without a matrix.
    pub matrix: BTreeMap<String, String>,
    /// Keys of its needs.
    pub needs: Vec<String>,
    /// Where it stands.
    #[schema(value_type = String)]
    pub status: StageStatus,
    /// What it waits for; null once it has ended.
    pub waits_for: Option<WaitView>,
    /// Why it was skipped.
    #[schema(value_type = Option<Object>)]
    pub skip_reason: Option<Value>,
    /// The same as the end of a sentence that begins with "it was skipped, because".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_because: Option<String>,
    /// Whether its failure is allowed.
    pub allowed: bool,
    /// What went wrong when no attempt can say it.
    pub failure: Option<FailureView>,
    /// Class of its failure, whoever says it: the stage or its last attempt.
    #[schema(value_type = Option<String>)]
    pub failure_class: Option<FailureClass>,
    /// What went wrong and what to do, whoever says it.
    pub failure_message: Option<String>,
    /// The attempt whose result stands for it.
    pub reused_from: Option<String>,
    /// What came of that attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_outcome: Option<OutcomeView>,
    /// Who has approved so far.
    pub approvals: Vec<String>,
    /// Who may approve, for a stage that is an approval.
    pub approval: Option<ApprovalView>,
    /// Whether it is an approval about which nobody decided in time.
    #[serde(default)]
    pub undecided: bool,
    /// The longest an attempt may take, or an approval may wait.
    #[serde(default)]
    #[schema(value_type = u64)]
    pub timeout_ms: Milliseconds,
    /// How long it has taken so far, or waited for people.
    #[schema(value_type = Option<u64>)]
    pub duration_ms: Option<Milliseconds>,
    /// Its gates with the values that were judged.
    pub gates: Vec<GateView>,
    /// What it called models for, all attempts together; absent where it called none through the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_calls: Option<ModelCallsView>,
    /// Names of its steps; empty when it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_names: Vec<String>,
    /// How many of its attempts were made before its last re-run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_attempts: u32,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why a stage failed without an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// Its class.
    #[schema(value_type = String)]
    pub class: FailureClass,
    /// What went wrong and what to do.
    pub message: String,
}

/// What an approval asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// Who may: `team/<name>` or a login; empty means everybody with the role.
    pub by: Vec<String>,
    /// How many different people.
    pub count: u32,
    /// How many are still missing.
    pub missing: u32,
    /// Whether the author of the change does not count.
    pub not_author: bool,
}

/// Something that happened to a run; what else is in it depends on the type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Which event, such as `stage_finished`.
    pub r#type: String,
    /// Id of the run.
    #[schema(value_type = String)]
    pub run: RunId,
    /// Its place in the run, from 0.
    pub seq: i64,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// Key of the stage it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_key: Option<String>,
    /// What else it says.
    #[serde(flatten)]
    #[schema(value_type = HashMap<String, Value>)]
    pub fields: Map<String, Value>,
}

/// What of a run is in no event.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Its number.
    pub number: i64,
    /// Id of its project, or empty.
    pub project: &'a str,
    /// Where the code comes from.
    pub repository: &'a str,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Whether nobody goes on with it although it has not ended.
    pub is_interrupted: bool,
    /// Number of its events.
    pub events: i64,
}

impl<'a> Surroundings<'a> {
    /// Those of a row; somebody goes on with the run.
    #[must_use]
    pub fn of(row: &'a RunRow) -> Self {
        Self {
            number: row.number,
            project: &row.project.0,
            repository: &row.repository,
            created_at: row.created_at,
            is_interrupted: false,
            events: row.events,
        }
    }
}

impl RunRowView {
    /// A row of the table.
    #[must_use]
    pub fn of(row: &RunRow, is_interrupted: bool) -> Self {
        Self {
            id: row.id.clone(),
            number: row.number,
            project: row.project.0.clone(),
            pipeline: row.pipeline.clone(),
            repository: row.repository.clone(),
            event: row.event.clone(),
            branch: row.branch.clone(),
            revision: row.revision.clone(),
            title: row.title.clone(),
            status: row.status,
            interrupted: is_interrupted,
            created_at: row.created_at,
            finished_at: row.finished_at,
            started_at: row.started_at,
            undecided: Vec::new(),
            failed_stages: row.failed_stages,
        }
    }
}

impl RunView {
    /// A run that somebody goes on with, as it stands now.
    #[must_use]
    pub fn of(loaded: &LoadedRun, now: Timestamp) -> Self {
        let surroundings = Surroundings { events: loaded.seq, ..Surroundings::of(&loaded.row) };
        Self::new(&loaded.run, surroundings, now)
    }

    /// A run as it stands now.
    #[must_use]
    pub fn new(run: &Run, around: Surroundings<'_>, now: Timestamp) -> Self {
        let (context, (started_at, finished_at)) = (run.context(), run.times());
        let stages = run.stages().zip(&run.plan().stages);
        Self {
            r#type: "run".to_owned(),
            id: run.id().clone(),
            number: around.number,
            project: around.project.to_owned(),
            pipeline: run.plan().pipeline.clone(),
            repository: around.repository.to_owned(),
            event: context.event.clone(),
            branch: context.git.branch.clone(),
            revision: context.git.sha.clone(),
            title: title_of(&context.git.message),
            dirty: context.git.dirty,
            status: run.status(),
            interrupted: around.is_interrupted,
            created_at: around.created_at,
            started_at,
            finished_at,
            cancelled_by: run.cancellation().map(|it| it.by.clone()),
            cancel_reason: run
                .cancellation()
                .map(|it| it.reason.clone())
                .filter(|it| !it.is_empty()),
            duration_ms: time_of_run(run, now),
            events: around.events,
            stages: stages
                .map(|(it, planned)| {
                    StageView::new(run, it, planned).at(now, around.is_interrupted)
                })
                .collect(),
        }
    }
}

impl StageView {
    fn new(run: &Run, (index, stage): (StageIndex, &Stage), planned: &PlannedStage) -> Self {
        let own = stage.failure.as_ref();
        let (class, message) = match (own, stage.outcome()) {
            (Some(own), _) => (Some(own.class), Some(own.message.clone())),
            (None, Some(it)) if it.class.is_some() => (it.class, Some(it.message.clone())),
            (None, _) => (None, None),
        };
        let judged = stage.outcome().map(|it| judge_gates(run, index, planned, it));
        let attempts: Vec<_> = stage.attempts.iter().zip(1..).map(AttemptView::from).collect();
        Self {
            stage: index,
            key: planned.key.clone(),
            name: planned.name.clone(),
            matrix: planned.matrix.clone(),
            needs: planned.needs.iter().map(|it| key_of(run, it.stage).to_owned()).collect(),
            status: stage.status,
            waits_for: WaitView::of(run, index),
            skip_reason: stage.skip_reason.as_ref().and_then(|it| serde_json::to_value(it).ok()),
            skipped_because: stage.skip_reason.as_ref().map(|it| run.explain_skip(it)),
            allowed: stage.allowed,
            failure: own.map(|it| FailureView { class: it.class, message: it.message.clone() }),
            failure_class: class,
            failure_message: message,
            reused_from: stage.reused_from.as_ref().map(ToString::to_string),
            reused_outcome: stage.reused_outcome.as_deref().map(OutcomeView::from),
            approvals: stage.approvals.clone(),
            approval: ApprovalView::of(run, index, planned),
            undecided: run.is_undecided(index),
            timeout_ms: planned.timeout,
            duration_ms: None,
            gates: judged.unwrap_or_default().into_iter().map(GateView::from).collect(),
            step_names: step_names(planned),
            earlier_attempts: u32::try_from(stage.earlier_attempts).unwrap_or(u32::MAX),
            model_calls: ModelCallsView::of_all(&attempts),
            attempts,
        }
    }
}

impl StageView {
    /// The same with how long it has taken; nothing says until when an interrupted one went on.
    fn at(self, now: Timestamp, is_interrupted: bool) -> Self {
        let is_known = self.status.is_finished() || !is_interrupted;
        let duration_ms = self.time_at(now).filter(|_| is_known);
        Self { duration_ms, ..self }
    }
}

impl ApprovalView {
    /// What the stage asks for; `None` for one that is no approval.
    #[must_use]
    pub fn of(run: &Run, index: StageIndex, planned: &PlannedStage) -> Option<Self> {
        let Work::Approval(approval) = &planned.work else { return None };
        Some(Self {
            by: approval.by.clone(),
            count: approval.count.max(1),
            missing: run.missing_approvals(index),
            not_author: approval.not_author,
        })
    }
}

impl EventView {
    /// A stored event, with the stage's key beside its place.
    #[must_use]
    pub fn of(run: &Run, stored: &StoredEvent) -> Self {
        let mut fields = match serde_json::to_value(&stored.event) {
            Ok(Value::Object(object)) => object,
            Ok(_) | Err(_) => Map::new(),
        };
        let kind = fields.remove("type");
        let stage_key = stored.event.stage().map(|it| key_of(run, it).to_owned());
        Self {
            r#type: kind.and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default(),
            run: run.id().clone(),
            seq: stored.seq,
            at: stored.at,
            stage_key,
            fields,
        }
    }
}

impl EventView {
    /// What happened, where this version knows of such a thing.
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        let mut fields = self.fields.clone();
        fields.insert("type".to_owned(), Value::String(self.r#type.clone()));
        serde_json::from_value(Value::Object(fields)).ok()
    }
}

fn step_names(planned: &PlannedStage) -> Vec<String> {
    let Work::Container(work) = &planned.work else { return Vec::new() };
    match &work.program {
        Program::Steps(steps) => steps.iter().map(|it| it.name.clone()).collect(),
        Program::Command(_) => Vec::new(),
    }
}

/// How long a run has taken so far.
#[must_use]
pub fn time_of_run(run: &Run, now: Timestamp) -> Milliseconds {
    let (started, finished) = run.times();
    let until = finished.unwrap_or(now);
    started.map_or(Milliseconds(0), |it| until.since(it))
}

/// The key of a stage, for a person.
#[must_use]
pub fn key_of(run: &Run, stage: StageIndex) -> &str {
    run.plan().stages.get(stage.as_usize()).map_or("?", |it| it.key.as_str())
}
