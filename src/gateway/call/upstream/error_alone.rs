//! Answers that are an error alone, though their status says that all is well. Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::UpstreamError;
use crate::provider::said;
use crate::provider::sse::Event;

/// Letters of a provider's message.
const MESSAGE_LETTERS: usize = 500;

/// What tells an error from an answer.
#[derive(Debug, Deserialize)]
struct Fields {
    error: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    message: Option<Value>,
    choices: Option<IgnoredAny>,
    content: Option<IgnoredAny>,
    output: Option<IgnoredAny>,
    data: Option<IgnoredAny>,
    results: Option<IgnoredAny>,
    embeddings: Option<IgnoredAny>,
    status: Option<IgnoredAny>,
}

impl Fields {
    /// `None` for what is no object of JSON.
    fn read(body: &[u8]) -> Option<Self> {
        let is_object = body.trim_ascii().starts_with(b"{");
        is_object.then(|| serde_json::from_slice(body).ok()).flatten()
    }

    fn error_alone(&self) -> Option<&Value> {
        let of_answers = [
            &self.choices,
            &self.content,
            &self.output,
            &self.data,
            &self.results,
            &self.embeddings,
            &self.status,
        ];
        let is_answer = of_answers.into_iter().any(Option::is_some);
        self.error.as_ref().filter(|_| !is_answer)
    }
}

/// The error that a whole answer consists of.
pub(super) fn of_answer(body: &[u8]) -> Option<UpstreamError> {
    Fields::read(body)?.error_alone().map(told)
}

/// The error that an event of a stream consists of.
pub(super) fn of_event(event: &Event<'_>) -> Option<UpstreamError> {
    let fields = Fields::read(&event.data);
    if let Some(error) = fields.as_ref().and_then(Fields::error_alone) {
        return Some(told(error));
    }
    let kind = fields.as_ref().and_then(|it| it.kind.as_ref()?.as_str());
    if event.name != b"error" && kind != Some("error") {
        return None;
    }
    match fields.and_then(|it| it.message) {
        Some(message) => Some(told(&message)),
        None => Some(told(&Value::from(String::from_utf8_lossy(&event.data)))),
    }
}

/// In the provider's words.
fn told(error: &Value) -> UpstreamError {
    let message = error.get("message").unwrap_or(error);
    let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    UpstreamError::ErrorAlone(said::plain(&message, MESSAGE_LETTERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Option<String> {
        of_answer(body.as_bytes()).map(|it| it.to_string())
    }

    #[test]
    fn an_answer_is_an_error_alone_when_nothing_of_an_answer_is_in_it() {
        let told = Some("the provider answers with an error alone: busy".to_owned());
        for body in [
            r#"{"error":{"message":"busy","code":503}}"#,
            r#" {"type":"error","error":{"type":"overloaded_error","message":"bu\u0000sy"}}"#,
            r#"{"error":"busy","choices":null}"#,
        ] {
            assert_eq!(check(body), told, "{body}");
        }
        for body in [
            r#"{"error":null}"#,
            r#"{"error":{"message":"busy"},"choices":[]}"#,
            r#"{"error":{"message":"busy"},"status":"failed"}"#,
            r#"[{"error":"busy"}]"#,
            r#"{"own":{"error":"busy"}}"#,
            "busy",
        ] {
            assert_eq!(check(body), None, "{body}");
        }
        let code = check(r#"{"error":{"code":503}}"#);
        assert_eq!(
            code.as_deref(),
            Some(r#"the provider answers with an error alone: {"code":503}"#)
        );
        let long = check(&format!(r#"{{"error":"{}"}}"#, "x".repeat(5_000))).unwrap();
        assert!(long.len() < 600, "{long}");
    }
}
