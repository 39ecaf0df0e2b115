use proptest::prelude::*;

use super::*;

fn asked(operation: Operation, body: &str) -> String {
    match read_request(operation, body.as_bytes()) {
        Ok(it) => format!(
            "{} stream={} usage={} max={:?} answers={} temperature={:?} seed={} state={} tier={:?}",
            it.model,
            it.is_stream,
            it.wants_usage,
            it.max_output,
            it.answers,
            it.temperature,
            it.has_seed,
            it.has_server_state,
            it.service_tier
        ),
        Err(error) => error.to_string(),
    }
}

fn changed(operation: Operation, body: &str, changes: &Changes<'_>) -> String {
    let changed = rewrite_request(operation, body.as_bytes(), changes).unwrap();
    changed.map_or_else(|| "no change".to_owned(), |it| String::from_utf8(it).unwrap())
}

const USAGE: Changes<'_> = Changes { model: None, ask_for_usage: true, max_output: None };

#[test]
fn what_matters_is_read_and_the_rest_is_passed_over() {
    let body = r#"{"model":"gpt-5\u002dnano","stream":true,"n":3,"max_tokens":5,"max_completion_tokens":9,
        "temperature":0,"seed":7,"stream_options":{"include_usage":true,"x":1},"new":{"model":"no"}}"#;
    insta::assert_snapshot!(asked(Operation::ChatCompletions, body), @"gpt-5-nano stream=true usage=true max=Some(9) answers=3 temperature=Some(0.0) seed=true state=false tier=None");
}

#[test]
fn responses_always_tell_their_usage_and_may_go_on_with_what_the_server_keeps() {
    let body = r#"{"model":"gpt-5","max_output_tokens":64,"stream":true,"previous_response_id":"r_1","service_tier":"flex"}"#;
    insta::assert_snapshot!(asked(Operation::Responses, body), @r#"gpt-5 stream=true usage=true max=Some(64) answers=1 temperature=None seed=false state=true tier=Some("flex")"#);
}

#[test]
fn each_prompt_of_a_completion_has_answers_of_its_own() {
    let text = r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":3}"#;
    let tokens = r#"{"model":"m","prompt":[1,2,3]}"#;
    let lists = r#"{"model":"m","prompt":[[1,2],[3]]}"#;
    let answers = |body| read_request(Operation::Completions, body).unwrap().answers;
    assert_eq!(answers(text.as_bytes()), 6);
    assert_eq!(answers(tokens.as_bytes()), 1);
    assert_eq!(answers(lists.as_bytes()), 2);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let twice = r#"{"model":"cheap","model":"dear"}"#;
    insta::assert_snapshot!(asked(Operation::ChatCompletions, twice), @"the request body is not understood: duplicate field `model` at line 1 column 24");
    insta::assert_snapshot!(asked(Operation::ChatCompletions, r#"{"model":"m","n":-1}"#), @"the request body is not understood: invalid value: integer `-1`, expected a whole number that is not negative at line 1 column 19");
    insta::assert_snapshot!(asked(Operation::ChatCompletions, "{}"), @"the request body is not understood: missing field `model`");
    insta::assert_snapshot!(asked(Operation::Moderations, "{}"), @"omni-moderation-latest stream=false usage=false max=None answers=1 temperature=None seed=false state=false tier=None");
    let later = r#"{"model":"m","input":"hi","background":true}"#;
    insta::assert_snapshot!(asked(Operation::Responses, later), @"the request body is not understood: `background` is not served, for nobody could meter its answer; leave it out, or submit the call to the gateway's queue (`POST /v1/queue`), which makes it later");
    assert!(asked(Operation::Responses, &later.replace("true", "false")).starts_with("m stream"));
}

#[test]
fn usage_is_asked_for_with_no_other_byte_changed() {
    let chat = |body| changed(Operation::ChatCompletions, body, &USAGE);
    insta::assert_snapshot!(chat(r#" { "model" : "m", "stream": true }"#), @r#" {"stream_options":{"include_usage":true}, "model" : "m", "stream": true }"#);
    insta::assert_snapshot!(chat(r#"{"model":"m", "stream_options": { "x":1 } }"#), @r#"{"model":"m", "stream_options": {"include_usage":true, "x":1 } }"#);
    insta::assert_snapshot!(chat(r#"{"model":"m", "stream_options": { } }"#), @r#"{"model":"m", "stream_options": {"include_usage":true } }"#);
    insta::assert_snapshot!(chat(r#"{"model":"m","stream_options":{"include_usage": false}}"#), @r#"{"model":"m","stream_options":{"include_usage": true}}"#);
    insta::assert_snapshot!(chat(r#"{"model":"m","stream_options":null}"#), @r#"{"model":"m","stream_options":{"include_usage":true}}"#);
}

#[test]
fn a_model_is_renamed_and_every_name_of_the_limit_is_lowered() {
    let changes = Changes { model: Some("other\"name"), ask_for_usage: false, max_output: Some(7) };
    let body = r#"{"max_tokens": 100, "model": "m", "max_completion_tokens":200}"#;
    insta::assert_snapshot!(changed(Operation::ChatCompletions, body, &changes), @r#"{"max_tokens": 7, "model": "other\"name", "max_completion_tokens":7}"#);
    insta::assert_snapshot!(changed(Operation::Responses, r#"{"model":"m"}"#, &changes), @r#"{"max_output_tokens":7,"model":"other\"name"}"#);
    insta::assert_snapshot!(changed(Operation::Responses, r#"{"model":"m","max_output_tokens":null}"#, &changes), @r#"{"model":"other\"name","max_output_tokens":7}"#);
    assert_eq!(changed(Operation::Responses, body, &Changes::default()), "no change");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map("[a-z_\"]{1,6}", inner, 0..4)
                .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_rewritten_request_differs_in_nothing_else(
        rest in proptest::collection::hash_map("x[a-z]{0,5}", json(), 0..5),
        pretty in any::<bool>(),
        limit in 1_u64..1000,
        given in proptest::option::of(1_u64..1000),
    ) {
        let mut body: serde_json::Map<_, _> = rest.into_iter().collect();
        body.insert("model".to_owned(), "m".into());
        if let Some(given) = given {
            body.insert("max_completion_tokens".to_owned(), given.into());
        }
        let mut body = serde_json::Value::Object(body);
        let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
        let changes = Changes { model: Some("n"), ask_for_usage: true, max_output: Some(limit) };
        let changed = changed(Operation::ChatCompletions, &text.unwrap(), &changes);
        body["model"] = "n".into();
        body["max_completion_tokens"] = limit.into();
        body["stream_options"] = serde_json::json!({"include_usage": true});
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&changed).unwrap(), body);
    }
}
