//! Small streams of our own; the recorded ones are in `gateway/tests.rs`, which can read cassettes.

use super::sse::Parser;
use super::stream::{Outcome, Reader, Verdict};
use super::*;
use crate::model::UsageClass as Class;

/// Feeds a stream in pieces of `size` bytes; what is forwarded, and what is known in the end.
fn run(operation: Operation, drops: bool, text: &str, size: usize) -> (String, Outcome) {
    let (mut parser, mut reader) = (Parser::new(1 << 20), Reader::new(operation, drops));
    let mut out = String::new();
    let mut on_event = |it: sse::Event<'_>| {
        let range =
            usize::try_from(it.range.start).unwrap()..usize::try_from(it.range.end).unwrap();
        if reader.read(&it) == Verdict::Forward {
            out.push_str(&text[range]);
        }
    };
    for piece in text.as_bytes().chunks(size) {
        parser.push(piece, &mut on_event);
    }
    parser.finish(&mut on_event);
    (out, reader.outcome())
}

fn check(operation: Operation, text: &str) -> String {
    let (out, outcome) = run(operation, true, text, 7);
    assert_eq!((out.clone(), outcome.clone()), run(operation, true, text, 10_000));
    let (metered, estimated) = outcome.usage(1000);
    let used: Vec<_> = metered.usage.iter().map(|it| format!("{:?}={}", it.0, it.1)).collect();
    let dropped = text.len() - out.len();
    format!(
        "{} | {} | whole={} estimated={estimated} dropped={dropped}",
        metered.model.unwrap_or_default(),
        used.join(" "),
        outcome.is_whole(),
    )
}

fn chat(chunks: &[&str]) -> String {
    chunks.iter().map(|it| format!("data: {it}\n\n")).collect()
}

fn messages(events: &[&str]) -> String {
    let name = |it: &str| serde_json::from_str::<serde_json::Value>(it).unwrap()["type"].clone();
    let name = |it: &str| name(it).as_str().unwrap_or_default().to_owned();
    events.iter().map(|it| format!("event: {}\ndata: {it}\n\n", name(it))).collect()
}

const HELLO: &str =
    r#"{"model":"m","choices":[{"index":0,"delta":{"content":"Hello there"}}],"usage":null}"#;
const STOP: &str =
    r#"{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = r#"{"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":1}}}"#;

#[test]
fn the_usage_of_a_chat_stream_is_read_and_taken_out_again() {
    let text = chat(&[HELLO, STOP, USAGE, "[DONE]"]);
    insta::assert_snapshot!(check(Operation::ChatCompletions, &text), @"m | Input=4 CacheRead=5 Output=3 Reasoning=1 Requests=1 | whole=true estimated=false dropped=197");
}

#[test]
fn the_last_usage_counts_even_with_content_and_that_chunk_stays() {
    let early = r#"{"model":"m","choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let late = r#"{"model":"m","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
    let text = chat(&[early, late, "[DONE]"]);
    insta::assert_snapshot!(check(Operation::ChatCompletions, &text), @"m | Input=9 Output=2 Requests=1 | whole=true estimated=false dropped=0");
}

#[test]
fn a_cut_chat_stream_is_counted_and_marked() {
    insta::assert_snapshot!(check(Operation::ChatCompletions, &chat(&[HELLO, HELLO])), @"m | Input=1000 Output=8 Requests=1 | whole=false estimated=true dropped=0");
}

#[test]
fn a_stream_without_its_done_is_whole_when_everything_was_said() {
    insta::assert_snapshot!(check(Operation::ChatCompletions, &chat(&[HELLO, STOP, USAGE])), @"m | Input=4 CacheRead=5 Output=3 Reasoning=1 Requests=1 | whole=true estimated=false dropped=197");
}

