//! The ledger as JSON lines: they wait here until somebody takes them, and says that they are written.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Ledger;
use super::row::Row;
use crate::gateway::budget::Entry;
use crate::gateway::budget::account::Alert;

/// Bytes of lines that may wait. When there are more, no call is let through until they are gone.
pub(super) const LINE_BYTES_AT_MOST: usize = 64 << 20;
/// Room for a line, so that it need not grow.
const LINE_ROOM: usize = 1 << 10;

/// One of them.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Entry(&'a Entry),
    Call(&'a Row),
    Alert(&'a Alert),
}

impl Ledger {
    /// The lines since the last time, each with its end. `room` is filled from now on: one that was used before
    /// need not grow again.
    #[must_use]
    pub fn take_lines(&self, mut room: String) -> String {
        room.clear();
        std::mem::replace(&mut self.lock().lines, room)
    }

    /// So many more bytes of lines are written; who has taken them says so, and with 0 that it will.
    pub fn lines_are_written(&self, bytes: u64) {
        self.is_stuck.store(false, Ordering::Relaxed);
        self.written.send_modify(|it| *it = Some(it.unwrap_or(0).saturating_add(bytes)));
    }

    /// Lines cannot be written now: nothing more is reserved until they can.
    pub fn lines_cannot_be_written(&self) {
        self.is_stuck.store(true, Ordering::Relaxed);
    }

    /// Waits until what there is by now is written, where somebody writes it.
    pub async fn until_written(&self) {
        let ever = self.lock().bytes_ever;
        let is_written = |it: &Option<u64>| it.is_none_or(|it| it >= ever);
        // The sender lives as long as this.
        drop(self.written.subscribe().wait_for(is_written).await);
    }

    /// Hands a line over, where somebody takes them.
    pub(super) fn write(&self, line: &Line<'_>) {
        if !self.keeps_lines {
            return;
        }
        let mut text = Vec::with_capacity(LINE_ROOM);
        if serde_json::to_writer(&mut text, line).is_err() {
            return;
        }
        text.push(b'\n');
        let Ok(text) = std::str::from_utf8(&text) else { return };
        let mut state = self.lock();
        // Settlements must not be lost where new calls are already refused: there is room for those.
        if state.lines.len() < 2 * LINE_BYTES_AT_MOST {
            state.lines.push_str(text);
            state.bytes_ever += text.len() as u64;
        } else {
            state.lose();
        }
    }
}
