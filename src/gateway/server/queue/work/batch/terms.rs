//! With what an item was let through: whose it is, what it may cost, and what it is charged by. It is written down with the
//! item, so that its answer is charged whatever has changed in the files meanwhile.

use serde::{Deserialize, Serialize};

use crate::gateway::budget::Reservation;
use crate::model::Timestamp;
use crate::store::spend::requests::queue::QueueItemRow;

/// What was agreed for an item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Terms {
    /// What is held for it.
    pub(super) call: Reservation,
    /// Since when.
    pub(super) held_at: Timestamp,
    /// Name of its key.
    pub(super) key: String,
    /// The provider's name in the prices.
    pub(super) price_provider: String,
    /// The provider's name of the model.
    pub(super) model: String,
    /// Tokens of the prompt, as they were counted here.
    pub(super) input_tokens: u64,
    /// What the app tells it apart by.
    pub(super) tags: String,
    /// The header that says where it was made, or empty.
    #[serde(default)]
    pub(super) traceparent: String,
    /// What was not as usual.
    pub(super) flags: Vec<String>,
}

impl Terms {
    /// Those of an item; none where nothing is held for it.
    pub(super) fn read(item: &QueueItemRow) -> Option<Self> {
        serde_json::from_str(&item.terms).ok()
    }
}
