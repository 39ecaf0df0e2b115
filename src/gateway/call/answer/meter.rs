//! Reads a stream as it passes. Pieces go on as they are; only when the gateway asked for usage that
//! the client did not want are events cut out, and then no more than the unfinished event waits. Pure.

use bytes::{Bytes, BytesMut};

use crate::provider::Operation;
use crate::provider::sse::Parser;
use crate::provider::stream::{Outcome, Reader, Verdict};

/// The largest event that is read. Larger ones pass unread.
const EVENT_BYTES: usize = 8 << 20;
/// The most that waits for the end of its event. A chunk with usage is far smaller.
const HELD_BYTES: u64 = 64 << 10;

/// Reads one stream.
#[derive(Debug)]
pub struct Meter {
    operation: Operation,
    parser: Parser,
    reader: Reader,
    cutter: Option<Cutter>,
}

/// Holds back what may have to be taken out.
#[derive(Debug, Default)]
struct Cutter {
    held: BytesMut,
    /// Where the held bytes begin in the stream.
    start: u64,
    /// What was cut out ended with a carriage return, whose line feed may still come.
    expects_feed: bool,
}

impl Meter {
    /// For a stream of this kind; with `cuts_usage`, the chunk with nothing but usage is taken out.
    #[must_use]
    pub fn new(operation: Operation, cuts_usage: bool) -> Self {
        Self {
            operation,
            parser: Parser::new(EVENT_BYTES),
            reader: Reader::new(operation, cuts_usage),
            cutter: cuts_usage.then(Cutter::default),
        }
    }

    /// What the stream is an answer to.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Takes a piece in and gives what is to be passed on.
    pub fn push(&mut self, piece: &Bytes) -> Bytes {
        let Self { parser, reader, cutter, .. } = self;
        let Some(cutter) = cutter else {
            parser.push(piece, |event| {
                reader.read(&event);
            });
            return piece.clone();
        };
        cutter.hold(piece);
        let mut out = BytesMut::new();
        parser.push(piece, |event| cutter.cut(event.range.end, reader.read(&event), &mut out));
        if parser.pending() > HELD_BYTES {
            cutter.start += cutter.held.len() as u64;
            out.unsplit(cutter.held.split());
        }
        out.freeze()
    }

    /// The stream is over: gives what was held.
    pub fn finish(&mut self) -> Bytes {
        let Self { parser, reader, cutter, .. } = self;
        let mut out = BytesMut::new();
        parser.finish(|event| {
            let verdict = reader.read(&event);
            if let Some(cutter) = cutter {
                cutter.cut(event.range.end, verdict, &mut out);
            }
        });
        out.freeze()
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

impl Cutter {
    fn cut(&mut self, end: u64, verdict: Verdict, out: &mut BytesMut) {
        let length = usize::try_from(end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let event = self.held.split_to(length.min(self.held.len()));
        self.start = end;
        if verdict == Verdict::Forward {
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
        (String::from_utf8(out).unwrap(), meter.outcome().is_final)
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
        assert_eq!(out.len(), 200_000);
        let out = meter.push(&Bytes::from(giant.into_bytes()[200_000..].to_vec()));
        assert_eq!(out.len(), 100_008);
    }

    #[test]
    fn nothing_waits_when_nothing_is_taken_out() {
        let mut meter = Meter::new(Operation::Messages, false);
        assert_eq!(meter.push(&Bytes::from_static(b"data: hal")), "data: hal");
        assert!(meter.finish().is_empty());
    }
}
