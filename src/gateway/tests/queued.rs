//! Calls that are made later: submitted over HTTP, kept in a database, carried out by whichever process is there.

pub(super) mod place;
mod told;

use std::sync::atomic::Ordering;
use std::time::Duration;

use place::{Place, SETTINGS, ask};
use serde_json::{Value, json};

use super::raw::{Raw, Then};
use super::world::{World, asks};
use crate::gateway::budget::account::Limit;
use crate::gateway::budget::scope::{Kind, Scope, Window};
use crate::gateway::budget::{Budget, Mode};
use crate::gateway::keys;
use crate::model::UsdNanos;

const QUEUE: &str = "/v1/queue";
/// Too little for any call.
const BUDGET: &str = r#"
[[budget]]
id = "small"
scope = { team = "core" }
window = "day"
usd = "0.0000001"
"#;

async fn submit(world: &World, submission: &Value) -> Value {
    let reply = world.post(QUEUE, &submission.to_string(), &[]).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()
}

fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap()
}

/// The item once it has ended.
async fn end_of(world: &World, item: &Value) -> Value {
    world.get(&format!("{QUEUE}/{}?wait=20s", id(item)), &[]).await.json()
}

async fn now(world: &World, item: &Value) -> Value {
    world.get(&format!("{QUEUE}/{}", id(item)), &[]).await.json()
}

/// Looks until the item is in this state.
async fn until(world: &World, item: &Value, is_there: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1000 {
        let item = now(world, item).await;
        if is_there(&item) {
            return item;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to that: {}", now(world, item).await);
}

fn is_running(item: &Value) -> bool {
    item["state"] == "running"
}

#[tokio::test]
async fn a_call_is_made_later_and_its_answer_kept_and_metered() {
    let place = Place::new();
    let world = place.world(&format!("ledger = \"l\"\n{SETTINGS}")).await;
    let item = submit(&world, &ask("")).await;
    assert_eq!((&item["state"], &item["position"]), (&json!("queued"), &json!(1)));
    assert_eq!(item["model"], "m1");
    let item = end_of(&world, &item).await;
    assert_eq!(item["state"], "done", "{item}");
    assert_eq!(item["answer"]["status"], 200);
    assert!(item["answer"]["body"]["choices"][0]["message"]["content"].is_string(), "{item}");
    assert_eq!(item["attempts"], 1);
    let said = item["answer"]["headers"]["x-trunkline-cost-usd"].as_str().unwrap();
    assert_eq!(format!("{said} USD"), world.cost().to_string());
    assert_eq!(world.cost(), world.provider_cost());
    let rows = world.rows();
    assert_eq!(rows[0]["request"], item["request_id"]);
    assert_eq!(rows[0]["subject"], json!({"team": "core", "run": "r1"}));
    world.end().await;
}

#[tokio::test]
async fn a_stream_is_kept_as_it_came_and_one_that_is_cut_is_no_answer() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let streams: Value = serde_json::from_str(&asks(true, "")).unwrap();
    let with = |fake: &str| json!({"path": "/v1/chat/completions", "body": streams, "headers": {"x-fake": fake}});
    let whole = submit(&world, &with("")).await;
    let whole = end_of(&world, &whole).await;
    let body = whole["answer"]["body"].as_str().unwrap();
    assert!(body.starts_with("data: {") && body.ends_with("data: [DONE]\n\n"), "{body}");
    let cut = submit(&world, &with("cut=2,chunk_ms=40")).await;
    let cut = end_of(&world, &cut).await;
    assert_eq!((&cut["state"], &cut["reason"]["code"]), (&json!("failed"), &json!("cut")));
    assert_eq!((&cut["attempts"], &cut["failures"]), (&json!(3), &json!(3)));
    world.settled().await;
    world.end().await;
}

#[tokio::test]
async fn the_same_submission_is_one_item() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let post = async |submission: Value| {
        world.post(QUEUE, &submission.to_string(), &[("idempotency-key", "a")]).await
    };
    let first = post(ask("")).await;
    let second = post(ask("")).await;
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.header("location"), format!("{QUEUE}/{}", id(&first.json())));
    let other = post(ask("delay_ms=1")).await;
    assert_eq!(other.status, 400, "{other:?}");
    end_of(&world, &first.json()).await;
    assert_eq!(world.charged.calls.load(Ordering::Relaxed), 1);
    world.end().await;
}

