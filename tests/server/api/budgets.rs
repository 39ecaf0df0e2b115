//! Budgets over the API: set, changed, removed, used; where money went; and alerts that arrive.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::model::{Amount, Role, Timestamp, UsdNanos};
use trunkline::store::Store;
use trunkline::store::spend::accounts::{AccountName, Ceiling};
use trunkline::store::spend::batches::{AccountChange, Batch};
use trunkline::store::spend::calls::{CallRow, Owner};
use trunkline::store::spend::spenders::Spender;

use crate::forge::Forge;
use crate::support::{Answer, Server};

const USD: i64 = UsdNanos::PER_USD;
const MONTH: &str = "/api/v1/teams/shop/budgets/month";

/// Owner `ada`; `bob`, admin of the team `shop`; `eve`, who looks on there.
pub(crate) async fn server() -> (Server, [String; 3]) {
    let server = Server::start().await;
    server.person("ada", true).await;
    let team = server.team("shop").await;
    server.team("other").await;
    for (login, role) in [("bob", Role::Admin), ("eve", Role::Viewer)] {
        server.person(login, false).await;
        server.member(&team, login, role).await;
    }
    let ada = server.token("ada", &["owner"]).await;
    let bob = server.token("bob", &["admin"]).await;
    let eve = server.token("eve", &["admin"]).await;
    (server, [ada, bob, eve])
}

pub(crate) fn call(request: &str, team: &str, usd: i64, at: Timestamp) -> CallRow {
    CallRow {
        request: request.to_owned(),
        attempt: 1,
        at,
        owner: Owner {
            team: team.to_owned(),
            project: format!("{team}/web"),
            run: "01k00000000000000000000000".to_owned(),
            stage: "eval".to_owned(),
            ..Owner::default()
        },
        model: "claude".to_owned(),
        origin: "live".to_owned(),
        usage: "{\"input\":70}".to_owned(),
        input_tokens: 70,
        output_tokens: 30,
        tokens: 100,
        cost: UsdNanos(usd * USD),
        ..CallRow::default()
    }
}

/// What a process of the gateway would write.
pub(crate) async fn spend(store: &Store, number: i64, call: CallRow, budget: &str) {
    let now = call.at;
    let name = AccountName {
        budget: budget.to_owned(),
        account: format!("team={}", call.owner.team),
        began_at: trunkline::gateway::budget::scope::Window::Month.start(now),
    };
    let change = AccountChange {
        ceiling: Ceiling { money: Some(UsdNanos(200 * USD)), tokens: None },
        spent: Amount { money: call.cost, tokens: call.tokens },
        requests: 1,
        ..AccountChange::default()
    };
    let changes = BTreeMap::from([(name, change)]);
    let batch = Batch { number, calls: vec![call], changes };
    let spender = Spender { id: "p1", name: "server", now, expires_at: Timestamp(i64::MAX) };
    store.write_batch(&spender, &batch).await.unwrap();
}

async fn put(server: &Server, token: &str, (path, body): (&str, Value)) -> Answer {
    server.call(token, Method::PUT, (path, Some(body))).await
}

