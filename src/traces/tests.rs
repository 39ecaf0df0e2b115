//! Which spans follow from which events.

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::engine::{AttemptOutcome, Event, RerunScope, Run};
use crate::model::{FailureClass, ProjectId, RunId, RunStatus, StageIndex, StageStatus};
use crate::pipeline::{self, Context, Selection, SourceFile};
use crate::store::runs::{RunRow, StoredEvent};

const ID: &str = "01k9zz0000abcdefghjkmnpqrs";
const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  unit: { image: none, steps: [ { name: compile, run: make }, { run: make test } ] }
  docs: { image: none, needs: unit, run: make docs }
";

fn run() -> Run {
    let file = SourceFile { name: "ci.yml".to_owned(), text: PIPELINE.to_owned() };
    let checked = pipeline::check(file, &|it| Err(format!("no file `{}`", it.file)));
    let pipeline = checked.pipeline.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
    let context = Context { event: "push".to_owned(), ..Context::default() };
    let plan = pipeline.plan(&context, &Selection::All).unwrap();
    Run::new(RunId(ID.to_owned()), Arc::new(plan), Arc::new(context))
}

fn row() -> RunRow {
    RunRow {
        id: RunId(ID.to_owned()),
        number: 7,
        pipeline: "ci".to_owned(),
        repository: "https://ada:secret@forge.example/shop.git".to_owned(),
        event: "push".to_owned(),
        branch: "main".to_owned(),
        revision: "2".repeat(40),
        tree: String::new(),
        title: String::new(),
        status: RunStatus::Failed,
        events: 0,
        lease_epoch: 1,
        lease_owner: String::new(),
        lease_until: Timestamp(0),
        created_at: Timestamp(1000),
        started_at: None,
        finished_at: None,
        project: ProjectId(String::new()),
        cause: String::new(),
        height: 0,
        failed_stages: 0,
    }
}

/// Each event a second after the one before.
fn story(events: Vec<Event>) -> Vec<StoredEvent> {
    let stored =
        |(seq, event): (i64, Event)| StoredEvent { seq, at: Timestamp(2000 + seq * 1000), event };
    (0..).zip(events).map(stored).collect()
}

fn failing() -> Vec<Event> {
    let (stage, attempt) = (StageIndex(0), 1);
    let failed = AttemptOutcome {
        exit_code: Some(2),
        ..AttemptOutcome::failed(FailureClass::User, "step 2 exited with 2")
    };
    vec![
        Event::RunStarted,
        Event::StageReady { stage },
        Event::AttemptStarted { stage, attempt, epoch: 1 },
        Event::StepStarted { stage, attempt, step: 0 },
        Event::StepFinished { stage, attempt, step: 0, exit_code: 0 },
        Event::StepStarted { stage, attempt, step: 1 },
        Event::StepFinished { stage, attempt, step: 1, exit_code: 2 },
        Event::AttemptFinished { stage, attempt, outcome: failed },
        Event::StageFinished { stage, status: StageStatus::Failed, allowed: false, failure: None },
        Event::StageSkipped {
            stage: StageIndex(1),
            reason: crate::engine::SkipReason::NeedFailed { stage },
        },
        Event::RunFinished { status: RunStatus::Failed },
    ]
}

fn told(from_seq: i64, events: &[StoredEvent]) -> Vec<Span> {
    let (run, row) = (run(), row());
    let public_url = Some("https://ci.example");
    spans(&Facts { run: &run, row: &row, public_url, from_seq }, events)
}

/// One line a span, indented below its parent.
fn drawn(spans: &[Span]) -> String {
    fn below(spans: &[Span], parent: &str, depth: usize, text: &mut String) {
        for span in spans.iter().filter(|it| it.parent_id == parent) {
            let (began, ended) = (span.began.0 / 1_000_000, span.ended.0 / 1_000_000);
            let status = match &span.status {
                SpanStatus::Ok => "ok".to_owned(),
                SpanStatus::Unset => "-".to_owned(),
                SpanStatus::Error(message) => format!("error {message:?}"),
            };
            text.push_str(&format!(
                "{}{} {began}..{ended} {status}\n",
                "  ".repeat(depth),
                span.name
            ));
            below(spans, &span.span_id, depth + 1, text);
        }
    }
    let mut text = String::new();
    below(spans, "", 0, &mut text);
    text
}

