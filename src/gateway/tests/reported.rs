//! What apps report of use elsewhere: priced, charged once, and in every budget.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::world::{Now, World, asks};
use crate::gateway::ledger::stored::{self, BookParts};
use crate::gateway::ledger::{Ledger, trail};
use crate::model::{Timestamp, TraceParent, UsdNanos};
use crate::store::Store;
use crate::store::spend::requests::traces::TraceFilter;
use crate::store::spend::sums::{SpendBy, SpendFilter};

const CHAT: &str = "/v1/chat/completions";
const USAGE: &str = "/trunkline/usage";
const CHECK: &str = "/trunkline/usage/check";
/// Three queries at 2 USD for a thousand, twelve units at 16 USD for a million.
const COST: i64 = 6_000_000 + 192_000;
const INDEX: &str = r#"
ledger = "l"
[[index]]
name = "docs*"
provider = "vectors"
"#;

fn report(id: &str) -> String {
    json!({"id": id, "name": "docs", "units": {"queries": 3, "read_units": 12}, "took_ms": 7})
        .to_string()
}

fn with(more: &str) -> String {
    format!("{INDEX}{more}")
}

#[tokio::test]
async fn a_report_is_charged_to_the_nano_and_counts_once() {
    let world = World::new(INDEX).await;
    for is_again in [false, true] {
        let reply = world.post(USAGE, &report("q-1"), &[]).await;
        let said = reply.json();
        assert_eq!((reply.status, &said["cost_usd"]), (200, &json!("0.006192")), "{said}");
        assert_eq!(said["reports"][0]["replayed"], is_again, "{said}");
        assert_eq!(said["reports"][0]["price"], "docs");
    }
    let other = json!({"id": "q-1", "name": "docs", "units": {"queries": 4}}).to_string();
    let reply = world.post(USAGE, &other, &[]).await;
    assert_eq!((reply.status, reply.body.contains("`q-1`")), (400, true), "{reply:?}");
    let rows = world.rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!((&row["operation"], &row["model"]), (&json!("usage"), &json!("docs")));
    assert_eq!((&row["provider"], &row["cost"]), (&json!("vectors"), &json!(COST)));
    assert_eq!(row["usage"], json!({"queries": 3, "read_units": 12}));
    assert_eq!(row["subject"]["run"], "r1");
    let sums = world.ledger().sums();
    assert_eq!((sums[0].1.calls, sums[0].1.reports, sums[0].1.reported), (0, 1, UsdNanos(COST)));
    world.end().await;
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let world = World::new(INDEX).await;
    let batch = |second: &str| format!("{{\"reports\":[{},{second}]}}", report("a"));
    for (second, status, word) in [
        (r#"{"id":"b","name":"docs","units":{"querys":1}}"#, 400, "report 2"),
        (r#"{"id":"b","name":"docs","units":{"pages":1}}"#, 403, "no price"),
        (r#"{"id":"b","name":"other","units":{"queries":1}}"#, 400, "`provider`"),
        (r#"{"id":"b","name":"o","provider":"x","units":{"queries":1}}"#, 403, "no price"),
        (r#"{"name":"docs","units":{"queries":1}}"#, 400, "`id`"),
    ] {
        let reply = world.post(USAGE, &batch(second), &[]).await;
        assert_eq!((reply.status, reply.body.contains(word)), (status, true), "{reply:?}");
    }
    assert_eq!(world.rows().len(), 0, "nothing is charged");
    let reply = world.post(USAGE, &batch(&report("b")), &[]).await;
    assert_eq!((reply.status, &reply.json()["cost_usd"]), (200, &json!("0.012384")));
    assert_eq!(world.rows().len(), 2);
    let nobody = [("authorization", "Bearer tl-none")];
    assert_eq!(world.post(USAGE, &report("c"), &nobody).await.status, 401);
    assert_eq!(world.get(USAGE, &[]).await.status, 404);
    world.end().await;
}

#[tokio::test]
async fn what_has_no_price_is_counted_where_the_file_says_so() {
    let assume = "unknown_price = { assume = { per_thousand = { queries = 5 } } }";
    let world = World::new(&format!("{assume}\n{INDEX}")).await;
    let unknown = r#"{"id":"a","name":"new","provider":"x","units":{"queries":2}}"#;
    let said = world.post(USAGE, unknown, &[]).await.json();
    assert_eq!(said["cost_usd"], "0.01", "{said}");
    assert_eq!(said["reports"][0]["flags"], json!(["assumed_price"]));
    let never = r#"{"id":"b","name":"new","provider":"x","units":{"pages":2}}"#;
    assert_eq!(world.post(USAGE, never, &[]).await.status, 403, "never silently free");
    world.end().await;
}

#[tokio::test]
async fn a_header_of_a_call_is_charged_before_it_and_a_malformed_one_is_told() {
    let world = World::new(INDEX).await;
    let plain = [("x-trunkline-usage", "docs;queries=3;read_units=12")];
    let named = [("x-trunkline-usage", "docs;provider=vectors;id=\"q\";queries=3;read_units=12")];
    for (headers, replayed) in [(plain, ""), (plain, ""), (named, ""), (named, "1")] {
        let reply = world.post(CHAT, &asks(false, ""), &headers).await;
        assert_eq!(reply.header("x-trunkline-usage-replayed"), replayed, "{reply:?}");
        assert_eq!((reply.status, reply.header("x-trunkline-usage-cost-usd")), (200, "0.006192"));
    }
    let rows = world.rows();
    let reports = rows.iter().filter(|it| it["operation"] == "usage").count();
    assert_eq!((reports, rows.len()), (3, 7), "with an id it counts once");
    for (line, status) in [("docs;querys=3", 400), ("docs;queries=x", 400), ("docs;pages=1", 403)] {
        let headers = [("x-trunkline-usage", line)];
        let reply = world.post(CHAT, &asks(false, ""), &headers).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.json()["error"]["message"].is_string(), "{reply:?}");
    }
    assert_eq!(world.charged.calls.load(Ordering::Relaxed), 4, "those were not made");
    assert_eq!(world.rows().len(), 0);
    world.end().await;
}

/// A call that reports something, as an SDK sends it for the so manyth time.
async fn calls(world: &World, what: &str, more: &[(&str, &str)]) -> String {
    let body = asks(false, &format!("\"user\":\"{what}\""));
    let line = "docs;queries=3;read_units=12, docs;queries=3;read_units=12";
    let headers: Vec<_> = more.iter().copied().chain([("x-trunkline-usage", line)]).collect();
    let reply = world.post(CHAT, &body, &headers).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.header("x-trunkline-usage-cost-usd").to_owned()
}

#[tokio::test]
async fn a_header_without_an_id_counts_once_when_its_request_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("state.db").display());
    let store = Store::open(&url).await.unwrap();
    let (one, other) = (Stored::new(&store, INDEX).await, Stored::new(&store, INDEX).await);
    let alone = World::new(INDEX).await;
    let first = [("x-stainless-retry-count", "0")];
    let again = [("x-stainless-retry-count", "1")];
    let told = async |want: i64, why: &str| {
        alone.settled().await;
        let sums = alone.ledger().sums();
        let reports: u64 = sums.iter().map(|it| it.1.reports).sum();
        assert_eq!(i64::try_from(reports).unwrap(), want, "{why}");
        for _ in 0..500 {
            if total(&store).await.1 == want {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(total(&store).await.1, want, "{why}");
    };
    let both = async |world: &World, what: &str, more: &[(&str, &str)]| {
        assert_eq!(calls(world, what, more).await, "0.012384", "what the request reports");
        calls(&alone, what, more).await;
    };
    both(&one.world, "a", &first).await;
    told(2, "two reports").await;
    both(&other.world, "a", &again).await;
    both(&one.world, "a", &[("x-stainless-retry-count", "2")]).await;
    told(2, "a retry, at another process").await;
    both(&one.world, "a", &first).await;
    both(&one.world, "a", &again).await;
    told(4, "the same call once more, and its retry").await;
    both(&one.world, "b", &again).await;
    both(&one.world, "b", &again).await;
    told(6, "one whose first try never came").await;
    for (name, want) in [("idempotency-key", 8), ("x-client-request-id", 10)] {
        both(&one.world, "c", &[(name, "k"), first[0]]).await;
        told(want, name).await;
        both(&other.world, "c", &[(name, "k"), again[0]]).await;
        told(want, "each name once").await;
    }
    both(&one.world, "d", &[]).await;
    both(&one.world, "d", &[]).await;
    told(14, "nothing says that it is the same").await;
    alone.end().await;
    for it in [one, other] {
        it.world.end().await;
        it.over.cancel();
    }
}

const POOR: &str = r#"
[[budget]]
id = "each run"
scope = { run = "*" }
window = "whole"
usd = "0.01"
[[budget]]
id = "rate"
window = "whole"
usd_per_thousand_requests = "1000"
at_least_requests = 100
"#;

#[tokio::test]
async fn a_budget_is_asked_before_and_what_is_spent_all_the_same_trips_it() {
    let world = World::new(&with(POOR)).await;
    let two = format!("{{\"reports\":[{},{}]}}", report("a"), report("b"));
    for _ in 0..3 {
        let said = world.post(CHECK, &report("a"), &[]).await.json();
        assert_eq!(said["allowed"], true, "a question holds nothing: {said}");
        assert_eq!(said["budget_remaining_usd"], "0.003808");
    }
    let reply = world.post(CHECK, &two, &[]).await;
    let said = reply.json();
    assert_eq!((reply.status, &said["allowed"]), (402, &json!(false)), "{said}");
    assert_eq!(said["error"]["budget"], "each run");
    assert_eq!(reply.header("x-should-retry"), "false");
    assert_eq!(world.ledger().open_calls(), 0);

    let said = world.post(USAGE, &two, &[]).await.json();
    assert_eq!(said["exceeded"]["budget"], "each run", "{said}");
    let overruns: Vec<_> = said["reports"].as_array().unwrap().iter().collect();
    assert_eq!(overruns[0]["overrun_usd"], "0.00");
    assert_eq!(overruns[1]["overrun_usd"], "0.006192");
    let accounts = world.ledger().accounts();
    let of = |id: &str| accounts.iter().find(|it| it.0.id == id).unwrap().2;
    assert_eq!(of("each run").spent.money, UsdNanos(2 * COST));
    assert_eq!(of("each run").overrun.money, UsdNanos(COST));
    assert_eq!(of("rate").requests, 0, "a report is no request");
    let reply = world.post(CHAT, &asks(false, ""), &[]).await;
    assert_eq!((reply.status, reply.body.contains("each run")), (402, true), "{reply:?}");
    world.end().await;
}

/// A gateway with a ledger in a store, which somebody writes.
struct Stored {
    world: World,
    over: CancellationToken,
}

impl Stored {
    async fn new(store: &Store, more: &str) -> Self {
        let clock = Arc::new(Now);
        let parts = BookParts { store: store.clone(), name: "p".to_owned(), clock: clock.clone() };
        let ledger = Arc::new(Ledger::stored(parts, Vec::new()).await.unwrap());
        let over = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let world = World::with_parts(folder, more, (None, Some(ledger.clone()))).await;
        let kept = stored::keep(ledger, over.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        let _task = tokio::spawn(kept);
        Self { world, over }
    }
}

async fn total(store: &Store) -> (i64, i64, UsdNanos) {
    let filter = SpendFilter { to: Timestamp(i64::MAX), limit: 10, ..SpendFilter::default() };
    let sums = store.sum_spend(SpendBy::Run, &filter).await.unwrap();
    sums.first().map_or((0, 0, UsdNanos(0)), |it| (it.attempts, it.reports, it.cost))
}

#[tokio::test]
async fn a_report_counts_once_whichever_process_gets_it_and_is_written_when_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("state.db").display());
    let store = Store::open(&url).await.unwrap();
    let one = Stored::new(&store, INDEX).await;
    let other = Stored::new(&store, INDEX).await;
    let first = one.world.post(USAGE, &report("a"), &[]).await;
    assert_eq!(first.json()["reports"][0]["replayed"], false, "{first:?}");
    assert_eq!(total(&store).await, (0, 1, UsdNanos(COST)), "it is there at once");
    let again = other.world.post(USAGE, &report("a"), &[]).await;
    assert_eq!(again.json()["reports"][0]["replayed"], true, "{again:?}");
    let bad = r#"{"id":"a","name":"docs","units":{"queries":1}}"#;
    assert_eq!(other.world.post(USAGE, bad, &[]).await.status, 400);
    // Many at once, at both.
    let body = report("b");
    let (mut done, mut later) = (0, 0);
    let all = (0..20).map(|it| {
        let world = if it % 2 == 0 { &one.world } else { &other.world };
        world.post(USAGE, &body, &[])
    });
    for reply in futures_util::future::join_all(all).await {
        match reply.status {
            200 => done += 1,
            503 => {
                later += 1;
                let said = reply.json()["error"]["message"].to_string();
                assert!(said.contains("with the same `id`: it is not counted twice"), "{said}");
            }
            _ => panic!("{reply:?}"),
        }
    }
    assert!(done >= 1 && done + later == 20);
    assert_eq!(total(&store).await, (0, 2, UsdNanos(2 * COST)));
    for it in [one, other] {
        it.world.end().await;
        it.over.cancel();
    }
}

#[tokio::test]
async fn a_report_is_a_child_of_what_it_was_used_in() {
    let world = World::new(INDEX).await;
    let url = format!("sqlite:{}", world.folder.path().join("traces.db").display());
    let store = Store::open(&url).await.unwrap();
    let over = CancellationToken::new();
    let written = (store.clone(), world.core.clock.clone());
    let kept = trail::writer::keep(world.core.trails.clone(), written, over.clone());
    #[expect(clippy::disallowed_methods, reason = "it is awaited at the end")]
    let writer = tokio::spawn(kept);
    while !world.core.trails.is_on() {
        tokio::task::yield_now().await;
    }
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let header = [("traceparent", parent), ("x-trunkline-usage", "docs;queries=1;took_ms=9")];
    assert_eq!(world.post(CHAT, &asks(false, ""), &header).await.status, 200);
    let body =
        report("a").replace("\"took_ms\"", &format!("\"traceparent\":\"{parent}\",\"took_ms\""));
    assert_eq!(world.post(USAGE, &body, &[]).await.status, 200);
    world.settled().await;
    let _folder = world.end().await;
    over.cancel();
    writer.await.unwrap();
    let filter = TraceFilter { limit: 10, ..TraceFilter::default() };
    let rows = store.list_traces(&filter).await.unwrap();
    let call = rows.iter().find(|it| it.operation == "chat/completions").unwrap();
    let reports: Vec<_> = rows.iter().filter(|it| it.operation == "usage").collect();
    let parent = TraceParent::parse(parent).unwrap();
    assert_eq!(reports.len(), 2, "{rows:?}");
    for it in reports {
        assert_eq!(it.trace, parent.trace.to_string());
        let (span, took) = match it.total_us {
            9_000 => (call.span.clone(), 9_000),
            _ => (parent.span.to_string(), 7_000),
        };
        assert_eq!((&it.parent, it.total_us), (&span, took), "{it:?}");
    }
}

const SHADOW: &str = r#"
[[shadow]]
name = "v2"
index = "docs-v2"
of = "docs"
scope = { team = "core" }
percent = 100
hits = 2
budget = { window = "day", usd = "0.01" }
[[budget]]
id = "core"
scope = { team = "core" }
window = "day"
usd = "1"
"#;

fn pair(id: &str, hits: &[&str]) -> Value {
    let units = json!({"queries": 3, "read_units": 12});
    json!({
        "id": id,
        "primary": {"hits": ["a", "b", "c"], "took_ms": 20, "units": units},
        "candidate": {"hits": hits, "took_ms": 10, "units": {"queries": 1}},
    })
}

#[tokio::test]
async fn an_index_is_compared_as_apps_report_and_pays_for_itself() {
    let world = World::new(&with(SHADOW)).await;
    let pick = "/trunkline/shadow/v2/pick?user=u1";
    let said = world.get(pick, &[]).await.json();
    assert_eq!((&said["picked"], &said["index"]), (&json!(true), &json!("docs-v2")), "{said}");
    let body = json!({"pairs": [pair("a", &["a", "b"]), pair("b", &["a", "z"])]}).to_string();
    for _ in 0..2 {
        let reply = world.post("/trunkline/shadow/v2/pairs", &body, &[]).await;
        assert_eq!((reply.status, &reply.json()["cost_usd"]), (200, &json!("0.004")), "{reply:?}");
    }
    let failed = json!({"pairs": [{"id": "c", "primary": pair("", &[])["primary"],
        "candidate": {"error": "timeout", "took_ms": 999}}]});
    let reply = world.post("/trunkline/shadow/v2/pairs", &failed.to_string(), &[]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let report = world.get("/trunkline/shadow/v2?since=1h", &[]).await.json();
    assert_eq!(report["report"]["pairs"], 3, "told twice, kept once: {report}");
    assert_eq!(report["report"]["missing"], json!({"timeout": 1}));
    let metrics = &report["metrics"];
    let near = |name: &str, value: f64| {
        assert!((metrics[name].as_f64().unwrap() - value).abs() < 1e-9, "{name}: {metrics}");
    };
    near("shadow_overlap", 0.75);
    near("shadow_overlap_p10", 0.5);
    near("shadow_p95_ratio", 0.5);
    near("shadow_error_rate", 1.0 / 3.0);
    near("shadow_cost_ratio", 0.002 / 0.006_192);
    let rows = world.rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows[0]["subject"], json!({"endpoint": "shadow/v2", "model": "docs-v2"}));
    assert!(world.ledger().accounts().iter().all(|it| it.0.id != "core"), "its own budget alone");
    // It is used up: no more queries for it.
    let more = json!({"pairs": [pair("d", &[]), pair("e", &[]), pair("f", &[])]}).to_string();
    assert_eq!(world.post("/trunkline/shadow/v2/pairs", &more, &[]).await.status, 200);
    let said = world.get(pick, &[]).await.json();
    assert_eq!((&said["picked"], &said["reason"]), (&json!(false), &json!("budget")), "{said}");
    let bad = json!({"pairs": [{"id": "x"}]}).to_string();
    assert_eq!(world.post("/trunkline/shadow/v2/pairs", &bad, &[]).await.status, 400);
    world.end().await;
}

#[tokio::test]
async fn a_share_of_users_is_picked_and_others_are_told_why_not() {
    let world = World::new(&with(&SHADOW.replace("percent = 100", "percent = 30"))).await;
    let mut picked = 0;
    for user in 0..60 {
        let path = format!("/trunkline/shadow/v2/pick?user=u%40{user}");
        let said = world.get(&path, &[]).await.json();
        let named = format!("u@{user}");
        let again = world.get("/trunkline/shadow/v2/pick", &[("x-trunkline-user", &named)]).await;
        assert_eq!(said["picked"], again.json()["picked"], "always on the same side");
        picked += i32::from(said["picked"] == true);
        assert_eq!(said["reason"] == "share", said["picked"] == false);
    }
    assert!((6..=30).contains(&picked), "30 % of 60 are 18: {picked}");
    world.end().await;
    let elsewhere = SHADOW.replace(
        "scope = { team = \"core\" }\npercent",
        "scope = { team = \"core\", endpoint = \"search\" }\npercent",
    );
    let world = World::new(&with(&elsewhere)).await;
    let pick = "/trunkline/shadow/v2/pick?user=a";
    assert_eq!(world.get(pick, &[]).await.json()["reason"], "scope");
    let search = [("x-trunkline-endpoint", "search")];
    assert_eq!(world.get(pick, &search).await.json()["picked"], true);
    world.end().await;
}