#[test]
fn malformed_chunks_are_passed_on_and_errors_are_seen() {
    let text = chat(&[HELLO, "{not json", r#"{"error":{"message":"overloaded"}}"#]);
    insta::assert_snapshot!(check(Operation::ChatCompletions, &text), @"m | Input=1000 Output=4 Requests=1 | whole=false estimated=true dropped=0");
}

const START: &str = r#"{"type":"message_start","message":{"model":"c","usage":{"input_tokens":43,"cache_read_input_tokens":10,"cache_creation_input_tokens":6,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":4},"output_tokens":1}}}"#;
const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there"}}"#;

#[test]
fn each_field_of_a_later_usage_replaces_the_earlier() {
    let delta = r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":61,"output_tokens":30,"server_tool_use":{"web_search_requests":2}}}"#;
    let text = messages(&[START, TEXT, delta, r#"{"type":"message_stop"}"#]);
    insta::assert_snapshot!(check(Operation::Messages, &text), @"c | Input=61 CacheRead=10 CacheWrite5m=2 CacheWrite1h=4 Output=30 Requests=1 WebSearches=2 | whole=true estimated=false dropped=0");
}

#[test]
fn a_cut_message_has_the_input_it_began_with_and_the_output_that_was_counted() {
    insta::assert_snapshot!(check(Operation::Messages, &messages(&[START, TEXT, TEXT])), @"c | Input=43 CacheRead=10 CacheWrite5m=2 CacheWrite1h=4 Output=8 Requests=1 | whole=false estimated=true dropped=0");
}

/// Model and tier of a stream whose use is counted here, and whether it came whole.
fn named(operation: Operation, text: &str) -> String {
    let (_, outcome) = run(operation, false, text, 9);
    let (metered, is_estimated) = outcome.usage(1000);
    assert!(is_estimated && metered.usage.input_tokens() > 0, "{text}");
    let [model, tier] = [metered.model, metered.service_tier].map(Option::unwrap_or_default);
    format!("{model} {tier} whole={}", outcome.is_whole())
}

#[test]
fn what_a_stream_names_counts_though_it_does_not_tell_its_use() {
    let first = r#"{"model":"","choices":[],"prompt_filter_results":[]}"#;
    let said = r#"{"model":"dear","service_tier":"priority","choices":[{"delta":{"content":"Hello there"}}]}"#;
    let last = |usage: &str| {
        format!(
            r#"{{"model":"dear","choices":[{{"delta":{{}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        )
    };
    let chat = |chunks: &[&str]| named(Operation::ChatCompletions, &chat(chunks));
    assert_eq!(chat(&[first, said]), "dear priority whole=false");
    for usage in ["null", "{}", "\"9\"", "7", r#"{"prompt_tokens":-1,"completion_tokens":4}"#] {
        let whole = chat(&[first, said, &last(usage), first, "[DONE]"]);
        assert_eq!(whole, "dear priority whole=true", "{usage}");
    }
    let told = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#;
    let text = self::chat(&[said, &last("null"), told, "[DONE]"]);
    let metered = run(Operation::ChatCompletions, true, &text, 9).1.usage(5).0;
    assert_eq!(metered.service_tier.as_deref(), Some("priority"));
    assert_eq!(metered.model.as_deref(), Some("dear"));
    let text = r#"{"model":"dear","choices":[{"text":"Hello there"}]}"#;
    assert_eq!(named(Operation::Completions, &self::chat(&[text])), "dear  whole=false");
    let created =
        r#"{"type":"response.created","response":{"model":"dear","service_tier":"flex"}}"#;
    let delta = r#"{"type":"response.output_text.delta","delta":"Hello there"}"#;
    let response = named(Operation::Responses, &messages(&[created, delta]));
    assert_eq!(response, "dear flex whole=false");
    for usage in
        [r#"{"service_tier":"priority"}"#, r#"{"input_tokens":-1,"service_tier":"priority"}"#]
    {
        let start =
            format!(r#"{{"type":"message_start","message":{{"model":"dear","usage":{usage}}}}}"#);
        let message = named(Operation::Messages, &messages(&[&start, TEXT]));
        assert_eq!(message, "dear priority whole=false", "{usage}");
    }
}

#[test]
fn an_odd_use_leaves_the_last_event_what_it_is() {
    let delta = r#"{"type":"response.output_text.delta","delta":"Hello there"}"#;
    for usage in
        [r#"{"input_tokens":10.5,"output_tokens":4}"#, r#"{"input_tokens":-1}"#, "\"9\"", "[[]]"]
    {
        for (kind, is_whole) in [("completed", true), ("incomplete", true), ("failed", false)] {
            let last = format!(
                r#"{{"type":"response.{kind}","response":{{"id":"r1","model":"dear","service_tier":"flex","output":7,"usage":{usage}}}}}"#
            );
            let text = messages(&[delta, &last]);
            assert_eq!(
                named(Operation::Responses, &text),
                format!("dear flex whole={is_whole}"),
                "{last}"
            );
            let outcome = run(Operation::Responses, false, &text, 9).1;
            assert_eq!((outcome.has_failed, outcome.said.id.as_str()), (!is_whole, "r1"), "{last}");
        }
        let last = format!(r#"{{"type":"response.completed","response":{usage}}}"#);
        assert!(run(Operation::Responses, false, &messages(&[delta, &last]), 9).1.is_whole());
        let turn = format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{usage}}}"#
        );
        let stop = format!(r#"{{"type":"message_stop","usage":{usage},"message":{usage}}}"#);
        let text = messages(&[START, TEXT, &turn, &stop]);
        let outcome = run(Operation::Messages, false, &text, 9).1;
        assert!(outcome.is_whole() && outcome.said.finish == ["end_turn"], "{usage}");
        assert_eq!(outcome.usage(5).0.usage.input_tokens(), 59, "{usage}");
    }
}

#[test]
fn turns_of_an_advisor_and_of_compaction_are_used_besides() {
    let body = br#"{"model":"c","usage":{"input_tokens":10,"output_tokens":3,"iterations":[
        {"type":"message","input_tokens":10,"output_tokens":3},
        {"type":"compaction","input_tokens":500,"output_tokens":50},
        {"type":"advisor_message","model":"d","input_tokens":7,"output_tokens":2,"cache_read_input_tokens":1}]}}"#;
    let metered = read_answer(Operation::Messages, body).unwrap();
    assert_eq!(metered.usage.tokens(), 13);
    let besides: Vec<_> =
        metered.besides.iter().map(|it| (it.0.as_deref(), it.1.tokens())).collect();
    assert_eq!(besides, [(None, 550), (Some("d"), 10)]);
}

#[test]
fn a_response_tells_its_usage_and_the_tools_it_used_at_the_end() {
    let done = r#"{"type":"response.completed","response":{"model":"r","service_tier":"default","output":[{"type":"reasoning"},{"type":"web_search_call"},{"type":"web_search_call"}],"usage":{"input_tokens":31,"input_tokens_details":{"cached_tokens":30},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":8},"total_tokens":40}}}"#;
    let delta = r#"{"type":"response.output_text.delta","delta":"Hello there"}"#;
    let created =
        r#"{"type":"response.created","response":{"model":"r","usage":null,"output":[]}}"#;
    let text = messages(&[created, delta, done]);
    insta::assert_snapshot!(check(Operation::Responses, &text), @"r | Input=1 CacheRead=30 Output=1 Reasoning=8 Requests=1 WebSearches=2 | whole=true estimated=false dropped=0");
    insta::assert_snapshot!(check(Operation::Responses, &messages(&[created, delta])), @"r | Input=1000 Output=4 Requests=1 | whole=false estimated=true dropped=0");
}

#[test]
fn reasoning_that_a_server_left_out_of_its_completion_is_added() {
    let of = |total: u64| {
        let body = format!(
            r#"{{"usage":{{"prompt_tokens":10,"completion_tokens":5,"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":3}}}}}}"#
        );
        read_answer(Operation::ChatCompletions, body.as_bytes()).unwrap().usage
    };
    assert_eq!((of(15).output_tokens(), of(15).get(Class::Reasoning)), (5, 3));
    assert_eq!((of(18).output_tokens(), of(18).get(Class::Reasoning)), (8, 3));
}

#[test]
fn paths_name_operations_and_others_name_none() {
    for operation in Operation::ALL {
        assert_eq!(Operation::of_path(operation.path()), Some(operation));
    }
    assert_eq!(Operation::of_path("/v1/files"), None);
}

#[test]
fn what_was_used_until_then_is_no_last_word() {
    let running = |said: u64, word: &str| {
        format!(
            r#"{{"model":"m","choices":[{{"delta":{{"content":"{word}"}}}}],"usage":{{"prompt_tokens":9,"completion_tokens":{said}}}}}"#
        )
    };
    let first = running(0, "");
    insta::assert_snapshot!(check(Operation::ChatCompletions, &chat(&[&first, HELLO, HELLO])), @"m | Input=9 Output=8 Requests=1 | whole=false estimated=true dropped=0");
    insta::assert_snapshot!(check(Operation::ChatCompletions, &chat(&[&first, HELLO, STOP, "[DONE]"])), @"m | Input=9 Output=4 Requests=1 | whole=true estimated=true dropped=0");
    let text = chat(&[&first, &running(4, "Hello there"), STOP, "[DONE]"]);
    insta::assert_snapshot!(check(Operation::ChatCompletions, &text), @"m | Input=9 Output=4 Requests=1 | whole=true estimated=false dropped=0");
    let nothing = r#"{"model":"m","choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    insta::assert_snapshot!(check(Operation::ChatCompletions, &chat(&[HELLO, STOP, nothing, "[DONE]"])), @"m | Input=1000 Output=4 Requests=1 | whole=true estimated=true dropped=84");
    let empty = r#"{"model":"m","choices":[],"usage":{}}"#;
    insta::assert_snapshot!(check(Operation::ChatCompletions, &chat(&[HELLO, STOP, USAGE, empty, "[DONE]"])), @"m | Input=4 CacheRead=5 Output=3 Reasoning=1 Requests=1 | whole=true estimated=false dropped=197");
}

#[test]
fn a_prompt_that_was_read_is_not_unread() {
    let zero = r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":30}}"#;
    let stop = r#"{"type":"message_stop"}"#;
    insta::assert_snapshot!(check(Operation::Messages, &messages(&[START, TEXT, zero, stop])), @"c | Input=43 CacheRead=10 CacheWrite5m=2 CacheWrite1h=4 Output=30 Requests=1 | whole=true estimated=false dropped=0");
    let silent = r#"{"type":"message_start","message":{"model":"c"}}"#;
    insta::assert_snapshot!(check(Operation::Messages, &messages(&[silent, TEXT, zero, stop])), @"c | Input=1000 Output=30 Requests=1 | whole=true estimated=true dropped=0");
}

#[test]
fn a_part_that_is_not_said_is_the_rest_of_the_total_or_is_missing() {
    let of = |operation: Operation, usage: &str| {
        let text = r#""choices":[{"message":{"content":"so it is"}}]"#;
        let body = format!(r#"{{"model":"m",{text},"usage":{usage}}}"#);
        let told = read_answer(operation, body.as_bytes())?;
        let lacks = lacks(operation, &told, body.as_bytes());
        let (input, output) = (told.usage.input_tokens(), told.usage.output_tokens());
        Some((input, output, lacks.input, lacks.output))
    };
    let chat = |usage| of(Operation::ChatCompletions, usage);
    for nothing in ["{}", "null", "[]", r#"{"prompt_tokens":null,"total_tokens":null}"#, "\"9\""] {
        assert_eq!(chat(nothing), None, "{nothing}");
    }
    assert_eq!(chat(r#"{"total_tokens":40}"#), Some((0, 0, true, true)));
    assert_eq!(chat(r#"{"prompt_tokens":9}"#), Some((9, 0, false, true)));
    assert_eq!(chat(r#"{"completion_tokens":9.0}"#), Some((0, 9, true, false)));
    assert_eq!(chat(r#"{"prompt_tokens":9,"total_tokens":40}"#), Some((9, 31, false, false)));
    assert_eq!(chat(r#"{"completion_tokens":9,"total_tokens":40}"#), Some((31, 9, false, false)));
    assert_eq!(chat(r#"{"prompt_tokens":9,"completion_tokens":4}"#), Some((9, 4, false, false)));
    let embeddings = |usage| of(Operation::Embeddings, usage);
    assert_eq!(embeddings(r#"{"total_tokens":40}"#), Some((40, 0, false, false)));
    assert_eq!(embeddings(r#"{"prompt_tokens":0}"#), Some((0, 0, true, false)));
    let silent = br#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let told = read_answer(Operation::ChatCompletions, silent).unwrap();
    assert!(!lacks(Operation::ChatCompletions, &told, silent).any(), "it says nothing");
}

#[test]
fn a_message_says_how_much_it_may_think() {
    let read = |thinking: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":2000{thinking}}}"#);
        read_request(Operation::Messages, body.as_bytes()).unwrap().thinking
    };
    assert_eq!(read(""), None);
    assert_eq!(read(r#","thinking":{"type":"enabled","budget_tokens":1024}"#), Some(1024));
    assert_eq!(read(r#","thinking":{"type":"disabled"}"#), None);
    assert_eq!(read(r#","thinking":"much""#), None);
}

#[test]
fn a_body_that_is_json_and_no_object_is_refused_in_words() {
    let model_first = r#"["m1",false,null,1,1,1,1,1,0,null,null,null,null,null,null]"#;
    for body in ["[]", " \n[]", "\"m1\"", "5", "null", model_first] {
        for operation in [Operation::ChatCompletions, Operation::Messages] {
            let error = read_request(operation, body.as_bytes()).unwrap_err();
            assert!(error.0.starts_with("it is JSON, but no object"), "{body}: {error}");
        }
    }
    let error = read_request(Operation::Messages, b"x").unwrap_err();
    assert!(error.0.contains("line 1 column 1"), "{error}");
}
