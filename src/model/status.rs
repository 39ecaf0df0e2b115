//! Where runs, stages and attempts stand. Derived from events, never stored as the truth.

use std::fmt;

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),* $(,)? }) => {
        impl $type {
            /// All there are.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The word used in tables, JSON and pages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Reads the word back.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(super) use words;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Created; nothing has started.
    Queued,
    /// Stages run, or wait for their turn.
    Running,
    /// Nothing runs; an approval is awaited.
    Waiting,
    /// A cancel was asked for and something still runs.
    Cancelling,
    /// Every stage passed, was skipped, or was allowed to fail.
    Passed,
    /// A stage failed.
    Failed,
    /// Stopped by a person or a newer run.
    Cancelled,
}

words!(RunStatus {
    Queued => "queued", Running => "running", Waiting => "waiting", Cancelling => "cancelling",
    Passed => "passed", Failed => "failed", Cancelled => "cancelled",
});

impl RunStatus {
    /// Whether nothing more will happen unless somebody asks for a re-run.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::Cancelled)
    }
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    /// Waits for its needs.
    Pending,
    /// Its needs are met; it waits for a slot or its concurrency group.
    Ready,
    /// An attempt is under way.
    Running,
    /// An attempt failed; the next one waits for its delay.
    Delayed,
    /// Waits for people to approve.
    Waiting,
    /// Ended well.
    Passed,
    /// Ended badly, and the run goes bad with it unless the failure is allowed.
    Failed,
    /// Not run: its condition was false, or a need was skipped or failed.
    Skipped,
    /// Stopped, or never started, because the run was cancelled.
    Cancelled,
}

words!(StageStatus {
    Pending => "pending", Ready => "ready", Running => "running", Delayed => "delayed",
    Waiting => "waiting", Passed => "passed", Failed => "failed", Skipped => "skipped",
    Cancelled => "cancelled",
});

impl StageStatus {
    /// Whether the stage will not change unless it is re-run.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::Skipped | Self::Cancelled)
    }
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Under way.
    Running,
    /// Ended well.
    Passed,
    /// Ended badly.
    Failed,
}

words!(AttemptStatus { Running => "running", Passed => "passed", Failed => "failed" });
