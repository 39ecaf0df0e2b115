//! What an executor writes down about an attempt when it prepares it, so that a new process needs only
//! the attempt's name to go on with it.

use serde::{Deserialize, Serialize};

use crate::executor::{PrepareSpec, ProgramSpec};

/// The written part of an attempt. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// What the markers in the log carry, so that a program's own output is not taken for one.
    pub(super) nonce: String,
    pub(super) instance: String,
    pub(super) stage: String,
    pub(super) program: Program,
    /// Numeric user and group of the attempt.
    pub(super) user: (u32, u32),
    /// How the workspace is made.
    pub(super) workspace: Workspace,
    /// Services and the network, in the order they were made.
    pub(super) services: Vec<String>,
    /// Those of them that must run to the end of the attempt: they say when they are ready.
    #[serde(default)]
    pub(super) lasting: Vec<String>,
    pub(super) has_network: bool,
    /// Boot of the machine on which it was prepared: after a reboot a missing marker proves nothing.
    pub(super) boot: String,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Program {
    /// Steps, in one container for each row of steps with the same image.
    Steps(Vec<Segment>),
    /// One program. The configuration of its container, to which its words and environment are added.
    Command(String),
    /// Nothing.
    Nothing,
}

/// Neighbouring steps with the same image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) image: String,
    /// Place of its first step in the stage.
    pub(super) first: u32,
    pub(super) count: u32,
}

/// How a workspace is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Workspace {
    /// A Docker volume that is an overlay of the checkout.
    Overlay,
    /// A Docker volume into which the checkout was copied.
    Volume,
    /// A folder of this machine.
    Folder,
}

impl Layout {
    /// How many containers run the attempt, one after the other.
    pub(super) fn segment_count(&self) -> u32 {
        match &self.program {
            Program::Steps(segments) => u32::try_from(segments.len()).unwrap_or(u32::MAX),
            Program::Command(_) => 1,
            Program::Nothing => 0,
        }
    }
}

/// Neighbouring steps with the same image, in order.
pub(super) fn segments(spec: &PrepareSpec) -> Vec<Segment> {
    let ProgramSpec::Steps { images } = &spec.program else {
        return Vec::new();
    };
    let mut segments: Vec<Segment> = Vec::new();
    for (index, image) in (0_u32..).zip(images) {
        let image = image.as_ref().unwrap_or(&spec.image);
        match segments.last_mut() {
            Some(last) if last.image == *image => last.count += 1,
            _ => segments.push(Segment { image: image.clone(), first: index, count: 1 }),
        }
    }
    segments
}

/// What the markers of a new attempt carry.
pub(super) fn new_nonce() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// Names the time since the machine started.
pub(super) fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}
