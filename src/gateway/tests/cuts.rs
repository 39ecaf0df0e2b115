//! Streams that are cut at every byte: the client has whole events and then an error, and is charged.

use bytes::Bytes;
use futures_util::StreamExt as _;
use proptest::prelude::*;
use serde_json::Value;

use super::raw::{Raw, Then};
use super::world::{World, asks};
use crate::gateway::call::answer::meter::Meter;
use crate::provider::Operation;

/// Calls at the same time.
const AT_ONCE: usize = 16;

/// The data of the events of a stream, each of which must be whole.
#[track_caller]
fn events(body: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for block in body.split("\n\n").filter(|it| !it.is_empty()) {
        let data = block.lines().find_map(|it| it.strip_prefix("data: "));
        let data = data.unwrap_or_else(|| panic!("half an event: {block:?} in {body:?}"));
        events.push(match data {
            "[DONE]" => Value::from("[DONE]"),
            json => serde_json::from_str(json).unwrap_or_else(|_| panic!("{json:?} in {body:?}")),
        });
    }
    events
}

/// The first `length` bytes of a stream, in chunks or up to the end of the connection.
fn answer(stream: &str, length: usize) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let part = &stream[..length];
    if length.is_multiple_of(2) {
        return format!("{head}connection: close\r\n\r\n{part}").into_bytes();
    }
    // In two chunks, with the connection broken before the last one.
    let (first, second) = part.split_at(length / 2);
    let mut text = format!("{head}transfer-encoding: chunked\r\n\r\n");
    for piece in [first, second].into_iter().filter(|it| !it.is_empty()) {
        text.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    text.into_bytes()
}

async fn check(path: &str, more: &str) {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let body = asks(true, more).replace("\"m1\"", "\"m-raw\"");
    let stream = world.direct(path, &body, "chunks=4").await.body;
    assert!(stream.is_ascii() && stream.len() > 300, "{stream}");
    let answers = (0..=stream.len()).map(|it| (answer(&stream, it), Then::Close));
    *raw.answers.lock().unwrap() = answers.collect();
    let replies = futures_util::stream::iter(1..=stream.len()).map(|length| {
        let (world, body) = (&world, &body);
        async move { (length, world.post(path, body, &[("x-raw", &length.to_string())]).await) }
    });
    let replies: Vec<_> = replies.buffered(AT_ONCE).collect().await;
    let mut whole = 0;
    for (length, reply) in &replies {
        assert_eq!((reply.status, reply.is_broken), (200, false), "{length} {reply:?}");
        let events = events(&reply.body);
        let is_error = |it: &&Value| it.get("error").is_some();
        let is_whole = events.iter().filter(is_error).count() == 0;
        whole += usize::from(is_whole);
        assert!(is_whole || is_error(&events.last().unwrap()), "{length} {reply:?}");
        assert!(!is_whole || *length + 20 > stream.len(), "{length} {reply:?}");
    }
    assert!(whole > 0, "the whole stream is whole");
    world.settled().await;
    let rows = world.rows();
    assert_eq!(rows.len(), replies.len());
    let is_cut = |it: &&Value| it["flags"].as_array().unwrap().contains(&Value::from("cut"));
    assert_eq!(rows.iter().filter(is_cut).count(), replies.len() - whole);
    assert!(rows.iter().all(|it| it["cost"].as_i64().unwrap() > 0));
    world.end().await;
}

#[tokio::test]
async fn a_chat_that_is_cut_at_any_byte_ends_with_an_error_and_is_charged() {
    check("/v1/chat/completions", "\"stream_options\":{\"include_usage\":true}").await;
}

#[tokio::test]
async fn a_message_that_is_cut_at_any_byte_ends_with_an_error_and_is_charged() {
    check("/v1/messages", "").await;
}

#[tokio::test]
async fn a_response_that_is_cut_at_any_byte_ends_with_an_error_and_is_charged() {
    check("/v1/responses", "\"input\":\"hi\",\"max_output_tokens\":9").await;
}

/// What comes in streams, and what should not.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        Just(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".to_vec()),
        Just(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\n".to_vec()),
        Just(b"data: [DONE]\n\n".to_vec()),
        Just(b": ping\n\n".to_vec()),
        Just(b"\xef\xbb\xbfdata:\r\r\n\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..12)
}

fn pass(operation: Operation, text: &[u8], sizes: &[usize]) -> (Vec<u8>, Meter) {
    let (mut meter, mut out, mut rest) = (Meter::new(operation, false), Vec::new(), text);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        out.extend_from_slice(&meter.push(&Bytes::copy_from_slice(piece)));
        rest = after;
    }
    (out, meter)
}

proptest! {
    #[test]
    fn whatever_comes_passes_in_order_however_it_is_split(
        pieces in pieces(),
        sizes in prop::collection::vec(1_usize..60, 1..6),
    ) {
        let text = pieces.concat();
        for operation in [Operation::ChatCompletions, Operation::Messages, Operation::Responses] {
            let (once, mut meter) = pass(operation, &text, &[usize::MAX]);
            let (split, mut other) = pass(operation, &text, &sizes);
            prop_assert!(text.starts_with(&once), "nothing is changed or added");
            let (end, other_end) = (meter.finish(), other.finish());
            let all = [&once[..], &end].concat();
            prop_assert!(text.starts_with(&all));
            // A line feed that comes late, behind the carriage return that has ended its event, is no event.
            let feed = |it: &u8| matches!(it, b'\r' | b'\n');
            let other_all = [&split[..], &other_end].concat();
            let ends = [&all, &other_all].map(|it| it.iter().rposition(|it| !feed(it)));
            prop_assert_eq!(ends[0], ends[1]);
            prop_assert_eq!(meter.outcome(), other.outcome());
        }
    }
}
