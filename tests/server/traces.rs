//! A finished run arrives at a collector, once, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trunkline::config::TraceSettings;
use trunkline::config::keys::Hidden;
use trunkline::engine::{AttemptOutcome, Command};
use trunkline::model::{Clock as _, RunId, StageIndex, Timestamp};
use trunkline::outgoing::Outgoing;
use trunkline::pipeline::Context;
use trunkline::runs::CreateRun;
use trunkline::secrets::new_id;
use trunkline::store::spend::requests::spans::SpanRow;
use trunkline::traces::Exporter;

use crate::forge::Forge;
use crate::support::{Server, plan_of};
use crate::traced;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  unit: { image: alpine, run: 'true' }
";

/// A run that has passed.
async fn passed(server: &Server) -> RunId {
    let (runs, now) = (&server.app.runs, server.clock.now());
    let id = RunId(new_id(now));
    let create = CreateRun {
        id: id.clone(),
        repository: "/srv/shop".to_owned(),
        tree: String::new(),
        project: trunkline::model::ProjectId(String::new()),
        cause: String::new(),
        height: 0,
        plan: plan_of(PIPELINE),
        context: Context { event: "push".to_owned(), ..Context::default() },
        created_at: now,
    };
    runs.create(&create).await.unwrap();
    let mut loaded = runs.load(&id).await.unwrap();
    let (stage, epoch) = (StageIndex(0), 1);
    let attempt = trunkline::model::AttemptName { run: id.clone(), stage, attempt: 1 };
    for command in [
        Command::TakeLease { owner: "test".to_owned(), epoch, instance: String::new() },
        Command::Tick,
        Command::StartAttempt { stage, epoch },
        Command::FinishAttempt { attempt, outcome: AttemptOutcome::default(), epoch },
    ] {
        runs.execute(&mut loaded, &command, server.clock.now()).await.unwrap();
    }
    assert!(loaded.run.status().is_finished(), "{:?}", loaded.run.status());
    id
}

fn exporter(server: &Server, collector: &Forge) -> Exporter {
    let secret = Hidden("Bearer hunter2".to_owned());
    let settings = TraceSettings {
        endpoint: collector.url.clone(),
        headers: vec![("authorization".to_owned(), secret)],
    };
    let outgoing = Outgoing::new(std::collections::BTreeSet::new()).unwrap();
    let clock = Arc::clone(&server.clock);
    Exporter::new(server.app.runs.clone(), &outgoing, (settings, None), clock).unwrap()
}

