//! The table `queue` of the gateway's file. Pure.

use serde::Deserialize;

use crate::model::Milliseconds;

/// How calls are made later.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// For `trunkline gateway` alone: the database, `sqlite:<file>` or `postgres://…`. A server has its own.
    pub database: Option<String>,
    /// Calls that this process carries out at the same time.
    pub concurrency: usize,
    /// Unfinished items of a team.
    pub items_per_team: u32,
    /// The largest request.
    pub request_bytes: u64,
    /// The largest answer.
    pub answer_bytes: u64,
    /// What all items keep together, ended ones too.
    pub total_bytes: u64,
    /// How long a call may take.
    pub call_ms: Milliseconds,
    /// How long an item may wait and be tried whose submitter does not say.
    pub deadline_ms: Milliseconds,
    /// How long an item is kept after its end.
    pub kept_ms: Milliseconds,
    /// How many tries may fail.
    pub tries: u32,
    /// The pause after the first that failed; four times as long after each more.
    pub retry_ms: Milliseconds,
    /// How often a budget is asked again that has refused an item.
    pub budget_ms: Milliseconds,
    /// How often this process looks for what others have submitted or want to end.
    pub look_ms: Milliseconds,
    /// After how long without a sign of its process an item is taken by another.
    pub lease_ms: Milliseconds,
    /// Whether items go into batches of providers whose submitters do not say, where a route takes batches.
    pub batch: bool,
    /// Items of one batch.
    pub batch_items: u32,
    /// Bytes of their requests.
    pub batch_bytes: u64,
    /// How long the first waits for others.
    pub batch_wait_ms: Milliseconds,
    /// How often a provider is asked how a batch stands, at first.
    pub batch_poll_ms: Milliseconds,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            database: None,
            concurrency: 4,
            items_per_team: 1000,
            request_bytes: 1 << 20,
            answer_bytes: 4 << 20,
            total_bytes: 1 << 30,
            call_ms: Milliseconds::from_seconds(3600),
            deadline_ms: Milliseconds::from_seconds(24 * 3600),
            kept_ms: Milliseconds::from_seconds(24 * 3600),
            tries: 4,
            retry_ms: Milliseconds::from_seconds(5),
            budget_ms: Milliseconds::from_seconds(60),
            look_ms: Milliseconds::from_seconds(1),
            lease_ms: Milliseconds::from_seconds(30),
            batch: false,
            batch_items: 1000,
            batch_bytes: 32 << 20,
            batch_wait_ms: Milliseconds::from_seconds(60),
            batch_poll_ms: Milliseconds::from_seconds(30),
        }
    }
}
