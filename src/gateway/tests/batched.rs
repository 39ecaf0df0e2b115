//! Items of the queue that go to a provider as a batch: at its price for that, once, whatever dies in between.

mod found;
mod provider;

use std::sync::Arc;
use std::time::Duration;

use provider::{Fate, Provider, Stop};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::queued::place::Place;
use super::world::{Now, World};
use crate::gateway::ledger::Ledger;
use crate::gateway::ledger::stored::{self, BookParts};
use crate::gateway::settings;
use crate::model::{Timestamp, UsdNanos};
use crate::store::Store;
use crate::store::spend::sums::{SpendBy, SpendFilter};

const QUEUE: &str = "/v1/queue";
/// A hundred tokens in and ten out, at half the usual price.
const COST: i64 = 100 * 500 + 10 * 5_000;
const SETTINGS: &str = "
ledger = \"l\"
[queue]
look_ms = 20
retry_ms = 40
budget_ms = 60
lease_ms = 600
tries = 3
batch_wait_ms = 150
batch_poll_ms = 30
[[budget]]
id = \"core\"
scope = { team = \"core\" }
window = \"day\"
usd = \"1\"
";

fn ask(more: &Value) -> Value {
    let message = json!({"role": "user", "content": "Say something."});
    let mut item = json!({"path": "/v1/chat/completions", "batch": true,
        "body": {"model": "m1", "messages": [message], "max_tokens": 50}});
    for (name, value) in more.as_object().unwrap() {
        item[name] = value.clone();
    }
    item
}

async fn submit(world: &World, item: &Value) -> String {
    let reply = world.post(QUEUE, &item.to_string(), &[]).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn show(world: &World, id: &str) -> Value {
    world.get(&format!("{QUEUE}/{id}"), &[]).await.json()
}

async fn end_of(world: &World, id: &str) -> Value {
    world.get(&format!("{QUEUE}/{id}?wait=20s"), &[]).await.json()
}

async fn until(what: &str, is_there: impl Fn() -> bool) {
    for _ in 0..1500 {
        if is_there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to that: {what}");
}

fn held(world: &World) -> i64 {
    let accounts = world.ledger().accounts();
    accounts.iter().find(|it| it.0.id == "core").map_or(0, |it| it.2.held.money.0)
}

async fn begin(more: &str) -> (Provider, Place, World) {
    let (provider, place) = (Provider::new().await, Place::new());
    let world = place.world(&format!("{SETTINGS}{more}{}", provider.settings())).await;
    (provider, place, world)
}

#[tokio::test]
async fn items_go_out_together_at_the_price_of_batches_and_each_gets_its_answer() {
    let (provider, _place, world) = begin("").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(submit(&world, &ask(&json!({}))).await);
    }
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    let item = show(&world, &ids[0]).await;
    assert_eq!((&item["state"], &item["on_batch"]), (&json!("running"), &json!("live")), "{item}");
    // The prompt as it is counted, and fifty tokens, at half price.
    assert!(held(&world) >= 3 * 50 * 5_000, "{}", held(&world));
    assert!(held(&world) < 3 * 50 * 10_000, "not at the usual price: {}", held(&world));
    assert_eq!(world.cost(), UsdNanos(0));
    provider.finish(|_, _| Fate::Answered);
    for id in &ids {
        let item = end_of(&world, id).await;
        assert_eq!(item["state"], "done", "{item}");
        let text = &item["answer"]["body"]["choices"][0]["message"]["content"];
        assert_eq!((text, &item["answer"]["status"]), (&json!("fine"), &json!(200)));
        assert_eq!(item["answer"]["headers"]["x-trunkline-cost-usd"], "0.0001");
    }
    assert_eq!((world.cost(), held(&world)), (UsdNanos(3 * COST), 0));
    let rows = world.rows();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!((&row["flags"], &row["cost"]), (&json!(["batch"]), &json!(COST)), "{row}");
        assert_eq!(
            (&row["provider"], &row["subject"]["team"]),
            (&json!("batcher"), &json!("core"))
        );
    }
    let (batches, uploads) = {
        let bank = provider.lock();
        (bank.batches.len(), bank.uploads)
    };
    assert_eq!((batches, uploads), (1, 1));
    until("what was uploaded is removed", || provider.lock().files.is_empty()).await;
    world.end().await;
}

#[tokio::test]
async fn a_free_call_is_free_in_a_batch_too_and_no_request_of_a_budget() {
    let rate = "[[budget]]\nid = \"rate\"\nwindow = \"day\"\nusd_per_thousand_requests = \"4\"\n";
    let (provider, _place, world) = begin(rate).await;
    let body = json!({"model": "m1", "input": "hi"});
    let id = submit(&world, &ask(&json!({"path": "/v1/moderations", "body": body}))).await;
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    provider.finish(|_, _| Fate::Answered);
    let item = end_of(&world, &id).await;
    assert_eq!((&item["state"], world.cost()), (&json!("done"), UsdNanos(0)), "{item}");
    assert!(world.ledger().accounts().iter().all(|it| it.2.requests == 0));
    world.end().await;
}

#[tokio::test]
async fn an_answer_of_a_batch_comes_without_the_key_of_its_provider() {
    let (provider, _place, world) = begin("").await;
    let id = submit(&world, &ask(&json!({}))).await;
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    provider.finish(|_, _| Fate::Says("to sk-provider"));
    let item = end_of(&world, &id).await;
    let text = &item["answer"]["body"]["choices"][0]["message"]["content"];
    assert_eq!((&item["state"], text), (&json!("done"), &json!("to [redacted]")), "{item}");
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_ends_its_own_item_and_not_those_after_it() {
    let settings = SETTINGS.replace("tries = 3", "tries = 3\nanswer_bytes = 1000");
    let (provider, place) = (Provider::new().await, Place::new());
    let world = place.world(&format!("{settings}{}", provider.settings())).await;
    let mut ids = Vec::new();
    for text in ["first", "Go on for ever.", "last"] {
        let mut item = ask(&json!({}));
        item["body"]["messages"][0]["content"] = json!(text);
        ids.push(submit(&world, &item).await);
    }
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    let all = held(&world);
    let endless: &str = Box::leak("x".repeat(300_000).into_boxed_str());
    provider.finish(|_, body| match body["messages"][0]["content"].as_str() {
        Some("Go on for ever.") => Fate::Says(endless),
        _ => Fate::Answered,
    });
    let items = [&ids[0], &ids[1], &ids[2]].map(|it| end_of(&world, it));
    let items = futures_util::future::join_all(items).await;
    let told: Vec<_> = items.iter().map(|it| (&it["state"], &it["reason"]["code"])).collect();
    let (done, failed) = (json!("done"), json!("failed"));
    assert_eq!(told[0].0, &done, "{}", items[0]);
    assert_eq!(told[1], (&failed, &json!("too_large")), "{}", items[1]);
    assert_eq!(told[2].0, &done, "{}", items[2]);
    // What it has used is not known: it is charged what was held for it.
    let row = world.rows().into_iter().find(|it| it["flags"] == json!(["batch", "estimated"]));
    let cost = row.unwrap()["cost"].as_i64().unwrap();
    assert!(cost >= 50 * 5_000 && cost < all / 2, "{cost} of {all}");
    assert_eq!((world.cost(), held(&world)), (UsdNanos(2 * COST + cost), 0));
    world.end().await;
}

#[tokio::test]
async fn messages_go_as_batches_of_the_other_format() {
    let (provider, _place, world) = begin("").await;
    let mut item = ask(&json!({"path": "/v1/messages"}));
    item["body"]["model"] = json!("m-lot");
    let ids = [submit(&world, &item).await, submit(&world, &item).await];
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    assert_eq!(provider.lock().batches[0].requests.len(), 2);
    provider.finish(|_, _| Fate::Answered);
    for id in &ids {
        let item = end_of(&world, id).await;
        assert_eq!(item["answer"]["body"]["content"][0]["text"], "fine", "{item}");
    }
    assert_eq!(world.cost(), UsdNanos(2 * COST));
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_in_a_batch_is_refused_and_a_budget_is_held_to_before() {
    let poor = "[[budget]]\nid = \"small\"\nscope = { team = \"core\" }\nwindow = \"day\"\nusd = \"0.0004\"\n";
    let (provider, _place, world) = begin(poor).await;
    let mut other = ask(&json!({}));
    other["body"]["model"] = json!("m-2");
    let mut stream = ask(&json!({}));
    stream["body"]["stream"] = json!(true);
    for item in [&other, &stream] {
        let reply = world.post(QUEUE, &item.to_string(), &[]).await;
        assert_eq!((reply.status, reply.body.contains("batch")), (400, true), "{reply:?}");
    }
    // One fits at the price of batches, and would not at the usual one.
    let fits = submit(&world, &ask(&json!({}))).await;
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    let none = submit(&world, &ask(&json!({"on_budget": "fail"}))).await;
    let none = end_of(&world, &none).await;
    assert_eq!((&none["state"], &none["reason"]["code"]), (&json!("failed"), &json!("budget")));
    provider.finish(|_, _| Fate::Answered);
    assert_eq!(end_of(&world, &fits).await["state"], "done");
    assert_eq!(provider.lock().batches.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn what_a_batch_has_no_answer_for_is_called_or_has_failed_and_costs_nothing_there() {
    let (provider, _place, world) = begin("").await;
    let live = submit(&world, &ask(&json!({}))).await;
    let fail = submit(&world, &ask(&json!({"on_batch": "fail"}))).await;
    let refused = submit(&world, &ask(&json!({}))).await;
    let busy = submit(&world, &ask(&json!({}))).await;
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    provider.finish(|id, _| match id {
        it if it.starts_with(&refused) => Fate::Status(400),
        it if it.starts_with(&busy) => Fate::Status(500),
        _ => Fate::Expired,
    });
    for id in [&live, &busy] {
        let item = end_of(&world, id).await;
        assert_eq!(item["answer"]["body"]["choices"][0]["message"]["content"], "live", "{item}");
    }
    let fail = end_of(&world, &fail).await;
    assert_eq!((&fail["state"], &fail["reason"]["code"]), (&json!("failed"), &json!("batch")));
    let refused = end_of(&world, &refused).await;
    assert_eq!(
        (&refused["reason"]["code"], &refused["answer"]["status"]),
        (&json!("refused"), &json!(400))
    );
    assert_eq!(provider.lock().live, 2);
    world.settled().await;
    assert_eq!((world.cost(), held(&world)), (UsdNanos(2 * 2 * COST), 0), "at the usual price");
    world.end().await;
}

#[tokio::test]
async fn an_item_that_is_cancelled_is_charged_and_dropped_and_a_batch_that_nobody_wants_is_cancelled()
 {
    let (provider, _place, world) = begin("").await;
    let before = submit(&world, &ask(&json!({}))).await;
    let cancel = async |id: &str| world.delete(&format!("{QUEUE}/{id}"), &[]).await.status;
    assert_eq!(cancel(&before).await, 200, "it has not gone out");
    let (one, other) =
        (submit(&world, &ask(&json!({}))).await, submit(&world, &ask(&json!({}))).await);
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    assert_eq!(provider.lock().batches[0].requests.len(), 2);
    assert_eq!(cancel(&one).await, 202);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!provider.lock().batches[0].is_cancelled, "the other is wanted");
    provider.finish(|_, _| Fate::Answered);
    assert_eq!(end_of(&world, &other).await["state"], "done");
    let one = end_of(&world, &one).await;
    assert_eq!((&one["state"], one.get("answer")), (&json!("cancelled"), None), "{one}");
    assert_eq!(world.cost(), UsdNanos(2 * COST), "both are charged");

    let last = submit(&world, &ask(&json!({}))).await;
    until("it is handed over", || provider.lock().batches.len() == 2).await;
    assert_eq!(cancel(&last).await, 202);
    until("it is cancelled", || provider.lock().batches[1].is_cancelled).await;
    provider.finish(|_, _| Fate::Expired);
    assert_eq!(end_of(&world, &last).await["state"], "cancelled");
    assert_eq!((world.cost(), held(&world)), (UsdNanos(2 * COST), 0));
    world.end().await;
}

#[tokio::test]
async fn rules_hold_before_a_batch_and_after() {
    let rules = r#"
[[guardrail]]
name = "mail"
rule = "pii"
action = "redact"
restore = true
[[guardrail]]
name = "plans"
rule = "topics"
words = ["moon base"]
way = "out"
action = "block"
"#;
    let (provider, _place, world) = begin(rules).await;
    let mut item = ask(&json!({}));
    item["body"]["messages"][0]["content"] = json!("Write to ada@example.org.");
    let fine = submit(&world, &item).await;
    let bad = submit(&world, &ask(&json!({}))).await;
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    let sent = json!(
        provider.lock().batches[0].requests.iter().map(|it| it.1.clone()).collect::<Vec<_>>()
    );
    assert!(!sent.to_string().contains("ada@example.org"), "{sent}");
    provider.finish(|id, _| {
        if id.starts_with(&bad) { Fate::Says("Here is the moon base.") } else { Fate::Echoes }
    });
    let fine = end_of(&world, &fine).await;
    let text = &fine["answer"]["body"]["choices"][0]["message"]["content"];
    assert_eq!(text, "Write to ada@example.org.", "it is put back: {fine}");
    let bad = end_of(&world, &bad).await;
    assert_eq!(
        (&bad["state"], &bad["reason"]["code"]),
        (&json!("failed"), &json!("guardrail")),
        "{bad}"
    );
    assert_eq!(world.cost(), UsdNanos(2 * COST), "it is charged all the same");
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_does_not_take_a_batch_is_asked_again_and_then_the_items_are_called() {
    let (provider, _place, world) = begin("").await;
    provider.lock().fails = 2;
    let id = submit(&world, &ask(&json!({}))).await;
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    provider.finish(|_, _| Fate::Answered);
    assert_eq!(end_of(&world, &id).await["state"], "done");
    provider.lock().fails = 100;
    let id = submit(&world, &ask(&json!({}))).await;
    let item = end_of(&world, &id).await;
    assert_eq!(item["answer"]["body"]["choices"][0]["message"]["content"], "live", "{item}");
    assert_eq!(provider.lock().batches.len(), 1);
    world.end().await;
}

/// A process with the ledger of the store, which somebody writes.
struct Process {
    world: World,
    over: CancellationToken,
}

impl Process {
    async fn new(place: &Place, provider: &Provider, store: &Store) -> Self {
        let settings = format!("{SETTINGS}{}", provider.settings());
        Self::with(place, &settings, store).await
    }

    async fn with(place: &Place, settings: &str, store: &Store) -> Self {
        let budgets = settings::read(settings).unwrap().budgets;
        let parts = BookParts { store: store.clone(), name: "p".to_owned(), clock: Arc::new(Now) };
        let ledger = Arc::new(Ledger::stored(parts, budgets).await.unwrap());
        let over = CancellationToken::new();
        let world = place.world_with(settings, Some(ledger.clone())).await;
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        let _task = tokio::spawn(stored::keep(ledger, over.clone()));
        Self { world, over }
    }

    async fn end(self) {
        self.world.leave().await;
        self.over.cancel();
    }
}

async fn total(store: &Store) -> (i64, UsdNanos) {
    let filter = SpendFilter { to: Timestamp(i64::MAX), limit: 10, ..SpendFilter::default() };
    let sums = store.sum_spend(SpendBy::Team, &filter).await.unwrap();
    sums.first().map_or((0, UsdNanos(0)), |it| (it.attempts, it.cost))
}

async fn granted(store: &Store) -> i64 {
    let rows = store.list_accounts("core", 9).await.unwrap();
    rows.iter().map(|it| it.granted.0).sum()
}

#[tokio::test]
async fn a_batch_of_a_dead_process_is_found_again_and_not_handed_over_twice() {
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let (provider, place) = (Provider::new().await, Place::new());
        let store = place.store().await;
        let first = Process::new(&place, &provider, &store).await;
        let mut item = ask(&json!({"path": path}));
        if path == "/v1/messages" {
            item["body"]["model"] = json!("m-lot");
        }
        provider.lock().stop = Some(Stop::Taken);
        let id = submit(&first.world, &item).await;
        until("it is handed over", || !provider.lock().batches.is_empty()).await;
        // The provider has it, and the process never hears of that.
        first.end().await;
        let held = granted(&store).await;
        assert!(held >= 50 * 5_000, "the money stays set aside: {held}");

        let second = Process::new(&place, &provider, &store).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        provider.finish(|_, _| Fate::Answered);
        let item = end_of(&second.world, &id).await;
        assert_eq!(item["state"], "done", "{path}: {item}");
        assert_eq!(provider.lock().batches.len(), 1, "{path}");
        second.end().await;
        assert_eq!(total(&store).await, (1, UsdNanos(COST)), "{path}");
        let rows = store.list_accounts("core", 9).await.unwrap();
        assert_eq!(rows.iter().map(|it| it.spent.0).sum::<i64>(), COST, "{rows:?}");
    }
}

#[tokio::test]
async fn a_process_that_dies_between_answers_charges_none_of_them_twice() {
    let (provider, place) = (Provider::new().await, Place::new());
    let store = place.store().await;
    let settings =
        SETTINGS.replace("batch_wait_ms = 150", "batch_wait_ms = 60000\nbatch_items = 20");
    let settings = format!("{settings}{}", provider.settings());
    let first = Process::with(&place, &settings, &store).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(submit(&first.world, &ask(&json!({}))).await);
    }
    until("it is handed over", || !provider.lock().batches.is_empty()).await;
    provider.finish(|_, _| Fate::Answered);
    // Somewhere in between.
    for _ in 0..1000 {
        if total(&store).await.0 >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.end().await;
    let second = Process::new(&place, &provider, &store).await;
    for id in &ids {
        assert_eq!(end_of(&second.world, id).await["state"], "done");
    }
    second.end().await;
    assert_eq!(total(&store).await, (20, UsdNanos(20 * COST)));
    assert_eq!(provider.lock().batches.len(), 1);
    let rows = store.list_accounts("core", 9).await.unwrap();
    assert_eq!(rows.iter().map(|it| it.spent.0).sum::<i64>(), 20 * COST, "{rows:?}");
}

#[tokio::test]
async fn a_batch_of_somebody_else_that_looks_the_same_is_not_taken_for_ours() {
    let (provider, place) = (Provider::new().await, Place::new());
    let store = place.store().await;
    let result = json!({"custom_id": "x", "result": {"type": "succeeded", "message": {}}});
    let lines = Some([format!("{result}\n"), String::new()]);
    provider.lock().batches.push(provider::Batch {
        id: "batch-1".to_owned(),
        name: String::new(),
        path: "/v1/messages".to_owned(),
        requests: vec![("x".to_owned(), json!({}))],
        is_cancelled: false,
        lines,
    });
    let first = Process::new(&place, &provider, &store).await;
    let mut item = ask(&json!({"path": "/v1/messages"}));
    item["body"]["model"] = json!("m-lot");
    provider.lock().stop = Some(Stop::Taken);
    let id = submit(&first.world, &item).await;
    until("it is handed over", || provider.lock().batches.len() == 2).await;
    first.end().await;
    let second = Process::new(&place, &provider, &store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    provider.finish(|_, _| Fate::Answered);
    assert_eq!(end_of(&second.world, &id).await["state"], "done");
    assert_eq!(provider.lock().batches.len(), 2, "and none was handed over again");
    second.end().await;
    assert_eq!(total(&store).await, (1, UsdNanos(COST)));
}
