use proptest::prelude::*;

use super::*;
use crate::provider::Operation;

#[test]
fn texts_have_the_tokens_that_tiktoken_counts() {
    for (text, o200k, cl100k) in [
        ("", 0, 0),
        ("Hello world", 2, 2),
        ("tiktoken is great!", 6, 6),
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        ("お誕生日おめでとう", 8, 9),
        ("  spaces   between\n\n  and lines  ", 9, 9),
        ("fn main() {\n    println!(\"{}\", 1234567);\n}\n", 13, 13),
    ] {
        let counted = (Tokenizer::O200k.count(text), Tokenizer::Cl100k.count(text));
        assert_eq!(counted, (o200k, cl100k), "{text:?}");
    }
}

proptest! {
    #[test]
    fn whatever_the_text_it_has_as_many_tokens_as_tiktoken_finds(
        text in "(the| quick|[a-zA-Z]{1,3}|'s|'LL| |\n|\r\n|\t|[0-9]{1,4}|日本|é|ß|ǅ|\u{301}|😀|[!-/]|\u{a0}|.){0,24}",
    ) {
        let o200k = tiktoken_rs::o200k_base_singleton().count_ordinary(&text) as u64;
        let cl100k = tiktoken_rs::cl100k_base_singleton().count_ordinary(&text) as u64;
        prop_assert_eq!(Tokenizer::O200k.count(&text), o200k);
        prop_assert_eq!(Tokenizer::Cl100k.count(&text), cl100k);
    }
}

#[test]
fn a_piece_without_end_takes_no_time_without_end_and_hardly_a_token_more() {
    let text = "ab".repeat(100_000);
    let exact = tiktoken_rs::o200k_base_singleton().count_ordinary(&text) as u64;
    let counted = Tokenizer::O200k.count(&text);
    assert!((exact..=exact + 200).contains(&counted), "{counted} {exact}");
}

#[test]
fn a_models_name_says_how_its_tokens_are_counted_or_the_rule_does() {
    let of = Tokenizer::of_model;
    for name in [
        "gpt-4o",
        "gpt-4o-mini-2024-07-18",
        "openai/gpt-4.1",
        "ft:gpt-4o:acme::id",
        "o3-mini",
        "chatgpt-4o-latest",
    ] {
        assert_eq!(of(name), Tokenizer::O200k, "{name}");
    }
    for name in ["gpt-5", "gpt-5.1-codex", "gpt-5-nano", "gpt-oss-120b", "openai/gpt-oss:20b"] {
        assert_eq!(of(name), Tokenizer::O200kHarmony, "{name}");
    }
    for name in [
        "gpt-4",
        "gpt-4-turbo",
        "gpt-3.5-turbo",
        "gpt-35-turbo",
        "text-embedding-3-small",
        "davinci-002",
    ] {
        assert_eq!(of(name), Tokenizer::Cl100k, "{name}");
    }
    for name in ["claude-opus-4-6", "gpt-40", "o1x", "gemini-2.5-pro", "m1", "", "llama"] {
        assert_eq!(of(name), Tokenizer::Rule, "{name}");
    }
}

/// What is around messages and tools is counted as `OpenAI` does it. Whole recorded calls are in `gateway::tests::recorded`.
#[test]
fn requests_have_their_texts_and_what_is_around_them() {
    let count = |operation, body: serde_json::Value| {
        prompt::of_request(Tokenizer::O200k, operation, body.to_string().as_bytes())
    };
    let hello = serde_json::json!({"messages": [{"role": "user", "content": "Hello world"}]});
    assert_eq!(count(Operation::ChatCompletions, hello), Some(3 + 1 + 2 + 3));
    let named = serde_json::json!({"messages": [
        {"role": "system", "content": [{"type": "text", "text": "Hello world"}]},
        {"role": "user", "name": "world", "content": "Hello world"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
            "function": {"name": "hello", "arguments": "world"}}]}]});
    assert_eq!(count(Operation::ChatCompletions, named), Some(6 + (6 + 2) + (4 + 3 + 2) + 3));
    let tool = serde_json::json!({"messages": [{"role": "user", "content": "Hello world"}], "tools": [
        {"type": "function", "function": {"name": "hello", "description": "Hello world.", "parameters":
            {"type": "object", "properties": {"to": {"type": "string", "enum": ["world", "hello"]}}}}}]});
    let (line, member) =
        (Tokenizer::O200k.count("hello:Hello world"), Tokenizer::O200k.count("to:string:"));
    assert_eq!(
        count(Operation::ChatCompletions, tool),
        Some(9 + 12 + 7 + line + 3 + 3 + (4 + 4 - 3) + member)
    );
    let response = serde_json::json!({"instructions": "Hello world", "input": "Hello world"});
    assert_eq!(count(Operation::Responses, response), Some(6 + 6 + 3));
    let texts = serde_json::json!({"input": ["Hello world", [1, 2, 3]]});
    assert_eq!(count(Operation::Embeddings, texts), Some(5));
    let harmony = |body: serde_json::Value| {
        let body = body.to_string();
        prompt::of_request(Tokenizer::O200kHarmony, Operation::ChatCompletions, body.as_bytes())
    };
    let talk = serde_json::json!({"messages": [{"role": "user", "content": "Hello world"},
        {"role": "assistant", "content": "Hello world"}]});
    assert_eq!(harmony(talk), Some(6 + 8 + 2));
    let picture = serde_json::json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]});
    assert!(count(Operation::ChatCompletions, picture).unwrap() > 1000, "by the rule");
    assert_eq!(prompt::of_request(Tokenizer::O200k, Operation::ChatCompletions, b"{"), None);
}
