use serde_json::json;

use super::entry::{Content, Response};
use super::*;

fn call(text: &str) -> Call {
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0});
    let headers = [("Anthropic-Version", "1"), ("authorization", "Bearer secret")];
    Call::new("/v1/messages", headers.into_iter(), body.to_string().as_bytes())
}

fn answer(text: &str) -> Response {
    let content = Content::of_body(json!({"text": text}).to_string().as_bytes());
    Response { status: 200, headers: BTreeMap::new(), content }
}

fn text_of(entry: &Entry) -> String {
    serde_json::to_string(&entry.response).unwrap()
}

fn folder() -> (tempfile::TempDir, Cassettes) {
    let folder = tempfile::tempdir().unwrap();
    let cassettes = Cassettes::new(folder.path().to_owned(), vec!["very-secret-value".to_owned()]);
    (folder, cassettes)
}

#[test]
fn what_was_recorded_is_found_again_by_another_process() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("b"), answer("two"));
    cassette.record(&call("a"), answer("one, very-secret-value, me@example.org"));
    cassettes.save().unwrap();
    let file = std::fs::read_to_string(folder.path().join("eval.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 2);
    assert!(!file.contains("secret") && file.contains("[redacted], [redacted]"), "{file}");

    let again = Cassettes::new(folder.path().to_owned(), Vec::new()).open("eval").unwrap();
    assert_eq!(
        text_of(&again.find(&call("b")).unwrap()),
        r#"{"status":200,"json":{"text":"two"}}"#
    );
    assert!(again.find(&call("b")).is_ok(), "once recorded, as often as it comes");
}

#[test]
fn equal_calls_are_answered_in_the_order_of_the_recording() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("a"), answer("first"));
    cassette.record(&call("a"), answer("second"));
    cassettes.save().unwrap();
    let again = Cassettes::new(folder.path().to_owned(), Vec::new()).open("eval").unwrap();
    assert!(text_of(&again.find(&call("a")).unwrap()).contains("first"));
    assert!(text_of(&again.find(&call("a")).unwrap()).contains("second"));
    insta::assert_snapshot!(again.find(&call("a")).unwrap_err().replace(&*folder.path().to_string_lossy(), "F"), @"this call was recorded fewer times in `F/eval.jsonl` than it is made: this is number 3");
}

#[test]
fn a_call_that_was_missed_and_recorded_is_found_from_then_on() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    assert!(cassette.find(&call("a")).is_err());
    cassette.record(&call("a"), answer("first"));
    assert!(text_of(&cassette.find(&call("a")).unwrap()).contains("first"));
    cassettes.save().unwrap();
    for _ in 0..2 {
        let again = Cassettes::new(folder.path().to_owned(), Vec::new()).open("eval").unwrap();
        for _ in 0..3 {
            assert!(text_of(&again.find(&call("a")).unwrap()).contains("first"));
        }
    }
    let file = std::fs::read_to_string(folder.path().join("eval.jsonl")).unwrap();
    assert_eq!((file.lines().count(), file.contains("\"repeat\"")), (1, false), "{file}");
}

#[test]
fn a_call_that_is_made_oftener_than_it_was_recorded_is_recorded_behind() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("a"), answer("first"));
    cassette.record(&call("a"), answer("second"));
    cassettes.save().unwrap();
    let again = Cassettes::new(folder.path().to_owned(), Vec::new());
    let cassette = again.open("eval").unwrap();
    for found in [true, true, false] {
        assert_eq!(cassette.find(&call("a")).is_ok(), found);
    }
    cassette.record(&call("a"), answer("third"));
    again.save().unwrap();
    let last = Cassettes::new(folder.path().to_owned(), Vec::new()).open("eval").unwrap();
    for text in ["first", "second", "third"] {
        assert!(text_of(&last.find(&call("a")).unwrap()).contains(text));
    }
}