#[tokio::test]
async fn a_higher_priority_is_earlier_and_a_place_in_line_says_so() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let slow = submit(&world, &ask("delay_ms=400")).await;
    until(&world, &slow, is_running).await;
    let with = |priority: i64| {
        let mut submission = ask("delay_ms=5");
        submission["priority"] = json!(priority);
        submission
    };
    let low = submit(&world, &with(-5)).await;
    let middle = submit(&world, &with(0)).await;
    let high = submit(&world, &with(7)).await;
    assert_eq!(now(&world, &low).await["position"], 3);
    assert_eq!(now(&world, &high).await["position"], 1);
    let mut ends = Vec::new();
    for item in [&slow, &low, &middle, &high] {
        ends.push(end_of(&world, item).await["started_at"].as_str().unwrap().to_owned());
    }
    assert!(ends[0] < ends[3] && ends[3] < ends[2] && ends[2] < ends[1], "{ends:?}");
    let listed = world.get(&format!("{QUEUE}?state=done&limit=3"), &[]).await.json();
    let listed: Vec<_> = listed["data"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(listed, [id(&high), id(&middle), id(&low)], "the newest first");
    let beyond = world.post(QUEUE, &with(101).to_string(), &[]).await;
    assert_eq!(beyond.status, 400, "{beyond:?}");
    world.end().await;
}

#[tokio::test]
async fn an_item_that_waits_is_cancelled_at_once() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let slow = submit(&world, &ask("delay_ms=300")).await;
    until(&world, &slow, is_running).await;
    let item = submit(&world, &ask("")).await;
    let cancelled = world.delete(&format!("{QUEUE}/{}", id(&item)), &[]).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    assert_eq!(end_of(&world, &slow).await["state"], "done");
    let again = world.delete(&format!("{QUEUE}/{}", id(&slow)), &[]).await;
    assert_eq!(again.json()["state"], "done", "what has ended stays as it is");
    assert_eq!(world.charged.calls.load(Ordering::Relaxed), 1);
    world.end().await;
}

#[tokio::test]
async fn a_call_under_way_is_stopped_and_what_was_seen_is_settled() {
    let place = Place::new();
    let world = place.world(&format!("ledger = \"l\"\n{SETTINGS}")).await;
    let slow = submit(&world, &ask("delay_ms=10000")).await;
    until(&world, &slow, is_running).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let asked = world.delete(&format!("{QUEUE}/{}", id(&slow)), &[]).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let begun = std::time::Instant::now();
    assert_eq!(end_of(&world, &slow).await["state"], "cancelled");
    assert!(begun.elapsed() < Duration::from_secs(2));
    world.settled().await;
    let rows = world.rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["flags"], json!(["estimated", "counted_by_rule"]), "the prompt, by count");
    assert_eq!(rows[0]["usage"].get("output"), None, "{rows:?}");

    let body: Value = serde_json::from_str(&asks(true, "")).unwrap();
    let headers = json!({"x-fake": "chunks=50,chunk_ms=100"});
    let stream = json!({"path": "/v1/chat/completions", "body": body, "headers": headers});
    let stream = submit(&world, &stream).await;
    until(&world, &stream, is_running).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.delete(&format!("{QUEUE}/{}", id(&stream)), &[]).await;
    assert_eq!(end_of(&world, &stream).await["state"], "cancelled");
    world.settled().await;
    let rows = world.rows();
    let said = rows[0]["usage"]["output"].as_u64().unwrap();
    assert!((1..50).contains(&said), "what was seen of the answer: {rows:?}");
    world.end().await;
}

#[tokio::test]
async fn too_much_is_refused_and_when_to_come_again_is_said() {
    let place = Place::new();
    let more = "items_per_team = 2\nrequest_bytes = 2000\ntotal_bytes = 900\n";
    let world = place.world(&format!("{SETTINGS}{more}")).await;
    let slow = submit(&world, &ask("delay_ms=400")).await;
    let second = submit(&world, &ask("")).await;
    let full = world.post(QUEUE, &ask("").to_string(), &[]).await;
    assert_eq!(full.status, 429, "{full:?}");
    assert_eq!(full.header("retry-after"), "10");
    let message = full.json()["error"]["message"].as_str().unwrap().to_owned();
    let wanted = "2 of the team's items wait or are carried out, which is the most that may";
    assert_eq!(message, wanted);
    assert_eq!(full.json()["error"]["code"], "queue_full");
    let large = |bytes: usize| {
        let mut submission = ask("");
        submission["body"]["messages"][0]["content"] = json!("x".repeat(bytes));
        submission.to_string()
    };
    assert_eq!(world.post(QUEUE, &large(2000), &[]).await.status, 413);
    for item in [&slow, &second] {
        end_of(&world, item).await;
    }
    let full = world.post(QUEUE, &large(900), &[]).await;
    assert_eq!(full.status, 429, "{full:?}");
    assert!(full.body.contains("900 bytes of requests and answers"), "{full:?}");
    world.end().await;
}

