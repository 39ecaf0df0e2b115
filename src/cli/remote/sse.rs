//! Server-sent events (HTML Standard, section 9.2.6), cut out of a stream of bytes. Pure.

/// The longest event that is taken.
const EVENT_BYTES_MAX: usize = 8 << 20;

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its id, as of the last event that had one.
    pub(super) id: String,
    /// Its name; empty for the usual one.
    pub(super) name: String,
    /// Its data.
    pub(super) data: String,
}

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Takes bytes as they come and gives whole events.
#[derive(Debug, Default)]
pub(super) struct SseParser {
    partial: Vec<u8>,
    event: SseEvent,
    has_data: bool,
}

impl SseParser {
    /// The events that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        self.partial.extend_from_slice(bytes);
        let mut events = Vec::new();
        let buffer = std::mem::take(&mut self.partial);
        let mut rest = buffer.as_slice();
        while let Some(end) = rest.iter().position(|it| *it == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            events.extend(self.line(&String::from_utf8_lossy(line)));
        }
        self.partial = rest.to_vec();
        let length = self.partial.len() + self.event.data.len();
        if length > EVENT_BYTES_MAX { Err(TooLong) } else { Ok(events) }
    }

    fn line(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            return self.finish();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            _ => (),
        }
        None
    }

    /// An event without data is none, unless it has a name: our streams end with one.
    fn finish(&mut self) -> Option<SseEvent> {
        let id = self.event.id.clone();
        let event = std::mem::replace(&mut self.event, SseEvent { id, ..SseEvent::default() });
        let has_data = std::mem::take(&mut self.has_data);
        (has_data || !event.name.is_empty()).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, name: &str, data: &str) -> SseEvent {
        SseEvent { id: id.to_owned(), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_come_out_whole_however_they_were_cut() {
        let text = ": hello\n\nid: 1\ndata: one\n\nid:2\r\nevent: log\r\ndata: two\r\ndata:  three\r\n\r\n\
                    event: end\n\n";
        let wanted =
            [event("1", "", "one"), event("2", "log", "two\n three"), event("2", "end", "")];
        for size in [1, 3, 7, text.len()] {
            let mut parser = SseParser::default();
            let pieces = text.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|it| parser.push(it).unwrap()).collect();
            assert_eq!(events, wanted, "{size}");
        }
    }

    #[test]
    fn a_stream_without_an_end_is_not_kept_for_ever() {
        let mut parser = SseParser::default();
        let piece = vec![b'x'; 1 << 20];
        let mut given = (0..20).map(|_| parser.push(&piece));
        assert!(given.any(|it| it.is_err()));
    }
}
