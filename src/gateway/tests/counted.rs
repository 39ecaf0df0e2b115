//! What no answer tells is counted with the model's tokenizer, off the path of calls, and the row says with which.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::raw::{Raw, Then};
use super::recorded::{as_text, files, json, streams};
use super::world::{World, asks};
use crate::gateway::call::answer::meter::Meter;
use crate::gateway::cassette::entry::Content;
use crate::gateway::cassette::import;
use crate::provider::Operation;
use crate::provider::estimate::tokenizer::{Tokenizer, prompt};

/// A model with a tokenizer of the settings at the fake, and one that is known by its name.
const MODELS: &str = r#"
    ledger = "l"
    unknown_price = { assume = { per_million = { input = 1, output = 10 } } }
    [[route]]
    model = "m-counted"
    to = [{ provider = "test", tokenizer = "o200k" }]
    [[route]]
    model = "gpt-4o-mini"
    to = [{ provider = "test" }]
    [[route]]
    model = "gpt-4o-by-rule"
    to = [{ provider = "test", tokenizer = "rule" }]
"#;

fn flags(row: &Value) -> Vec<&str> {
    row["flags"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

/// What the pieces of a stream said, as text.
fn text(body: &str) -> String {
    let data = body.lines().filter_map(|it| it.strip_prefix("data: {"));
    let events = data.map(|it| json(&format!("{{{it}")));
    let text =
        events.filter_map(|it| Some(it["choices"][0]["delta"]["content"].as_str()?.to_owned()));
    text.collect()
}

/// The row of a call that is counted on another thread.
async fn counted(world: &World) -> Value {
    for _ in 0..1000 {
        if let Some(row) = world.rows().pop() {
            return row;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no call was written down");
}

async fn cut(world: &World, model: &str) -> (String, Value) {
    let body = asks(true, "").replace("m1", model);
    let order = [("x-fake", "chunks=9,chunk_ms=2,cut=6")];
    let reply = world.post("/v1/chat/completions", &body, &order).await;
    (text(&reply.body), counted(world).await)
}

#[tokio::test]
async fn a_cut_stream_is_charged_what_its_models_tokenizer_counts() {
    let world = World::new(MODELS).await;
    for model in ["m-counted", "gpt-4o-mini"] {
        let (said, row) = cut(&world, model).await;
        let flags: Vec<_> = flags(&row).into_iter().filter(|it| *it != "assumed_price").collect();
        assert_eq!(flags, ["cut", "estimated", "counted_o200k"], "{row}");
        let output = Tokenizer::O200k.count(&said);
        let input = 3 + 1 + Tokenizer::O200k.count("Say something.") + 3;
        assert!(said.len() > 20, "{said}");
        assert_eq!(row["usage"]["output"], output, "{said} {row}");
        assert_eq!(row["usage"]["input"], input, "{row}");
        assert_eq!(row["cost"], input * 1000 + output * 10_000);
    }
    for model in ["m1", "gpt-4o-by-rule"] {
        let row = cut(&world, model).await.1;
        assert!(flags(&row).ends_with(&["estimated", "counted_by_rule"]), "{row}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_without_usage_is_counted_before_its_cost_is_said() {
    let world = World::new(MODELS).await;
    let body = asks(false, "").replace("m1", "m-counted");
    let order = [("x-fake", "no_usage")];
    let reply = world.post("/v1/chat/completions", &body, &order).await;
    let row = world.rows().pop().unwrap();
    let said = reply.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let output = Tokenizer::O200k.count(&said);
    assert_eq!(row["usage"]["output"], output);
    assert_eq!(flags(&row), ["estimated", "counted_o200k"]);
    let cost = (10 * 1000 + output * 10_000).to_string();
    let said = reply.header("x-trunkline-cost-usd");
    assert!(said.ends_with(cost.trim_end_matches('0')), "{said} {cost}");
    let embedded = r#"{"model":"m-counted","input":["Hello world","Hello"]}"#;
    world.post("/v1/embeddings", embedded, &order).await;
    assert_eq!(world.rows().pop().unwrap()["usage"]["input"], 3);
    world.end().await;
}

#[tokio::test]
async fn while_an_attempt_is_being_counted_no_cost_is_told_without_it() {
    let raw = Raw::start().await;
    *raw.answers.lock().unwrap() = vec![(Vec::new(), Then::Close)];
    let more = r#"
        [[route]]
        model = "m-else"
        to = [{ provider = "raw", tokenizer = "o200k" }, { provider = "test", model = "m1" }]
    "#;
    let settings = raw.settings("").replace("attempts = 1", "attempts = 2") + more;
    let world = World::new(&settings).await;
    // So long that its tokens are still being counted when the next way has answered.
    let long = "Say something else. ".repeat(6_000);
    let body = asks(false, "").replace("m1", "m-else").replace("Say something.", &long);
    let reply = world.post("/v1/chat/completions", &body, &[("x-raw", "0")]).await;
    assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{reply:?}");
    assert_eq!(reply.header("x-trunkline-flags"), "estimated");
    world.settled().await;
    let all = world.cost().to_string().replace(" USD", "");
    let told = reply.header("x-trunkline-cost-usd");
    assert!(told.is_empty() || told == all, "{told} of {all}");
    let rows = world.rows();
    assert!(rows.iter().any(|it| flags(it) == ["estimated", "counted_o200k"]), "{rows:?}");
    world.end().await;
}

#[tokio::test]
async fn a_prompt_whose_answer_never_came_and_a_client_that_left_are_counted_too() {
    let world =
        World::new(&format!("limits = {{ attempts = 1, first_token_ms = 50 }}\n{MODELS}")).await;
    let body = asks(false, "").replace("m1", "m-counted");
    let reply = world.post("/v1/chat/completions", &body, &[("x-fake", "delay_ms=400")]).await;
    assert_eq!(reply.status, 504);
    let row = counted(&world).await;
    assert_eq!(
        (&row["usage"]["input"], flags(&row)),
        (&10.into(), vec!["estimated", "counted_o200k"])
    );
    let body = asks(true, "").replace("m1", "m-counted");
    let order = [("x-fake", "chunks=50,chunk_ms=20")];
    let response = world.open("/v1/chat/completions", &body, &order).await;
    drop(response);
    let row = counted(&world).await;
    assert_eq!(flags(&row), ["client_gone", "estimated", "counted_o200k"]);
    world.end().await;
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";

/// Answers of a model that is not the one that was asked for, which do not tell their use, and the paths they come from.
fn untold(model: &str, tier: &str) -> Vec<(&'static str, bool, String)> {
    let names = format!(r#""model":"{model}","service_tier":"{tier}""#);
    let chunk = format!(r#"data: {{{names},"choices":[{{"delta":{{"content":"so it is"}}}}]}}"#);
    let last = format!(
        r#"data: {{{names},"choices":[{{"delta":{{}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":-1}}}}"#
    );
    let whole =
        format!(r#"{{{names},"usage":"9","choices":[{{"message":{{"content":"so it is"}}}}]}}"#);
    let start = format!(
        r#"{{"type":"message_start","message":{{"model":"{model}","usage":{{"input_tokens":-1,"service_tier":"{tier}"}}}}}}"#
    );
    let text = r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"so it is"}}"#;
    let events = |it: &str| format!("{OK}content-type: text/event-stream\r\n\r\n{it}\n\n");
    let json = |it: &str, more: usize| {
        let length = it.len() + more;
        format!("{OK}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{it}")
    };
    let (chat, messages) = ("/v1/chat/completions", "/v1/messages");
    vec![
        (chat, true, events(&chunk)),
        (chat, true, events(&format!("{chunk}\n\n{last}\n\ndata: [DONE]"))),
        (chat, false, json(&whole, 0)),
        (chat, false, json(&whole, 9)),
        ("/v1/embeddings", false, json(&format!(r#"{{"data":[],{names}}}"#), 0)),
        (messages, true, events(&format!("data: {start}\n\ndata: {text}"))),
    ]
}

#[tokio::test]
async fn an_answer_that_does_not_tell_its_use_costs_what_the_model_and_tier_cost_that_it_names() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    for (model, tier, input, output) in
        [("m-named", "default", 3000, 30_000), ("m-other", "batch", 500, 5000)]
    {
        for (path, is_stream, answer) in untold(model, tier) {
            *raw.answers.lock().unwrap() = vec![(answer.clone().into_bytes(), Then::Close)];
            *world.core.breakers() = crate::gateway::route::Breakers::default();
            let body = asks(is_stream, r#""input":"hi""#).replace("\"m1\"", "\"m-raw\"");
            world.post(path, &body, &[("x-raw", "0")]).await;
            world.settled().await;
            let row = world.rows().pop().unwrap();
            assert!(flags(&row).contains(&"estimated"), "{answer} {row}");
            assert_eq!(row["answered_by"], model, "{answer} {row}");
            let used = |class: &str| row["usage"][class].as_u64().unwrap_or(0);
            assert!(used("input") > 0 && (used("output") > 0 || path == "/v1/embeddings"), "{row}");
            let cost = used("input") * input + used("output") * output;
            assert_eq!(row["cost"], cost, "{answer} {row}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_response_that_is_over_is_passed_on_as_it_is_though_its_use_cannot_be_read() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    for (kind, used) in [("completed", "10.5"), ("completed", "-1"), ("incomplete", "\"9\"")] {
        let delta = r#"data: {"type":"response.output_text.delta","delta":"so it is"}"#;
        let last = format!(
            r#"data: {{"type":"response.{kind}","response":{{"model":"m-raw","usage":{{"input_tokens":{used}}}}}}}"#
        );
        let stream = format!("{delta}\n\n{last}\n\n");
        let answer = format!("{OK}content-type: text/event-stream\r\n\r\n{stream}");
        *raw.answers.lock().unwrap() = vec![(answer.into_bytes(), Then::Close)];
        let body = asks(true, r#""input":"hi""#).replace("\"m1\"", "\"m-raw\"");
        let reply = world.post("/v1/responses", &body, &[("x-raw", "0")]).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, stream.as_str()), "{kind} {used}");
        world.settled().await;
        let row = world.rows().pop().unwrap();
        assert_eq!(flags(&row), ["estimated", "counted_by_rule"], "{row}");
        assert!(row["usage"]["output"].as_u64().unwrap() > 0, "{row}");
    }
    world.end().await;
}

/// What a counter found, beside what the provider said.
#[derive(Debug, Default)]
struct Compared {
    counted: u64,
    told: u64,
    worst: i64,
    of: u64,
}

impl Compared {
    fn add(&mut self, counted: u64, told: u64) {
        self.counted += counted;
        self.told += told;
        let (counted, told) = (i64::try_from(counted).unwrap(), i64::try_from(told).unwrap());
        let percent = (counted - told) * 100 / told.max(1);
        self.worst = if percent.abs() > self.worst.abs() { percent } else { self.worst };
        self.of += 1;
    }
}

fn show(all: &BTreeMap<&str, Compared>) {
    for (what, it) in all {
        let percent = (it.counted.cast_signed() - it.told.cast_signed()) * 1000
            / it.told.max(1).cast_signed();
        eprintln!(
            "{what}: {} recordings, {} told, {} counted ({}.{} %), at worst {} %",
            it.of,
            it.told,
            it.counted,
            percent / 10,
            percent.abs() % 10,
            it.worst
        );
    }
}

#[test]
fn recorded_calls_have_the_tokens_that_their_tokenizer_counts() {
    let mut all = BTreeMap::<_, Compared>::new();
    for (name, text) in files("gateway/openai-cassettes") {
        // What a provider's own tools, sounds and hidden thoughts add is not in the bytes.
        let is_hidden = ["search", "audio", "agents"].iter().any(|it| name.contains(it));
        for entry in import::vcr(&text).unwrap().into_iter().filter(|_| !is_hidden) {
            let Content::Json(body) = &entry.response.content else { continue };
            let Some(at) = entry
                .path
                .find("/chat/completions")
                .or(entry.path.find("/completions"))
                .or(entry.path.find("/embeddings"))
            else {
                continue;
            };
            let operation = Operation::of_path(&format!("/v1{}", &entry.path[at..])).unwrap();
            let usage = &json(body.get())["usage"];
            let (Some(input), 200) = (usage["prompt_tokens"].as_u64(), entry.response.status)
            else {
                continue;
            };
            let (model, request) =
                (entry.request["model"].as_str().unwrap(), entry.request.to_string());
            let tokenizer = Tokenizer::of_model(model);
            assert!(tokenizer.is_exact(), "{model}");
            let counted = prompt::of_request(tokenizer, operation, request.as_bytes()).unwrap();
            eprintln!("{name} {model}: in {counted} of {input}");
            all.entry("input").or_default().add(counted, input);
            all.entry("input, by the rule")
                .or_default()
                .add(crate::provider::estimate::of_request(request.as_bytes()), input);
            let Some(output) = usage["completion_tokens"].as_u64() else { continue };
            let hidden = usage.pointer("/completion_tokens_details/reasoning_tokens");
            let output = output - hidden.and_then(Value::as_u64).unwrap_or(0);
            // Nothing was said: all of it was thought.
            if output == 0 {
                continue;
            }
            let counted = prompt::of_answer(tokenizer, body.get().as_bytes()).unwrap();
            eprintln!("{name} {model}: out {counted} of {output}");
            all.entry("output").or_default().add(counted, output);
        }
    }
    show(&all);
    for it in all.iter().filter(|it| !it.0.contains("rule")) {
        let off = it.1.counted.abs_diff(it.1.told);
        assert!(off * 50 <= it.1.told, "{it:?}");
    }
}

#[test]
fn recorded_streams_that_are_cut_before_their_usage_are_counted_by_tokenizer_or_rule() {
    let mut all = BTreeMap::<_, Compared>::new();
    for (name, text) in files("gateway/sse") {
        let (operation, what) = match name.as_str() {
            it if it.starts_with("anthropic") => (Operation::Messages, "claude, by the rule"),
            it if it.starts_with("openai-responses") => (Operation::Responses, "responses"),
            _ => (Operation::ChatCompletions, "chat"),
        };
        for mut events in streams(&text) {
            let usage = |it: &Value| {
                let usage = [&it["usage"], &it["response"]["usage"]];
                let find = |names: [&str; 2]| {
                    usage.iter().find_map(|it| it[names[0]].as_u64().or(it[names[1]].as_u64()))
                };
                let hidden = usage
                    .iter()
                    .find_map(|it| it["output_tokens_details"]["reasoning_tokens"].as_u64());
                find(["output_tokens", "completion_tokens"]).map(|it| it - hidden.unwrap_or(0))
            };
            let Some(told) = events.iter().rev().find_map(usage) else { continue };
            let cut = events.iter().rposition(|it| usage(it).is_some()).unwrap();
            events.truncate(cut);
            let text = as_text(operation, &events).replace("data: [DONE]", "");
            let is_openai = operation != Operation::Messages;
            let tokenizer = if operation == Operation::Responses {
                Tokenizer::O200kHarmony
            } else {
                Tokenizer::O200k
            };
            let mut meter = Meter::new(operation, false).hearing(is_openai);
            drop(meter.push(&Bytes::from(text.clone())));
            // Hidden thoughts, and what tools of the provider gave, are not seen.
            if text.contains("thinking")
                || text.contains("server_tool_use")
                || text.contains("mcp_")
            {
                continue;
            }
            let by_rule = meter.outcome().counted_output;
            let counted = meter
                .take_heard()
                .map_or(by_rule, |it| it.tokens(tokenizer) + prompt::around(tokenizer));
            eprintln!("{name}: {counted} of {told}, by the rule {by_rule}");
            all.entry(what).or_default().add(counted, told);
        }
    }
    show(&all);
}
