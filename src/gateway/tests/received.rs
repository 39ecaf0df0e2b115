//! Spans that apps send over OTLP: what becomes a row, whose it is, what is kept of it, and what is refused.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::traced::Traced;
use super::world::{KEY, Reply};
use crate::gateway::ledger::trail::content::{Content, Message};
use crate::model::trace::received::ReceivedDetail;
use crate::store::spend::requests::spans::SpanRow;

const TRACES: &str = "/otlp/v1/traces";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHERS: &str =
    "[[key]]\nname = \"other\"\nvariable = \"OTHER_KEY\"\nsubject = { team = \"bank\" }\n";
/// 2023-11-14.
const BEGAN: u64 = 1_700_000_000_000_000_000;

fn text(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

fn span(id: u64, attributes: &Value) -> Value {
    json!({
        "traceId": TRACE, "spanId": format!("{id:016x}"), "parentSpanId": "00f067aa0ba902b7", "name": "plan", "kind": 3,
        "startTimeUnixNano": BEGAN.to_string(), "endTimeUnixNano": (BEGAN + 12_345_678).to_string(),
        "attributes": attributes, "status": {},
    })
}

fn request(spans: &[Value]) -> String {
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "shop")]},
        "scopeSpans": [{"scope": {"name": "agents"}, "spans": spans}],
    }]})
    .to_string()
}

async fn send(traced: &Traced, key: &str, body: &str) -> Reply {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    traced.world.send(TRACES, body.as_bytes().to_vec(), &headers).await
}

/// All rows of the trace, and what was said in them.
async fn rows(traced: Traced) -> Vec<(SpanRow, ReceivedDetail, Option<Content>)> {
    let (store, _folder) = traced.written().await;
    let rows = store.list_spans(TRACE, None, 5_000).await.unwrap();
    let ids: Vec<_> = rows.iter().map(|it| it.id.clone()).collect();
    let contents = store.list_trace_contents(&ids).await.unwrap();
    let whole = rows.into_iter().map(|row| {
        let detail = serde_json::from_str(&row.detail).unwrap();
        let said = contents.iter().find(|it| it.id == row.id);
        (row, detail, said.map(|it| serde_json::from_str(&it.content).unwrap()))
    });
    whole.collect()
}

fn rejected(reply: &Reply) -> (u64, String) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let told = &reply.json()["partialSuccess"];
    let count = told["rejectedSpans"].as_str().map_or(0, |it| it.parse().unwrap());
    (count, told["errorMessage"].as_str().unwrap_or_default().to_owned())
}

/// A tool that was tried again and took too long.
fn tool() -> Value {
    let mut tool = span(
        7,
        &json!([
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", "search"),
            text("error.type", "timeout"),
            text("trunkline.request.id", "req_forged"),
            {"key": "tries", "value": {"intValue": "3"}},
            {"key": "share", "value": {"doubleValue": 0.5}},
            {"key": "words", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": true}]}}},
            {"key": "more", "value": {"kvlistValue": {"values": [text("b", "c"), text("password", "hunter2")]}}},
        ]),
    );
    tool["events"] = json!([{"timeUnixNano": (BEGAN + 1_000).to_string(), "name": "retry", "attributes": [text("why", "slow")]}]);
    tool["links"] = json!([{"traceId": "1".repeat(32), "spanId": "2".repeat(16)}]);
    tool["status"] = json!({"code": 2, "message": "it took too long"});
    tool
}

#[tokio::test]
async fn a_span_is_a_row_of_whose_key_it_came_with() {
    let traced = Traced::new("").await;
    let reply = send(&traced, KEY, &request(&[tool()])).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "{}"));
    assert_eq!(reply.header("content-type"), "application/json");
    let rows = rows(traced).await;
    let [(row, _, None)] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(row.written_at.0 > 0, "{row:?}");
    let row =
        SpanRow { written_at: crate::model::Timestamp(0), detail: String::new(), ..row.clone() };
    insta::assert_debug_snapshot!(row, @r#"
    SpanRow {
        id: "spn_8d797438ebfc3ca546035059843759c5",
        trace: "4bf92f3577b34da6a3ce929d0e0e4736",
        span: "0000000000000007",
        parent: "00f067aa0ba902b7",
        at: Timestamp(
            1700000000000,
        ),
        at_us: 1700000000000000,
        written_at: Timestamp(
            0,
        ),
        key_name: "ci",
        owner: Owner {
            organisation: "",
            team: "core",
            project: "",
            pipeline: "",
            run: "r1",
            stage: "",
            endpoint: "",
        },
        service: "shop",
        name: "plan",
        kind: "client",
        operation: "tool",
        provider: "",
        model: "",
        status: None,
        error: "timeout",
        total_us: 12345,
        detail: "",
    }
    "#);
}

