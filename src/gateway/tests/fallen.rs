//! Answers that are none, or not all of one: what they cost, whether another way is tried, and what the client gets.

use std::time::{Duration, Instant};

use super::raw::{Raw, Then};
use super::world::{Reply, World, asks};
use crate::model::UsdNanos;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
/// Another route, which leads to the fake after the provider that sends raw bytes.
const ELSE: &str = r#"
    [[route]]
    model = "m-else"
    to = [{ provider = "raw" }, { provider = "test", model = "m1" }, { provider = "raw-claude" }, { provider = "claude", model = "m1" }]
"#;

/// A gateway that tries twice before a provider with these answers.
async fn world(answers: Vec<(String, Then)>, limits: &str) -> (World, Raw) {
    let raw = Raw::start().await;
    let answers = answers.into_iter().map(|it| (it.0.into_bytes(), it.1));
    *raw.answers.lock().unwrap() = answers.collect();
    let settings = raw.settings(limits).replace("attempts = 1", "attempts = 2") + ELSE;
    (World::new(&settings).await, raw)
}

/// The answer of this number, to a request for this model.
async fn call(world: &World, (path, model): (&str, &str), is_stream: bool, number: usize) -> Reply {
    // These tests are not about ways that are closed.
    *world.core.breakers() = crate::gateway::route::Breakers::default();
    let body = asks(is_stream, "").replace("\"m1\"", &format!("\"{model}\""));
    world.post(path, &body, &[("x-raw", &number.to_string())]).await
}

fn json(body: &str) -> String {
    format!("{OK}content-length: {}\r\n\r\n{body}", body.len())
}

