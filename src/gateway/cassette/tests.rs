use std::collections::BTreeMap;

use base64::Engine as _;
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

/// What people hear of a call that is missed.
fn missed(cassette: &Cassette, call: &Call) -> String {
    cassette.describe(call, cassette.find(call).unwrap_err())
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
    insta::assert_snapshot!(missed(&again, &call("a")).replace(&*folder.path().to_string_lossy(), "F"), @"this call was recorded fewer times in `F/eval.jsonl` than it is made: this is number 3");
}

#[test]
fn a_miss_is_told_without_a_comparison_which_is_made_for_people_alone() {
    let (_folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    assert_eq!(cassette.find(&call("a")).unwrap_err(), Missed::Unknown);
    for text in ["first", "second"] {
        cassette.record(&call("b"), answer(text));
        assert!(cassette.find(&call("b")).is_ok());
    }
    assert_eq!(cassette.find(&call("b")).unwrap_err(), Missed::Fewer(3));
    let told = cassette.describe(&call("a"), Missed::Unknown);
    assert!(told.contains("recorded \"b\", now \"a\""), "{told}");
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
    let error =
        |call: &Call| missed(&cassette, call).replace(&*folder.path().to_string_lossy(), "F");
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

#[test]
fn what_vcr_py_has_recorded_compressed_is_read_as_it_was() {
    let of = |coding: &str, body: &str| {
        let text = format!(
            "interactions:\n- request: {{body: '{{}}', method: POST, uri: https://api.example.com/v1/messages}}\n  \
             response:\n    body: {{string: !!binary \"{body}\"}}\n    \
             headers: {{Content-Encoding: [{coding}], content-type: [application/json]}}\n    \
             status: {{code: 200, message: OK}}\n"
        );
        import::vcr(&text).map(|it| serde_json::to_string(&it[0].response).unwrap())
    };
    // `{"ok": true}`, as `gzip` packs it.
    let packed = "H4sIAAAAAAACA6tWys9WslIoKSpNrQUAxhmrFwwAAAA=";
    let read = of("gzip", packed).unwrap();
    assert!(read.contains(r#""json":{"ok":true}"#), "{read}");
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
    assert_eq!(import::unpacked(&bytes, 12).unwrap(), br#"{"ok": true}"#);
    assert_eq!(import::unpacked(&bytes, 11).unwrap_err(), "its body is larger than 11 bytes");
    let why = of("br", "/////w==").unwrap_err();
    assert!(why.starts_with("interaction 0: its body is compressed with `br`"), "{why}");
}

/// The cassette as another process finds it.
fn again(folder: &tempfile::TempDir) -> Arc<Cassette> {
    Cassettes::new(folder.path().to_owned(), Vec::new()).open("eval").unwrap()
}

fn text_in(folder: &tempfile::TempDir) -> String {
    std::fs::read_to_string(folder.path().join("eval.jsonl")).unwrap()
}

#[test]
fn what_other_processes_have_recorded_meanwhile_stays() {
    let (folder, ours) = folder();
    let theirs = Cassettes::new(folder.path().to_owned(), Vec::new());
    let (a, b) = (ours.open("eval").unwrap(), theirs.open("eval").unwrap());
    for (cassettes, cassette, text) in
        [(&ours, &a, "one"), (&theirs, &b, "two"), (&ours, &a, "three")]
    {
        cassette.record(&call(text), answer(text));
        cassettes.save().unwrap();
    }
    for text in ["one", "two", "three"] {
        assert!(text_of(&again(&folder).find(&call(text)).unwrap()).contains(text));
    }
    assert!(a.find(&call("two")).is_ok(), "it is taken in");
    let file = text_in(&folder);
    assert!(file.lines().is_sorted(), "{file}");
}

#[test]
fn what_was_changed_in_the_file_by_hand_stays() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("a"), answer("a"));
    cassette.record(&call("b"), answer("b"));
    cassettes.save().unwrap();
    let of_a = text_in(&folder);
    let of_a = of_a.lines().find(|it| it.contains("\"content\":\"a\"")).unwrap();
    let of_c = serde_json::to_string(&call("c").entry(1, answer("c"))).unwrap();
    std::fs::write(folder.path().join("eval.jsonl"), format!("{of_c}\n{of_a}\n")).unwrap();
    cassette.record(&call("d"), answer("d"));
    cassettes.save().unwrap();
    for (text, is_there) in [("a", true), ("b", false), ("c", true), ("d", true)] {
        assert_eq!(again(&folder).find(&call(text)).is_ok(), is_there, "{text}");
        assert_eq!(cassette.find(&call(text)).is_ok(), is_there, "{text}");
    }
}

#[test]
fn a_call_that_is_recorded_anew_takes_the_place_of_what_others_have_recorded_of_it() {
    let (folder, first) = folder();
    let of_first = first.open("eval").unwrap();
    of_first.record(&call("a"), answer("old"));
    first.save().unwrap();
    let second = Cassettes::new(folder.path().to_owned(), Vec::new());
    let of_second = second.open("eval").unwrap();
    of_first.record(&call("a"), answer("older"));
    of_first.record(&call("b"), answer("other"));
    first.save().unwrap();
    of_second.record(&call("a"), answer("new"));
    second.save().unwrap();
    let file = text_in(&folder);
    assert_eq!((file.lines().count(), file.contains("old")), (2, false), "{file}");
    assert!(file.contains("new") && file.contains("other"), "{file}");
}

#[test]
fn a_file_that_cannot_be_read_is_left_as_it_is_until_it_is_mended() {
    let (folder, cassettes) = folder();
    let path = folder.path().join("eval.jsonl");
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("a"), answer("a"));
    cassettes.save().unwrap();
    let whole = text_in(&folder);
    let broken = format!("{whole}=======\n");
    std::fs::write(&path, &broken).unwrap();
    cassette.record(&call("b"), answer("b"));
    let error = cassettes.save().unwrap_err().to_string();
    assert!(
        error.contains("line 2 of the cassette") && error.contains("merge conflict"),
        "{error}"
    );
    assert_eq!(text_in(&folder), broken);
    assert!(cassette.find(&call("b")).is_ok());
    assert!(cassettes.check("eval").is_err() && cassettes.check("none").is_ok());
    std::fs::write(&path, &whole).unwrap();
    cassettes.save().unwrap();
    assert!(again(&folder).find(&call("a")).is_ok() && again(&folder).find(&call("b")).is_ok());
}

#[test]
fn what_a_broken_file_cannot_take_at_the_end_is_written_beside_it() {
    let (folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("a"), answer("a"));
    std::fs::write(folder.path().join("eval.jsonl"), "{\n").unwrap();
    let error = cassette.close().unwrap_err().to_string();
    assert!(
        error.contains("it is cut off") && error.contains("its last recordings (1)"),
        "{error}"
    );
    assert!(cassette.close().is_ok(), "nothing is left");
    let beside = folder.path().join("eval.jsonl.unsaved");
    std::fs::rename(beside, folder.path().join("eval.jsonl")).unwrap();
    assert!(again(&folder).find(&call("a")).is_ok());
}

#[test]
fn what_a_revision_has_is_never_written() {
    let (folder, _) = folder();
    let file = folder.path().join("eval.jsonl");
    let cassette = Cassette::of_text(file.clone(), "", Redactor::new(Vec::new())).unwrap();
    cassette.record(&call("a"), answer("a"));
    cassette.save().unwrap();
    assert!(cassette.find(&call("a")).is_ok() && !file.exists());
}

/// Whether a text comes into a file before two seconds are over.
async fn is_soon_in(file: &Path, text: &str) -> bool {
    for _ in 0..400 {
        if std::fs::read_to_string(file).is_ok_and(|it| it.contains(text)) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn recordings_are_written_soon_and_the_last_ones_at_the_end() {
    let (folder, cassettes) = folder();
    let (file, over) = (folder.path().join("eval.jsonl"), CancellationToken::new());
    let calls = async {
        let cassette = cassettes.open("eval").unwrap();
        for text in ["one", "two"] {
            cassette.record(&call(text), answer(text));
            assert!(is_soon_in(&file, text).await, "{text}");
        }
        cassette.record(&call("three"), answer("three"));
        over.cancel();
    };
    tokio::join!(calls, cassettes.keep(over.clone()));
    assert_eq!(text_in(&folder).lines().count(), 3);
}

#[tokio::test]
async fn recordings_of_stages_are_written_soon_and_beside_a_broken_file_at_the_end() {
    let (folder, _) = folder();
    let (file, over) = (folder.path().join("eval.jsonl"), CancellationToken::new());
    let news = Arc::<Notify>::default();
    let cassette = Cassette::read(file.clone(), Redactor::new(Vec::new())).unwrap();
    let cassette = Arc::new(cassette.telling(news.clone()));
    let calls = async {
        cassette.record(&call("one"), answer("one"));
        assert!(is_soon_in(&file, "one").await);
        std::fs::write(&file, "broken\n").unwrap();
        cassette.record(&call("two"), answer("two"));
        over.cancel();
    };
    tokio::join!(calls, saver::keep(news, || vec![cassette.clone()], over.clone()));
    assert_eq!(text_in(&folder), "broken\n");
    let beside = std::fs::read_to_string(folder.path().join("eval.jsonl.unsaved")).unwrap();
    assert_eq!((beside.lines().count(), beside.contains("two")), (1, true), "{beside}");
}

#[test]
fn a_request_that_was_changed_by_hand_is_told_of_where_it_is_missed() {
    let (folder, cassettes) = folder();
    cassettes.open("eval").unwrap().record(&call("a"), answer("one"));
    cassettes.open("eval").unwrap().record(&call("b me@example.org"), answer("two"));
    cassettes.save().unwrap();
    let edited = text_in(&folder).replace("\"content\":\"a\"", "\"content\":\"changed\"");
    std::fs::write(folder.path().join("eval.jsonl"), &edited).unwrap();
    let cassette = again(&folder);
    assert!(cassette.find(&call("a")).is_ok());
    let error = missed(&cassette, &call("changed"));
    let (then, now) = (call("a").key, call("changed").key);
    let parts = [format!("the entry with the key `{then}`"), format!("set its `key` to `{now}`")];
    for part in parts {
        assert!(error.contains(&part), "no {part} in {error}");
    }

    let lines = lines::read(&cassette.file, &edited).unwrap();
    let mut disk = Disk::default();
    disk.tell_edited(&cassette.file, &lines);
    let told: Vec<_> = disk.edited.iter().map(|it| it.1.clone()).collect();
    assert_eq!(told, [then], "nothing can be told of what was redacted");
}

#[test]
fn what_is_not_recorded_is_not_shown_of_a_call_that_is_missing_either() {
    let (_folder, cassettes) = folder();
    let cassette = cassettes.open("eval").unwrap();
    cassette.record(&call("one me@example.org"), answer("1"));
    cassette.record(&call("two"), answer("2"));
    let error = |text: &str| missed(&cassette, &call(text));
    let other = error("one other@corp.com sk-proj-abcdefghij0123456789");
    assert!(
        other.contains("recorded \"one [redacted]\", now \"one [redacted] [redacted]\""),
        "{other}"
    );
    let alike = error("one other@corp.com");
    assert!(alike.contains("only in what is taken out of recordings"), "{alike}");
    assert!(
        !other.contains("corp") && !alike.contains("corp") && !other.contains("sk-"),
        "{other}"
    );
    let slip = error("tow");
    assert!(slip.contains("recorded \"two\", now \"tow\""), "{slip}");
}
