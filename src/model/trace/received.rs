//! Spans that apps and stages have sent, beyond what is looked for: JSON in their rows. And what they stand for, by
//! the names of their attributes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Names and values.
pub type Attributes = Map<String, Value>;

/// More of a span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceivedDetail {
    /// Its attributes, without what was said.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Attributes,
    /// What happened in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ReceivedEvent>,
    /// Other spans that it has to do with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ReceivedLink>,
    /// `ok`, `error` or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Why it went wrong, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Attributes of who has made it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub resource: Attributes,
    /// The library that has made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Attributes, events and links that were too many, or too long.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u32,
}

/// Something that happened in a span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceivedEvent {
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_us: i64,
    /// What.
    pub name: String,
    /// More of it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Attributes,
}

/// Another span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceivedLink {
    /// Its trace.
    pub trace: String,
    /// It.
    pub span: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What a span stands for: `agent`, `tool`, `retrieval`, `model`, `http`, `rpc`, `messaging`, or nothing of these.
/// By OpenTelemetry's conventions (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>, `/database/`, `/http/`), and
/// the words of `OpenInference` and `OpenLLMetry` where those are used instead.
#[must_use]
pub fn operation(attributes: &Attributes) -> &'static str {
    let word = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    let said = [
        word("gen_ai.operation.name"),
        word("openinference.span.kind"),
        word("traceloop.span.kind"),
    ];
    let known =
        said.into_iter().map(|it| match it.to_ascii_lowercase().as_str() {
            "execute_tool" | "tool" => "tool",
            "invoke_agent" | "create_agent" | "invoke_workflow" | "agent" | "workflow"
            | "chain" => "agent",
            "retrieval" | "retriever" | "reranker" => "retrieval",
            "chat" | "text_completion" | "generate_content" | "embeddings" | "llm"
            | "embedding" => "model",
            _ => "",
        });
    if let Some(known) = known.into_iter().find(|it| !it.is_empty()) {
        return known;
    }
    let by_name = [
        ("gen_ai.tool.name", "tool"),
        ("gen_ai.agent.name", "agent"),
        ("gen_ai.request.model", "model"),
        ("db.system.name", "retrieval"),
        ("db.system", "retrieval"),
        ("messaging.system", "messaging"),
        ("rpc.system", "rpc"),
        ("rpc.system.name", "rpc"),
        ("http.request.method", "http"),
        ("http.method", "http"),
    ];
    let found = by_name.into_iter().find(|it| attributes.contains_key(it.0));
    found.map_or("", |it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_span_stands_for_follows_from_its_attributes() {
        for (attributes, expected) in [
            (r#"{"gen_ai.operation.name":"execute_tool","gen_ai.agent.name":"a"}"#, "tool"),
            (r#"{"gen_ai.operation.name":"invoke_agent","gen_ai.request.model":"m"}"#, "agent"),
            (r#"{"gen_ai.operation.name":"chat"}"#, "model"),
            (r#"{"gen_ai.operation.name":"something new","gen_ai.tool.name":"t"}"#, "tool"),
            (r#"{"db.system.name":"postgresql","db.operation.name":"SELECT"}"#, "retrieval"),
            (r#"{"db.system":"qdrant"}"#, "retrieval"),
            (r#"{"openinference.span.kind":"RETRIEVER"}"#, "retrieval"),
            (r#"{"traceloop.span.kind":"workflow"}"#, "agent"),
            (r#"{"http.request.method":"GET"}"#, "http"),
            (r#"{"code.function.name":"main"}"#, ""),
            (r#"{"gen_ai.operation.name":7}"#, ""),
        ] {
            let attributes: Attributes = serde_json::from_str(attributes).unwrap();
            assert_eq!(operation(&attributes), expected, "{attributes:?}");
        }
    }
}