#[tokio::test]
async fn all_that_a_span_tells_is_kept_but_passwords_and_what_only_the_gateway_says() {
    let traced = Traced::new("").await;
    assert_eq!(rejected(&send(&traced, KEY, &request(&[tool()])).await).0, 0);
    let rows = rows(traced).await;
    let [(_, detail, None)] = rows.as_slice() else { panic!("{rows:?}") };
    insta::assert_snapshot!(serde_json::to_string_pretty(detail).unwrap(), @r#"
    {
      "attributes": {
        "error.type": "timeout",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "more": {
          "b": "c",
          "password": "[redacted]"
        },
        "share": 0.5,
        "tries": 3,
        "words": [
          "a",
          true
        ]
      },
      "events": [
        {
          "at_us": 1700000000000001,
          "name": "retry",
          "attributes": {
            "why": "slow"
          }
        }
      ],
      "links": [
        {
          "trace": "11111111111111111111111111111111",
          "span": "2222222222222222"
        }
      ],
      "status": "error",
      "message": "it took too long",
      "resource": {
        "service.name": "shop"
      },
      "scope": "agents",
      "dropped": 1
    }
    "#);
}

#[tokio::test]
async fn a_span_that_comes_again_changes_nothing_and_takes_no_others_place() {
    let traced = Traced::new(OTHERS).await;
    let named = |name: &str| {
        let mut span = span(7, &json!([]));
        span["name"] = json!(name);
        request(&[span])
    };
    for (key, name) in [(KEY, "first"), (KEY, "second"), ("tl-other", "forged")] {
        assert_eq!(rejected(&send(&traced, key, &named(name)).await).0, 0);
    }
    let rows = rows(traced).await;
    let mut told: Vec<_> =
        rows.iter().map(|it| (it.0.owner.team.as_str(), it.0.name.as_str())).collect();
    told.sort_unstable();
    assert_eq!(told, [("bank", "forged"), ("core", "first")]);
}

/// Attributes with all kinds of things that nobody should read.
fn telling() -> Value {
    json!([
        text("enduser.id", "ada@example.org"),
        text("note", &format!("{KEY} and sk-provider and sk-abcdefghijklmnopqrstuvwx")),
        text("http.request.header.authorization", "Basic YTpi"),
        text("url.full", "https://ada:hunter2@shop.example/find?q=my+illness"),
        text(
            "gen_ai.input.messages",
            r#"[{"role":"user","parts":[{"type":"text","content":"I am ada@example.org"}]}]"#
        ),
        text(
            "gen_ai.output.messages",
            r#"[{"role":"assistant","parts":[{"type":"tool_call","id":"t1","name":"find","arguments":{"q":"ada@example.org"}}],"finish_reason":"tool_call"}]"#
        ),
        text("gen_ai.tool.call.result", "Ada lives there"),
        text("db.query.text", "SELECT * FROM people WHERE name = 'Ada'"),
        text("traceloop.entity.input", "Ada"),
    ])
}

async fn told_with(content: &str) -> (String, String) {
    let traced = Traced::new(&format!("[traces]\ncontent = \"{content}\"\n")).await;
    let mut span = span(7, &telling());
    span["name"] = json!("find ada@example.org");
    span["events"] =
        json!([{"name": "gen_ai.user.message", "attributes": [text("content", "Ada asks")]}]);
    span["status"] = json!({"code": 2, "message": "Bearer abcdefghijklmnop0123456789 is wrong"});
    assert_eq!(rejected(&send(&traced, KEY, &request(&[span])).await).0, 0);
    let rows = rows(traced).await;
    let [(row, _, said)] = rows.as_slice() else { panic!("{rows:?}") };
    let line = |way: &str, it: &Message| {
        let parts: Vec<_> = it.parts.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
        format!("{way} {}: {}\n", it.role, parts.join(" "))
    };
    let said = said.as_ref().map(|it| {
        let input = it.input.iter().map(|it| line(">", it));
        input.chain(it.output.iter().map(|it| line("<", it))).collect::<String>()
    });
    (format!("{}\n{}", row.name, row.detail), said.unwrap_or_default())
}

#[tokio::test]
async fn what_was_said_is_kept_only_where_the_file_says_so_and_secrets_never() {
    let (row, said) = told_with("off").await;
    insta::assert_snapshot!(row, @r#"
    find [EMAIL]
    {"attributes":{"enduser.id":"[EMAIL]","http.request.header.authorization":"[redacted]","note":"[redacted] and [redacted] and [SECRET]","url.full":"shop.example/find"},"events":[{"at_us":0,"name":"gen_ai.user.message"}],"status":"error","message":"[SECRET] is wrong","resource":{"service.name":"shop"},"scope":"agents"}
    "#);
    assert_eq!(said, "", "nothing that was said is kept");
}

#[tokio::test]
async fn what_is_kept_of_what_was_said_has_nobodys_address_and_no_secret() {
    let (row, said) = told_with("redacted").await;
    assert!(!row.contains("Ada") && !row.contains("ada@"), "{row}");
    insta::assert_snapshot!(said, @r#"
    > user: {"type":"text","content":"I am [EMAIL]"}
    > db.query.text: {"type":"text","content":"SELECT * FROM people WHERE name = 'Ada'"}
    > traceloop.entity.input: {"type":"text","content":"Ada"}
    > content: {"type":"text","content":"Ada asks"}
    < assistant: {"type":"tool_call","id":"t1","name":"find","arguments":"{\"q\":\"[EMAIL]\"}"}
    < gen_ai.tool.call.result: {"type":"text","content":"Ada lives there"}
    "#);
    let (full, said) = told_with("full").await;
    assert!(
        full.contains("ada@example.org") && said.contains("I am ada@example.org"),
        "{full} {said}"
    );
    for secret in [KEY, "sk-provider", "hunter2", "YTpi", "my+illness"] {
        assert!(!full.contains(secret) && !said.contains(secret), "{secret}: {full} {said}");
    }
}

#[tokio::test]
async fn what_is_beyond_the_bounds_is_left_out_and_that_is_said() {
    let traced = Traced::new("").await;
    let many: Vec<_> = (1..=2_060).map(|it| span(it, &json!([]))).collect();
    let (count, why) = rejected(&send(&traced, KEY, &request(&many)).await);
    assert_eq!((count, why.as_str()), (12, "a request holds too many spans"));
    let attributes: Vec<_> =
        (0..100).map(|it| text(&format!("a{it:03}"), &"x".repeat(100))).collect();
    let mut wide = span(9_001, &json!(attributes));
    wide["name"] = json!("n".repeat(10_000));
    wide["events"] = (0..100).map(|it| json!({"name": format!("e{it}")})).collect();
    let long =
        span(9_002, &json!([text("long", &"é".repeat(100_000)), text(&"k".repeat(300), "v")]));
    let mut deep = json!({"stringValue": "deep"});
    for _ in 0..20 {
        deep = json!({"arrayValue": {"values": [deep]}});
    }
    let nested = span(9_003, &json!([{"key": "nested", "value": deep}]));
    let full: Vec<_> = (0..20).map(|it| text(&format!("b{it}"), &"y".repeat(2_000))).collect();
    let full = span(9_004, &json!(full));
    assert_eq!(rejected(&send(&traced, KEY, &request(&[wide, long, nested, full])).await).0, 0);
    let mut wrong = vec![span(0, &json!([])), span(9_005, &json!([])), span(9_006, &json!([]))];
    wrong[1]["traceId"] = json!("not an id");
    wrong[2]["startTimeUnixNano"] = json!(u64::MAX.to_string());
    let (count, why) = rejected(&send(&traced, KEY, &request(&wrong)).await);
    assert_eq!((count, why.as_str()), (3, "a span has no `span_id` of 8 bytes"));
    let rows = rows(traced).await;
    assert_eq!(rows.len(), 2_048 + 4);
    let of = |id: u64| rows.iter().find(|it| it.0.span == format!("{id:016x}")).unwrap();
    let (row, detail, _) = of(9_001);
    assert_eq!((detail.attributes.len(), detail.events.len(), detail.dropped), (64, 32, 36 + 68));
    assert!(row.name.len() <= 256 && row.name.ends_with('…'), "{}", row.name);
    let (_, detail, _) = of(9_002);
    let long = detail.attributes["long"].as_str().unwrap();
    assert!(long.len() <= 2_048 && long.ends_with('…') && detail.dropped == 1, "{detail:?}");
    assert_eq!(of(9_003).1.attributes["nested"], json!([[[["…"]]]]));
    let (row, detail, _) = of(9_004);
    assert!(detail.attributes.len() == 8 && row.detail.len() < 20_000, "{}", row.detail.len());
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_in_its_own_format() {
    let traced = Traced::new("").await;
    let body = request(&[span(1, &json!([]))]).into_bytes();
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    let (key, wrong) = (("x-api-key", KEY), ("authorization", "Bearer tl-wrong"));
    let gzip = ("content-encoding", "gzip");
    let bomb = packed(&vec![b' '; 17 << 20]);
    for (path, body, headers, status) in [
        (
            TRACES,
            packed(&body),
            vec![key, ("content-type", "application/json; charset=utf-8"), gzip],
            200,
        ),
        (TRACES, Vec::new(), vec![key, ("content-type", protobuf)], 200),
        ("/otlp/v1/profiles", body.clone(), vec![key, ("content-type", json)], 404),
        (TRACES, body.clone(), vec![("content-type", json)], 401),
        (TRACES, body.clone(), vec![wrong, ("content-type", json)], 401),
        (TRACES, body.clone(), vec![key], 415),
        (TRACES, body.clone(), vec![key, ("content-type", "text/plain")], 415),
        (
            TRACES,
            body.clone(),
            vec![key, ("content-type", json), ("content-encoding", "zstd")],
            415,
        ),
        (TRACES, body.clone(), vec![key, ("content-type", json), gzip], 400),
        (TRACES, body.clone(), vec![key, ("content-type", protobuf)], 400),
        (TRACES, b"{".to_vec(), vec![key, ("content-type", json)], 400),
        (TRACES, vec![b' '; 5 << 20], vec![key, ("content-type", json)], 413),
        (TRACES, bomb, vec![key, ("content-type", json), gzip], 413),
    ] {
        let reply = traced.world.send(path, body, &headers).await;
        assert_eq!(reply.status, status, "{headers:?}: {reply:?}");
        let kind = if headers.contains(&("content-type", protobuf)) { protobuf } else { json };
        assert_eq!(reply.header("content-type"), kind, "{headers:?}");
        if status != 200 && kind == json {
            assert!(reply.json()["message"].as_str().is_some_and(|it| !it.is_empty()), "{reply:?}");
        }
    }
    let reply = traced.world.get(TRACES, &[]).await;
    assert_eq!(reply.status, 405, "{reply:?}");
    assert_eq!(rows(traced).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_sends_too_much_waits_and_others_do_not() {
    let traced = Traced::new(&format!("[traces]\nspans_per_second = 10\n{OTHERS}")).await;
    let many = |from: u64| {
        let spans: Vec<_> = (from..from + 200).map(|it| span(it, &json!([]))).collect();
        request(&spans)
    };
    assert_eq!(send(&traced, KEY, &many(1)).await.status, 200);
    let reply = send(&traced, KEY, &many(1_001)).await;
    assert_eq!(reply.status, 429, "{reply:?}");
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((5..=10).contains(&wait), "{wait}");
    assert_eq!(send(&traced, "tl-other", &many(1)).await.status, 200);
    assert_eq!(rows(traced).await.len(), 400);
}

#[tokio::test]
async fn where_no_spans_are_kept_that_is_said_and_so_it_is_of_metrics_and_logs() {
    let traced = Traced::new("[traces]\nspans_per_second = 0\n").await;
    let body = request(&[span(1, &json!([])), span(2, &json!([]))]);
    let (count, why) = rejected(&send(&traced, KEY, &body).await);
    assert_eq!((count, why.as_str()), (2, "no spans are kept here"));
    let headers = [("x-api-key", KEY), ("content-type", "application/json")];
    let point = json!({"asInt": "1"});
    let metrics = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "a", "sum": {"dataPoints": [point, point]}}, {"name": "b", "gauge": {"dataPoints": [point]}},
    ]}]}]});
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]});
    for (path, body, name, count) in [
        ("/otlp/v1/metrics", metrics, "rejectedDataPoints", "3"),
        ("/otlp/v1/logs", logs, "rejectedLogRecords", "2"),
    ] {
        let reply = traced.world.send(path, body.to_string().into_bytes(), &headers).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let told = &reply.json()["partialSuccess"];
        assert_eq!(told[name], count, "{reply:?}");
        assert!(told["errorMessage"].as_str().unwrap().contains("only traces"), "{reply:?}");
    }
    let empty = traced.world.send("/otlp/v1/logs", b"{}".to_vec(), &headers).await;
    assert_eq!((empty.status, empty.body.as_str()), (200, "{}"));
}
