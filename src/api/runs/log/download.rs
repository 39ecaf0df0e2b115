//! A log as it was printed, or a range of it (RFC 9110, section 14).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::blobs::LogReader;
use crate::http::{Problem, ProblemKind};

/// Bytes read at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// The bytes that a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// The first byte, and the one behind the last.
    Range(u64, u64),
    Outside,
}

/// The answer with the bytes of a log.
pub(super) async fn respond(
    reader: Option<LogReader>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let size = match &reader {
        Some(reader) => reader.extent().await?.size_bytes,
        None => 0,
    };
    let wanted = headers.get(header::RANGE).and_then(|it| it.to_str().ok());
    let (status, from, to) = match wanted.map_or(Part::All, |it| part(it, size)) {
        Part::All => (StatusCode::OK, 0, size),
        Part::Range(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Part::Outside => return Ok(outside(size)),
    };
    let body = reader.map_or_else(Body::empty, |it| Body::from_stream(bytes(it, from, to)));
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, (to - from).into());
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = HeaderValue::try_from(format!("bytes {from}-{}/{size}", to - 1))
    {
        headers.insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

fn outside(size: u64) -> Response {
    let title = format!("the range lies outside of the {size} bytes");
    let mut response = Problem::new(ProblemKind::RangeNotSatisfiable, title).into_response();
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

fn bytes(
    reader: LogReader,
    from: u64,
    to: u64,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    // Asked once more behind its end, by what packs it.
    stream::unfold((reader, from), move |(reader, at)| async move {
        if at >= to {
            return None;
        }
        let wanted = usize::try_from((to - at).min(CHUNK_BYTES)).unwrap_or(0);
        match reader.read_at(at, wanted).await {
            // It was cut since; the length that was promised shows it.
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => {
                let end = at + bytes.len() as u64;
                Some((Ok(Bytes::from(bytes)), (reader, end)))
            }
            Err(error) => Some((Err(std::io::Error::other(error)), (reader, to))),
        }
    })
    .fuse()
}

/// One range of bytes; whoever asks for several, or for what we do not understand, gets all.
fn part(value: &str, size: u64) -> Part {
    let Some(range) = value.strip_prefix("bytes=") else { return Part::All };
    let Some((from, to)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Part::All;
    };
    let (from, to) = match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.saturating_add(1).min(size)),
        (Ok(from), Err(_)) if to.trim().is_empty() => (from, size),
        (Err(_), Ok(last)) if from.trim().is_empty() => (size.saturating_sub(last), size),
        _ => return Part::All,
    };
    if from < to { Part::Range(from, to) } else { Part::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        for (value, wanted) in [
            ("bytes=0-3", Part::Range(0, 4)),
            ("bytes=4-", Part::Range(4, 10)),
            ("bytes=-3", Part::Range(7, 10)),
            ("bytes=-99", Part::Range(0, 10)),
            ("bytes=8-99", Part::Range(8, 10)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=3-1", Part::All),
            ("bytes=0-1,3-4", Part::All),
            ("lines=0-1", Part::All),
            ("bytes=x-", Part::All),
            ("bytes=-", Part::All),
        ] {
            assert_eq!(part(value, 10), wanted, "{value}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Outside);
    }
}
