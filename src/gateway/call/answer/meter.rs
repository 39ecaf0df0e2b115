//! Reads a stream as it passes. Whole events go on as they are, in the piece in which they came; the unfinished one at
//! its end waits, so that an error that must be said stands by itself. When the gateway asked for usage that the client
//! did not want, that event is cut out. Pure.

use bytes::{Bytes, BytesMut};

use crate::provider::Operation;
use crate::provider::estimate::heard::Heard;
use crate::provider::sse::Parser;
use crate::provider::stream::{Outcome, Reader, Verdict};

/// The largest event that is read. Larger ones pass unread.
const EVENT_BYTES: usize = 8 << 20;
/// The most that waits for the end of its event; what is larger passes as it comes.
const HELD_BYTES: u64 = 64 << 10;

/// Reads one stream.
#[derive(Debug)]
pub struct Meter {
    operation: Operation,
    parser: Parser,
    reader: Reader,
    gate: Gate,
}

/// Holds back the event that is not whole.
#[derive(Debug, Default)]
struct Gate {
    held: BytesMut,
    /// Where the held bytes begin in the stream.
    start: u64,
    /// Where the events of the last piece end, and whether they go on.
    ends: Vec<(u64, Verdict)>,
    /// What was cut out ended with a carriage return, whose line feed may still come.
    expects_feed: bool,
    /// A part of the event that is not whole has gone on, since it is large.
    is_torn: bool,
}

impl Meter {
    /// For a stream of this kind; with `cuts_usage`, the chunk with nothing but usage is taken out.
    #[must_use]
    pub fn new(operation: Operation, cuts_usage: bool) -> Self {
        Self {
            operation,
            parser: Parser::new(EVENT_BYTES),
            reader: Reader::new(operation, cuts_usage),
            gate: Gate::default(),
        }
    }

    /// Has the texts of the answer kept, for who counts them.
    #[must_use]
    pub fn hearing(mut self, is_heard: bool) -> Self {
        if is_heard {
            self.reader.hear();
        }
        self
    }

    /// The texts that were kept.
    pub fn take_heard(&mut self) -> Option<Heard> {
        self.reader.take_heard()
    }

    /// What the stream is an answer to.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Takes a piece in and gives what is to be passed on.
    pub fn push(&mut self, piece: &Bytes) -> Bytes {
        let Self { parser, reader, gate, .. } = self;
        parser.push(piece, |event| gate.ends.push((event.range.end, reader.read(&event))));
        gate.take(piece, parser.pending() > HELD_BYTES)
    }

    /// The stream is over: gives what was held, if it is the terminal event without its empty line, or no event.
    pub fn finish(&mut self) -> Bytes {
        let Self { parser, reader, gate, .. } = self;
        parser.finish(|event| gate.ends.push((event.range.end, reader.read(&event))));
        let is_blank = self.gate.held.iter().all(|it| matches!(it, b'\r' | b'\n'));
        if !is_blank && !self.reader.has_ended() {
            self.gate.ends.clear();
            return Bytes::new();
        }
        self.gate.take(&Bytes::new(), false)
    }

    /// Whether a part of an event has gone on whose end never came.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.gate.is_torn
    }

    /// Whether something of the answer itself has come.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.reader.has_content()
    }

    /// Whether the last event of the answer has come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.reader.has_ended()
    }

    /// What is known of the stream.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.reader.outcome()
    }

    /// Moves it away and leaves an empty one.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.operation, false))
    }
}

impl Gate {
    /// What of the held bytes and this piece goes on; with `is_large`, also what is not whole.
    fn take(&mut self, piece: &Bytes, is_large: bool) -> Bytes {
        if let Some(end) = self.whole_part(piece) {
            self.is_torn = false;
            self.start += end as u64;
            self.held.extend_from_slice(piece.get(end..).unwrap_or_default());
            self.ends.clear();
            return piece.slice(..end);
        }
        self.hold(piece);
        let mut out = BytesMut::new();
        for (end, verdict) in std::mem::take(&mut self.ends) {
            self.cut(end, verdict, &mut out);
        }
        if is_large && !self.held.is_empty() {
            self.start += self.held.len() as u64;
            out.unsplit(self.held.split());
            self.is_torn = true;
        }
        out.freeze()
    }

    /// How much of a piece goes on, where nothing has to be copied for it.
    fn whole_part(&self, piece: &Bytes) -> Option<usize> {
        let (end, _) = self.ends.last()?;
        let all_go_on = self.ends.iter().all(|it| it.1 == Verdict::Forward);
        let end = usize::try_from(end.checked_sub(self.start)?).ok()?;
        let is_simple = self.held.is_empty() && !self.expects_feed;
        (is_simple && all_go_on && end <= piece.len()).then_some(end)
    }

    fn cut(&mut self, end: u64, verdict: Verdict, out: &mut BytesMut) {
        let length = usize::try_from(end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let event = self.held.split_to(length.min(self.held.len()));
        self.start = end;
        // What has gone on in part goes on to its end.
        if verdict == Verdict::Forward || std::mem::take(&mut self.is_torn) {
            self.is_torn = false;
            out.extend_from_slice(&event);
        } else {
            self.expects_feed = event.ends_with(b"\r");
        }
    }

    fn hold(&mut self, piece: &Bytes) {
        let feed = std::mem::take(&mut self.expects_feed) && piece.starts_with(b"\n");
        self.held.extend_from_slice(piece.get(usize::from(feed)..).unwrap_or_default());
        self.start += u64::from(feed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(text: &str, size: usize) -> (String, bool) {
        let mut meter = Meter::new(Operation::ChatCompletions, true);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&meter.push(&Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&meter.finish());
        (String::from_utf8(out).unwrap(), meter.outcome().metered.is_some())
    }

    const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\n";

    #[test]
    fn only_the_chunk_with_nothing_but_usage_is_missing_however_the_bytes_come() {
        let text = format!("{CHUNK}{USAGE}{CHUNK}data: [DONE]");
        for size in 1..text.len() {
            assert_eq!(pass(&text, size), (format!("{CHUNK}{CHUNK}data: [DONE]"), true), "{size}");
        }
    }

    #[test]
    fn a_giant_event_is_not_held_back() {
        let giant = format!("data: {}\n\n{USAGE}", "x".repeat(300_000));
        let mut meter = Meter::new(Operation::ChatCompletions, true);
        let out = meter.push(&Bytes::from(giant.clone().into_bytes()[..200_000].to_vec()));
        assert_eq!((out.len(), meter.is_torn()), (200_000, true));
        let out = meter.push(&Bytes::from(giant.into_bytes()[200_000..].to_vec()));
        assert_eq!((out.len(), meter.is_torn()), (100_008, false));
    }

    #[test]
    fn an_event_waits_for_its_end_and_is_nothing_without_it() {
        let mut meter = Meter::new(Operation::Messages, false);
        assert_eq!(meter.push(&Bytes::from_static(b": hi\n\ndata: hal")), ": hi\n\n");
        assert_eq!(meter.push(&Bytes::from_static(b"f\n\ndata:")), "data: half\n\n");
        assert!(meter.finish().is_empty() && !meter.is_torn());
    }

    #[test]
    fn a_piece_of_whole_events_is_not_copied() {
        let mut meter = Meter::new(Operation::ChatCompletions, true);
        let piece = Bytes::from_static(CHUNK.as_bytes());
        assert_eq!(meter.push(&piece).as_ptr(), piece.as_ptr());
        assert_eq!(meter.push(&piece).as_ptr(), piece.as_ptr());
    }
}
