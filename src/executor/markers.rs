//! Finds the lines that the main script prints at the borders of steps in a log that arrives in pieces.
//! A marker is `\x1e<nonce> start <step>\n` or `\x1e<nonce> end <step> <code>\n`, alone or after a line
//! without an end. What only looks like one is output.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use futures_util::stream;

use crate::executor::{ExecutorError, LogItem, LogStream};
use crate::model::Timestamp;

/// First byte of a marker: the record separator of ASCII, which programs do not print.
pub(super) const MARK: u8 = 0x1e;
/// A marker is never longer than this after its nonce.
const TEXT_LIMIT_BYTES: usize = 40;

/// Turns pieces of a log into items. The same items however the log is cut, but for where output is cut.
#[derive(Debug)]
pub(super) struct MarkerParser {
    nonce: Vec<u8>,
    /// The beginning of what may be a marker, its first byte included.
    pending: Vec<u8>,
}

impl MarkerParser {
    pub(super) fn new(nonce: &str) -> Self {
        Self { nonce: nonce.as_bytes().to_vec(), pending: Vec::new() }
    }

    /// Takes the next piece, printed at `at`.
    pub(super) fn feed(&mut self, at: Timestamp, piece: Bytes, items: &mut VecDeque<LogItem>) {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.pending.is_empty() {
                let length = rest.iter().position(|it| *it == MARK).unwrap_or(rest.len());
                push_output(items, at, rest.split_to(length));
                if rest.is_empty() {
                    return;
                }
            }
            rest = self.continue_marker(at, rest, items);
        }
    }

    /// At the end of the log: what looked like the beginning of a marker was output.
    pub(super) fn finish(&mut self, at: Timestamp, items: &mut VecDeque<LogItem>) {
        push_output(items, at, Bytes::from(std::mem::take(&mut self.pending)));
    }

    /// Moves bytes of `rest` into the pending marker until it is whole, or turns out not to be one.
    fn continue_marker(
        &mut self,
        at: Timestamp,
        mut rest: Bytes,
        items: &mut VecDeque<LogItem>,
    ) -> Bytes {
        while !rest.is_empty() {
            let byte = rest.split_to(1);
            let is_new_mark = byte.first() == Some(&MARK) && !self.pending.is_empty();
            if is_new_mark {
                push_output(items, at, Bytes::from(std::mem::take(&mut self.pending)));
            }
            self.pending.extend_from_slice(&byte);
            if byte.first() == Some(&b'\n') {
                let line = std::mem::take(&mut self.pending);
                match self.read(&line) {
                    Some(marker) => marker.push(at, items),
                    None => push_output(items, at, Bytes::from(line)),
                }
                return rest;
            }
            if !self.may_be_marker() {
                push_output(items, at, Bytes::from(std::mem::take(&mut self.pending)));
                return rest;
            }
        }
        rest
    }

    fn may_be_marker(&self) -> bool {
        let text = self.pending.get(1..).unwrap_or_default();
        let common = text.len().min(self.nonce.len());
        text.get(..common) == self.nonce.get(..common)
            && text.len() <= self.nonce.len() + TEXT_LIMIT_BYTES
    }

    fn read(&self, line: &[u8]) -> Option<Marker> {
        let text = line.strip_prefix(&[MARK])?.strip_prefix(self.nonce.as_slice())?;
        let text = std::str::from_utf8(text).ok()?.trim_end_matches('\n');
        let mut words = text.strip_prefix(' ')?.split(' ');
        let marker = match words.next()? {
            "start" => Marker::Start(words.next()?.parse().ok()?),
            "end" => Marker::End(words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            _ => return None,
        };
        words.next().is_none().then_some(marker)
    }
}

#[derive(Debug, Clone, Copy)]
enum Marker {
    Start(u32),
    End(u32, i32),
}

impl Marker {
    fn push(self, at: Timestamp, items: &mut VecDeque<LogItem>) {
        items.push_back(match self {
            Self::Start(step) => LogItem::StepStarted { at, step },
            Self::End(step, exit_code) => LogItem::StepFinished { at, step, exit_code },
        });
    }
}

/// Output up to this size is joined when they were printed in the same millisecond: one line of a log
/// is often one piece, and each item costs its reader something.
const JOINED_LIMIT_BYTES: usize = 64 * 1024;

pub(super) fn push_output(items: &mut VecDeque<LogItem>, at: Timestamp, bytes: Bytes) {
    if bytes.is_empty() {
        return;
    }
    if let Some(LogItem::Output { at: last_at, bytes: last }) = items.back_mut()
        && *last_at == at
        && last.len() + bytes.len() <= JOINED_LIMIT_BYTES
    {
        let mut joined = std::mem::take(last)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        joined.extend_from_slice(&bytes);
        *last = joined.freeze();
        return;
    }
    items.push_back(LogItem::Output { at, bytes });
}

/// Reads the log of an attempt, wherever it lies.
pub(super) trait Reader: Send + 'static {
    /// What was read and not handed on yet.
    fn take_ready(&mut self) -> Option<LogItem>;

    /// Whether nothing more will come.
    fn is_over(&self) -> bool;

    /// Reads what has arrived, or waits for it.
    fn advance(&mut self) -> impl Future<Output = Result<(), ExecutorError>> + Send;
}

/// What a reader reads, up to its end or an error.
pub(super) fn stream_of(reader: impl Reader) -> LogStream {
    Box::pin(stream::unfold(Some(reader), async |reader| {
        let mut reader = reader?;
        loop {
            if let Some(item) = reader.take_ready() {
                return Some((Ok(item), Some(reader)));
            }
            if reader.is_over() {
                return None;
            }
            if let Err(error) = reader.advance().await {
                return Some((Err(error), None));
            }
        }
    }))
}

#[cfg(test)]
mod tests;
