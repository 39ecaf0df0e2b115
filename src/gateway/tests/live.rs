//! Calls that go well.

use std::time::Duration;

use super::raw::{Raw, Then};
use super::world::{KEY, World, asks, read};
use crate::gateway::budget::account::Amount;
use crate::gateway::ledger::notes::NO_KEY;
use crate::model::UsdNanos;

const LEDGER: &str = "ledger = \"ledger.jsonl\"";

#[tokio::test]
async fn an_answer_comes_as_the_provider_gave_it_and_is_charged_as_it_says() {
    let world = World::new(LEDGER).await;
    let body = asks(false, "\"unknown\":{\"kept\":true}");
    let reply = world.post("/v1/chat/completions", &body, &[]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body, world.direct("/v1/chat/completions", &body, "").await.body);
    assert_eq!(reply.header("x-trunkline-origin"), "live");
    assert_eq!(reply.header("x-trunkline-model"), "m1");
    assert_eq!(
        reply.header("x-ratelimit-remaining-requests"),
        "99",
        "headers of the provider stay"
    );
    assert_eq!(reply.header("x-trunkline-upstream-request-id"), "req_fake");
    assert!(reply.header("x-request-id").starts_with("req_0"), "{reply:?}");
    let usage = reply.json()["usage"].clone();
    let cost = usage["prompt_tokens"].as_i64().unwrap() * 1000 + 5 * 10_000;
    assert_eq!(
        reply.header("x-trunkline-cost-usd"),
        UsdNanos(cost).to_string().replace(" USD", "")
    );
    let rows = world.rows();
    assert_eq!((rows.len(), rows[0]["cost"].as_i64()), (1, Some(cost)));
    assert_eq!(rows[0]["subject"]["team"], "core");
    assert_eq!(rows[0]["price"]["id"], "test");
    assert!(rows[0]["reserved"].as_i64().unwrap() >= cost, "{rows:?}");
    world.end().await;
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_and_its_usage_is_known_though_nobody_asked() {
    let world = World::new(LEDGER).await;
    let asked = asks(true, "\"stream_options\":{\"include_usage\":true}");
    let reply = world.post("/v1/chat/completions", &asked, &[]).await;
    assert_eq!(reply.body, world.direct("/v1/chat/completions", &asked, "").await.body);

    let reply = world.post("/v1/chat/completions", &asks(true, ""), &[]).await;
    assert!(reply.body.ends_with("data: [DONE]\n\n") && !reply.body.contains("prompt_tokens"));
    assert_eq!(reply.body.matches("data: ").count(), 7, "{}", reply.body);
    world.settled().await;
    let rows = world.rows();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["usage"]["output"], 5, "{row}");
        assert_eq!(row["flags"].as_array().unwrap().len(), 0, "{row}");
        assert!(row["first_token_ms"].is_u64());
    }
    world.end().await;
}