#[tokio::test]
async fn what_can_never_be_carried_out_is_refused_at_once() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let check = async |change: &dyn Fn(&mut Value)| {
        let mut submission = ask("");
        change(&mut submission);
        world.post(QUEUE, &submission.to_string(), &[]).await.status
    };
    assert_eq!(check(&|it| it["path"] = json!("/v1/files")).await, 400);
    assert_eq!(check(&|it| it["body"]["model"] = json!("other")).await, 404);
    assert_eq!(check(&|it| it["deadline"] = json!("2020-01-01T00:00:00Z")).await, 400);
    assert_eq!(check(&|it| it["deadline"] = json!("tomorrow")).await, 400);
    assert_eq!(check(&|it| it["headers"] = json!({"x y": "z"})).await, 400);
    assert_eq!(check(&|it| it["headers"] = json!({"X-Trunkline-Endpoint": "café"})).await, 400);
    assert_eq!(check(&|it| it["unknown"] = json!(1)).await, 400);
    assert_eq!(world.get(&format!("{QUEUE}/none"), &[]).await.status, 404);
    assert_eq!(world.get(&format!("{QUEUE}?limit=0"), &[]).await.status, 400);
    let own = world.get(QUEUE, &[("authorization", "Bearer wrong")]).await;
    assert_eq!(own.status, 401);
    world.end().await;
    let without = World::new("").await;
    assert_eq!(without.post(QUEUE, &ask("").to_string(), &[]).await.status, 404);
    without.end().await;
}

#[tokio::test]
async fn an_item_of_another_team_is_not_there() {
    let place = Place::new();
    let other =
        "[[key]]\nname = \"other\"\nvariable = \"OTHER_KEY\"\nsubject = { team = \"rest\" }\n";
    let world = place.world(&format!("{SETTINGS}{other}")).await;
    let item = submit(&world, &ask("delay_ms=200")).await;
    let stranger = [("authorization", "Bearer tl-other")];
    let path = format!("{QUEUE}/{}", id(&item));
    assert_eq!(world.get(&path, &stranger).await.status, 404);
    assert_eq!(world.delete(&path, &stranger).await.status, 404);
    assert_eq!(world.get(QUEUE, &stranger).await.json()["data"], json!([]));
    assert_eq!(end_of(&world, &item).await["state"], "done");
    world.end().await;
}

