//! A line of a log, as it stands among events in JSON.

use serde::Serialize;

use super::RunView;
use crate::model::{RunId, StageIndex, Timestamp};

/// A line that an attempt has printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLineView<'a> {
    r#type: &'static str,
    run: &'a RunId,
    stage: StageIndex,
    stage_key: &'a str,
    attempt: u32,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

impl<'a> LogLineView<'a> {
    /// A line that this attempt of a stage has printed.
    #[must_use]
    pub fn new(
        run: &'a RunView,
        (stage, attempt): (StageIndex, u32),
        (text, at): (&'a str, Option<Timestamp>),
    ) -> Self {
        let (stage_key, run) = (run.key_of(stage), &run.id);
        Self { r#type: "log", run, stage, stage_key, attempt, text, at }
    }
}
