//! The rounds of a run: the first, and one for each re-run. Between them nothing happened, perhaps for days.

use crate::engine::Event;
use crate::model::Timestamp;
use crate::runs::view::RunView;
use crate::store::runs::StoredEvent;

/// When a round began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) struct Round {
    pub(in crate::ui) from: Timestamp,
    pub(in crate::ui) to: Timestamp,
    /// Whether it still goes on.
    pub(in crate::ui) is_open: bool,
}

/// All rounds, oldest first.
pub(super) fn of(view: &RunView, events: &[StoredEvent], now: Timestamp) -> Vec<Round> {
    let mut rounds = vec![Round { from: view.created_at, to: view.created_at, is_open: false }];
    for stored in events {
        let is_rerun = matches!(stored.event, Event::RerunRequested { .. });
        if is_rerun {
            rounds.push(Round { from: stored.at, to: stored.at, is_open: false });
        } else if let Some(round) = rounds.last_mut() {
            round.to = round.to.max(stored.at);
        }
    }
    if let Some(last) = rounds.last_mut().filter(|_| !view.status.is_finished()) {
        (last.to, last.is_open) = (last.to.max(now), true);
    }
    rounds
}
