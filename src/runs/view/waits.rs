//! What a stage waits for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_of;
use crate::engine::{Run, WaitsFor};
use crate::model::{StageIndex, Timestamp};

/// What a stage that has not ended waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct WaitView {
    /// `driver`, `admission`, `needs`, `slot`, `room`, `retry`, `people` or `attempt`.
    pub kind: String,
    /// The same as the end of a sentence that begins with "it waits for".
    pub text: String,
    /// Name of the concurrency group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Keys of the needs that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Until when, in milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub until: Option<Timestamp>,
    /// How many people are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<u32>,
}

impl WaitView {
    /// What the stage waits for; `None` once it has ended.
    #[must_use]
    pub fn of(run: &Run, index: StageIndex) -> Option<Self> {
        let of = |kind: &str, text: String| Self { kind: kind.to_owned(), text, ..Self::default() };
        Some(match run.waits_for(index)? {
            WaitsFor::Driver => of("driver", "a worker that takes the run".to_owned()),
            WaitsFor::Admission { group } => Self {
                group: Some(group.clone()),
                ..of("admission", format!("the runs before it in the group `{group}`"))
            },
            WaitsFor::Needs(needs) => {
                let needs: Vec<_> = needs.iter().map(|it| key_of(run, *it).to_owned()).collect();
                let text = format!("`{}`", needs.join("`, `"));
                Self { needs, ..of("needs", text) }
            }
            WaitsFor::Slot { group } => Self {
                group: Some(group.clone()),
                ..of("slot", format!("a slot of the group `{group}`"))
            },
            WaitsFor::Room => of("room", "room on a worker".to_owned()),
            WaitsFor::Retry { until } => {
                Self { until: Some(until), ..of("retry", "the delay of its next try".to_owned()) }
            }
            WaitsFor::People { missing, until } => {
                let people = if missing == 1 {
                    "1 person who approves".to_owned()
                } else {
                    format!("{missing} people who approve")
                };
                Self { until: Some(until), missing: Some(missing), ..of("people", people) }
            }
            WaitsFor::Attempt => of("attempt", "what runs in it to end".to_owned()),
        })
    }
}
