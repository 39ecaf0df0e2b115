//! What a delivery says, in words that are the same for every forge.

use crate::model::Timestamp;

/// A delivery that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `owner/name` of the repository it is about; empty where the forge does not say.
    pub repository: String,
    /// Who caused it.
    pub sender: Sender,
    /// What happened.
    pub kind: DeliveryKind,
}

/// Somebody at a forge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// The forge's id, which outlives a change of the login.
    pub id: String,
    /// The login.
    pub login: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A branch was made, moved or deleted.
    Push(Push),
    /// A tag was made, moved or deleted.
    Tag(Push),
    /// Something about a pull or merge request.
    PullRequest(Box<PullRequest>),
    /// Somebody said something below a pull or merge request.
    Comment(Comment),
    /// The forge tries whether somebody listens.
    Ping,
    /// Nothing that starts a run; why, as a sentence.
    Ignored(String),
}

/// A ref that was made, moved or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Full ref, such as `refs/heads/main`.
    pub r#ref: String,
    /// Where it was; `None` when it is new.
    pub before: Option<String>,
    /// Where it is; `None` when it was deleted.
    pub after: Option<String>,
    /// Whether history was rewritten, where the forge says so.
    pub is_forced: bool,
}

/// A pull or merge request, and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// What happened.
    pub action: PullRequestAction,
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Who has opened it; where the forge sends no login, that is the id.
    pub author: Sender,
    /// Branch it comes from.
    pub head: String,
    /// Its newest commit.
    pub revision: String,
    /// Branch it wants to go into.
    pub base: String,
    /// Whether it comes from another repository than it goes into.
    pub is_fork: bool,
    /// Whether its author says that it is not ready.
    pub is_draft: bool,
}

/// What happened to a pull or merge request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestAction {
    /// It is new.
    Opened,
    /// It has other commits than before.
    Synchronised,
    /// It was closed, and is open again.
    Reopened,
    /// It is no draft any more.
    Ready,
    /// It goes into another branch, or has another title or text.
    Edited,
    /// It has other labels.
    Labeled,
    /// It was closed or merged.
    Closed,
    /// Anything else: people, reviews, locks.
    Other,
}

impl PullRequestAction {
    /// Whether there is something to build. A draft is built like any other, so that it is none any more
    /// brings nothing new.
    #[must_use]
    pub fn brings_code(self) -> bool {
        matches!(self, Self::Opened | Self::Synchronised | Self::Reopened)
    }
}

/// A comment below a pull or merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Number of the request.
    pub number: u64,
    /// Its newest commit, where the forge says it.
    pub revision: Option<String>,
    /// The forge's id of the comment, or empty.
    pub id: String,
    /// When it was written, by the forge's clock.
    pub written_at: Option<Timestamp>,
    /// The text.
    pub text: String,
}

/// The words by which a commit asks not to be built: GitHub's
/// (<https://docs.github.com/actions/managing-workflow-runs/skipping-workflow-runs>) and GitLab's
/// (<https://docs.gitlab.com/ci/pipelines/#skip-a-pipeline>), in any case.
const SKIP_WORDS: [&str; 5] =
    ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"];

/// The word of a commit's message that asks not to build it.
#[must_use]
pub fn skip_word(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    SKIP_WORDS.into_iter().find(|it| message.contains(it))
}
