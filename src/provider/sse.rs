//! Server-sent events, incrementally: any split of the bytes gives the same events, with the exact
//! range of bytes of each. WHATWG HTML, section 9.2.6. Memory is bounded by the largest event allowed.

use std::borrow::Cow;
use std::ops::Range;

/// One block of a stream, up to and with the empty line that ends it. The ranges of all blocks, one
/// after the other, cover the stream without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// Where it lies in the stream.
    pub range: Range<u64>,
    /// The value of `event:`.
    pub name: &'a [u8],
    /// The lines of `data:`, joined by line feeds; empty for comments and other fields alone.
    pub data: Cow<'a, [u8]>,
    /// Whether it was larger than allowed, so that its content was not kept.
    pub is_oversized: bool,
    /// Whether the stream ended before the empty line.
    pub is_cut: bool,
}

/// Finds events in a stream of bytes.
#[expect(clippy::struct_excessive_bools, reason = "a state machine of the bytes seen last")]
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    /// The bytes of the block that is not complete yet, unless it is oversized.
    held: Vec<u8>,
    /// Where the block begins in the stream.
    start: u64,
    /// Where the stream stands.
    end: u64,
    line_is_empty: bool,
    block_is_empty: bool,
    /// A carriage return was the last byte: a line feed that follows belongs to it.
    after_return: bool,
    is_oversized: bool,
}

impl Parser {
    /// A parser that keeps at most `limit` bytes of one event.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::new(),
            start: 0,
            end: 0,
            line_is_empty: true,
            block_is_empty: true,
            after_return: false,
            is_oversized: false,
        }
    }

    /// Takes the next bytes and hands on the events that they complete.
    pub fn push(&mut self, mut chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        while let Some(length) = self.find_end(chunk) {
            let (head, tail) = chunk.split_at_checked(length).unwrap_or((chunk, &[]));
            self.complete(head, false, &mut on_event);
            chunk = tail;
        }
        self.hold(chunk);
    }

    /// Ends the stream: bytes after the last empty line make one more event, marked as cut.
    pub fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        if self.end > self.start {
            self.complete(&[], true, &mut on_event);
        }
    }

    /// Bytes of the block that is not complete yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.end - self.start
    }

    /// The number of bytes up to and with the one that ends the block.
    fn find_end(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = chunk.get(at) {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    if std::mem::replace(&mut self.line_is_empty, true) && !self.block_is_empty {
                        let feed = self.after_return && chunk.get(at + 1) == Some(&b'\n');
                        self.after_return &= !feed;
                        self.block_is_empty = true;
                        return Some(at + 1 + usize::from(feed));
                    }
                }
                _ => {
                    self.line_is_empty = false;
                    self.block_is_empty = false;
                    let rest = chunk.get(at..).unwrap_or_default();
                    let line = rest.iter().position(|it| matches!(it, b'\n' | b'\r'));
                    at += line.unwrap_or(rest.len());
                    continue;
                }
            }
            at += 1;
        }
        None
    }

    fn complete(&mut self, tail: &[u8], is_cut: bool, on_event: &mut impl FnMut(Event<'_>)) {
        self.end += tail.len() as u64;
        self.is_oversized |= self.held.len() + tail.len() > self.limit;
        let range = self.start..self.end;
        if self.is_oversized {
            let data = Cow::Borrowed(&[][..]);
            on_event(Event { range, name: &[], data, is_oversized: true, is_cut });
        } else if self.held.is_empty() {
            on_event(event(tail, range, is_cut));
        } else {
            self.held.extend_from_slice(tail);
            on_event(event(&self.held, range, is_cut));
        }
        self.held.clear();
        self.is_oversized = false;
        self.start = self.end;
    }

    fn hold(&mut self, chunk: &[u8]) {
        self.end += chunk.len() as u64;
        self.is_oversized |= self.held.len() + chunk.len() > self.limit;
        if self.is_oversized {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(chunk);
        }
    }
}

/// Reads the fields of one block.
fn event(block: &[u8], range: Range<u64>, is_cut: bool) -> Event<'_> {
    let block =
        if range.start == 0 { block.strip_prefix(b"\xef\xbb\xbf").unwrap_or(block) } else { block };
    let mut name: &[u8] = &[];
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in block.split(|it| matches!(it, b'\n' | b'\r')) {
        let mut parts = line.splitn(2, |it| *it == b':');
        let field = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value,
            b"data" => data = Some(joined(data, value)),
            _ => {}
        }
    }
    let data = data.unwrap_or_default();
    Event { range, name, data, is_oversized: false, is_cut }
}

fn joined<'a>(data: Option<Cow<'a, [u8]>>, line: &'a [u8]) -> Cow<'a, [u8]> {
    match data {
        None => Cow::Borrowed(line),
        Some(before) => {
            let mut all = before.into_owned();
            all.push(b'\n');
            all.extend_from_slice(line);
            Cow::Owned(all)
        }
    }
}

#[cfg(test)]
mod tests;
