//! Calls through the cache.

use std::sync::atomic::Ordering;

use super::raw::{Raw, Then};
use super::world::{Reply, World, asks};
use crate::model::UsdNanos;

const CHAT: &str = "/v1/chat/completions";
const CACHE: &str = "ledger = \"l\"\n[cache]\nttl_seconds = 60\n";
const TAPES: &str = "cassettes = \"tapes\"\ncassette_mode = \"replay_or_record\"";
const COLD: &str = "\"temperature\":0";

fn calls(world: &World) -> u64 {
    world.charged.calls.load(Ordering::Relaxed)
}

fn origin(reply: &Reply) -> &str {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("x-trunkline-origin")
}

#[tokio::test]
async fn an_equal_call_costs_nothing_the_second_time_and_says_what_it_avoided() {
    let world = World::new(CACHE).await;
    for path in [CHAT, "/v1/messages", "/v1/completions", "/v1/responses"] {
        let body = asks(false, &format!("{COLD},\"prompt\":\"hi\",\"input\":\"hi\""));
        let first = world.post(path, &body, &[]).await;
        let spaced = body.replace("\"temperature\":0", "\"temperature\" :  0.0");
        let again = world.post(path, &spaced, &[("x-api-key", super::world::KEY)]).await;
        assert_eq!((origin(&first), origin(&again)), ("live", "cache"), "{path}");
        assert_eq!((&again.body, again.header("x-trunkline-cost-usd")), (&first.body, "0.00"));
        assert_eq!(again.header("content-type"), "application/json");
        let rows = world.rows();
        assert_eq!(rows[1]["avoided"], rows[0]["cost"]);
        assert_eq!((&rows[1]["cost"], &rows[1]["origin"]), (&0.into(), &"cache".into()));
        assert_eq!(rows[1]["provider"], rows[0]["provider"]);
    }
    assert_eq!((calls(&world), world.cost()), (4, world.provider_cost()));
    world.end().await;
}

