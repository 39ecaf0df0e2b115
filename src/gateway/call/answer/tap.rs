//! Notes what a client gets of a stream, for who compares it with another answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

/// Notes pieces as they pass.
#[derive(Debug)]
pub struct Tap {
    started: Instant,
    seen: Vec<u8>,
    room: usize,
    end: oneshot::Sender<Tapped>,
}

/// What a client got.
#[derive(Debug)]
pub struct Tapped {
    /// Its beginning, as far as there was room.
    pub body: Bytes,
    /// Whether the stream came to its proper end.
    pub is_whole: bool,
    /// How long after the beginning it ended.
    pub after: Duration,
}

impl Tap {
    /// Notes so many bytes; the answer comes when the stream has ended.
    #[must_use]
    pub fn new(room: usize) -> (Self, oneshot::Receiver<Tapped>) {
        let (end, rest) = oneshot::channel();
        (Self { started: Instant::now(), seen: Vec::new(), room, end }, rest)
    }

    pub(super) fn piece(&mut self, piece: &[u8]) {
        let room = self.room.saturating_sub(self.seen.len()).min(piece.len());
        self.seen.extend_from_slice(piece.get(..room).unwrap_or_default());
    }

    pub(super) fn finish(self, is_whole: bool) {
        let after = self.started.elapsed();
        // Who wanted to know may be gone.
        drop(self.end.send(Tapped { body: Bytes::from(self.seen), is_whole, after }));
    }
}
