//! A plan: one pipeline, expanded for one run. Stored as JSON when the run is created, and never
//! changed after; every field that is added later has a default, so an old plan can be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Expression, Template};
use crate::model::{FailureClass, Milliseconds, StageIndex, Timestamp, UsdNanos};

mod container;

pub use container::{
    Artifacts, Cache, ContainerWork, Network, Probe, Program, PullPolicy, Readiness, ReportKind,
    Resources, Service, Step,
};

/// The variable of a stage's `env` that says what its recorded calls of models are for.
pub const MODEL_CALLS: &str = "TRUNKLINE_MODEL_CALLS";
/// What it may be.
pub const MODEL_CALL_MODES: [&str; 4] = ["live", "record", "replay", "replay_or_record"];

/// Everything a run will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Team that owns it.
    #[serde(default)]
    pub team: Option<String>,
    /// The longest the run may take from its first stage on.
    #[serde(default)]
    pub timeout: Option<Milliseconds>,
    /// Group in which runs wait for each other.
    #[serde(default)]
    pub concurrency: Option<RunConcurrency>,
    /// Ceiling of the run's spending.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Globs of what a release consists of.
    #[serde(default)]
    pub release: Option<Release>,
    /// The stages; a stage's place is its [`StageIndex`]. Needs may point forwards.
    pub stages: Vec<PlannedStage>,
}

/// One node of the graph: a stage, or one cell of a stage's matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStage {
    /// Unique in the plan: the name, or `name (a, b)` with the values of the matrix cell.
    pub key: String,
    /// The name in the file.
    pub name: String,
    /// Values of the matrix cell; empty without a matrix.
    #[serde(default)]
    pub matrix: BTreeMap<String, String>,
    /// What it waits for. A need on a matrix stage is one need for each cell.
    #[serde(default)]
    pub needs: Vec<PlannedNeed>,
    /// Whether to run at all, asked when the needs are met.
    #[serde(default, rename = "if")]
    pub condition: Option<Expression>,
    /// What it does.
    pub work: Work,
    /// Environment for every step.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// Secrets it gets, as environment variables.
    #[serde(default)]
    pub secrets: Vec<SecretUse>,
    /// Signed tokens it gets, which say which stage it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<IdentityUse>,
    /// When failed attempts are tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// The longest an attempt may take.
    pub timeout: Milliseconds,
    /// Since when a failure is no longer allowed, and why it is until then.
    #[serde(default)]
    pub allow_failure: Option<AllowFailure>,
    /// Comparisons that the metrics must pass.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// Globs whose content, with image and steps, decides whether an earlier green result is reused.
    #[serde(default)]
    pub inputs: Option<Vec<String>>,
    /// Group in which stages of all runs wait for each other.
    #[serde(default)]
    pub concurrency: Option<StageConcurrency>,
    /// Whether a newer run may stop it once it has started.
    #[serde(default = "yes")]
    pub interruptible: bool,
    /// Environment it deploys to.
    #[serde(default)]
    pub environment: Option<Environment>,
    /// Ceiling of its spending.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Labels of the worker that it runs on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

impl Plan {
    /// The labels that the first driver of a run must have: those of the first stage that waits for nothing
    /// and asks for some.
    #[must_use]
    pub fn first_labels(&self) -> BTreeMap<String, String> {
        let mut first = self.stages.iter().filter(|it| it.needs.is_empty());
        first.find(|it| !it.labels.is_empty()).map(|it| it.labels.clone()).unwrap_or_default()
    }
}

/// A stage that another waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNeed {
    /// Which.
    pub stage: StageIndex,
    /// Whether a skipped one is fine.
    #[serde(default)]
    pub optional: bool,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Commands in a container.
    Container(Box<ContainerWork>),
    /// `builtin/image`: the engine builds an image.
    Image(ImageWork),
    /// Another `builtin/…`, refused by name when it is its turn.
    Builtin {
        /// The name after `builtin/`.
        name: String,
        /// Its arguments.
        with: Value,
    },
    /// People decide.
    Approval(Approval),
}

