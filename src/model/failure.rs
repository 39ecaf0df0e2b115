//! Why an attempt failed, in the words that retries name.

use std::fmt;

/// The class of a failure. Shown with every failed attempt; `retry.on` names classes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// What the user's code or file did: a non-zero exit code, a shell that the image lacks.
    User,
    /// Something of ours or below us broke: the Docker daemon, the disk, a lost exit code.
    Infra,
    /// The image is not here and could not be pulled.
    ImagePull,
    /// The worker that had the attempt is gone.
    LostWorker,
    /// A step, stage or run took longer than it may.
    Timeout,
    /// The kernel ended the container for using more memory than its limit.
    OutOfMemory,
    /// A person or a newer run stopped it.
    Cancelled,
    /// A metric missed its gate, or was not there.
    Gate,
    /// A budget of money or tokens ran out.
    Budget,
    /// An approval was refused or never came.
    Approval,
}

impl FailureClass {
    /// All classes, in the order the file format lists them.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Infra,
        Self::ImagePull,
        Self::LostWorker,
        Self::Timeout,
        Self::OutOfMemory,
        Self::Cancelled,
        Self::Gate,
        Self::Budget,
        Self::Approval,
    ];

    /// The word used in files, events and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Infra => "infra",
            Self::ImagePull => "image_pull",
            Self::LostWorker => "lost_worker",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Cancelled => "cancelled",
            Self::Gate => "gate",
            Self::Budget => "budget",
            Self::Approval => "approval",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