fn events(body: &str) -> String {
    format!("{EVENTS}connection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn an_error_alone_is_no_answer_costs_nothing_and_another_way_is_tried() {
    let chat = r#"{"error":{"message":"over\u0000loaded"}}"#;
    let message = r#"{"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}"#;
    let answers = [
        (CHAT, false, json(chat)),
        (CHAT, true, json(chat)),
        (CHAT, true, events(&format!(": WAITING\n\ndata: {chat}\n\n"))),
        (MESSAGES, false, json(message)),
        (MESSAGES, true, events(&format!("event: error\ndata: {message}\n\n"))),
    ];
    let said = answers.iter().map(|it| (it.2.clone(), Then::Close)).collect();
    let (world, _raw) = world(said, "").await;
    for (number, (path, is_stream, said)) in answers.iter().enumerate() {
        let reply = call(&world, (*path, "m-raw"), *is_stream, number).await;
        assert_eq!(reply.status, 502, "{said}: {reply:?}");
        let told = "the provider answers with an error alone: overloaded";
        assert_eq!(reply.json()["error"]["message"], told, "{said}");
        let rows = world.rows();
        assert_eq!(rows.len(), 2, "{said}: it is tried again");
        assert!(rows.iter().all(|it| it["cost"] == 0 && it["status"] == 200), "{rows:?}");
        let reply = call(&world, (*path, "m-else"), *is_stream, number).await;
        assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{said}");
        world.settled().await;
        assert_eq!(world.rows().len(), 2, "{said}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_error_alone_closes_a_way_and_is_not_recorded() {
    let raw = Raw::start().await;
    let said = json(r#"{"error":"overloaded"}"#);
    *raw.answers.lock().unwrap() = vec![(said.into_bytes(), Then::Close)];
    let cassettes = "cassettes = \"tapes\"\ncassette_mode = \"replay_or_record\"\n";
    let world = World::new(&format!("{cassettes}{}", raw.settings(""))).await;
    let body = asks(false, "").replace("m1", "m-raw");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(world.post(CHAT, &body, &[("x-raw", "0")]).await.status);
    }
    assert_eq!(statuses, [502, 502, 502, 502, 502, 503], "five failures in a row close it");
    let folder = world.end().await;
    let tape = std::fs::read_to_string(folder.path().join("tapes/eval.jsonl"));
    assert!(!tape.unwrap_or_default().contains("overloaded"));
}

#[tokio::test]
async fn comments_are_no_first_piece_and_pass_as_they_are() {
    let stream = ": WAITING\n\n: WAITING\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n";
    let waits = format!("{EVENTS}\r\n: WAITING\n\n");
    let answers = vec![
        (waits, Then::Wait),
        (events(": WAITING\n\n"), Then::Close),
        (events(stream), Then::Close),
    ];
    let (world, _raw) = world(answers, "first_token_ms = 300").await;
    for (number, status) in [(0, 504), (1, 502)] {
        let reply = call(&world, (CHAT, "m-raw"), true, number).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let reply = call(&world, (CHAT, "m-else"), true, number).await;
        assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{reply:?}");
    }
    let reply = call(&world, (CHAT, "m-raw"), true, 2).await;
    assert_eq!((reply.status, &*reply.body), (200, stream));
    world.end().await;
}

#[tokio::test]
async fn the_time_of_a_call_is_that_of_all_its_attempts() {
    let half = format!("{OK}content-length: 100\r\n\r\n{{\"choices\":");
    let answers = vec![(String::new(), Then::Wait), (half, Then::Wait)];
    let (world, _raw) = world(answers, "first_token_ms = 60000, total_ms = 500").await;
    for number in 0..2 {
        let begun = Instant::now();
        let reply = call(&world, (CHAT, "m-raw"), false, number).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{reply:?}");
        assert_eq!((reply.status, world.rows().len()), (504, 1), "{reply:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn answers_that_are_too_large_close_no_model() {
    let large = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "a ".repeat(1_000));
    let (world, _raw) = world(vec![(json(&large), Then::Close)], "answer_bytes = 1000").await;
    let body = asks(false, "").replace("\"m1\"", "\"m-raw\"");
    for _ in 0..6 {
        let reply = world.post(CHAT, &body, &[("x-raw", "0")]).await;
        assert_eq!(reply.status, 502, "the provider has answered: {reply:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_fetched_once_and_charged_by_what_has_come() {
    let words = "Words that were made, and are to be paid for. ".repeat(50_000);
    let large = format!(r#"{{"choices":[{{"message":{{"content":"{words}"}}}}]}}"#);
    let half = format!("{OK}content-length: 9000\r\n\r\n{}", &large[..6_000]);
    let answers = vec![(json(&large), Then::Close), (half, Then::Wait)];
    let (world, _raw) = world(answers, "answer_bytes = 100000, total_ms = 500").await;
    for (number, status, tokens) in [(0, 502, 10_000), (1, 504, 500)] {
        let reply = call(&world, (CHAT, "m-else"), false, number).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let again = if number == 0 { "false" } else { "" };
        assert_eq!(reply.header("x-should-retry"), again, "clients do not fetch it again");
        let rows = world.rows();
        assert_eq!(rows.len(), 1, "it is not fetched again: {rows:?}");
        assert!(rows[0]["usage"]["output"].as_u64().unwrap() > tokens, "{rows:?}");
        let flags = rows[0]["flags"].to_string();
        assert!(flags.contains("cut") && flags.contains("estimated"), "{flags}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_provider_without_the_model_or_money_is_passed_over_once_and_has_not_failed() {
    let body = r#"{"error":{"message":"not here"}}"#;
    let said = |status: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let answers = vec![(said("402 X"), Then::Close), (said("404 X"), Then::Close)];
    let (world, _raw) = world(answers, "").await;
    for (number, status) in [(0, 402), (1, 404)] {
        let number = number.to_string();
        let ask = async |model: &str| {
            let body = asks(false, "").replace("\"m1\"", &format!("\"{model}\""));
            world.post(CHAT, &body, &[("x-raw", &number)]).await
        };
        for _ in 0..6 {
            let alone = ask("m-raw").await;
            assert_eq!((alone.status, &*alone.body), (status, body));
            assert_eq!(world.rows().len(), 1, "it is not tried again");
        }
        let other = ask("m-else").await;
        assert_eq!((other.status, other.header("x-trunkline-attempts")), (200, "2"), "{other:?}");
        assert_eq!(world.rows()[0]["cost"], 0);
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_compressed_is_not_read_and_that_is_said() {
    let gzip = format!("{OK}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\u{1f}x");
    let events = format!("{EVENTS}content-encoding: br\r\nconnection: close\r\n\r\n\u{1f}x");
    let answers = vec![(gzip, Then::Close), (events, Then::Close)];
    let (world, _raw) = world(answers, "").await;
    for (number, word) in [(0, "gzip"), (1, "br")] {
        let reply = call(&world, (CHAT, "m-raw"), number == 1, number).await;
        let told = format!("it is compressed (`content-encoding: {word}`)");
        assert!(reply.status == 502 && reply.body.contains(&told), "{reply:?}");
        let rows = world.rows();
        assert!(rows.iter().all(|it| it["usage"]["output"].is_null()), "{rows:?}");
        let reply = call(&world, (CHAT, "m-else"), number == 1, number).await;
        assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{reply:?}");
        world.settled().await;
        drop(world.rows());
    }
    for (path, body) in [(CHAT, asks(false, "")), (MESSAGES, asks(true, ""))] {
        let reply = world.post(path, &body, &[("content-encoding", "gzip")]).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body.contains("send it as it is, without that header"), "{reply:?}");
        let reply = world.post(path, &body, &[("content-encoding", "identity")]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_refusal_says_how_often_it_was_tried_and_what_that_has_cost() {
    let answers = vec![(String::new(), Then::Close), (json("<html>"), Then::Close)];
    let (world, _raw) = world(answers, "").await;
    let mut before = world.cost();
    for (number, is_paid) in [(0, true), (1, false)] {
        let reply = call(&world, (CHAT, "m-raw"), false, number).await;
        assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (502, "2"), "{reply:?}");
        let cost = UsdNanos(world.cost().0 - before.0);
        assert_eq!(cost.0 > 0, is_paid, "{cost}");
        let told = cost.to_string().replace(" USD", "");
        assert_eq!(reply.header("x-trunkline-cost-usd"), told, "{reply:?}");
        before = world.cost();
    }
    let reply = call(&world, (CHAT, "other"), false, 0).await;
    assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (404, ""), "{reply:?}");
    world.end().await;
}