#[tokio::test]
async fn a_budget_that_refuses_is_waited_for_or_is_the_end() {
    let place = Place::new();
    let world = place.world(&format!("{SETTINGS}{BUDGET}")).await;
    let mut fails = ask("");
    fails["on_budget"] = json!("fail");
    let fails = submit(&world, &fails).await;
    let failed = end_of(&world, &fails).await;
    assert_eq!((&failed["state"], &failed["reason"]["code"]), (&json!("failed"), &json!("budget")));
    assert_eq!(failed["answer"]["status"], 402);
    let waits = submit(&world, &ask("")).await;
    let is_refused =
        |it: &Value| it["attempts"].as_i64() > Some(1) && it["reason"]["code"] == "budget";
    let waiting = until(&world, &waits, is_refused).await;
    assert_eq!(waiting["failures"], 0);
    world.ledger().set_budget(Budget {
        id: "small".to_owned(),
        scope: Scope::default().with(Kind::Team, "core"),
        window: Window::Day,
        limit: Limit { money: Some(UsdNanos(1_000_000_000)), ..Limit::default() },
        mode: Mode::Hard,
    });
    assert_eq!(end_of(&world, &waits).await["state"], "done");
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_asks_for_time_gets_it_and_one_that_fails_is_tried_again() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let begun = std::time::Instant::now();
    let told = submit(&world, &ask("status=429,name=told,times=1,retry_after=1")).await;
    let told = end_of(&world, &told).await;
    assert_eq!((&told["state"], &told["failures"]), (&json!("done"), &json!(0)), "{told}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let fails = submit(&world, &ask("status=500,name=fails,times=4")).await;
    let fails = end_of(&world, &fails).await;
    assert_eq!((&fails["state"], &fails["failures"]), (&json!("done"), &json!(1)), "{fails}");
    let refused = submit(&world, &ask("status=400")).await;
    let refused = end_of(&world, &refused).await;
    assert_eq!((&refused["state"], &refused["attempts"]), (&json!("failed"), &json!(1)));
    assert_eq!(refused["answer"]["status"], 400);
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_ends_its_item_and_is_charged_by_what_came() {
    let words = "Words that were made, and are to be paid for. ".repeat(500);
    let whole = json!({"choices": [{"message": {"content": words}}]}).to_string();
    let piece = json!({"choices": [{"delta": {"content": words}}]});
    let ok = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type:";
    let answers = [
        format!("{ok} application/json\r\n\r\n{whole}"),
        format!("{ok} text/event-stream\r\n\r\ndata: {piece}\n\ndata: [DONE]\n\n"),
    ];
    let (raw, place) = (Raw::start().await, Place::new());
    *raw.answers.lock().unwrap() =
        answers.into_iter().map(|it| (it.into_bytes(), Then::Close)).collect();
    let settings = SETTINGS.replace("tries = 3", "tries = 3\nanswer_bytes = 1000");
    let world = place.world(&format!("{}{settings}", raw.settings(""))).await;
    for (is_stream, number) in [(false, "0"), (true, "1")] {
        let body = asks(is_stream, "").replace("\"m1\"", "\"m-raw\"");
        let body: Value = serde_json::from_str(&body).unwrap();
        let headers = json!({"x-raw": number});
        let item = json!({"path": "/v1/chat/completions", "body": body, "headers": headers});
        let item = submit(&world, &item).await;
        let item = end_of(&world, &item).await;
        let (state, code) = (&item["state"], &item["reason"]["code"]);
        assert_eq!((state, code), (&json!("failed"), &json!("too_large")), "{item}");
        assert_eq!(item["attempts"], 1, "it would be as large the next time: {item}");
        let said =
            "the answer is larger than 1000 bytes; `answer_bytes` of `[queue]` allows no more";
        assert_eq!((&item["reason"]["message"], &item["answer"]), (&json!(said), &Value::Null));
        world.settled().await;
        let rows = world.rows();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!(rows[0]["usage"]["output"].as_u64() > Some(100), "{rows:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_item_ends_with_its_deadline_and_with_its_key() {
    let place = Place::new();
    let world = place.world(&format!("{SETTINGS}{BUDGET}")).await;
    let mut late = ask("");
    let soon = chrono::DateTime::from_timestamp_millis(place.now() + 700).unwrap();
    late["deadline"] = json!(soon.to_rfc3339());
    let late = submit(&world, &late).await;
    let late = end_of(&world, &late).await;
    assert_eq!((&late["state"], &late["reason"]["code"]), (&json!("failed"), &json!("expired")));
    let said = late["reason"]["message"].as_str().unwrap();
    assert!(said.starts_with("it was not done by its deadline: "), "{said}");
    let item = submit(&world, &ask("")).await;
    until(&world, &item, |it| it["reason"]["code"] == "budget").await;
    world.core.keys.remove(&keys::digest(super::world::KEY));
    let row = place.ended(id(&item)).await;
    assert_eq!((row.state.as_str(), row.reason.as_str()), ("failed", "refused"));
    assert_eq!(row.error, "the key that it was submitted with has ended");
    assert!(row.request.is_empty() && row.request_bytes == 0, "what was asked is gone");
    world.end().await;
}

#[tokio::test]
async fn what_a_process_leaves_is_carried_out_by_the_next() {
    let place = Place::new();
    let first = place.world(SETTINGS).await;
    let item = submit(&first, &ask("delay_ms=3000")).await;
    until(&first, &item, is_running).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = std::time::Instant::now();
    first.leave().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waits for nobody");
    let second = place.world(SETTINGS).await;
    let done = end_of(&second, &item).await;
    assert_eq!((&done["state"], &done["attempts"]), (&json!("done"), &json!(2)), "{done}");
    assert_eq!(done["failures"], 0, "leaving is no failure");
    second.end().await;
}

#[tokio::test]
async fn two_processes_share_the_work_and_nothing_is_done_twice() {
    let place = Place::new();
    let worlds = [place.world(SETTINGS).await, place.world(SETTINGS).await];
    let mut items = Vec::new();
    for _ in 0..12 {
        items.push(submit(&worlds[0], &ask("delay_ms=30")).await);
    }
    for item in &items {
        assert_eq!(end_of(&worlds[1], item).await["attempts"], 1);
    }
    let calls = worlds.each_ref().map(|it| it.charged.calls.load(Ordering::Relaxed));
    assert_eq!(calls[0] + calls[1], 12);
    assert!(calls[0] > 0 && calls[1] > 0, "{calls:?}");
    // What another process carries out is cancelled as well.
    let slow = submit(&worlds[0], &ask("delay_ms=8000")).await;
    until(&worlds[0], &slow, is_running).await;
    for world in &worlds {
        world.delete(&format!("{QUEUE}/{}", id(&slow)), &[]).await;
    }
    assert_eq!(end_of(&worlds[0], &slow).await["state"], "cancelled");
    for world in worlds {
        world.end().await;
    }
}
