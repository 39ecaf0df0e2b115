//! What expressions can see: facts of the run, fixed when it is created, and facts of the moment.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::StageStatus;

/// Facts of a run, fixed when it is created and stored with its plan.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Context {
    /// `push`, `pull_request`, `schedule` or `manual`.
    pub event: String,
    /// The revision and how it is named.
    pub git: GitContext,
    /// The pull or merge request, if one started the run.
    pub pull_request: Option<PullRequestContext>,
    /// Values of the manual inputs, defaults filled in.
    pub inputs: BTreeMap<String, Value>,
    /// Paths changed since the base revision, sorted; `None` when there is no base, and then
    /// everything counts as changed.
    pub changed_paths: Option<Vec<String>>,
    /// Answers of `hash(globs…)` by the globs joined with a line feed, read from the revision
    /// when the run was created.
    pub hashes: BTreeMap<String, String>,
    /// Team of the pipeline, if it names one.
    pub team: Option<String>,
    /// What `baseline` stands for in gates: the last released run's metrics by stage key and
    /// metric, read when the run was created.
    pub baselines: BTreeMap<String, BTreeMap<String, f64>>,
}

/// The revision of a run.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct GitContext {
    /// Commit id, 40 hex digits; of `HEAD` when the working tree is dirty.
    pub sha: String,
    /// Full ref, such as `refs/heads/main`.
    pub r#ref: String,
    /// Branch name; empty when detached or a tag.
    pub branch: String,
    /// Tag name; empty when none.
    pub tag: String,
    /// Subject line of the commit.
    pub message: String,
    /// Name of the commit's author.
    pub author: String,
    /// Whether the run uses uncommitted changes.
    pub dirty: bool,
}

/// The pull or merge request that started a run.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct PullRequestContext {
    /// Its number.
    pub number: u64,
    /// Branch it wants to go into.
    pub base: String,
    /// Branch it comes from.
    pub head: String,
    /// Its title.
    pub title: String,
    /// Login of the author.
    pub author: String,
    /// Whether it comes from a fork.
    pub fork: bool,
}

/// Everything one expression can see at one moment.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    /// Facts of the run.
    pub context: Option<&'a Context>,
    /// Values of the stage's matrix cell.
    pub matrix: Option<&'a BTreeMap<String, String>>,
    /// Environment of the stage (never secrets).
    pub env: Option<&'a BTreeMap<String, String>>,
    /// What became of the needs, by stage name. A matrix stage stands under its key and, folded, under
    /// its name: failed if one cell failed.
    pub needs: BTreeMap<String, NeedResult>,
    /// Whether a stage before this one failed.
    pub any_failed: bool,
    /// Metrics of the attempt a gate is asked about.
    pub metrics: BTreeMap<String, f64>,
    /// The value `baseline` stands for in a gate.
    pub baseline: Option<f64>,
}

/// What became of a need.
#[derive(Debug, Clone, PartialEq)]
pub struct NeedResult {
    /// Where it stands.
    pub status: StageStatus,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its metrics.
    pub metrics: BTreeMap<String, f64>,
}
