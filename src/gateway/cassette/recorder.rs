//! Writes down a stream while it passes, with the borders of its pieces and their times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::Cassette;
use super::entry::{Call, Content, Response};
use crate::gateway::cache::flight::Turn;

/// The largest stream that is recorded.
const STREAM_BYTES: usize = 32 << 20;

/// One stream that is being recorded.
#[derive(Debug)]
pub struct Recorder {
    cassette: Arc<Cassette>,
    call: Call,
    headers: BTreeMap<String, String>,
    status: u16,
    started: Instant,
    pieces: Vec<(u64, String)>,
    /// The start of a letter whose end is in the next piece.
    half: Vec<u8>,
    size: usize,
    /// Equal calls wait until it is recorded, or never will be.
    _turn: Option<Arc<Turn>>,
}

impl Recorder {
    /// Of an answer that has begun.
    #[must_use]
    pub fn new(
        cassette: Arc<Cassette>,
        call: Call,
        status: u16,
        headers: BTreeMap<String, String>,
        turn: Option<Arc<Turn>>,
    ) -> Self {
        let (pieces, half, started) = (Vec::new(), Vec::new(), Instant::now());
        Self { cassette, call, headers, status, started, pieces, half, size: 0, _turn: turn }
    }

    /// Takes a piece in.
    pub fn piece(&mut self, piece: &[u8]) {
        self.size = self.size.saturating_add(piece.len());
        if self.size > STREAM_BYTES {
            return;
        }
        let after = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.half.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&self.half) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.half.len(),
        };
        let rest = self.half.split_off(whole);
        let text = String::from_utf8_lossy(&std::mem::replace(&mut self.half, rest)).into_owned();
        self.pieces.push((after, text));
    }

    /// The stream came whole: it is an entry of the cassette now.
    pub fn finish(self) {
        if self.size > STREAM_BYTES {
            tracing::warn!(bytes = self.size, "a stream is too large for its cassette");
            return;
        }
        let Self { cassette, call, headers, status, pieces, .. } = self;
        let content = Content::Stream(pieces);
        cassette.record(&call, Response { status, headers, content });
    }
}