/// Sends until `enough` requests came, or for a while.
async fn send(exporter: &Exporter, collector: &Forge, enough: usize) {
    let shutdown = CancellationToken::new();
    let wait = async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if collector.asked().len() >= enough {
                break;
            }
        }
        // What came last is written down.
        tokio::time::sleep(Duration::from_millis(200)).await;
        shutdown.cancel();
    };
    tokio::join!(exporter.serve(&shutdown), wait);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_run_arrives_although_the_collector_was_away() {
    let (server, collector) = (Server::start().await, Forge::start().await);
    let run = passed(&server).await;
    collector.answer_once(StatusCode::SERVICE_UNAVAILABLE, vec![("retry-after", "1".to_owned())]);
    send(&exporter(&server, &collector), &collector, 2).await;
    let asked = collector.asked();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert_eq!(asked[0].body, asked[1].body, "the same ids each time");
    assert_eq!(asked[1].path, "/v1/traces");
    assert_eq!(asked[1].header("authorization"), "Bearer hunter2");
    let spans = &asked[1].body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let names: Vec<_> = spans.as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["ci", "unit #1", "unit"]);
    let id = ulid::Ulid::from_string(&run.0).unwrap();
    assert_eq!(spans[0]["traceId"], format!("{:032x}", id.0));

    // Another process begins: nothing is sent twice.
    send(&exporter(&server, &collector), &collector, 3).await;
    assert_eq!(collector.asked().len(), 2);
    passed(&server).await;
    send(&exporter(&server, &collector), &collector, 3).await;
    assert_eq!(collector.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_collector_refuses_is_not_sent_for_ever() {
    let (server, collector) = (Server::start().await, Forge::start().await);
    passed(&server).await;
    collector.answer_once(StatusCode::BAD_REQUEST, Vec::new());
    send(&exporter(&server, &collector), &collector, 2).await;
    assert_eq!(collector.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_models_arrive_once_in_the_order_of_their_writing() {
    let (server, collector) = (Server::start().await, Forge::start().await);
    let at = |seconds: i64| Timestamp(server.app.now().0 - seconds * 1000);
    let write = async |id: &str, seconds: i64| {
        let row = traced::trace(id, "shop", at(seconds));
        server.app.store.insert_traces(&[row], &[]).await.unwrap();
    };
    write("req_old", 25 * 3600).await;
    write("req_1", 60).await;
    write("req_2", 50).await;
    write("req_just_now", -3600).await;
    collector.answer_once(StatusCode::SERVICE_UNAVAILABLE, vec![("retry-after", "1".to_owned())]);
    send(&exporter(&server, &collector), &collector, 2).await;
    let asked = collector.asked();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert_eq!(asked[0].body, asked[1].body, "the same ids each time");
    let spans = asked[1].body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 6, "neither what is too old nor what was just written: {spans:#?}");
    let [root, failed, done] = &spans[..3] else { panic!("{spans:?}") };
    assert_eq!((&root["name"], &root["kind"]), (&json!("chat gpt"), &json!(2)));
    assert_eq!(
        (&root["traceId"], &root["parentSpanId"]),
        (&json!(traced::TRACE), &json!("00f067aa0ba902b7"))
    );
    for span in [failed, done] {
        assert_eq!((&span["parentSpanId"], &span["kind"]), (&root["spanId"], &json!(3)));
    }
    let attribute = |name: &str| {
        let all = done["attributes"].as_array().unwrap();
        all.iter().find(|it| it["key"] == name).map(|it| it["value"].clone()).unwrap()
    };
    assert_eq!(attribute("gen_ai.provider.name"), json!({ "stringValue": "openai" }));
    assert_eq!(attribute("gen_ai.usage.input_tokens"), json!({ "intValue": "70" }));
    let finish = json!({ "arrayValue": { "values": [{ "stringValue": "tool_calls" }] } });
    assert_eq!(attribute("gen_ai.response.finish_reasons"), finish);
    assert_eq!(attribute("gen_ai.response.time_to_first_chunk"), json!({ "doubleValue": 0.05 }));
    let nanoseconds = |span: &serde_json::Value, name: &str| -> i128 {
        span[name].as_str().unwrap().parse().unwrap()
    };
    let took = nanoseconds(done, "endTimeUnixNano") - nanoseconds(done, "startTimeUnixNano");
    assert_eq!((took, failed["status"]["code"].clone()), (140_000_000, json!(2)));

    // Another process begins: nothing is sent twice, and what was refused is not tried for ever.
    send(&exporter(&server, &collector), &collector, 3).await;
    assert_eq!(collector.asked().len(), 2);
    write("req_3", 10).await;
    collector.answer_once(StatusCode::BAD_REQUEST, Vec::new());
    send(&exporter(&server, &collector), &collector, 4).await;
    assert_eq!(collector.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_apps_are_sent_on_once_as_their_apps_named_themselves() {
    let (server, collector) = (Server::start().await, Forge::start().await);
    let at = Timestamp(server.app.now().0 - 60_000);
    let named = ("tool search", "");
    let row = crate::spans::span(2, ("shop", traced::TRACE), named, at);
    let mut detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap();
    detail["resource"] = json!({"service.name": "shop-app", "process.pid": 7});
    detail["scope"] = json!("agents");
    detail["attributes"]["list"] = json!(["a", {"b": 1.5}]);
    detail["links"] = json!([{"trace": "1".repeat(32), "span": "2".repeat(16)}]);
    let row = SpanRow { detail: detail.to_string(), kind: "producer".to_owned(), ..row };
    let said = traced::content(&row.id, "Nobody's business.", at);
    server.app.store.insert_spans(&[row], &[said]).await.unwrap();
    collector.answer_once(StatusCode::SERVICE_UNAVAILABLE, vec![("retry-after", "1".to_owned())]);
    send(&exporter(&server, &collector), &collector, 2).await;
    let asked = collector.asked();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert_eq!(asked[0].body, asked[1].body, "the same each time");
    let group = &asked[1].body["resourceSpans"][0];
    let resource = json!([
        {"key": "process.pid", "value": {"intValue": "7"}},
        {"key": "service.name", "value": {"stringValue": "shop-app"}},
    ]);
    assert_eq!(group["resource"]["attributes"], resource);
    assert_eq!(group["scopeSpans"][0]["scope"]["name"], "agents");
    let span = &group["scopeSpans"][0]["spans"][0];
    assert_eq!((&span["traceId"], &span["kind"]), (&json!(traced::TRACE), &json!(4)));
    assert_eq!(span["links"], json!([{"traceId": "1".repeat(32), "spanId": "2".repeat(16)}]));
    let attributes = span["attributes"].as_array().unwrap();
    let list = json!({"key": "list", "value": {"arrayValue": {"values": [
        {"stringValue": "a"},
        {"kvlistValue": {"values": [{"key": "b", "value": {"doubleValue": 1.5}}]}},
    ]}}});
    assert!(attributes.contains(&list), "{attributes:#?}");
    assert!(!asked[1].body.to_string().contains("business"), "{asked:#?}");
    send(&exporter(&server, &collector), &collector, 3).await;
    assert_eq!(collector.asked().len(), 2, "once");
}