#[test]
fn a_run_is_a_tree_of_stages_attempts_and_steps() {
    insta::assert_snapshot!(drawn(&told(0, &story(failing()))), @r#"
    ci 1..12 error ""
      unit 3..10 error ""
        unit #1 4..9 error "step 2 exited with 2"
          compile 5..6 ok
          make test 7..8 error "exit code 2"
      docs 11..11 -
    "#);
}

#[test]
fn what_was_sent_is_not_sent_again_and_a_rerun_is_a_root_of_its_own() {
    let mut events = failing();
    let first = i64::try_from(events.len()).unwrap();
    assert_eq!(told(first, &story(events.clone())), []);
    let stage = StageIndex(0);
    let outcome = AttemptOutcome::default();
    events.extend([
        Event::RerunRequested {
            scope: RerunScope::All,
            by: "ada".to_owned(),
            no_reuse: false,
            stages: vec![stage],
        },
        Event::StageReady { stage },
        Event::AttemptStarted { stage, attempt: 2, epoch: 1 },
        Event::AttemptFinished { stage, attempt: 2, outcome },
        Event::StageFinished { stage, status: StageStatus::Passed, allowed: false, failure: None },
        Event::RunFinished { status: RunStatus::Passed },
    ]);
    let both = told(0, &story(events.clone()));
    let second = told(first, &story(events));
    insta::assert_snapshot!(drawn(&second), @"
    ci 13..18 ok
      unit 14..17 ok
        unit #2 15..16 ok
    ");
    assert!(both.iter().all(|it| it.trace_id == both[0].trace_id));
    let ids: std::collections::BTreeSet<_> = both.iter().map(|it| &it.span_id).collect();
    assert_eq!(ids.len(), both.len(), "every span has an id of its own");
    assert!(second.iter().all(|it| both.contains(it)), "and the same one each time");
}

#[test]
fn the_ids_lead_from_a_run_to_its_trace_and_nothing_secret_is_told() {
    let spans = told(0, &story(failing()));
    let id = ulid::Ulid::from_string(ID).unwrap();
    assert_eq!(spans[0].trace_id, format!("{:032x}", id.0));
    let text = to_json(&spans);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(
        !text.contains("secret") && text.contains("https://ada@forge.example/shop.git"),
        "{text}"
    );
    let spans = json["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let root = &spans[0];
    assert_eq!(root["startTimeUnixNano"], "1000000000");
    assert_eq!(root["status"]["code"], 2);
    assert_eq!(root.get("parentSpanId"), None);
    let attribute = |span: &Value, name: &str| {
        let all = span["attributes"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["key"] == name).map(|it| it["value"].clone())
    };
    let url = attribute(root, "cicd.pipeline.run.url.full").unwrap();
    assert_eq!(url["stringValue"], format!("https://ci.example/runs/{ID}"));
    assert_eq!(attribute(root, "trunkline.run.number").unwrap()["intValue"], "7");
    let classes: Vec<_> = spans.iter().filter_map(|it| attribute(it, "error.type")).collect();
    assert_eq!(classes.len(), 1, "{classes:?}");
}

#[test]
fn each_value_has_its_word_and_spans_stand_with_their_maker() {
    let span = |id: &str, maker: Option<Maker>| Span {
        trace_id: "0a".repeat(16),
        span_id: id.to_owned(),
        parent_id: String::new(),
        name: "read \"docs\"".to_owned(),
        kind: SpanKind::Client,
        began: Micros(-5),
        ended: Micros(7),
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        maker: maker.map(Box::new),
    };
    let app = |id: &str| Maker {
        id: id.to_owned(),
        resource: vec![("service.name".into(), "shop".into())],
        scope: "lib".to_owned(),
        links: vec![("t".to_owned(), "s".to_owned())],
        ..Maker::default()
    };
    let mut first = span("1", None);
    let value = serde_json::json!({"a": [1, 2.5, true, null], "b": {"c": "d"}});
    first.attributes =
        value.as_object().unwrap().clone().into_iter().map(|it| (it.0.into(), it.1)).collect();
    first.events.push((Micros(1), "said".to_owned(), vec![("n".into(), 3.into())]));
    let spans = [first, span("2", Some(app("x"))), span("3", Some(app("y"))), span("4", None)];
    let text = to_json(&spans).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let text = text.replace("\"attributes\":[{", "\"attributes\":[\n  {").replace("},{", "},\n  {");
    insta::assert_snapshot!(text, @r#"
    {"resourceSpans":[{"resource":{"attributes":[
      {"key":"service.name","value":{"stringValue":"trunkline"}},
      {"key":"service.version","value":{"stringValue":"VERSION"}}]},"scopeSpans":[{"scope":{"name":"trunkline","version":"VERSION"},"spans":[{"traceId":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","spanId":"1","name":"read \"docs\"","kind":3,"startTimeUnixNano":"0","endTimeUnixNano":"7000","attributes":[
      {"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},
      {"doubleValue":2.5},
      {"boolValue":true},
      {}]}}},
      {"key":"b","value":{"kvlistValue":{"values":[{"key":"c","value":{"stringValue":"d"}}]}}}],"events":[{"timeUnixNano":"1000","name":"said","attributes":[
      {"key":"n","value":{"intValue":"3"}}]}],"status":{}}]}]},
      {"resource":{"attributes":[
      {"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","spanId":"2","name":"read \"docs\"","kind":3,"startTimeUnixNano":"0","endTimeUnixNano":"7000","attributes":[],"events":[],"status":{},"links":[{"traceId":"t","spanId":"s"}]},
      {"traceId":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","spanId":"3","name":"read \"docs\"","kind":3,"startTimeUnixNano":"0","endTimeUnixNano":"7000","attributes":[],"events":[],"status":{},"links":[{"traceId":"t","spanId":"s"}]}]}]},
      {"resource":{"attributes":[
      {"key":"service.name","value":{"stringValue":"trunkline"}},
      {"key":"service.version","value":{"stringValue":"VERSION"}}]},"scopeSpans":[{"scope":{"name":"trunkline","version":"VERSION"},"spans":[{"traceId":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","spanId":"4","name":"read \"docs\"","kind":3,"startTimeUnixNano":"0","endTimeUnixNano":"7000","attributes":[],"events":[],"status":{}}]}]}]}
    "#);
}
