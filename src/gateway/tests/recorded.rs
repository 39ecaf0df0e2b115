//! Tokens and cost of recorded streams, calls and usages, exactly as the recordings say. The recordings
//! are no part of the project; where they are not there, these tests say so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use crate::gateway::call::answer::meter::Meter;
use crate::gateway::cassette::entry::Content;
use crate::gateway::cassette::import;
use crate::gateway::prices::Prices;
use crate::gateway::prices::import::genai_prices;
use crate::gateway::prices::rate::{Date, Decimal};
use crate::model::{Timestamp, Usage, UsageClass as Class};
use crate::provider::{Operation, bedrock, cohere, google, read_answer};

/// When the recorded prices were in force.
const RECORDED_ON: &str = "2026-08-01";

fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared/data", "../../shared/data"];
    let found = places.iter().map(|it| root.join(it).join(name)).find(|it| it.exists());
    if found.is_none() {
        eprintln!("SKIPPED: there is no `../shared/data/{name}`");
    }
    found
}

pub(super) fn files(folder: &str) -> Vec<(String, String)> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let name = |it: &Path| it.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|it| (name(it), std::fs::read_to_string(it).unwrap())).collect()
}

pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Reads a usage the way the vendor of a recording's flavour writes it.
fn read(provider: &str, flavour: &str, body: &Value) -> Option<Usage> {
    let text = body.to_string();
    let of = |operation| read_answer(operation, text.as_bytes()).map(|it| it.usage);
    let part = |name: &str| body.get(name).map(ToString::to_string).unwrap_or_default();
    match (provider, flavour) {
        ("google", "default") => google::read_usage(part("usageMetadata").as_bytes()),
        ("aws", "default") => bedrock::read_usage(part("usage").as_bytes()),
        ("cohere", "default") => cohere::read_usage(part("usage").as_bytes()),
        ("cohere", "embeddings") => cohere::read_usage(part("meta").as_bytes()),
        ("anthropic" | "minimax", "default") | (_, "anthropic") => of(Operation::Messages),
        (_, "responses") => of(Operation::Responses),
        (_, "embeddings") => of(Operation::Embeddings),
        _ => of(Operation::ChatCompletions),
    }
}

/// What the list of recordings reads otherwise than its vendor means it.
fn is_left_out(provider: &str, flavour: &str, body: &Value) -> bool {
    // Tokens that the model saw, and not those that are billed.
    let is_not_billed = (provider, flavour) == ("cohere", "tokens");
    // No recording is of xAI itself: its rule is tried on other vendors' bodies.
    let is_tried_on_others = provider == "x-ai";
    // The number of cached tokens is looked for in a place where these bodies do not have it.
    let cached = body.pointer("/usage/prompt_tokens_details/cached_tokens");
    let is_misread = (provider, flavour) == ("anthropic", "chat") && cached.is_some();
    is_not_billed || is_tried_on_others || is_misread
}

