//! Traces of calls to models over the API: who may know of them, how they are found, and what one says.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunkline::model::trace::{CacheStep, CallAttempt, Finding, ToolCall};
use trunkline::model::{CallTrail, Role, Timestamp, Usage, UsageClass, UsdNanos};
use trunkline::store::spend::calls::Owner;
use trunkline::store::spend::requests::traces::{TraceContentRow, TraceRow};

use crate::support::Server;

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What happened in a call that was tried twice.
pub(crate) fn trail() -> CallTrail {
    let attempt = |number, began_us, ended_us| CallAttempt {
        number,
        provider: "openai".to_owned(),
        model: "gpt".to_owned(),
        origin: "live".to_owned(),
        began_us,
        ended_us,
        ..CallAttempt::default()
    };
    let failed =
        CallAttempt { status: Some(500), error: "500".to_owned(), ..attempt(1, 1_000, 5_000) };
    let done = CallAttempt {
        status: Some(200),
        answered_by: "gpt-5".to_owned(),
        first_us: Some(150_000),
        usage: Usage::default().with(UsageClass::Input, 70).with(UsageClass::Output, 30),
        cost: UsdNanos(2_500_000),
        ..attempt(2, 100_000, 240_000)
    };
    CallTrail {
        cache: vec![CacheStep { at_us: 500, what: "miss".to_owned() }],
        attempts: vec![failed, done],
        findings: vec![Finding {
            rule: "people".to_owned(),
            what: "pii_email".to_owned(),
            action: "redact".to_owned(),
            way: "in".to_owned(),
            count: 2,
        }],
        response: "chatcmpl-1".to_owned(),
        finish: vec!["tool_calls".to_owned()],
        tools: vec![ToolCall { name: "search".to_owned(), id: "call_1".to_owned() }],
        ..CallTrail::default()
    }
}

/// A call of a team's app.
pub(crate) fn trace(id: &str, team: &str, at: Timestamp) -> TraceRow {
    TraceRow {
        id: id.to_owned(),
        trace: TRACE.to_owned(),
        span: format!("{:016x}", id.bytes().fold(7_u64, |all, it| all * 31 + u64::from(it))),
        parent: "00f067aa0ba902b7".to_owned(),
        at,
        written_at: at,
        key_name: "web".to_owned(),
        owner: Owner { team: team.to_owned(), endpoint: "search".to_owned(), ..Owner::default() },
        operation: "chat/completions".to_owned(),
        provider: "openai".to_owned(),
        model: "gpt".to_owned(),
        answered_by: "gpt-5".to_owned(),
        origin: "live".to_owned(),
        status: Some(200),
        attempts: 2,
        input_tokens: 70,
        output_tokens: 30,
        cost: UsdNanos(2_500_000),
        first_token_us: Some(150_000),
        total_us: 240_500,
        flags: "pii_email redacted".to_owned(),
        detail: serde_json::to_string(&trail()).unwrap(),
        ..TraceRow::default()
    }
}

pub(crate) fn content(id: &str, said: &str, at: Timestamp) -> TraceContentRow {
    let text = |role: &str, said: &str| json!({"role": role, "parts": [{"type": "text", "content": said}]});
    TraceContentRow {
        id: id.to_owned(),
        written_at: at,
        kept: "redacted".to_owned(),
        is_cut: true,
        content: json!({"input": [text("user", said)], "output": [text("assistant", "Hello.")]})
            .to_string(),
    }
}

/// Owner `ada`; in the team `shop` the developer `dev` and `eve`, who looks on; five calls of it, and one of `bank`.
pub(crate) async fn server() -> (Server, [String; 3]) {
    let server = Server::start().await;
    server.person("ada", true).await;
    let team = server.team("shop").await;
    server.team("bank").await;
    for (login, role) in [("dev", Role::Developer), ("eve", Role::Viewer)] {
        server.person(login, false).await;
        server.member(&team, login, role).await;
    }
    let now = server.app.now();
    let at = |seconds: i64| Timestamp(now.0 - seconds * 1000);
    let mut rows: Vec<_> =
        (1..=5).map(|it| trace(&format!("req_{it}"), "shop", at(10 * (6 - it)))).collect();
    "429".clone_into(&mut rows[4].error);
    rows[4].status = Some(429);
    rows[3].cost = UsdNanos(90_000_000);
    rows[2].total_us = 9_000_000;
    rows.push(TraceRow { trace: "1".repeat(32), ..trace("req_6", "bank", at(1)) });
    let contents = [content("req_1", "<b>Hi</b>", now), content("req_6", "A secret.", now)];
    server.app.store.insert_traces(&rows, &contents).await.unwrap();
    let ada = server.token("ada", &["owner"]).await;
    let dev = server.token("dev", &["admin"]).await;
    let eve = server.token("eve", &["admin"]).await;
    (server, [ada, dev, eve])
}