/// `builtin/image`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageWork {
    /// Folder of the workspace that is sent to the builder.
    pub context: String,
    /// Path of the Dockerfile inside the context.
    pub dockerfile: String,
    /// Names to tag it with.
    #[serde(default)]
    pub tags: Vec<Template>,
    /// Build arguments.
    #[serde(default)]
    pub args: BTreeMap<String, Template>,
    /// Stage of a multi-stage Dockerfile.
    #[serde(default)]
    pub target: Option<String>,
    /// Whether to push the tags that name a registry.
    #[serde(default)]
    pub push: bool,
}

/// A gate that people open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who may: `team/<name>` or a login; empty means anybody.
    #[serde(default)]
    pub by: Vec<String>,
    /// How many different people.
    pub count: u32,
    /// Whether the author of the change does not count.
    #[serde(default)]
    pub not_author: bool,
    /// How long to wait.
    pub timeout: Milliseconds,
    /// What happens then: true approves, false rejects.
    #[serde(default)]
    pub approve_on_timeout: bool,
}

/// A secret that a stage gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    /// Name of the secret.
    pub name: String,
    /// Name of the environment variable.
    pub env: String,
}

/// A signed token that a stage gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityUse {
    /// Who is meant to accept it.
    pub audience: String,
    /// Name of the environment variable that holds it.
    #[serde(default)]
    pub env: Option<String>,
    /// Name of the environment variable that holds the path of a file with it.
    #[serde(default)]
    pub file: Option<String>,
    /// How long it is good for.
    pub lifetime: Milliseconds,
}

/// When failed attempts are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max: u32,
    /// Classes that are tried again.
    pub on: Vec<FailureClass>,
    /// Wait before the second attempt; it doubles for each one after, up to 10 minutes.
    pub delay: Milliseconds,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max: 1,
            on: vec![FailureClass::Infra, FailureClass::LostWorker, FailureClass::ImagePull],
            delay: Milliseconds(1000),
        }
    }
}

/// A failure that does not fail the run, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowFailure {
    /// The first moment at which it does fail the run: the end of the named day, UTC; `None` is never.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A named metric and the comparison it must pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Name of the metric.
    pub metric: String,
    /// The comparison as written, such as `>= 0.85`.
    pub comparison: String,
    /// The whole expression, such as `f1 >= 0.85`.
    pub expression: Expression,
}

/// A group in which runs wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConcurrency {
    /// Its name.
    pub group: String,
    /// What a new run does to those that run.
    #[serde(default)]
    pub on_new: OnNew,
}

/// What a new run does to older ones of its group.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnNew {
    /// Waits for them.
    #[default]
    Queue,
    /// Cancels them.
    CancelRunning,
}

/// A group in which stages wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageConcurrency {
    /// Its name.
    pub group: String,
    /// How many at once.
    pub limit: u32,
    /// Who is next.
    #[serde(default)]
    pub order: SlotOrder,
    /// Whether a run that trunk has overtaken is skipped.
    #[serde(default)]
    pub skip_outdated: bool,
}

/// Who is next in a group.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SlotOrder {
    /// The oldest run of trunk.
    #[default]
    OldestFirst,
    /// The newest run of trunk.
    NewestFirst,
}

/// Where a stage deploys to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Everything else as written, for the stage that will use it.
    #[serde(default)]
    pub settings: Value,
}

/// A ceiling of spending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The most that one run (or one run of the stage) may cost.
    #[serde(default)]
    pub per_run: Option<UsdNanos>,
    /// The most tokens.
    #[serde(default)]
    pub tokens_per_run: Option<u64>,
    /// Whether going over fails the run, or only warns.
    #[serde(default = "yes")]
    pub fail_on_exceed: bool,
}

/// Globs of what a release consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Code.
    #[serde(default)]
    pub code: Vec<String>,
    /// Infra.
    #[serde(default)]
    pub infra: Vec<String>,
    /// Prompts.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// Lock file of models.
    #[serde(default)]
    pub models: Option<String>,
    /// Lock file of vector indexes.
    #[serde(default)]
    pub indexes: Option<String>,
}
