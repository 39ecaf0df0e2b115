//! How a stream begins. Until its first event is there nothing of it goes to the client, so another way may do better.
//! Comments, which some providers send while they wait themselves, are no beginning; they are passed on with it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{UpstreamError, cause, error_alone, joined};
use crate::provider::sse::{Event, Parser};

/// A beginning that is larger is taken as it is.
const OPENING_BYTES: usize = 64 << 10;

/// What has come of a stream.
struct Opening {
    pieces: Vec<Bytes>,
    size: usize,
    parser: Parser,
}

/// A streamed body up to its first event; `None` when it ends before anything is said. What came of an event when the
/// stream broke, or its time was over, is a beginning too.
pub async fn first_piece(
    body: &mut Incoming,
    limit: Duration,
) -> Result<Option<Bytes>, UpstreamError> {
    let parser = Parser::new(OPENING_BYTES);
    let mut opening = Opening { pieces: Vec::new(), size: 0, parser };
    let whole = async {
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame?.into_data()
                && opening.is_whole_with(piece)
            {
                break;
            }
        }
        Ok::<_, hyper::Error>(())
    };
    let end = tokio::time::timeout(limit, whole).await;
    if let Some(begun) = opening.begun() {
        return Ok(Some(begun));
    }
    match end {
        Ok(Ok(())) => Ok(None),
        Ok(Err(error)) => Err(UpstreamError::Broken(cause(&error))),
        Err(_) => Err(UpstreamError::Timeout("send its first piece")),
    }
}

/// The error of a stream whose first event is one.
#[must_use]
pub fn error_at_first(opening: &[u8]) -> Option<UpstreamError> {
    memchr::memmem::find(opening, b"error")?;
    let (mut error, mut is_first) = (None, true);
    Parser::new(OPENING_BYTES).push(opening, |event| {
        if is_said(&event) && std::mem::take(&mut is_first) {
            error = error_alone::of_event(&event);
        }
    });
    error
}

impl Opening {
    /// Takes the next piece; whether the first event is whole, or it is too large to wait for.
    fn is_whole_with(&mut self, piece: Bytes) -> bool {
        let mut is_whole = false;
        self.parser.push(&piece, |event| is_whole |= is_said(&event));
        self.size = self.size.saturating_add(piece.len());
        self.pieces.push(piece);
        is_whole || self.size > OPENING_BYTES
    }

    /// All of it, unless it is comments alone.
    fn begun(self) -> Option<Bytes> {
        let all = joined(self.pieces);
        let mut lines = all.split(|it| matches!(it, b'\n' | b'\r'));
        let is_begun = lines.any(|it| !it.is_empty() && !it.starts_with(b":"));
        (is_begun || self.size > OPENING_BYTES).then_some(all)
    }
}

/// Whether an event says anything: comments do not.
fn is_said(event: &Event<'_>) -> bool {
    event.is_oversized || !event.data.is_empty() || !event.name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pieces it takes until the first event is there, and whether what has come then is a beginning.
    fn check(pieces: &[&str]) -> (usize, bool) {
        let parser = Parser::new(OPENING_BYTES);
        let mut opening = Opening { pieces: Vec::new(), size: 0, parser };
        let taken =
            pieces.iter().position(|it| opening.is_whole_with(Bytes::from((*it).to_owned())));
        (taken.map_or(pieces.len(), |it| it + 1), opening.begun().is_some())
    }

    #[test]
    fn comments_are_no_beginning_and_half_an_event_waits_for_its_end() {
        assert_eq!(check(&[": WAITING\n\n", "data: 1\n\n", "data: 2\n\n"]), (2, true));
        assert_eq!(check(&["da", "ta: 1\n", "\n", "data: 2\n\n"]), (3, true));
        assert_eq!(check(&["event: ping\n\n", "data: 2\n\n"]), (1, true));
        assert_eq!(check(&[": WAITING\n\n", ": WAI", "TING\r\n\r\n"]), (3, false));
        assert_eq!(check(&["\n", "dat"]), (2, true));
        assert_eq!(check(&[]), (0, false));
        let long = format!(": {}\n\n", "x".repeat(OPENING_BYTES));
        assert_eq!(check(&[&long, "data: 1\n\n"]), (1, true), "it is taken as it is");
    }

    fn error(text: &str) -> Option<String> {
        error_at_first(text.as_bytes()).map(|it| it.to_string())
    }

    #[test]
    fn a_stream_that_begins_with_an_error_has_no_answer() {
        let told = Some("the provider answers with an error alone: busy".to_owned());
        assert_eq!(error(": x\n\ndata: {\"error\":{\"message\":\"busy\"}}\n\n"), told);
        let message =
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"busy\"}}\n\n";
        assert_eq!(error(message), told);
        assert_eq!(error("data: {\"type\":\"error\",\"message\":\"busy\"}\n\n"), told);
        assert_eq!(error("event: error\ndata: busy\n\n"), told);
        assert_eq!(error("data: {\"choices\":[],\"error\":null}\n\n"), None);
        assert_eq!(error("data: {\"choices\":[]}\n\ndata: {\"error\":\"busy\"}\n\n"), None);
        assert_eq!(error("data: {\"error\":\"bu"), None, "it is not whole");
    }
}