#[tokio::test]
async fn messages_responses_embeddings_and_the_rest_are_charged_too() {
    let world = World::new("").await;
    for (path, body) in [
        ("/v1/messages", asks(false, "")),
        ("/v1/messages", asks(true, "")),
        (
            "/v1/responses",
            r#"{"model":"m1","input":"hi","stream":true,"max_output_tokens":9}"#.to_owned(),
        ),
        ("/v1/responses", r#"{"model":"m1","input":"hi","max_output_tokens":9}"#.to_owned()),
        (
            "/v1/completions",
            r#"{"model":"m1","prompt":"hi","stream":true,"max_tokens":9}"#.to_owned(),
        ),
        ("/v1/embeddings", r#"{"model":"m1","input":["a","b"]}"#.to_owned()),
        ("/v1/messages/count_tokens", r#"{"model":"m1","messages":[]}"#.to_owned()),
        ("/v1/moderations", r#"{"model":"m1","input":"hi"}"#.to_owned()),
    ] {
        let reply = world.post(path, &body, &[("anthropic-version", "2023-06-01")]).await;
        assert_eq!(reply.status, 200, "{path} {reply:?}");
    }
    world.settled().await;
    assert_eq!(world.ledger().sums().iter().map(|it| it.1.calls).sum::<u64>(), 8);
    assert_eq!(world.cost(), world.provider_cost(), "the ledger is what the provider charged");
    world.end().await;
}

#[tokio::test]
async fn what_is_left_of_a_budget_is_said_with_the_call_already_paid() {
    let budget = r#"
        ledger = "l"
        [[budget]]
        id = "core"
        scope = { team = "core" }
        window = "day"
        usd = "1"
    "#;
    let world = World::new(budget).await;
    let nanos = |text: &str| (text.parse::<f64>().unwrap() * 1e9).round();
    let mut left = 1e9;
    for _ in 0..3 {
        let reply = world.post("/v1/chat/completions", &asks(false, ""), &[]).await;
        left -= nanos(reply.header("x-trunkline-cost-usd"));
        let said = nanos(reply.header("x-trunkline-budget-remaining-usd"));
        assert!((said - left).abs() < 0.5, "{said} {left}");
    }
    let reply = world.post("/v1/chat/completions", &asks(true, ""), &[]).await;
    left -= nanos(reply.header("x-trunkline-reserved-usd"));
    let said = nanos(reply.header("x-trunkline-budget-remaining-usd"));
    assert!((said - left).abs() < 0.5, "of a stream its reservation is held: {said} {left}");
    world.end().await;
}

#[tokio::test]
async fn calls_at_the_same_time_never_exceed_a_hard_budget() {
    let budget = r#"
        [[budget]]
        id = "run"
        scope = { run = "*" }
        window = "whole"
        usd = "0.005"
    "#;
    let world = World::new(budget).await;
    let body = asks(true, "");
    let calls = (0..100)
        .map(|_| world.post("/v1/chat/completions", &body, &[("x-fake", "chunks=40,chunk_ms=1")]));
    let replies = futures_util::future::join_all(calls).await;
    world.settled().await;
    let answered = replies.iter().filter(|it| it.status == 200).count();
    let refused: Vec<_> = replies.iter().filter(|it| it.status == 402).collect();
    assert_eq!(answered + refused.len(), 100);
    assert!(answered > 3 && refused.len() > 50, "{answered} answered");
    assert!(world.cost() <= UsdNanos(5_000_000), "{}", world.cost());
    assert_eq!(world.cost(), world.provider_cost());
    let error = refused[0].json()["error"].clone();
    let words = ["type", "code", "param"].map(|it| error[it].as_str().unwrap_or_default());
    assert_eq!(words, ["insufficient_quota", "budget_exceeded", "run"]);
    assert_eq!(refused[0].header("x-should-retry"), "false");
    let anthropic = world
        .post("/v1/messages", &asks(false, "\"metadata\":{}").replace(":50", ":5000"), &[])
        .await;
    assert_eq!(anthropic.status, 402);
    assert_eq!(anthropic.json()["error"]["type"], "billing_error");
    let accounts = world.ledger().accounts();
    assert_eq!(accounts[0].2.held, Amount::default());
    world.end().await;
}

#[tokio::test]
async fn a_request_without_a_limit_is_held_for_as_much_as_its_model_may_say() {
    let budget = "[[budget]]\nid = \"all\"\nwindow = \"day\"\nusd = \"0.5\"";
    let world = World::new(budget).await;
    let limited = asks(false, "").replace("m1", "m-long");
    let unlimited = limited.replace(",\"max_tokens\":50", "");
    let reply = world.post("/v1/chat/completions", &limited, &[]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = world.post("/v1/chat/completions", &unlimited, &[]).await;
    assert_eq!(reply.status, 402, "{reply:?}");
    let message = reply.json()["error"]["message"].to_string();
    assert!(message.contains("100000 tokens of answer are counted on"), "{message}");
    assert!(message.contains("a lower `max_tokens` may fit"), "{message}");
    let response = r#"{"model":"m-long","input":"hi"}"#;
    let reply = world.post("/v1/responses", response, &[]).await;
    assert_eq!(reply.status, 402, "{reply:?}");
    assert!(reply.body.contains("a lower `max_output_tokens` may fit"), "{reply:?}");
    let other = unlimited.replace("m-long", "m1");
    let reply = world.post("/v1/chat/completions", &other, &[]).await;
    assert_eq!(reply.status, 200, "how long its answers get is not known: {reply:?}");
    assert!(reply.header("x-trunkline-reserved-usd").starts_with("0.0409"), "{reply:?}");
    world.end().await;
}

#[tokio::test]
async fn the_query_of_an_address_goes_on_to_the_provider() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let answer = r#"{"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let bytes = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    *raw.answers.lock().unwrap() = vec![(bytes.into_bytes(), Then::Close)];
    let body = asks(false, "").replace("m1", "m-raw");
    for query in ["?api-version=preview&x=%2F", "?", ""] {
        let reply = world.post(&format!("/v1/chat/completions{query}"), &body, &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let asked = raw.asked.lock().unwrap().join("\n");
    insta::assert_snapshot!(asked, @r"
    POST /v1/chat/completions?api-version=preview&x=%2F HTTP/1.1
    POST /v1/chat/completions HTTP/1.1
    POST /v1/chat/completions HTTP/1.1
    ");
    world.end().await;
}

#[tokio::test]
async fn a_request_for_more_than_is_left_is_lowered_when_that_is_wanted() {
    let more = r#"
        limits = { clamp = true }
        [[budget]]
        id = "all"
        window = "day"
        usd = "0.0002"
    "#;
    let world = World::new(more).await;
    let body = asks(false, "").replace(":50}", ":5000}");
    let reply = world.post("/v1/chat/completions", &body, &[("x-fake", "chunks=5000")]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("x-trunkline-flags"), "clamped", "nothing was spent before it");
    let tokens = reply.json()["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((5..20).contains(&tokens), "{tokens}");
    assert!(world.cost() <= UsdNanos(200_000), "{}", world.cost());
    world.end().await;
}

#[tokio::test]
async fn the_limit_that_a_model_has_by_itself_is_not_written_into_a_request() {
    let raw = Raw::start().await;
    let answer = r#"{"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    *raw.answers.lock().unwrap() = vec![(format!("{head}{answer}").into_bytes(), Then::Close)];
    let far = "[[route]]\nmodel = \"m-far\"\nto = [{ provider = \"raw\", model = \"m-long\" }]\n";
    for (usd, model, is_written) in
        [("2", "m-far", false), ("0.5", "m-far", true), ("2", "m-raw", true)]
    {
        let budget = format!("[[budget]]\nid = \"all\"\nwindow = \"day\"\nusd = \"{usd}\"\n");
        let world = World::new(&format!("{}{far}{budget}", raw.settings("clamp = true"))).await;
        let body = asks(false, "").replace(",\"max_tokens\":50", "").replace("m1", model);
        let reply = world.post("/v1/chat/completions", &body, &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let sent = raw.sent.lock().unwrap().pop().unwrap();
        assert_eq!(sent.contains("max_completion_tokens"), is_written, "{model} {usd}: {sent}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_request_is_not_lowered_below_its_thoughts() {
    let more = r#"
        limits = { clamp = true }
        [[budget]]
        id = "all"
        window = "day"
        usd = "0.0003"
    "#;
    let world = World::new(more).await;
    for (thoughts, status) in [(1024, 402), (2, 200)] {
        let thinking = format!(r#""thinking":{{"type":"enabled","budget_tokens":{thoughts}}}"#);
        let body = asks(false, &thinking).replace(":50,", ":5000,");
        let reply = world.post("/v1/messages", &body, &[]).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.header("x-trunkline-flags").contains("clamped"), status == 200);
    }
    assert_eq!(world.charged.calls.load(std::sync::atomic::Ordering::Relaxed), 1);
    world.end().await;
}

#[tokio::test]
async fn a_call_that_is_free_is_no_request_of_a_budget() {
    let more = r#"
        [[budget]]
        id = "rate"
        window = "day"
        usd_per_thousand_requests = "4"
    "#;
    let world = World::new(more).await;
    let count = r#"{"model":"m1","messages":[]}"#;
    for (path, body, requests) in [
        ("/v1/messages/count_tokens", count.to_owned(), 0),
        ("/v1/messages", asks(false, ""), 1),
        ("/v1/messages/count_tokens", count.to_owned(), 1),
    ] {
        assert_eq!(world.post(path, &body, &[]).await.status, 200, "{path}");
        assert_eq!(world.ledger().accounts()[0].2.requests, requests, "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn models_that_routes_name_are_listed_in_both_formats() {
    let world = World::new("").await;
    let list = world.get("/v1/models", &[]).await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], "m1");
    let list = world.get("/v1/models", &[("anthropic-version", "2023-06-01")]).await.json();
    assert_eq!(list["has_more"], false);
    assert_eq!(list["data"][0]["type"], "model");
    world.end().await;
}

#[tokio::test]
async fn an_app_names_its_endpoint_and_a_key_stays_with_its_own() {
    let more = r#"
        ledger = "l"
        [[budget]]
        id = "search"
        scope = { endpoint = "search" }
        window = "day"
        tokens = 10
    "#;
    let world = World::new(more).await;
    let body = asks(false, "");
    let call = async |endpoint: &str| {
        let headers =
            [("x-trunkline-endpoint", endpoint), ("x-trunkline-tags", "tenant=acme, beta")];
        world.post("/v1/chat/completions", &body, &headers).await.status
    };
    assert_eq!((call("search").await, call("chat").await), (402, 200));
    world.settled().await;
    let rows = world.rows();
    assert_eq!(rows[0]["subject"]["endpoint"], "chat");
    assert_eq!(rows[0]["tags"], "beta tenant=acme");
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_that_no_budget_can_name_is_refused() {
    let world = World::new("ledger = \"l\"").await;
    let (most, beyond) = ("e".repeat(100), "e".repeat(101));
    for (name, is_one) in
        [(most.as_str(), true), ("", true), (beyond.as_str(), false), ("café", false)]
    {
        let headers = [("x-trunkline-endpoint", name)];
        let reply = world.post("/v1/chat/completions", &asks(false, ""), &headers).await;
        assert_eq!(reply.status, if is_one { 200 } else { 400 }, "{name}: {reply:?}");
        let said = reply.body.contains("`x-trunkline-endpoint` has 1 to 100 letters of ASCII");
        assert_eq!(said, !is_one, "{reply:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_was_recorded_is_replayed_without_a_provider_and_for_nothing() {
    let cassettes = "ledger = \"l\"\ncassettes = \"tapes\"\ncassette_mode = \"record\"";
    let world = World::new(cassettes).await;
    let asked = asks(true, "\"stream_options\":{\"include_usage\":true}");
    let calls = [
        ("/v1/chat/completions", asks(true, "")),
        ("/v1/chat/completions", asked),
        ("/v1/chat/completions", asks(false, "\"user\":\"very-private@example.org\"")),
        ("/v1/messages", asks(true, "")),
    ];
    let mut recorded = Vec::new();
    for (path, body) in &calls {
        let headers =
            [("x-fake", "chunks=7,chunk_ms=2"), ("authorization", &format!("Bearer {KEY}"))];
        recorded.push(world.post(path, body, &headers).await.body);
    }
    let cost = world.cost();
    let folder = world.end().await;
    let tape = std::fs::read_to_string(folder.path().join("tapes/eval.jsonl")).unwrap();
    assert!(
        !tape.contains("sk-provider") && !tape.contains("private") && !tape.contains(KEY),
        "{tape}"
    );

    let world = World::in_folder(folder, &cassettes.replace("record", "replay")).await;
    world.provider_stop.cancel();
    for ((path, body), before) in calls.iter().zip(&recorded) {
        let spaced = body.replace("\"model\":", "\"model\" : ");
        let reply = world.post(path, &spaced, &[("x-trunkline-replay", "timed")]).await;
        assert_eq!(
            (reply.status, reply.header("x-trunkline-origin")),
            (200, "cassette"),
            "{reply:?}"
        );
        assert_eq!(reply.body, *before);
    }
    world.settled().await;
    let rows = world.rows();
    let avoided: i64 = rows.iter().map(|it| it["avoided"].as_i64().unwrap()).sum();
    assert_eq!((rows.len(), avoided, world.cost()), (4, cost.0, UsdNanos(0)));
    let other = asks(false, "").replace("something", "nothing");
    let miss = world.post("/v1/chat/completions", &other, &[]).await;
    let message = miss.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!((miss.status, miss.header("x-should-retry")), (424, "false"));
    assert!(message.contains("now \"Say nothing.\""), "{message}");
    world.end().await;
}

#[tokio::test]
async fn a_recording_is_in_its_file_while_the_gateway_goes_on() {
    let world =
        World::new("ledger = \"l\"\ncassettes = \"tapes\"\ncassette_mode = \"record\"").await;
    for (stream, lines) in [(false, 1), (true, 2)] {
        let reply = world.post("/v1/chat/completions", &asks(stream, ""), &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let file = world.folder.path().join("tapes/eval.jsonl");
        let recorded = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
        for _ in 0..400 {
            if recorded() == lines {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(recorded(), lines);
    }
    world.end().await;
}

#[tokio::test]
async fn a_gateway_that_only_replays_needs_no_keys_of_providers() {
    let far = r#"
        cassettes = "tapes"
        cassette_mode = "replay"
        [[provider]]
        name = "far"
        dialect = "openai"
        url = "http://127.0.0.1:9"
        prices = "test"
        key_variables = ["ABSENT_KEY"]
        [[route]]
        model = "m-far"
        to = [{ provider = "far" }]
        [[key]]
        name = "without a cassette"
        variable = "OTHER_KEY"
    "#;
    let world = World::new(far).await;
    let body = asks(false, "").replace("m1", "m-far");
    let path = "/v1/chat/completions";
    assert_eq!(world.post(path, &body, &[]).await.status, 424);
    // A key without a cassette has nothing to replay.
    let out = world.post(path, &body, &[("authorization", "Bearer tl-other")]).await;
    assert_eq!(out.status, 403, "{out:?}");
    let said = format!("{NO_KEY} `far`: `ABSENT_KEY` is not set");
    assert!(out.body.contains(&said), "{out:?}");
    world.end().await;
}

#[tokio::test]
async fn what_is_recorded_when_it_is_missed_is_not_paid_again() {
    let cassettes = "ledger = \"l\"\ncassettes = \"tapes\"\ncassette_mode = \"replay_or_record\"";
    let mut folder = tempfile::tempdir().unwrap();
    for origin in ["live", "cassette"] {
        let world = World::in_folder(folder, cassettes).await;
        let body = asks(false, "");
        let reply = world.post("/v1/chat/completions", &body, &[]).await;
        assert_eq!((reply.status, reply.header("x-trunkline-origin")), (200, origin));
        let again = world.post("/v1/chat/completions", &body, &[]).await;
        assert_eq!((again.status, again.header("x-trunkline-origin")), (200, "cassette"));
        folder = world.end().await;
    }
}

#[tokio::test]
async fn what_another_way_has_answered_is_found_in_the_cassette() {
    let more = r#"
        cassettes = "tapes"
        cassette_mode = "replay_or_record"
        [[provider]]
        name = "down"
        dialect = "openai"
        url = "http://127.0.0.1:9"
        prices = "test"
        [[route]]
        model = "m-two"
        to = [{ provider = "down", model = "m-down" }, { provider = "test", model = "m1" }]
    "#;
    let world = World::new(more).await;
    let body = asks(false, "").replace("m1", "m-two");
    for (origin, attempts) in [("live", "2"), ("cassette", "1")] {
        let reply = world.post("/v1/chat/completions", &body, &[]).await;
        assert_eq!((reply.status, reply.header("x-trunkline-origin")), (200, origin), "{reply:?}");
        assert_eq!(reply.header("x-trunkline-attempts"), attempts);
    }
    world.end().await;
}

#[tokio::test]
async fn a_limit_that_budgets_have_set_is_no_part_of_a_recording() {
    let cassettes =
        "cassettes = \"tapes\"\ncassette_mode = \"replay_or_record\"\nlimits = { clamp = true }";
    let world = World::new(cassettes).await;
    for stream in [false, true] {
        let body = asks(stream, "").replace(",\"max_tokens\":50", "");
        for origin in ["live", "cassette"] {
            let reply = world.post("/v1/chat/completions", &body, &[]).await;
            assert_eq!((reply.status, reply.header("x-trunkline-origin")), (200, origin));
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_stream_that_goes_on_when_the_gateway_stops_ends_with_an_error() {
    let world = World::new(LEDGER).await;
    let slow = [("x-fake", "chunks=1000,chunk_ms=60000")];
    let response = world.open("/v1/chat/completions", &asks(true, ""), &slow).await;
    let stopped = world.finish(Duration::from_millis(50));
    let both = async { tokio::join!(stopped, read(response)).1 };
    let reply = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it hangs");
    assert!(!reply.is_broken && reply.body.contains("upstream_failed"), "{reply:?}");
    assert!(reply.body.contains("the gateway stops and can wait no longer"), "{reply:?}");
    let flags = world.rows()[0]["flags"].to_string();
    assert!(flags.contains("cut") && flags.contains("estimated"), "{flags}");
    world.end().await;
}
