//! Calls that go wrong: whatever happens, nothing hangs, and everything is settled.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use super::world::{Now, World, asks};
use crate::gateway::ledger::Ledger;
use crate::gateway::ledger::stored::BookParts;
use crate::gateway::settings;
use crate::model::UsdNanos;
use crate::store::Store;

const CHAT: &str = "/v1/chat/completions";
const LEDGER: &str = "ledger = \"ledger.jsonl\"";
/// A second provider that the first one's models fall back to.
const FALLBACK: &str = r#"
    ledger = "l"
    limits = { attempts = 3, first_token_ms = 300 }
    [[provider]]
    name = "broken"
    dialect = "openai"
    url = "http://127.0.0.1:9"
    prices = "test"
    [[route]]
    model = "m-far"
    to = [{ provider = "broken" }, { provider = "test", model = "m1" }]
"#;

fn flags(row: &serde_json::Value) -> Vec<&str> {
    row["flags"].as_array().unwrap().iter().filter_map(|it| it.as_str()).collect()
}

#[tokio::test]
async fn strangers_and_unknown_paths_models_and_bodies_are_refused() {
    let world = World::new("limits = { request_bytes = 1000 }").await;
    let status = async |path: &str, body: &str, headers: &[(&str, &str)]| {
        world.post(path, body, headers).await.status
    };
    assert_eq!(status(CHAT, &asks(false, ""), &[("authorization", "Bearer wrong")]).await, 401);
    assert_eq!(status("/v1/files", "{}", &[]).await, 404);
    assert_eq!(status(CHAT, r#"{"model":"other"}"#, &[]).await, 404);
    assert_eq!(status(CHAT, r#"{"model":"m1","model":"m-2"}"#, &[]).await, 400);
    let long = format!(r#"{{"model":"m-{}"}}"#, "0f".repeat(100));
    for name in [r#"{"model":""}"#, r#"{"model":"m-a\u0000b"}"#, r#"{"model":"m-a\nb"}"#, &long] {
        for path in [CHAT, "/v1/embeddings", "/v1/messages"] {
            let reply = world.post(path, name, &[]).await;
            assert_eq!(reply.status, 400, "{name}");
            let what =
                "`model` has 1 to 200 bytes and no control characters; send the name of a model";
            assert!(reply.body.contains(what), "{reply:?}");
        }
    }
    assert_eq!(status(CHAT, &"x".repeat(1001), &[]).await, 413);
    assert_eq!(world.charged.calls.load(std::sync::atomic::Ordering::Relaxed), 0);
    let error = world.post("/v1/messages", "{", &[]).await.json();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "invalid_request_error");
    world.end().await;
}

#[tokio::test]
async fn a_key_has_its_models_and_its_rate() {
    let more = r#"
        [[key]]
        name = "small"
        variable = "OTHER_KEY"
        models = ["m1"]
        per_minute = 2
    "#;
    let world = World::new(more).await;
    let key = [("x-api-key", "tl-other")];
    let other = asks(false, "").replace("m1", "m-2");
    assert_eq!(world.post(CHAT, &other, &key).await.status, 403);
    assert_eq!(world.post(CHAT, &asks(false, ""), &key).await.status, 200);
    let limited = world.post(CHAT, &asks(false, ""), &key).await;
    assert_eq!((limited.status, limited.header("x-ratelimit-limit-requests")), (429, "2"));
    assert!(!limited.header("retry-after").is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_or_counted_and_marked() {
    let route = "\n[[route]]\nmodel = \"x1\"\nto = [{ provider = \"test\" }]";
    let body = asks(false, "").replace("m1", "x1");
    let world = World::new(&format!("unknown_price = \"refuse\"\n{route}")).await;
    let refused = world.post(CHAT, &body, &[]).await;
    assert_eq!((refused.status, refused.header("x-should-retry")), (403, "false"));
    let command = "`trunkline prices import LIST --provider test --model x1`";
    for part in [command, "`public_prices`", "`unknown_price` assumes one"] {
        assert!(refused.body.contains(part), "{part}: {refused:?}");
    }
    world.end().await;
    let assume = "unknown_price = { assume = { per_million = { input = 1, output = 10 } } }";
    let world = World::new(&format!("{assume}\n{route}")).await;
    let reply = world.post(CHAT, &body, &[]).await;
    assert_eq!((reply.status, reply.header("x-trunkline-flags")), (200, "assumed_price"));
    assert_eq!(world.cost(), world.provider_cost());
    world.end().await;
}

#[tokio::test]
async fn another_way_is_tried_and_each_attempt_is_written_down() {
    let world = World::new(FALLBACK).await;
    let reply = world.post(CHAT, &asks(false, "").replace("m1", "m-far"), &[]).await;
    assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{reply:?}");
    let rows = world.rows();
    assert_eq!((rows[0]["provider"].as_str(), rows[0]["cost"].as_i64()), (Some("broken"), Some(0)));
    assert_eq!(
        (rows[1]["provider"].as_str(), rows[1]["model"].as_str()),
        (Some("test"), Some("m1"))
    );
    assert_eq!(world.cost(), world.provider_cost());
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_fails_is_told_of_once_and_so_is_that_it_answers_again() {
    let world = World::new(FALLBACK).await;
    let far = asks(false, "").replace("m1", "m-far");
    for _ in 0..2 {
        assert_eq!(world.post(CHAT, &far, &[]).await.status, 200);
    }
    let broken = world.post(CHAT, &asks(false, ""), &[("x-fake", "status=500")]).await;
    assert_eq!(broken.status, 500);
    {
        let (mut breakers, now) = (world.core.breakers(), world.core.clock.now());
        let outages = &mut breakers.outages;
        assert_eq!(outages.failed((0, "m-far"), now), None, "it was told of in this minute");
        assert!(outages.answered((0, "m-far"), now).is_some(), "it is told of as failing");
        assert_eq!(outages.failed((1, "m1"), now), None, "a status of a failure is told of too");
    }
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    let now = world.core.clock.now();
    let again = world.core.breakers().outages.answered((1, "m1"), now);
    assert_eq!(again, None, "that it answers again was told with the answer");
    world.end().await;
}

#[tokio::test]
async fn the_last_error_of_the_provider_reaches_the_client_and_costs_nothing() {
    let world = World::new(LEDGER).await;
    for (order, status) in
        [("status=500", 500), ("status=429,retry_after=0", 429), ("status=422", 422)]
    {
        let reply = world.post(CHAT, &asks(false, ""), &[("x-fake", order)]).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.body.contains("the fake was asked for"), "{reply:?}");
    }
    assert_eq!(world.cost(), UsdNanos(0));
    assert_eq!(world.rows().len(), 3 + 3 + 1, "two of them were tried three times");
    let refused = world.post(CHAT, &asks(false, ""), &[("x-fake", "status=401")]).await;
    assert_eq!(refused.status, 502, "the gateway's key is not the client's matter");
    world.end().await;
}

#[tokio::test]
async fn a_key_that_may_not_use_one_model_serves_the_others() {
    let world = World::new(LEDGER).await;
    let of = |model: &str| {
        format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"max_tokens":5}}"#
        )
    };
    for (order, status, now) in [("status=403", 502, 503), ("status=429,retry_after=9", 429, 503)] {
        let first = world.post(CHAT, &of("m1"), &[("x-fake", order)]).await;
        assert_eq!(first.status, status, "{first:?}");
        assert_eq!(world.post(CHAT, &of("m1"), &[]).await.status, now, "{order}");
        assert_eq!(world.post(CHAT, &of("m-b"), &[]).await.status, 200, "{order}");
        *world.core.breakers() = crate::gateway::route::Breakers::default();
    }
    world.end().await;
}

#[test]
fn use_that_cannot_be_is_counted_by_the_gateway() {
    let body = r#"{"model":"m1","choices":[],"usage":{"prompt_tokens":1000000000000000000,"completion_tokens":1}}"#;
    let read = |body: &str| {
        crate::provider::read_answer(crate::provider::Operation::ChatCompletions, body.as_bytes())
    };
    assert_eq!(read(body), None);
    assert!(read(&body.replace("1000000000000000000", "2000000")).is_some());
}

#[tokio::test]
async fn a_provider_that_is_too_slow_is_charged_its_prompt() {
    let world = World::new("ledger = \"l\"\nlimits = { attempts = 1, first_token_ms = 50 }").await;
    let reply = world.post(CHAT, &asks(true, ""), &[("x-fake", "delay_ms=400")]).await;
    assert_eq!(reply.status, 504, "{reply:?}");
    let rows = world.rows();
    assert_eq!(flags(&rows[0]), ["estimated", "counted_by_rule"]);
    assert!(rows[0]["cost"].as_i64().unwrap() > 0 && rows[0]["usage"]["output"].is_null());
    world.end().await;
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_ends_with_an_error_and_is_charged_by_count() {
    let world = World::new(LEDGER).await;
    for cut in 1..7 {
        for (path, error) in [(CHAT, "data: {\"error\""), ("/v1/messages", "event: error\n")] {
            let order = format!("chunks=5,chunk_ms=3,cut={cut}");
            let reply = world.post(path, &asks(true, ""), &[("x-fake", &order)]).await;
            assert_eq!(reply.status, 200);
            assert!(reply.body.contains(error) && !reply.is_broken, "{cut} {reply:?}");
        }
    }
    world.settled().await;
    for row in world.rows() {
        assert!(flags(&row).contains(&"cut") && flags(&row).contains(&"estimated"), "{row}");
    }
    assert!(world.cost() >= world.provider_cost(), "{} {}", world.cost(), world.provider_cost());
    world.end().await;
}

#[tokio::test]
async fn streams_without_usage_without_an_end_or_with_nonsense_are_settled() {
    let world = World::new(LEDGER).await;
    for order in ["no_usage", "no_end", "malformed=2", "malformed=0,no_usage", "cut=0"] {
        for path in [CHAT, "/v1/messages"] {
            let reply = world.post(path, &asks(true, ""), &[("x-fake", order)]).await;
            assert!(!reply.is_broken, "{order} {reply:?}");
            if order.starts_with("malformed") {
                assert!(reply.body.contains("data: {\"half\": \n\n"), "passed as it is: {reply:?}");
            }
        }
    }
    world.settled().await;
    for row in world.rows() {
        assert!(row["cost"].as_i64().unwrap() > 0, "{row}");
    }
    world.end().await;
}

async fn leaves(policy: &str) -> (World, Vec<serde_json::Value>) {
    let world =
        World::new(&format!("ledger = \"l\"\nlimits = {{ client_gone = \"{policy}\" }}")).await;
    let orders = [("x-fake", "chunks=40,chunk_ms=10")];
    let mut response = world.open("/v1/messages", &asks(true, ""), &orders).await;
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    world.settled().await;
    let rows = world.rows();
    (world, rows)
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_what_was_seen() {
    let (world, rows) = leaves("stop").await;
    assert_eq!(flags(&rows[0]), ["client_gone", "estimated", "counted_by_rule"]);
    let output = rows[0]["usage"]["output"].as_u64().unwrap();
    assert!((1..100).contains(&output), "{output}");
    world.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_the_whole_stream_when_it_is_read_to_its_end() {
    let (world, rows) = leaves("drain").await;
    assert_eq!(flags(&rows[0]), ["client_gone"]);
    assert_eq!(rows[0]["usage"]["output"], 40);
    assert_eq!(world.cost(), world.provider_cost());
    world.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_charged_what_it_cost() {
    let world = World::new(LEDGER).await;
    let body = asks(false, "");
    let call = world.post(CHAT, &body, &[("x-fake", "delay_ms=1500")]);
    assert!(tokio::time::timeout(Duration::from_millis(500), call).await.is_err());
    assert_eq!(world.ledger().open_calls(), 1);
    world.settled().await;
    assert_eq!(world.cost(), world.provider_cost());
    assert!(world.cost() > UsdNanos(0));
    world.end().await;
}

#[tokio::test]
async fn a_stream_that_takes_too_long_is_ended_and_settled() {
    let world = World::new("ledger = \"l\"\nlimits = { total_ms = 200 }").await;
    let reply = world.post(CHAT, &asks(true, ""), &[("x-fake", "chunks=50,chunk_ms=50")]).await;
    assert!(reply.body.contains("took longer than it may"), "{reply:?}");
    assert!(flags(&world.rows()[0]).contains(&"cut"));
    world.end().await;
}

#[tokio::test]
async fn a_client_that_asks_nothing_does_not_hold_up_the_end_either() {
    let world = World::new("limits = { request_ms = 300 }").await;
    let address = world.address.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    world.end().await;
    drop(stream);
}

#[tokio::test]
async fn a_model_that_keeps_failing_is_closed_and_says_when_to_come_again() {
    let world = World::new("limits = { attempts = 1 }").await;
    for _ in 0..5 {
        world.post(CHAT, &asks(false, ""), &[("x-fake", "status=503")]).await;
    }
    let closed = world.post(CHAT, &asks(false, ""), &[]).await;
    assert_eq!(closed.status, 503);
    assert!(closed.body.contains("no provider of the model answers"), "{closed:?}");
    assert!(!closed.header("retry-after-ms").is_empty());
    let other = world.post(CHAT, &asks(false, "").replace("m1", "m-b"), &[]).await;
    assert_eq!(other.status, 200, "other models of the key go on: {other:?}");
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_closed_for_all_its_models_and_keys() {
    let more = r#"
        ledger = "l"
        limits = { attempts = 1 }
        [[provider]]
        name = "gone"
        dialect = "openai"
        url = "http://127.0.0.1:9"
        key_variables = ["PROVIDER_KEY", "OTHER_KEY"]
        prices = "test"
        [[route]]
        model = "m-gone*"
        to = [{ provider = "gone" }]
    "#;
    let world = World::new(more).await;
    let mut statuses = Vec::new();
    for number in 0..6 {
        let body = asks(false, "").replace("m1", &format!("m-gone{number}"));
        statuses.push(world.post(CHAT, &body, &[]).await.status);
    }
    assert_eq!(statuses, [502, 502, 502, 502, 502, 503], "whatever the model and the key");
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200, "another provider");
    world.end().await;
}

#[tokio::test]
async fn where_the_store_is_away_that_is_said_and_no_provider_is_blamed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = Store::open(&format!("sqlite:{}", file.display())).await.unwrap();
    let parts = BookParts { store: store.clone(), name: "p".to_owned(), clock: Arc::new(Now) };
    let budget =
        "[[budget]]\nid = \"core\"\nscope = { team = \"core\" }\nwindow = \"day\"\nusd = \"1\"\n";
    let budgets = settings::read(budget).unwrap().budgets;
    let ledger = Arc::new(Ledger::stored(parts, budgets).await.unwrap());
    let world = World::with_parts(tempfile::tempdir().unwrap(), "", (None, Some(ledger))).await;
    store.close().await;
    for (path, code) in [(CHAT, "store_unavailable"), ("/v1/messages", "overloaded_error")] {
        let away = world.post(path, &asks(false, ""), &[]).await;
        assert_eq!((away.status, away.header("retry-after-ms")), (503, "1000"), "{away:?}");
        assert!(away.body.contains(code), "{away:?}");
        assert!(away.body.contains("the store of the gateway does not answer"), "{away:?}");
    }
    assert_eq!(world.charged.calls.load(std::sync::atomic::Ordering::Relaxed), 0);
    world.end().await;
}
