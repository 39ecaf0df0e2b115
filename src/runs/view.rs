//! A run as people and programs see it: the one JSON shape that `--json` prints and the API answers. Keys are
//! added, never changed or removed. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine::{Run, Stage};
use crate::model::{Milliseconds, StageIndex, Timestamp};
use crate::pipeline::PlannedStage;
use crate::pipeline::plan::Work;
use crate::runs::LoadedRun;
use crate::store::runs::{RunRow, StoredEvent};

mod attempt;
mod gates;
mod waits;

pub use attempt::{ArtifactRefView, AttemptView, OutcomeView, StepView, TestsView};
pub use gates::{GateView, JudgedGate, judge_gates};
pub use waits::WaitView;

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RunRowView {
    /// Its id: a ULID in lower case.
    pub id: String,
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
    pub status: String,
    /// Whether nobody goes on with it although it has not ended.
    pub interrupted: bool,
    /// Milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// Milliseconds since 1970-01-01 UTC; null until it has ended.
    pub finished_at: Option<i64>,
}

/// A run with its stages and their attempts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RunView {
    /// `run`: tells it apart from events where both are lines of one output.
    pub r#type: String,
    /// Its id: a ULID in lower case.
    pub id: String,
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
    pub status: String,
    /// Whether nobody goes on with it although it has not ended.
    pub interrupted: bool,
    /// When it was asked for.
    pub created_at: i64,
    /// When its first stage could start.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// How long it has taken so far.
    pub duration_ms: u64,
    /// Number of its events so far; the next one has this sequence number.
    pub events: i64,
    /// Its stages in the order of the plan.
    pub stages: Vec<StageView>,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StageView {
    /// Its place in the plan.
    pub stage: u32,
    /// Unique in the run: the name, or `name (a, b)` with the values of the matrix cell.
    pub key: String,
    /// The name in the file.
    pub name: String,
    /// Values of the matrix cell; empty without a matrix.
    pub matrix: BTreeMap<String, String>,
    /// Keys of its needs.
    pub needs: Vec<String>,
    /// Where it stands.
    pub status: String,
    /// What it waits for; null once it has ended.
    pub waits_for: Option<WaitView>,
    /// Why it was skipped.
    #[schema(value_type = Option<Object>)]
    pub skip_reason: Option<Value>,
    /// Whether its failure is allowed.
    pub allowed: bool,
    /// What went wrong when no attempt can say it.
    pub failure: Option<FailureView>,
    /// Class of its failure, whoever says it: the stage or its last attempt.
    pub failure_class: Option<String>,
    /// What went wrong and what to do, whoever says it.
    pub failure_message: Option<String>,
    /// The attempt whose result stands for it.
    pub reused_from: Option<String>,
    /// What came of that attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reused_outcome: Option<OutcomeView>,
    /// Who has approved so far.
    pub approvals: Vec<String>,
    /// Who may approve, for a stage that is an approval.
    pub approval: Option<ApprovalView>,
    /// How long it has taken so far.
    pub duration_ms: Option<u64>,
    /// Its gates with the values that were judged.
    pub gates: Vec<GateView>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// Why a stage failed without an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailureView {
    /// Its class.
    pub class: String,
    /// What went wrong and what to do.
    pub message: String,
}

/// What an approval asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EventView {
    /// Which event, such as `stage_finished`.
    pub r#type: String,
    /// Id of the run.
    pub run: String,
    /// Its place in the run, from 0.
    pub seq: i64,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Key of the stage it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
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
            id: row.id.0.clone(),
            number: row.number,
            project: row.project.0.clone(),
            pipeline: row.pipeline.clone(),
            repository: row.repository.clone(),
            event: row.event.clone(),
            branch: row.branch.clone(),
            revision: row.revision.clone(),
            title: row.title.clone(),
            status: row.status.to_string(),
            interrupted: is_interrupted,
            created_at: row.created_at.0,
            finished_at: row.finished_at.map(|it| it.0),
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
            id: run.id().0.clone(),
            number: around.number,
            project: around.project.to_owned(),
            pipeline: run.plan().pipeline.clone(),
            repository: around.repository.to_owned(),
            event: context.event.clone(),
            branch: context.git.branch.clone(),
            revision: context.git.sha.clone(),
            title: context.git.message.clone(),
            dirty: context.git.dirty,
            status: run.status().to_string(),
            interrupted: around.is_interrupted,
            created_at: around.created_at.0,
            started_at: started_at.map(|it| it.0),
            finished_at: finished_at.map(|it| it.0),
            duration_ms: time_of_run(run, now).0,
            events: around.events,
            stages: stages.map(|(it, planned)| StageView::new(run, it, planned, now)).collect(),
        }
    }
}

impl StageView {
    fn new(
        run: &Run,
        (index, stage): (StageIndex, &Stage),
        planned: &PlannedStage,
        now: Timestamp,
    ) -> Self {
        let own = stage.failure.as_ref();
        let (class, message) = match (own, stage.outcome()) {
            (Some(own), _) => (Some(own.class), Some(own.message.clone())),
            (None, Some(it)) if it.class.is_some() => (it.class, Some(it.message.clone())),
            (None, _) => (None, None),
        };
        let judged = stage.outcome().map(|it| judge_gates(run, index, planned, it));
        Self {
            stage: index.0,
            key: planned.key.clone(),
            name: planned.name.clone(),
            matrix: planned.matrix.clone(),
            needs: planned.needs.iter().map(|it| key_of(run, it.stage).to_owned()).collect(),
            status: stage.status.to_string(),
            waits_for: WaitView::of(run, index),
            skip_reason: stage.skip_reason.as_ref().and_then(|it| serde_json::to_value(it).ok()),
            allowed: stage.allowed,
            failure: own
                .map(|it| FailureView { class: it.class.to_string(), message: it.message.clone() }),
            failure_class: class.map(|it| it.to_string()),
            failure_message: message,
            reused_from: stage.reused_from.as_ref().map(ToString::to_string),
            reused_outcome: stage.reused_outcome.as_deref().map(OutcomeView::from),
            approvals: stage.approvals.clone(),
            approval: ApprovalView::of(run, index, planned),
            duration_ms: time_of_stage(stage, now).map(|it| it.0),
            gates: judged.unwrap_or_default().into_iter().map(GateView::from).collect(),
            attempts: stage.attempts.iter().zip(1..).map(AttemptView::from).collect(),
        }
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
            run: run.id().0.clone(),
            seq: stored.seq,
            at: stored.at.0,
            stage_key,
            fields,
        }
    }
}

/// How long a stage has taken so far: from its first attempt on, waits between attempts included.
#[must_use]
pub fn time_of_stage(stage: &Stage, now: Timestamp) -> Option<Milliseconds> {
    let attempts = stage.present_attempts();
    let first = attempts.first()?;
    let end = attempts.last().and_then(|it| it.finished_at);
    let until = if stage.status.is_finished() { end.unwrap_or(now) } else { now };
    Some(until.since(first.started_at))
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