#[tokio::test]
async fn a_budget_is_set_changed_as_seen_and_removed_and_all_of_it_is_audited() {
    let (server, [ada, bob, eve]) = server().await;
    let set = put(&server, &bob, (MONTH, json!({ "usd": "200", "window": "month" }))).await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    let seen = server.get(&eve, MONTH).await;
    let budget = seen.json();
    assert_eq!((&budget["id"], &budget["usd"]), (&json!("shop/month"), &json!("200.00")));
    assert_eq!(budget["scope"], json!({ "team": "shop" }));
    assert_eq!((&budget["mode"], &budget["set_by"]), (&json!("hard"), &json!("person:bob")));
    let etag = seen.header("etag").to_owned();
    let more = json!({ "usd": "300", "window": "month", "mode": "soft" });
    let change = |etag: String| {
        let request = server.request(Method::PUT, MONTH).bearer_auth(&bob).json(&more);
        request.header("if-match", etag).send()
    };
    assert_eq!(change("\"0\"".to_owned()).await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(change(etag.clone()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(change(etag).await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    let list = server.get(&eve, "/api/v1/teams/shop/budgets").await.json();
    assert_eq!(list["items"][0]["mode"], "soft");
    assert_eq!(put(&server, &eve, (MONTH, more.clone())).await.status, StatusCode::FORBIDDEN);
    assert_eq!(put(&server, &bob, ("/api/v1/budgets/all", more.clone())).await.status, 403);
    assert_eq!(put(&server, &ada, ("/api/v1/budgets/all", more)).await.status, StatusCode::OK);
    let all = server.get(&ada, "/api/v1/budgets").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let gone = server.call(&bob, Method::DELETE, (MONTH, None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&bob, MONTH).await.status, StatusCode::NOT_FOUND);
    let audit = server.get(&bob, "/api/v1/audit?team=shop&action=budget.").await.json();
    let told: Vec<_> = audit["items"].as_array().unwrap().iter().map(|it| &it["action"]).collect();
    assert_eq!(told, ["budget.delete", "budget.save", "budget.save"]);
    let first = &audit["items"][2];
    assert_eq!(first["detail"]["budget"]["usd"], "200.00");
    assert_eq!((&first["actor"], &first["subject"]), (&json!("person:bob"), &json!("shop/month")));
    assert_eq!(audit["items"][0]["detail"]["budget"]["usd"], "300.00", "what is gone: {audit}");
    for entry in audit["items"].as_array().unwrap() {
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert!(entry["detail"]["proof"].as_str().unwrap().starts_with("token "), "{entry}");
    }
}

#[tokio::test]
async fn a_budget_that_makes_no_sense_is_refused_with_why() {
    let (server, [_, bob, _]) = server().await;
    for (body, said) in [
        (json!({ "window": "month" }), "limits"),
        (json!({ "window": "year", "usd": "1" }), "year"),
        (json!({ "window": "month", "usd": "much" }), "much"),
        (json!({ "window": "month", "usd": "1", "scope": { "team": "other" } }), "its own calls"),
        (json!({ "window": "month", "usd": "1", "scope": { "planet": "mars" } }), "planet"),
        (json!({ "window": "month", "usd": "1", "scope": { "model": "m-gl*" } }), "a whole name"),
        (
            json!({ "window": "month", "usd": "1", "scope": { "project": "other/x" } }),
            "of the team",
        ),
        (json!({ "window": "month", "usd": "1", "scope": { "project": "shop/x" } }), "no project"),
    ] {
        let answer = put(&server, &bob, (MONTH, body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(answer.text.contains(said), "{answer:?}");
    }
    let twice = r#"{"window":"month","usd":"1","scope":{"stage":"a","stage":"b"}}"#;
    let request = server.request(Method::PUT, MONTH).bearer_auth(&bob).body(twice);
    let answer = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let said = answer.text().await.unwrap();
    assert!(said.contains("`scope` has `stage` twice"), "{said}");
}

#[tokio::test]
async fn a_budget_whose_window_or_scope_changes_forgets_nothing() {
    let (server, [_, bob, eve]) = server().await;
    let set = async |body: Value| {
        let set = put(&server, &bob, (MONTH, body)).await;
        assert_eq!(set.status, StatusCode::OK, "{set:?}");
        set.json()
    };
    let used = async || server.get(&eve, &format!("{MONTH}/usage")).await.json();
    let (store, now) = (&server.app.store, server.app.now());
    let made = set(json!({ "usd": "200", "window": "month" })).await;
    assert!(made.get("from_ledger").is_none(), "{made}");
    spend(store, 1, call("req_1", "shop", 90, now), "shop/month").await;
    set(json!({ "usd": "200", "window": "day" })).await;
    assert_eq!(used().await[0]["spent_usd"], "90.00", "what it is today");
    // Calls of a day are in no account of a month.
    spend(store, 2, call("req_2", "shop", 7, now), "x").await;
    spend(store, 3, call("req_3", "other", 5, now), "x").await;
    let changed = set(json!({ "usd": "200", "window": "month" })).await;
    let said = &changed["from_ledger"];
    assert_eq!((&said["usd"], &said["tokens"]), (&json!("97.00"), &json!(200)), "{changed}");
    let month = used().await;
    assert_eq!(said["from"], month[0]["began_at"]);
    let same = set(json!({ "usd": "201", "window": "month" })).await;
    assert!(same.get("from_ledger").is_none(), "the window and the scope are as they were");
    assert_eq!((&month[0]["spent_usd"], &month[0]["requests"]), (&json!("97.00"), &json!(2)));
    assert_eq!(
        (&month[0]["account"], &month[0]["spent_tokens"]),
        (&json!("team=shop"), &json!(200))
    );
    set(json!({ "usd": "300", "window": "month", "scope": { "stage": "*" } })).await;
    let stages = used().await;
    assert_eq!(stages.as_array().unwrap().len(), 1, "only of the scope as it is: {stages}");
    let first = (&stages[0]["account"], &stages[0]["spent_usd"]);
    assert_eq!(first, (&json!("team=shop stage=eval"), &json!("97.00")));
    let audit = server.get(&bob, "/api/v1/audit?team=shop&action=budget.save").await.json();
    assert_eq!(audit["items"][2]["detail"]["from_ledger"]["usd"], "97.00", "{audit}");
    assert!(audit["items"][4]["detail"].get("from_ledger").is_none(), "{audit}");
}

#[tokio::test]
async fn a_model_is_counted_anew_from_the_ledger_in_upper_and_lower_case() {
    let (server, [_, bob, _]) = server().await;
    let (store, now) = (&server.app.store, server.app.now());
    for (number, model) in [(1, "Claude"), (2, "claude"), (3, "other")] {
        let call =
            CallRow { model: model.to_owned(), ..call(&format!("r{number}"), "shop", 5, now) };
        spend(store, number, call, "x").await;
    }
    let set = async |body: Value| put(&server, &bob, (MONTH, body)).await.json();
    set(json!({ "usd": "200", "window": "month" })).await;
    for (model, usd) in [("CLAUDE", "10.00"), ("*", "15.00")] {
        let scope = json!({ "model": model });
        let set = set(json!({ "usd": "200", "window": "month", "scope": scope })).await;
        assert_eq!(set["from_ledger"]["usd"], usd, "{set}");
        let used = server.get(&bob, &format!("{MONTH}/usage")).await.json();
        let first = (&used[0]["account"], &used[0]["spent_usd"]);
        assert_eq!(first, (&json!("team=shop model=claude"), &json!("10.00")), "{used}");
    }
}

#[tokio::test]
async fn use_and_spend_are_told_to_who_may_know() {
    let (server, [ada, bob, eve]) = server().await;
    put(&server, &bob, (MONTH, json!({ "usd": "200", "window": "month" }))).await;
    let now = server.app.now();
    spend(&server.app.store, 1, call("req_1", "shop", 90, now), "shop/month").await;
    spend(&server.app.store, 2, call("req_2", "other", 7, now), "other/month").await;
    let used = server.get(&eve, &format!("{MONTH}/usage")).await.json();
    assert_eq!(used[0]["spent_usd"], "90.00");
    assert_eq!((&used[0]["percent"], &used[0]["limit_usd"]), (&json!(45), &json!("200.00")));
    assert_eq!(used[0]["account"], "team=shop");
    let spent = server.get(&ada, "/api/v1/spend").await.json();
    let names: Vec<_> = spent.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["shop", "other"]);
    let own = server.get(&eve, "/api/v1/spend?by=project").await.json();
    assert_eq!(
        own,
        json!([{ "name": "shop/web", "calls": 1, "attempts": 1, "answered_here": 0, "input_tokens": 70,
        "output_tokens": 30, "cost_usd": "90.00", "avoided_usd": "0.00", "lost_usd": "0.00",
        "reports": 0, "reported_usd": "0.00" }])
    );
    assert_eq!(server.get(&eve, "/api/v1/spend?team=other").await.json(), json!([]));
    // The app has asked once, and it was sent twice.
    let again = CallRow { attempt: 2, ..call("req_1", "shop", 0, now) };
    spend(&server.app.store, 3, again, "shop/month").await;
    let tried = server.get(&eve, "/api/v1/spend?by=project").await.json();
    assert_eq!((&tried[0]["attempts"], &tried[0]["calls"]), (&json!(2), &json!(2)));
    let trend = server.get(&eve, "/api/v1/spend/trend?period=7d").await.json();
    assert_eq!((&trend["attempts"], &trend["calls"]), (&json!(2), &json!(2)));
    let points = trend["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|it| it["attempts"].as_i64().unwrap()).sum::<i64>(), 2);
    let later = format!("/api/v1/spend?from={}", now.0 + 1);
    assert_eq!(server.get(&ada, &later).await.json(), json!([]));
    assert_eq!(server.get(&ada, "/api/v1/spend?by=planet").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_is_told_to_subscribers_once() {
    let (server, [_, bob, _]) = server().await;
    let receiver = Forge::start().await;
    let new = json!({ "form": "webhook", "target": receiver.url, "events": ["budget.alert"] });
    let made = server.post(&bob, "/api/v1/teams/shop/subscriptions", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let now = server.app.now();
    for (number, usd) in [(1, 90), (2, 20), (3, 5), (4, 60)] {
        let call = call(&format!("req_{number}"), "shop", usd, now);
        spend(&server.app.store, number, call, "shop/month").await;
    }
    let text = |it: &crate::forge::Asked| it.body["data"]["text"].as_str().unwrap().to_owned();
    let most = receiver.wait_for(|it| text(it).contains("80 %")).await;
    assert_eq!(
        (&most.body["type"], &most.body["data"]["team"]),
        (&json!("budget.alert"), &json!("shop"))
    );
    let said = "the budget shop/month (team=shop) is used to 80 %: 175.00 USD of 200.00 USD";
    assert_eq!(text(&most), said);
    receiver.wait_for(|it| text(it).contains("50 %: 110.00 USD")).await;
    assert_eq!(receiver.asked().len(), 2, "{:#?}", receiver.asked());
}