fn recorded_classes(usage: &Usage) -> [(&'static str, u64); 8] {
    [
        ("input_tokens", usage.input_tokens()),
        ("output_tokens", usage.output_tokens()),
        ("cache_read_tokens", usage.cache_read_tokens()),
        ("cache_write_tokens", usage.cache_write_tokens()),
        ("cache_write_5m_tokens", usage.get(Class::CacheWrite5m)),
        ("cache_write_1h_tokens", usage.get(Class::CacheWrite1h)),
        ("output_reasoning_tokens", usage.get(Class::Reasoning)),
        ("web_searches", usage.get(Class::WebSearches)),
    ]
}

/// The usage with the classes that the recording does not tell apart folded into what they are kinds of.
fn as_recorded(usage: &Usage, said: &Value) -> Usage {
    let mut usage = *usage;
    let mut fold = |name: &str, classes: &[Class], into: Class| {
        if said.get(name).is_none() {
            for class in classes {
                usage.set(into, usage.get(into) + usage.get(*class));
                usage.set(*class, 0);
            }
        }
    };
    fold("cache_read_tokens", &[Class::CacheRead, Class::CacheReadAudio], Class::Input);
    fold("cache_write_tokens", &[Class::CacheWrite5m, Class::CacheWrite1h], Class::Input);
    fold("input_audio_tokens", &[Class::InputAudio], Class::Input);
    fold("output_audio_tokens", &[Class::OutputAudio], Class::Output);
    usage
}

fn prices() -> Option<Prices> {
    let text = std::fs::read_to_string(shared("prices/genai-prices.json")?).unwrap();
    Some(Prices::new(genai_prices(&text).unwrap().prices))
}

fn femtos(price: &Value) -> i128 {
    // A price of a million units in 10^-15 dollars a unit is an amount in 10^-9 dollars; six digits more
    // are taken in as a power of ten.
    let text = price.as_str().unwrap();
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let text = format!("{number}e{}", power.parse::<i32>().unwrap() + 6);
    i128::from(text.parse::<Decimal<6>>().unwrap().0.0)
}

/// Where we and the recordings differ, and why: models that the public list of prices does not have, and pictures
/// in an answer, which the list prices apart and the recording prices as text.
const KNOWN_DIFFERENCES: [&str; 5] = [
    "google/gemini-2.5-flash-image: costs 5400000000 and 1440000000000, said \"0.0000054\" and \"0.00012\"",
    "no price of openai.gpt-5.6-luna",
    "no price of openai.gpt-5.6-luna",
    "no price of qwen-3-coder-480b",
    "no price of google/gemini-2.0-flash-exp:free",
];

#[test]
fn every_recorded_usage_has_the_tokens_and_the_cost_that_its_recording_says() {
    let (Some(file), Some(prices)) = (shared("gateway/usages.json"), prices()) else { return };
    let at: Timestamp = RECORDED_ON.parse::<Date>().unwrap().start();
    let (mut usages, mut costs, mut wrong) = (0, 0, Vec::<String>::new());
    for recording in json(&std::fs::read_to_string(file).unwrap()).as_array().unwrap() {
        let body = &recording["body"];
        for group in recording["extracted"].as_array().unwrap() {
            for extractor in group["extractors"].as_array().unwrap() {
                let provider = extractor["provider_id"].as_str().unwrap();
                let flavour = extractor["api_flavor"].as_str().unwrap();
                if is_left_out(provider, flavour, body) {
                    continue;
                }
                let place = format!("{provider}/{flavour} {}", body["file"]);
                let Some(usage) = read(provider, flavour, body) else {
                    wrong.push(format!("{place}: not read"));
                    continue;
                };
                for (name, ours) in recorded_classes(&usage) {
                    let said = group["usage"].get(name).and_then(Value::as_u64);
                    if said.is_some_and(|it| it != ours) {
                        wrong.push(format!("{place}: {name} is {ours}, said {said:?}"));
                    }
                }
                usages += 1;
                let (Some(input), Some(output)) =
                    (extractor.get("input_price"), extractor.get("output_price"))
                else {
                    continue;
                };
                let model = recording["model"].as_str().unwrap();
                let Some(row) = prices.find(provider, model, at) else {
                    wrong.push(format!("{place}: no price of {model}"));
                    continue;
                };
                let cost = row.cost(&as_recorded(&usage, &group["usage"]), None);
                costs += 1;
                if (cost.input, cost.output) != (femtos(input), femtos(output)) {
                    wrong.push(format!(
                        "{place} {}: costs {} and {}, said {input} and {output}",
                        row.id, cost.input, cost.output
                    ));
                }
            }
        }
    }
    eprintln!("{usages} usages and {costs} costs");
    let is_known = wrong.len() == KNOWN_DIFFERENCES.len()
        && wrong.iter().zip(KNOWN_DIFFERENCES).all(|(ours, known)| ours.ends_with(known));
    assert!(
        is_known,
        "{} wrong:\n{}",
        wrong.len(),
        wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(usages > 5000 && costs > 1000, "{usages} usages, {costs} costs");
}

/// The events of a recorded stream, one stream for each terminal event.
pub(super) fn streams(text: &str) -> Vec<Vec<Value>> {
    let mut streams = vec![Vec::new()];
    for line in text.lines().filter(|it| !it.trim().is_empty()) {
        let event = json(line);
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        streams.last_mut().unwrap().push(event);
        let ends = ["message_stop", "response.completed", "response.failed", "response.incomplete"];
        if ends.contains(&kind.as_str()) {
            streams.push(Vec::new());
        }
    }
    streams.retain(|it| !it.is_empty());
    streams
}

/// What the rules say of a stream, read off its events by hand.
fn said(events: &[Value]) -> BTreeMap<&'static str, u64> {
    let mut fields: serde_json::Map<String, Value> = serde_json::Map::new();
    for event in events {
        for place in ["/message/usage", "/usage", "/response/usage"] {
            if let Some(usage) = event.pointer(place).and_then(Value::as_object) {
                fields.extend(usage.clone());
            }
        }
    }
    let fields = Value::Object(fields);
    let number = |name: &str| fields.pointer(name).and_then(Value::as_u64).unwrap_or_default();
    let read = number("/cache_read_input_tokens");
    let written = number("/cache_creation_input_tokens");
    BTreeMap::from([
        ("input", number("/input_tokens") + number("/prompt_tokens") + read + written),
        ("output", number("/output_tokens") + number("/completion_tokens")),
        (
            "cached",
            read + number("/input_tokens_details/cached_tokens")
                + number("/prompt_tokens_details/cached_tokens"),
        ),
        (
            "reasoning",
            number("/output_tokens_details/reasoning_tokens")
                + number("/completion_tokens_details/reasoning_tokens"),
        ),
        ("searches", number("/server_tool_use/web_search_requests")),
    ])
}

fn ours(usage: &Usage, is_anthropic: bool) -> BTreeMap<&'static str, u64> {
    let searches = if is_anthropic { usage.get(Class::WebSearches) } else { 0 };
    BTreeMap::from([
        ("input", usage.input_tokens()),
        ("output", usage.output_tokens()),
        ("cached", usage.cache_read_tokens()),
        ("reasoning", usage.get(Class::Reasoning)),
        ("searches", searches),
    ])
}

