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
    /// Who has made the change, as far as it is known; empty in runs of a terminal, and of earlier versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<Author>,
}

/// Somebody who has made a change, in one of the ways that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Author {
    /// What they did.
    pub part: AuthorPart,
    /// Name in the commit, or login at the forge.
    pub name: String,
    /// Address in the commit, or empty.
    pub email: String,
    /// Login of the person here, as it was found when the run was made; empty when nobody was.
    pub login: String,
}

/// How somebody has made a change.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AuthorPart {
    /// A commit says so.
    #[default]
    Author,
    /// A commit says that they have made it of somebody's change.
    Committer,
    /// The forge says that they have pushed it.
    Pusher,
    /// They have opened the request.
    Requester,
    /// They have started the run by hand.
    Starter,
}

impl AuthorPart {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Committer => "committer",
            Self::Pusher => "pusher",
            Self::Requester => "requester",
            Self::Starter => "starter",
        }
    }
}

impl Author {
    /// Whether it is the person who goes by one of these logins, names or addresses. Case tells nobody apart.
    #[must_use]
    pub fn is_one_of(&self, names: &[String]) -> bool {
        let own = [&self.login, &self.name, &self.email].map(|it| it.trim().to_lowercase());
        names
            .iter()
            .map(|it| it.trim().to_lowercase())
            .any(|it| !it.is_empty() && own.contains(&it))
    }
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
