//! What is to be kept of a call that goes out, and the turn of those that wait for it.

use std::sync::Arc;

use bytes::Bytes;

use super::Cache;
use super::answer::is_answer;
use super::flight::Turn;
use super::kept::{Content, Kept};
use super::semantic::{Known, Meant};
use crate::gateway::ledger::trail::Trail;
use crate::gateway::route::Way;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::Operation;

/// Where an answer comes from that may be kept: another provider or model would not have given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The provider's place in the settings.
    pub provider: usize,
    /// The name that the model has there.
    pub model: Option<String>,
}

impl Expected {
    /// Of a way and the model's name there.
    #[must_use]
    pub fn new(way: Way, model: Option<&str>) -> Self {
        Self { provider: way.provider, model: model.map(ToOwned::to_owned) }
    }
}

/// Keeps one answer. Dropped without one, it lets the next call try.
#[derive(Debug)]
pub struct Keeper {
    /// Where to keep it.
    pub cache: Arc<Cache>,
    /// Its name there.
    pub key: String,
    /// For how long.
    pub ttl: Milliseconds,
    /// Where it has to come from.
    pub expected: Expected,
    /// The turn of this call.
    pub turn: Option<Turn>,
    /// Where it is noted that it was kept.
    pub trail: Trail,
    /// The question whose answer it is, for who asks the same in other words.
    pub meant: Option<Meant>,
}

impl Keeper {
    /// A whole answer, if it is one that would be given again.
    pub fn keep_whole(self, operation: Operation, content_type: &str, body: &Bytes) {
        if is_answer(operation, body) {
            self.keep(content_type, Content::Whole(Bytes::copy_from_slice(body)));
        }
    }

    /// A stream that begins.
    #[must_use]
    pub fn stream(self, content_type: &str) -> StreamKeeper {
        let content_type = content_type.to_owned();
        StreamKeeper { keeper: self, content_type, pieces: Vec::new(), size: 0 }
    }

    fn keep(self, content_type: &str, content: Content) {
        let content_type = content_type.to_owned();
        let until = Timestamp(0);
        let kept = Kept { until, content_type, model: None, tokens: 0, content };
        self.cache.keep(&self.key, kept, self.ttl);
        if let Some(Meant { scope, known, entries }) = self.meant {
            self.cache.index().insert(&scope, Known { key: self.key, ..known }, entries);
        }
        self.trail.cache("kept");
    }
}

/// Keeps a stream while it passes.
#[derive(Debug)]
pub struct StreamKeeper {
    keeper: Keeper,
    content_type: String,
    pieces: Vec<Bytes>,
    size: u64,
}

impl StreamKeeper {
    /// Takes a piece in. Of a stream that is too large nothing more is held.
    pub fn piece(&mut self, piece: &Bytes) {
        self.size = self.size.saturating_add(piece.len() as u64);
        if self.size > self.keeper.cache.settings().entry_bytes {
            self.pieces = Vec::new();
        } else if !piece.is_empty() {
            // A copy: the piece may hold on to a far larger buffer.
            self.pieces.push(Bytes::copy_from_slice(piece));
        }
    }

    /// The stream came whole.
    pub fn finish(self) {
        if self.size <= self.keeper.cache.settings().entry_bytes {
            self.keeper.keep(&self.content_type, Content::Stream(self.pieces));
        }
    }
}