pub(super) fn as_text(operation: Operation, events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        if let Some(kind) = event["type"].as_str() {
            text.push_str(&format!("event: {kind}\r\n"));
        }
        text.push_str(&format!("data: {event}\r\n\r\n"));
    }
    if operation == Operation::ChatCompletions {
        text.push_str("data: [DONE]\n\n");
    }
    text
}

fn pass(operation: Operation, text: &str, size: usize) -> (Vec<u8>, Meter) {
    let mut meter = Meter::new(operation, false);
    let mut out = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        out.extend_from_slice(&meter.push(&Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&meter.finish());
    (out, meter)
}

#[test]
fn every_recorded_stream_passes_unchanged_and_has_the_tokens_that_it_says() {
    let mut count = 0;
    for (name, text) in files("gateway/sse") {
        let operation = match name.as_str() {
            it if it.starts_with("anthropic") => Operation::Messages,
            it if it.starts_with("openai-responses") => Operation::Responses,
            _ => Operation::ChatCompletions,
        };
        let streams = streams(&text);
        for events in &streams {
            let text = as_text(operation, events);
            for size in [11, 1000, usize::MAX] {
                let (out, meter) = pass(operation, &text, size);
                assert_eq!(out, text.as_bytes(), "{name}");
                let outcome = meter.outcome();
                let has_failed = text.contains("response.failed");
                assert_eq!(
                    (outcome.has_ended, outcome.has_failed),
                    (!has_failed, has_failed),
                    "{name}"
                );
                let (metered, is_estimated) = outcome.usage(0);
                assert_eq!(is_estimated, has_failed, "{name}");
                let is_anthropic = operation == Operation::Messages;
                assert_eq!(ours(&metered.usage, is_anthropic), said(events), "{name}");
            }
            count += 1;
        }
    }
    eprintln!("{count} streams");
    assert!(count == 0 || count >= 30, "{count} streams");
}

#[test]
fn a_recorded_stream_that_is_cut_anywhere_is_charged_no_less_than_it_said_so_far() {
    for (name, text) in files("gateway/sse").into_iter().filter(|it| it.0.starts_with("anthropic"))
    {
        for events in streams(&text) {
            for kept in 1..events.len() {
                let text = as_text(Operation::Messages, &events[..kept]);
                let outcome = pass(Operation::Messages, &text, 1000).1.outcome();
                let (metered, _) = outcome.usage(7);
                let said = said(&events[..kept]);
                assert!(metered.usage.output_tokens() >= said["output"], "{name} {kept}");
                assert!(metered.usage.input_tokens() >= said["input"], "{name} {kept}");
                assert!(!outcome.is_whole(), "{name} {kept}");
            }
        }
    }
}

#[test]
fn every_recorded_call_has_the_tokens_that_its_answer_says() {
    let (mut calls, mut others) = (0, 0);
    for (name, text) in files("gateway/openai-cassettes") {
        for entry in import::vcr(&text).unwrap() {
            let path = entry
                .path
                .find("/chat/completions")
                .map_or(entry.path.clone(), |it| format!("/v1{}", &entry.path[it..]));
            let Some(operation) = Operation::of_path(&path) else {
                others += 1;
                continue;
            };
            if entry.response.status != 200 {
                continue;
            }
            calls += 1;
            match &entry.response.content {
                Content::Json(body) => {
                    let usage = read_answer(operation, body.get().as_bytes()).unwrap().usage;
                    assert_eq!(ours(&usage, false), said(&[json(body.get())]), "{name}");
                }
                Content::Stream(pieces) => {
                    let text: String = pieces.iter().map(|it| it.1.as_str()).collect();
                    let (out, meter) = pass(operation, &text, 100);
                    assert_eq!(out, text.as_bytes(), "{name}");
                    let data = text.lines().filter_map(|it| it.strip_prefix("data: "));
                    let events: Vec<_> = data.filter(|it| *it != "[DONE]").map(json).collect();
                    let has_usage = events.iter().any(|it| it["usage"].is_object());
                    let (metered, is_estimated) = meter.outcome().usage(5);
                    assert_eq!(is_estimated, !has_usage, "{name}");
                    if has_usage {
                        assert_eq!(ours(&metered.usage, false), said(&events), "{name}");
                    } else {
                        assert!(metered.usage.output_tokens() > 0, "{name}");
                    }
                }
                Content::Text(text) => panic!("{name}: {text}"),
            }
        }
    }
    eprintln!("{calls} calls, {others} of paths that are not served");
    assert!(calls == 0 || calls >= 15, "{calls} calls");
}

#[test]
fn prompts_of_recorded_calls_are_counted_rather_too_large_than_too_small() {
    let (mut counted, mut told) = (0, 0);
    for (name, text) in files("gateway/openai-cassettes") {
        // What a provider's own tools and hidden prompts add is not in the request.
        if ["search", "audio", "agents"].iter().any(|it| name.contains(it)) {
            continue;
        }
        for entry in import::vcr(&text).unwrap() {
            let Content::Json(body) = &entry.response.content else { continue };
            let usage = json(body.get())["usage"]["prompt_tokens"].as_u64();
            let Some(usage) = usage.filter(|_| entry.response.status == 200) else { continue };
            let ours = crate::provider::estimate::of_request(entry.request.to_string().as_bytes());
            assert!(ours >= usage, "{name}: counted {ours}, told {usage}");
            counted += ours;
            told += usage;
        }
    }
    eprintln!("{counted} counted, {told} told");
}
