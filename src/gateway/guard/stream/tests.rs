use proptest::prelude::*;

use super::*;
use std::sync::LazyLock;

use crate::gateway::budget::scope::Subject;
use crate::gateway::guard::Guard;
use crate::gateway::guard::tests::{guard, screen};

const RULES: &str = r#"
    [[guardrail]]
    name = "personal"
    rule = "pii"
    action = "redact"
    restore = true
    [[guardrail]]
    name = "topics"
    rule = "topics"
    words = ["very nuclear weapon", "railgun"]
    action = "redact"
"#;

/// The events of an answer, in one of the formats, with the text in these pieces.
fn events(operation: Operation, pieces: &[String]) -> String {
    let json = |it: &String| Value::from(it.as_str());
    let mut out = String::new();
    match operation {
        Operation::ChatCompletions => {
            out += "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
            for it in pieces {
                out += &format!(
                    "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{}}},\"finish_reason\":null}}]}}\n\n",
                    json(it)
                );
            }
            out +=
                "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
            out += "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
        }
        Operation::Messages => {
            out += "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n";
            out += "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
            for it in pieces {
                out += &format!(
                    "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{}}}}}\n\n",
                    json(it)
                );
            }
            out += "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
            out += "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        }
        Operation::Responses
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Moderations
        | Operation::CountTokens => {
            for it in pieces {
                out += &format!(
                    "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"item_id\":\"i\",\"content_index\":0,\"delta\":{}}}\n\n",
                    json(it)
                );
            }
            let all = Value::from(pieces.concat());
            out += &format!(
                "event: response.output_text.done\ndata: {{\"type\":\"response.output_text.done\",\"item_id\":\"i\",\"content_index\":0,\"text\":{all}}}\n\n"
            );
            out += &format!(
                "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{{\"content\":[{{\"text\":{all}}}]}}]}}}}\n\n"
            );
        }
    }
    out
}

/// The text that a client puts together, and all events that have it whole.
fn read(stream: &str) -> (String, Vec<String>) {
    let (mut said, mut wholes) = (String::new(), Vec::new());
    for line in
        stream.lines().filter_map(|it| it.strip_prefix("data: ")).filter(|it| *it != "[DONE]")
    {
        let event: Value = serde_json::from_str(line).unwrap();
        let delta = event
            .pointer("/choices/0/delta/content")
            .or(event.pointer("/delta/text"))
            .or(event.get("delta"));
        said += delta.and_then(Value::as_str).unwrap_or_default();
        let whole = event.get("text").or(event.pointer("/response/output/0/content/0/text"));
        wholes.extend(whole.map(|it| it.as_str().unwrap().to_owned()));
    }
    (said, wholes)
}

fn through(mut filter: Filter, stream: &str, size: usize) -> (String, Filter) {
    let mut out = Vec::new();
    for piece in stream.as_bytes().chunks(size) {
        out.extend_from_slice(&filter.push(&Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&filter.finish());
    (String::from_utf8(out).unwrap(), filter)
}

fn asked() -> Screen {
    // Patterns are compiled once: that takes long without optimisation.
    static GUARD: LazyLock<Guard> = LazyLock::new(|| guard(RULES));
    let mut screen = GUARD.screen("ci", &Subject::default(), "m1").unwrap();
    screen
        .request(
            r#"{"messages":[{"content":"I am me@home.example, key sk-abcdefghijklmnop1234"}]}"#,
        )
        .unwrap();
    screen
}

/// What looking at the whole text gives.
fn expected(text: &str) -> String {
    let mut screen = asked();
    let hits = screen.hits(Way::Out, text);
    screen.replaced(Way::Out, text, 0..text.len(), (&hits, Form::Plain)).unwrap()
}

fn parts() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,9}[ .,]",
        1 => Just("ann@mail.example ".to_owned()),
        1 => Just("4111 1111 1111 1111 ".to_owned()),
        1 => Just("DE89 3704 0044 0532 0130 00 ".to_owned()),
        1 => Just("+49 30 901820, ".to_owned()),
        1 => Just("a very nuclear weapon. ".to_owned()),
        1 => Just("[EMAIL_1] ".to_owned()),
        1 => Just("[SECRET_1]".to_owned()),
        1 => Just("192.168.1.20 ".to_owned()),
        1 => Just("call 5551234567 now\n".to_owned()),
        1 => Just("-----BEGIN PRIVATE KEY-----\nMIIE\nAb12\n-----END PRIVATE KEY-----\n".to_owned()),
        1 => Just("é 12 ".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn however_a_text_is_split_the_client_gets_what_looking_at_the_whole_gives(
        words in proptest::collection::vec(parts(), 1..12),
        cuts in proptest::collection::vec(1_usize..12, 1..40),
        size in 1_usize..200,
        format in 0_usize..3,
    ) {
        let operation = [Operation::ChatCompletions, Operation::Messages, Operation::Responses][format];
        let text = words.concat();
        let (mut pieces, mut rest, mut cut) = (Vec::new(), text.as_str(), cuts.iter().cycle());
        while !rest.is_empty() {
            let at = rest.char_indices().nth(*cut.next().unwrap()).map_or(rest.len(), |it| it.0);
            pieces.push(rest[..at].to_owned());
            rest = &rest[at..];
        }
        let filter = Filter::new(operation, asked(), Vec::new());
        let (stream, filter) = through(filter, &events(operation, &pieces), size);
        let (said, wholes) = read(&stream);
        prop_assert_eq!(&said, &expected(&text));
        for whole in wholes {
            prop_assert_eq!(&whole, &said);
        }
        prop_assert!(filter.stopped().is_none());
    }
}

#[test]
fn a_stream_that_is_only_watched_passes_byte_for_byte_and_is_flagged() {
    let watch = "[[guardrail]]\nname = \"w\"\nrule = \"pii\"\naction = \"report\"\n";
    let pieces = ["write a@".to_owned(), "b.de now".to_owned()];
    let stream = events(Operation::Messages, &pieces);
    for size in [1, 7, 1000] {
        let filter = Filter::new(Operation::Messages, screen(watch), Vec::new());
        let (out, filter) = through(filter, &stream, size);
        assert_eq!((out.as_str(), filter.flags()), (stream.as_str(), &["pii_email"][..]));
    }
}

#[test]
fn nothing_of_what_is_blocked_gets_out_even_across_pieces() {
    let block = "[[guardrail]]\nname = \"no mail\"\nrule = \"pii\"\naction = \"block\"\nkinds = [\"email\"]\n";
    for operation in [Operation::ChatCompletions, Operation::Messages, Operation::Responses] {
        let pieces =
            ["my mail is secr", "et.name@", "mail.exam", "ple and more"].map(str::to_owned);
        let filter = Filter::new(operation, screen(block), Vec::new());
        let (out, filter) = through(filter, &events(operation, &pieces), 33);
        assert_eq!(filter.stopped().unwrap().rule, "no mail");
        assert!(
            !out.contains("secr") && !out.contains("DONE") && out.contains("my mail is"),
            "{out}"
        );
        assert_eq!(filter.flags(), ["pii_email", "blocked"]);
    }
}

#[test]
fn a_private_key_and_an_endless_token_do_not_get_out_in_parts() {
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----",
        "QUJD/+9z\n".repeat(300)
    );
    let token = format!("sk-{}", "aB3-".repeat(9000));
    for secret in [key, token] {
        let text = format!("it is {secret} done");
        let pieces: Vec<_> =
            text.as_bytes().chunks(97).map(|it| String::from_utf8(it.to_vec()).unwrap()).collect();
        let filter = Filter::new(Operation::Messages, screen(RULES), Vec::new());
        let (out, filter) = through(filter, &events(Operation::Messages, &pieces), 100);
        assert_eq!(read(&out).0, "it is [SECRET_1] done");
        assert!(filter.lane.channels.values().all(|it| it.window.held() == 0));
    }
}

#[test]
fn choices_tools_and_the_last_piece_with_its_end_are_kept_apart() {
    let stream = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a@\"}},{\"index\":1,\"delta\":{\"content\":\"x 1\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"0.0.0.9\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b.de\",\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"to\\\":\\\"c@d\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\".de\\\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: [DONE]\n\n",
    );
    for size in [3, 5000] {
        let (out, _) = through(
            Filter::new(Operation::ChatCompletions, screen(RULES), Vec::new()),
            stream,
            size,
        );
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        for line in
            out.lines().filter_map(|it| it.strip_prefix("data: ")).filter(|it| *it != "[DONE]")
        {
            let event: Value = serde_json::from_str(line).unwrap();
            for choice in event["choices"].as_array().unwrap() {
                let texts = [
                    ("text", choice["delta"].get("content")),
                    ("tool", choice.pointer("/delta/tool_calls/0/function/arguments")),
                ];
                for (name, text) in texts {
                    *said.entry(format!("{}{name}", choice["index"])).or_default() +=
                        text.and_then(Value::as_str).unwrap_or_default();
                }
            }
        }
        assert_eq!((said["0text"].as_str(), said["1text"].as_str()), ("[EMAIL_2]", "x [IP_1]"));
        assert_eq!(said["0tool"], "{\"to\":\"[EMAIL_1]\"}");
        assert!(out.ends_with("data: [DONE]\n\n"));
    }
}