#[tokio::test]
async fn the_client_says_what_is_read_and_what_is_kept() {
    let world = World::new(CACHE).await;
    let body = asks(false, "");
    let call = async |word: &str| {
        let reply = world.post(CHAT, &body, &[("x-trunkline-cache", word)]).await;
        origin(&reply).to_owned()
    };
    assert_eq!(origin(&world.post(CHAT, &body, &[]).await), "live", "it is not cold");
    assert_eq!((call("read").await, call("off").await), ("live".into(), "live".into()));
    assert_eq!((call("read").await, call("write").await), ("live".into(), "live".into()));
    assert_eq!((call("read").await, call("on").await), ("cache".into(), "cache".into()));
    assert_eq!((call("off").await, call("write").await), ("live".into(), "live".into()));
    let reply = world.post(CHAT, &body, &[("x-trunkline-cache", "yes")]).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    for state in [r#""previous_response_id":"resp_1""#, r#""prompt":{"id":"pmpt_1"}"#] {
        let goes_on = format!(r#"{{"model":"m1","input":"hi","temperature":0,{state}}}"#);
        for _ in 0..2 {
            let reply = world.post("/v1/responses", &goes_on, &[("x-trunkline-cache", "on")]).await;
            assert_eq!(origin(&reply), "live", "{state}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_a_budget_has_cut_short_is_given_to_nobody_else() {
    let more = r#"
        limits = { clamp = true }
        [cache]
        ttl_seconds = 60
        [[budget]]
        id = "all"
        window = "day"
        usd = "0.0002"
    "#;
    let world = World::new(more).await;
    let body = asks(false, COLD).replace(":50,", ":5000,");
    let long = [("x-fake", "chunks=5000")];
    let first = world.post(CHAT, &body, &long).await;
    assert_eq!((origin(&first), first.header("x-trunkline-flags")), ("live", "clamped"));
    world.ledger().unset_budget("all");
    for from in ["live", "cache"] {
        let whole = world.post(CHAT, &body, &long).await;
        assert_eq!((origin(&whole), whole.header("x-trunkline-flags")), (from, ""));
        assert!(whole.body.len() > first.body.len(), "{from}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_stream_comes_back_as_the_stream_that_it_was() {
    let world = World::new(CACHE).await;
    let usage = "\"temperature\":0,\"stream_options\":{\"include_usage\":true}";
    for (path, more) in
        [(CHAT, COLD), (CHAT, usage), ("/v1/messages", COLD), ("/v1/responses", COLD)]
    {
        let body = asks(true, &format!("{more},\"input\":\"hi\""));
        let first = world.post(path, &body, &[]).await;
        let again = world.post(path, &body, &[]).await;
        let is_known = more == usage;
        assert_eq!(
            origin(&first),
            if is_known { "cache" } else { "live" },
            "the usage is kept too"
        );
        assert_eq!((origin(&again), &again.body), ("cache", &first.body));
        assert!(again.header("content-type").starts_with("text/event-stream"));
        assert_eq!(again.body.contains("prompt_tokens"), is_known);
        let whole = world.post(path, &asks(false, &format!("{more},\"input\":\"hi\"")), &[]).await;
        assert_eq!(origin(&whole), "live", "kept apart: {whole:?}");
    }
    world.settled().await;
    assert!(
        world.rows().iter().all(|it| it["origin"] == "live" || it["avoided"].as_i64() > Some(0))
    );
    world.end().await;
}

#[tokio::test]
async fn what_failed_or_broke_off_is_not_kept() {
    let world = World::new(&format!("limits = {{ attempts = 1 }}\n{CACHE}")).await;
    for order in ["cut=3", "no_end,no_usage"] {
        let broken = world.post(CHAT, &asks(true, COLD), &[("x-fake", order)]).await;
        assert!(broken.body.contains("\"error\""), "{broken:?}");
    }
    assert_eq!(origin(&world.post(CHAT, &asks(true, COLD), &[]).await), "live");
    let wrong = world.post(CHAT, &asks(false, COLD), &[("x-fake", "status=400")]).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(origin(&world.post(CHAT, &asks(false, COLD), &[]).await), "live");
    world.end().await;
}

#[tokio::test]
async fn what_is_no_answer_of_the_operation_passes_and_is_not_kept() {
    const MESSAGES: &str = "/v1/messages";
    let used = r#""usage":{"prompt_tokens":3,"completion_tokens":1}"#;
    let lacks = format!(r#"{{"choices":[],{used}}}"#);
    let choices = r#"{"choices":[{"message":{"content":"so"}}]}"#;
    let chunk = r#"data: {"choices":[{"delta":{"content":"so"},"finish_reason":"stop"}]}"#;
    let stream = format!("{chunk}\n\ndata: [DONE]\n\n");
    let answers = [
        (CHAT, false, "[1]", "live"),
        (CHAT, false, "404", "live"),
        (CHAT, false, "{}", "live"),
        (CHAT, false, lacks.as_str(), "live"),
        (MESSAGES, false, r#"{"usage":{"input_tokens":3,"output_tokens":1}}"#, "live"),
        ("/v1/moderations", false, r#"{"id":"modr-1"}"#, "live"),
        ("/v1/messages/count_tokens", false, r#"{"tokens":3}"#, "live"),
        (CHAT, true, "data: [DONE]\n\n", "live"),
        (CHAT, false, choices, "cache"),
        (MESSAGES, false, r#"{"content":[{"type":"text","text":"so"}]}"#, "cache"),
        (CHAT, true, stream.as_str(), "cache"),
    ];
    let said = |(_, is_stream, body, _): &(&str, bool, &str, &str)| {
        let kind = if *is_stream { "text/event-stream" } else { "application/json" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n");
        let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        (text.into_bytes(), Then::Close)
    };
    let raw = Raw::start().await;
    *raw.answers.lock().unwrap() = answers.iter().map(said).collect();
    let world = World::new(&format!("{}[cache]\nttl_seconds = 60\n", raw.settings(""))).await;
    for (number, (path, is_stream, body, second)) in answers.iter().enumerate() {
        let asked = asks(*is_stream, COLD).replace("\"m1\"", "\"m-raw\"");
        let number = [("x-raw", &*number.to_string())];
        let first = world.post(path, &asked, &number).await;
        assert_eq!((origin(&first), &*first.body), ("live", *body), "{path}");
        let again = world.post(path, &asked, &number).await;
        assert_eq!((origin(&again), &*again.body), (*second, *body), "{path}");
    }
    world.settled().await;
    world.end().await;
}

#[tokio::test]
async fn teams_namespaces_and_versions_are_kept_apart() {
    let more = r#"
        [[cache.namespace]]
        name = "docs"
        version = "1"
        [[key]]
        name = "other"
        variable = "OTHER_KEY"
        subject = { team = "other" }
    "#;
    let world = World::new(&format!("{CACHE}{more}")).await;
    let body = asks(false, COLD);
    let call =
        async |headers: &[(&str, &str)]| origin(&world.post(CHAT, &body, headers).await).to_owned();
    let docs = ("x-trunkline-cache-namespace", "docs");
    let two = ("x-trunkline-cache-version", "2");
    for headers in [&[][..], &[("x-api-key", "tl-other")], &[docs], &[docs, two], &[two]] {
        assert_eq!((call(headers).await, call(headers).await), ("live".into(), "cache".into()));
    }
    let said = world.put("/trunkline/cache/namespaces/docs", r#"{"version":"1b"}"#).await;
    assert_eq!((said.status, said.body.as_str()), (204, ""));
    assert_eq!((call(&[docs]).await, call(&[docs]).await), ("live".into(), "cache".into()));
    assert_eq!(call(&[]).await, "cache", "other namespaces stay");
    for from in ["live", "cache"] {
        let reply = world.post(&format!("{CHAT}?api-version=2"), &body, &[]).await;
        assert_eq!(origin(&reply), from, "another version of the API may answer otherwise");
    }
    world.end().await;
}

#[tokio::test]
async fn of_equal_calls_at_the_same_time_one_goes_out() {
    let world = World::new(CACHE).await;
    for (path, stream) in [(CHAT, false), (CHAT, true), ("/v1/messages", true)] {
        let before = calls(&world);
        let body = asks(stream, COLD);
        let orders = [("x-fake", "delay_ms=50,chunk_ms=5")];
        let all = (0..50).map(|_| world.post(path, &body, &orders));
        let replies = futures_util::future::join_all(all).await;
        assert_eq!(calls(&world) - before, 1);
        assert!(replies.iter().all(|it| it.status == 200 && it.body == replies[0].body));
        let live = replies.iter().filter(|it| origin(it) == "live").count();
        assert_eq!(live, 1);
    }
    world.settled().await;
    assert_eq!(world.cost(), world.provider_cost());
    assert_eq!(world.core.cache.as_ref().unwrap().flights().inside(), 0);
    world.end().await;
}

#[tokio::test]
async fn of_equal_calls_at_the_same_time_one_is_recorded() {
    let world = World::new(&format!("limits = {{ attempts = 1 }}\n{TAPES}")).await;
    for stream in [false, true] {
        let before = calls(&world);
        let body = asks(stream, "");
        let orders = [("x-fake", "delay_ms=50,chunk_ms=5")];
        let all = (0..10).map(|_| world.post(CHAT, &body, &orders));
        let replies = futures_util::future::join_all(all).await;
        assert_eq!(calls(&world) - before, 1);
        assert_eq!(replies.iter().filter(|it| origin(it) == "live").count(), 1);
        assert_eq!(replies.iter().filter(|it| origin(it) == "cassette").count(), 9);
    }
    let body = asks(false, "\"user\":\"b\"");
    let before = calls(&world);
    let first = world.post(CHAT, &body, &[("x-fake", "status=404,delay_ms=100")]);
    let others = async {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        let others = (0..5).map(|_| world.post(CHAT, &body, &[("x-fake", "delay_ms=20")]));
        futures_util::future::join_all(others).await
    };
    let (first, others) = futures_util::future::join(first, others).await;
    assert_eq!((first.status, calls(&world) - before), (404, 1), "a failure is not recorded");
    assert_eq!(others.iter().filter(|it| origin(it) == "live").count(), 1);
    world.settled().await;
    let folder = world.end().await;
    let tape = std::fs::read_to_string(folder.path().join("tapes/eval.jsonl")).unwrap();
    assert_eq!(tape.lines().count(), 3, "{tape}");
}

#[tokio::test]
async fn a_recording_whose_client_leaves_keeps_nobody_waiting() {
    let world = World::new(TAPES).await;
    let body = asks(true, "");
    let left = world.open(CHAT, &body, &[("x-fake", "chunks=20,chunk_ms=20")]).await;
    drop(left);
    let limit = std::time::Duration::from_secs(5);
    let other = tokio::time::timeout(limit, world.post(CHAT, &body, &[])).await.unwrap();
    assert_eq!(origin(&other), "live");
    world.end().await;
}

#[tokio::test]
async fn when_the_first_fails_the_others_try_one_after_the_other() {
    let world = World::new(&format!("limits = {{ attempts = 1 }}\n{CACHE}")).await;
    let body = asks(false, COLD);
    let first = world.post(CHAT, &body, &[("x-fake", "status=400,delay_ms=100")]);
    let others = async {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        let others = (0..20).map(|_| world.post(CHAT, &body, &[("x-fake", "delay_ms=20")]));
        futures_util::future::join_all(others).await
    };
    let (first, others) = futures_util::future::join(first, others).await;
    assert_eq!((first.status, calls(&world)), (400, 1));
    assert_eq!(others.iter().filter(|it| origin(it) == "live").count(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_leader_whose_client_leaves_keeps_nobody_waiting() {
    let world = World::new(CACHE).await;
    let body = asks(true, COLD);
    let left = world.open(CHAT, &body, &[("x-fake", "chunks=20,chunk_ms=20")]).await;
    drop(left);
    let limit = std::time::Duration::from_secs(5);
    let other = tokio::time::timeout(limit, world.post(CHAT, &body, &[])).await.unwrap();
    assert_eq!(origin(&other), "live");
    world.end().await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_does_not_stop_what_costs_nothing() {
    let budget = "[[budget]]\nid = \"all\"\nwindow = \"whole\"\nusd = \"0.0008\"\n";
    let world = World::new(&format!("{CACHE}{budget}")).await;
    let body = asks(false, COLD);
    let mut last = 200;
    for number in 0..20 {
        world.post(CHAT, &body, &[]).await;
        let other = body.replace("something", &format!("something {number}"));
        last = world.post(CHAT, &other, &[]).await.status;
    }
    assert_eq!(last, 402);
    assert_eq!(origin(&world.post(CHAT, &body, &[]).await), "cache");
    assert!(world.cost() <= UsdNanos(800_000));
    world.end().await;
}

#[tokio::test]
async fn embeddings_are_known_text_by_text() {
    let world = World::new(CACHE).await;
    let ask = |input: &str, format: &str| {
        format!(r#"{{"model":"m1","input":{input},"encoding_format":"{format}"}}"#)
    };
    let path = "/v1/embeddings";
    for format in ["float", "base64"] {
        let first = world.post(path, &ask(r#"["a","b"]"#, format), &[]).await;
        assert_eq!(origin(&first), "live");
        let before = calls(&world);
        let mixed = ask(r#"["c","b","a","c"]"#, format);
        let joined = world.post(path, &mixed, &[]).await;
        let direct = world.direct(path, &mixed, "").await;
        assert_eq!(joined.json()["data"], direct.json()["data"], "{format}");
        assert_eq!((joined.json()["model"].as_str(), calls(&world)), (Some("m1"), before + 2));
        let known = world.post(path, &ask(r#""c""#, format), &[]).await;
        assert_eq!((origin(&known), known.header("x-trunkline-cost-usd")), ("cache", "0.00"));
        assert_eq!(known.json()["data"][0]["embedding"], joined.json()["data"][0]["embedding"]);
        let rows = world.rows();
        assert_eq!(rows.len(), 3);
        assert!(rows[1]["avoided"].as_i64() > Some(0) && rows[1]["cost"].as_i64() > Some(0));
        assert_eq!((&rows[2]["cost"], &rows[2]["origin"]), (&0.into(), &"cache".into()));
    }
    world.end().await;
}

#[tokio::test]
async fn embeddings_of_a_fallback_are_not_mixed_with_those_that_are_kept() {
    let more = r#"
        [[provider]]
        name = "first"
        dialect = "openai"
        url = "{provider}"
        prices = "test"
        [[route]]
        model = "m-far"
        to = [{ provider = "first" }, { provider = "test", model = "m2" }]
    "#;
    let world = World::new(&format!("{CACHE}{more}")).await;
    let ask = |input: &str| format!(r#"{{"model":"m-far","input":{input}}}"#);
    let path = "/v1/embeddings";
    assert_eq!(world.post(path, &ask(r#"["a"]"#), &[]).await.status, 200);
    // The first provider is closed now, so the fallback answers.
    let closed = crate::gateway::route::Way { provider: 0, key: 0 };
    let now = world.core.clock.now();
    let minute = Some(crate::model::Milliseconds(60_000));
    world.core.breakers().note(
        (closed, "m-far"),
        crate::gateway::route::Fate::Limited,
        minute,
        now,
    );
    let reply = world.post(path, &ask(r#"["a","b"]"#), &[]).await;
    assert_eq!((origin(&reply), reply.json()["model"].as_str()), ("live", Some("m2")));
    assert_eq!(reply.json()["data"].as_array().map(Vec::len), Some(2), "{reply:?}");
    assert_eq!(origin(&world.post(path, &ask(r#"["b"]"#), &[]).await), "live", "it was not kept");
    world.settled().await;
    world.end().await;
}

#[tokio::test]
async fn a_redis_that_is_down_slows_nobody() {
    let world = World::new(&format!("{CACHE}redis = \"redis://127.0.0.1:1\"\n")).await;
    let body = asks(false, COLD);
    let replies = [world.post(CHAT, &body, &[]).await, world.post(CHAT, &body, &[]).await];
    assert_eq!((origin(&replies[0]), origin(&replies[1])), ("live", "cache"));
    let docs = [("x-trunkline-cache-namespace", "docs")];
    for _ in 0..2 {
        assert_eq!(
            origin(&world.post(CHAT, &body, &docs).await),
            "live",
            "its version is not known"
        );
    }
    world.end().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests are told where it is")]
async fn gateways_share_a_redis() {
    let Ok(address) = std::env::var("TEST_REDIS_URL") else {
        assert!(std::env::var("CI").is_err(), "in CI `TEST_REDIS_URL` must be set");
        eprintln!("SKIPPED: `TEST_REDIS_URL` is not set; `deploy/setup redis` starts one");
        return;
    };
    let settings = format!("{CACHE}redis = \"{address}\"\nredis_ms = 5000\n");
    let (one, other) = (World::new(&settings).await, World::new(&settings).await);
    let nonce = format!("\"temperature\":0,\"user\":\"{:x}\"", fastrand::u128(..));
    for (path, stream) in [(CHAT, false), ("/v1/messages", true)] {
        let body = asks(stream, &nonce);
        let first = one.post(path, &body, &[]).await;
        assert_eq!(origin(&first), "live");
        let mut again = other.post(path, &body, &[("x-trunkline-cache", "read")]).await;
        for _ in 0..200 {
            if origin(&again) == "cache" {
                break;
            }
            // The first gateway writes to Redis after it has answered.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            again = other.post(path, &body, &[("x-trunkline-cache", "read")]).await;
        }
        assert_eq!((origin(&again), &again.body), ("cache", &first.body));
    }
    one.end().await;
    other.end().await;
}