#[test]
fn what_is_recorded_anew_takes_the_place_of_all_that_was_recorded_of_it() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    for text in ["first", "second", "third"] {
        cassette.record(&call("a"), answer(text));
    }
    cassette.record(&call("b"), answer("other"));
    cassettes.save().unwrap();
    let again = Cassettes::new(folder.path().to_owned(), Vec::new());
    let cassette = again.open("eval").unwrap();
    cassette.record(&call("a"), answer("new"));
    again.save().unwrap();
    let file = std::fs::read_to_string(folder.path().join("eval.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 2, "{file}");
    let last = Cassettes::new(folder.path().to_owned(), Vec::new()).open("eval").unwrap();
    for (asked, text) in [("a", "new"), ("a", "new"), ("b", "other")] {
        assert!(text_of(&last.find(&call(asked)).unwrap()).contains(text));
    }
}

#[test]
fn a_call_that_is_missing_says_what_the_nearest_one_was() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    let error = |call: &Call| {
        cassette.find(call).unwrap_err().replace(&*folder.path().to_string_lossy(), "F")
    };
    insta::assert_snapshot!(error(&call("a")), @"this call was not recorded in `F/eval.jsonl`, nor was any other of `/v1/messages`; record it with the cassette mode `record`");
    cassette.record(&call("summarise this"), answer("x"));
    let longer = json!({"model": "m", "messages": [{"role": "user", "content": "summarise that"}], "tools": []});
    let call = Call::new("/v1/messages", std::iter::empty(), longer.to_string().as_bytes());
    insta::assert_snapshot!(error(&call), @r#"
    this call was not recorded in `F/eval.jsonl`; the nearest one differs in
      headers: recorded {"anthropic-version": "1"}, now {}
      messages[0].content: recorded "summarise this", now "summarise that"
      temperature: recorded 0, now nothing
      tools: recorded nothing, now []
    "#);
}

#[test]
fn secrets_and_what_looks_like_one_are_taken_out_even_across_pieces() {
    let redactor = Redactor::new(vec!["hunter2hunter2".to_owned(), "x".to_owned()]);
    assert_eq!(redactor.text("a hunter2hunter2 x"), "a [redacted] x");
    assert_eq!(redactor.text("key sk-proj-abcdefghij0123456789 end"), "key [redacted] end");
    let own = [format!("tl-{}", "0a".repeat(32)), format!("tlt_{}", "-_Aa0".repeat(9))];
    for key in own {
        assert_eq!(redactor.known(&format!("use {key}, please")), "use [redacted], please");
        assert_eq!(redactor.text(&format!("{{\"k\":\"{key}\"}}")), r#"{"k":"[redacted]"}"#);
    }
    assert_eq!(redactor.known("tl-dr, tl-0a0a"), "tl-dr, tl-0a0a");
    assert_eq!(
        redactor.text("gpt-5 is a model, task-123 no key"),
        "gpt-5 is a model, task-123 no key"
    );
    let pieces = vec![(1, "data: hunter2".to_owned()), (2, "hunter2\n\n".to_owned())];
    let content = Content::Stream(pieces);
    let response = Response { status: 200, headers: BTreeMap::new(), content };
    let entry = redactor.entry(call("a").entry(1, response));
    assert_eq!(text_of(&entry), r#"{"status":200,"stream":[[2,"data: [redacted]\n\n"]]}"#);
}

#[test]
fn the_name_of_a_cassette_leads_nowhere_else() {
    let (_folder, cassettes) = folder();
    for name in ["", "..", "../x", "a/b", ".hidden"] {
        assert!(matches!(cassettes.open(name), Err(CassetteError::Name(_))), "{name}");
    }
}

#[test]
fn a_line_that_is_no_entry_is_named() {
    let (folder, cassettes) = folder();
    std::fs::write(folder.path().join("bad.jsonl"), "\n{\"path\":1}\n").unwrap();
    let error = cassettes.open("bad").unwrap_err().to_string();
    assert!(error.starts_with("line 2 of the cassette"), "{error}");
}

#[test]
fn recordings_of_vcr_py_are_read() {
    let text = r#"
interactions:
- request:
    body: '{"model":"m"}'
    headers:
      Anthropic-Version: ["2023"]
    method: POST
    uri: https://api.example.com/v1/messages?beta=true
  response:
    body: {string: '{"ok": true}'}
    headers:
      content-type: [application/json]
    status: {code: 200, message: OK}
version: 1
"#;
    let entries = import::vcr(text).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&entries[0]).unwrap(), @r#"{"path":"/v1/messages","key":"5cd1538429861bd1fec267404dd51df6","headers":{"anthropic-version":"2023"},"request":{"model":"m"},"response":{"status":200,"headers":{"content-type":"application/json"},"json":{"ok":true}}}"#);
}