fn ids(page: &Value) -> String {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
    let ids: Vec<_> = items.iter().map(|it| it["id"].as_str().unwrap()).collect();
    ids.join(" ").replace("req_", "")
}

#[tokio::test]
async fn calls_are_found_by_who_may_know_of_them() {
    let (server, [ada, dev, eve]) = server().await;
    let list = async |token: &str, query: &str| {
        ids(&server.get(token, &format!("/api/v1/traces?{query}")).await.json())
    };
    assert_eq!(list(&ada, "").await, "6 5 4 3 2 1");
    assert_eq!(list(&dev, "").await, "5 4 3 2 1");
    assert_eq!(list(&eve, "team=bank").await, "");
    for (query, found) in [
        ("team=shop&status=ok", "4 3 2 1"),
        ("status=error", "5"),
        ("status=429", "5"),
        ("min_usd=0.05", "4"),
        ("min_ms=1000", "3"),
        ("endpoint=search&model=gpt&provider=openai", "5 4 3 2 1"),
        ("endpoint=other", ""),
        (&format!("trace={TRACE}"), "5 4 3 2 1"),
    ] {
        assert_eq!(list(&eve, query).await, found, "{query}");
    }
    let since = server.app.now().0 - 25_000;
    assert_eq!(list(&eve, &format!("since={since}")).await, "5 4");
    assert_eq!(list(&eve, &format!("until={since}")).await, "3 2 1");
    for wrong in
        ["min_ms=fast", "min_usd=-1", "cursor=x", "limit=0", "planet=mars", "status=nonsense"]
    {
        let answer = server.get(&eve, &format!("/api/v1/traces?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            server.get(&eve, &format!("/api/v1/traces?limit=2&cursor={cursor}")).await.json();
        seen.push(ids(&page));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, ["5 4", "3 2", "1"]);
}

#[tokio::test]
async fn one_call_is_a_tree_and_what_was_said_is_for_those_who_work_on_it() {
    let (server, [ada, dev, eve]) = server().await;
    let tree = server.get(&eve, "/api/v1/traces/req_1").await.json();
    assert_eq!(tree["calls"].as_array().unwrap().len(), 1);
    let call = &tree["calls"][0];
    assert_eq!((&call["cost_usd"], &call["total_ms"]), (&json!("0.0025"), &json!(240.5)));
    assert_eq!((&call["endpoint"], &call["flags"][1]), (&json!("search"), &json!("redacted")));
    let spans = tree["spans"].as_array().unwrap();
    let [root, failed, done] = spans.as_slice() else { panic!("{tree}") };
    assert_eq!((&root["name"], &root["kind"]), (&json!("chat gpt"), &json!("server")));
    assert_eq!(root["parent"], "00f067aa0ba902b7");
    assert_eq!(root["attributes"]["trunkline.request.id"], "req_1");
    let events: Vec<_> = root["events"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(events, [&json!("guardrail"), &json!("cache miss")]);
    for (span, number) in [(failed, 1), (done, 2)] {
        assert_eq!((&span["parent"], &span["kind"]), (&root["span"], &json!("client")));
        assert_eq!(span["attributes"]["trunkline.attempt"], number);
        assert_eq!(span["attributes"]["gen_ai.provider.name"], "openai");
    }
    assert_eq!(
        (&failed["status"], &failed["attributes"]["error.type"]),
        (&json!("error"), &json!("500"))
    );
    let said = &done["attributes"];
    assert_eq!(said["gen_ai.usage.input_tokens"], 70);
    assert_eq!(said["gen_ai.response.model"], "gpt-5");
    assert_eq!(said["gen_ai.response.finish_reasons"], json!(["tool_calls"]));
    assert_eq!(said["gen_ai.response.time_to_first_chunk"], 0.05);
    assert_eq!(done["events"][0]["attributes"]["gen_ai.tool.name"], "search");
    assert_eq!(done["took_us"], 140_000);

    assert_eq!(tree["contents"], json!({}), "who looks on does not read what was said");
    let tree = server.get(&dev, "/api/v1/traces/REQ_1").await.json();
    let content = &tree["contents"]["req_1"];
    assert_eq!((&content["kept"], &content["is_cut"]), (&json!("redacted"), &json!(true)));
    assert_eq!(content["content"]["input"][0]["parts"][0]["content"], "<b>Hi</b>");

    let tree = server.get(&dev, &format!("/api/v1/traces/{TRACE}")).await.json();
    let calls: Vec<_> = tree["calls"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(calls, ["req_1", "req_2", "req_3", "req_4", "req_5"], "oldest first");
    assert_eq!((&tree["trace"], &tree["is_cut"]), (&json!(TRACE), &json!(false)));
    for hidden in ["req_6", &"1".repeat(32), "req_9", "nonsense"] {
        let answer = server.get(&dev, &format!("/api/v1/traces/{hidden}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
    assert_eq!(server.get(&ada, "/api/v1/traces/req_6").await.status, StatusCode::OK);
}
