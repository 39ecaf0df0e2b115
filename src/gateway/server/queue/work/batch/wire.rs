//! The batch interfaces of providers: what is handed over, what they say of it, and the answers. Pure. `OpenAI`: a file of
//! JSON lines (`/v1/files`, `/v1/batches`, <https://platform.openai.com/docs/api-reference/batch>); Anthropic: one body
//! (`/v1/messages/batches`, <https://docs.anthropic.com/en/api/creating-message-batches>). Both read on 2026-11-29.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::provider::said::plain;
use crate::provider::{Dialect, Operation};

/// Letters of an id or of an error that are kept.
const TEXT_LETTERS: usize = 500;

/// Requests that one batch may have at the provider.
#[must_use]
pub(in crate::gateway::server::queue) fn requests_max(dialect: Dialect) -> usize {
    match dialect {
        Dialect::OpenAi => 50_000,
        Dialect::Anthropic => 100_000,
    }
}

/// Bytes that one may have.
#[must_use]
pub(in crate::gateway::server::queue) fn bytes_max(dialect: Dialect) -> usize {
    match dialect {
        Dialect::OpenAi => 200 << 20,
        Dialect::Anthropic => 256 << 20,
    }
}

/// Whether a kind of call can be part of a batch.
#[must_use]
pub(in crate::gateway::server::queue) fn takes(operation: Operation) -> bool {
    match operation {
        Operation::ChatCompletions
        | Operation::Completions
        | Operation::Responses
        | Operation::Embeddings
        | Operation::Moderations
        | Operation::Messages => true,
        Operation::CountTokens => false,
    }
}

/// One request of a batch, as a line of a file or a member of a list. `body` is JSON.
#[must_use]
pub(in crate::gateway::server::queue) fn request(
    operation: Operation,
    custom_id: &str,
    body: &str,
) -> String {
    // In JSON, breaks of lines stand only between values.
    let body = body.replace(['\n', '\r'], " ");
    let id = Value::from(custom_id);
    match operation.dialect() {
        Dialect::OpenAi => {
            let url = Value::from(operation.path());
            format!(r#"{{"custom_id":{id},"method":"POST","url":{url},"body":{body}}}"#)
        }
        Dialect::Anthropic => format!(r#"{{"custom_id":{id},"params":{body}}}"#),
    }
}

/// All of them, as they are handed over.
#[must_use]
pub(in crate::gateway::server::queue) fn input(dialect: Dialect, requests: &[String]) -> String {
    match dialect {
        Dialect::OpenAi => requests.iter().map(|it| format!("{it}\n")).collect(),
        Dialect::Anthropic => format!(r#"{{"requests":[{}]}}"#, requests.join(",")),
    }
}

/// A file for `POST /v1/files`: the content type, and the body. It goes by itself after `seconds`.
#[must_use]
pub(in crate::gateway::server::queue) fn form(
    name: &str,
    seconds: u64,
    content: &str,
) -> (String, String) {
    let mut boundary = format!("trunkline-{name}");
    while content.contains(&boundary) {
        boundary.push('x');
    }
    let field = |name: &str, value: &str| {
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let seconds = seconds.to_string();
    let fields = [
        field("purpose", "batch"),
        field("expires_after[anchor]", "created_at"),
        field("expires_after[seconds]", &seconds),
    ];
    let file = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}.jsonl\"\r\n\
         content-type: application/jsonl\r\n\r\n{content}\r\n--{boundary}--\r\n"
    );
    (format!("multipart/form-data; boundary={boundary}"), format!("{}{file}", fields.concat()))
}

/// The body of `POST /v1/batches`. `name` finds it again among all batches of the key.
#[must_use]
pub(in crate::gateway::server::queue) fn order(
    operation: Operation,
    file: &str,
    name: &str,
) -> String {
    json!({
        "input_file_id": file,
        "endpoint": operation.path(),
        "completion_window": "24h",
        "metadata": {NAME: name},
    })
    .to_string()
}

/// The name in a batch's metadata.
const NAME: &str = "trunkline_batch";

/// Where the batches of a provider are.
#[must_use]
pub(in crate::gateway::server::queue) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "/v1/batches",
        Dialect::Anthropic => "/v1/messages/batches",
    }
}

/// How a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway::server::queue) enum Standing {
    /// The provider works on it.
    UnderWay,
    /// It is over: with answers, without, or with some.
    Ended,
    /// It never began: what was handed over is wrong.
    Failed,
}

/// A batch, as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway::server::queue) struct Remote {
    /// Its id there.
    pub(in crate::gateway::server::queue) id: String,
    /// The name that it was given, where the provider keeps one.
    pub(in crate::gateway::server::queue) name: String,
    /// The provider's word.
    pub(in crate::gateway::server::queue) word: String,
    /// How it stands.
    pub(in crate::gateway::server::queue) standing: Standing,
    /// Files with answers and with errors.
    pub(in crate::gateway::server::queue) files: Vec<String>,
    /// How many requests it has, as far as that is known.
    pub(in crate::gateway::server::queue) requests: u64,
    /// When it was made, in seconds since 1970.
    pub(in crate::gateway::server::queue) created_at: Option<i64>,
    /// What is wrong with it.
    pub(in crate::gateway::server::queue) error: String,
}

/// Reads a batch; `None` when that is none.
#[must_use]
pub(in crate::gateway::server::queue) fn remote(dialect: Dialect, value: &Value) -> Option<Remote> {
    let said = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let text = |path: &str| plain(said(path), TEXT_LETTERS);
    let id = Some(text("/id")).filter(|it| !it.is_empty())?;
    Some(match dialect {
        Dialect::OpenAi => Remote {
            id,
            name: text(&format!("/metadata/{NAME}")),
            word: text("/status"),
            standing: match said("/status") {
                "completed" | "expired" | "cancelled" => Standing::Ended,
                "failed" => Standing::Failed,
                _ => Standing::UnderWay,
            },
            files: ["/output_file_id", "/error_file_id"]
                .into_iter()
                .map(text)
                .filter(|it| !it.is_empty())
                .collect(),
            requests: value.pointer("/request_counts/total").and_then(Value::as_u64).unwrap_or(0),
            created_at: value.get("created_at").and_then(Value::as_i64),
            error: text("/errors/data/0/message"),
        },
        Dialect::Anthropic => {
            let counts = value.get("request_counts").and_then(Value::as_object);
            let counts = counts.into_iter().flat_map(|it| it.values()).filter_map(Value::as_u64);
            Remote {
                id,
                name: String::new(),
                word: text("/processing_status"),
                standing: match said("/processing_status") {
                    "ended" => Standing::Ended,
                    _ => Standing::UnderWay,
                },
                files: Vec::new(),
                requests: counts.sum(),
                created_at: chrono::DateTime::parse_from_rfc3339(said("/created_at"))
                    .ok()
                    .map(|it| it.timestamp()),
                error: String::new(),
            }
        }
    })
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway::server::queue) struct Told {
    /// Which one.
    pub(in crate::gateway::server::queue) custom_id: String,
    /// What came of it.
    pub(in crate::gateway::server::queue) end: End,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway::server::queue) enum End {
    /// An answer, with its status.
    Answer(u16, String),
    /// It was not made: the batch was cancelled, or its time was over.
    NotMade(String),
    /// An answer that is longer than what is read.
    TooLong,
}

#[derive(Deserialize)]
struct Line<'a> {
    custom_id: String,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<Outcome<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads a line of answers; `None` when that is none.
#[must_use]
pub(in crate::gateway::server::queue) fn told(line: &str) -> Option<Told> {
    let Line { custom_id, response, error, result } = serde_json::from_str(line).ok()?;
    let end = match (response, error, result) {
        (Some(it), _, _) => End::Answer(it.status_code, it.body.get().to_owned()),
        (None, _, Some(it)) => match (it.kind.as_str(), it.message, it.error) {
            ("succeeded", Some(message), _) => End::Answer(200, message.get().to_owned()),
            ("errored", _, Some(error)) => {
                End::Answer(status_of(error.get()), error.get().to_owned())
            }
            (kind, _, _) => End::NotMade(kind.to_owned()),
        },
        (None, Some(error), None) => {
            let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
            let code = error.get("code").and_then(Value::as_str).unwrap_or("failed");
            End::NotMade(code.to_owned())
        }
        (None, None, None) => return None,
    };
    Some(Told { custom_id, end })
}

/// Reads the beginning of a line that is too long; `None` when it does not say whose answer it is.
#[must_use]
pub(in crate::gateway::server::queue) fn told_at_length(beginning: &str) -> Option<Told> {
    let mut custom_id = None;
    // That it breaks off is an error, which comes after the name.
    drop(serde_json::Deserializer::from_str(beginning).deserialize_map(Named(&mut custom_id)));
    custom_id.map(|custom_id| Told { custom_id, end: End::TooLong })
}

/// Takes the name out of an object as soon as it comes.
struct Named<'a>(&'a mut Option<String>);

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of answers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if name == "custom_id" {
                *self.0 = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The status that an error of Anthropic has by its type (<https://docs.anthropic.com/en/api/errors>).
fn status_of(error: &str) -> u16 {
    let error: Value = serde_json::from_str(error).unwrap_or_default();
    let kind = error.pointer("/error/type").or_else(|| error.get("type")).and_then(Value::as_str);
    match kind.unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_of_a_file_or_members_of_a_list() {
        let body = "{\"model\":\"m\",\r\n \"messages\":[]}";
        let line = request(Operation::ChatCompletions, "a-1", body);
        insta::assert_snapshot!(input(Dialect::OpenAi, &[line]), @r#"
        {"custom_id":"a-1","method":"POST","url":"/v1/chat/completions","body":{"model":"m",   "messages":[]}}
        "#);
        let one = request(Operation::Messages, "a-1", "{}");
        insta::assert_snapshot!(input(Dialect::Anthropic, &[one]), @r#"{"requests":[{"custom_id":"a-1","params":{}}]}"#);
    }

    #[test]
    fn a_file_is_a_form_whose_border_is_not_in_it() {
        let (kind, body) = form("b1", 60, "--trunkline-b1\n");
        assert_eq!(kind, "multipart/form-data; boundary=trunkline-b1x");
        assert!(body.ends_with("--trunkline-b1\n\r\n--trunkline-b1x--\r\n"), "{body}");
        assert!(body.contains("name=\"purpose\"\r\n\r\nbatch\r\n"), "{body}");
    }

    #[test]
    fn batches_are_read_in_both_words() {
        let openai = json!({"id": "b", "status": "expired", "output_file_id": "f1", "error_file_id": null,
            "metadata": {"trunkline_batch": "x"}, "request_counts": {"total": 3}, "created_at": 7});
        let read = remote(Dialect::OpenAi, &openai).unwrap();
        assert_eq!(
            (read.standing, read.files, read.requests),
            (Standing::Ended, vec!["f1".to_owned()], 3)
        );
        assert_eq!((read.name.as_str(), read.created_at), ("x", Some(7)));
        let failed =
            json!({"id": "b", "status": "failed", "errors": {"data": [{"message": "bad line"}]}});
        let read = remote(Dialect::OpenAi, &failed).unwrap();
        assert_eq!((read.standing, read.error.as_str()), (Standing::Failed, "bad line"));
        let anthropic = json!({"id": "b", "processing_status": "canceling",
            "request_counts": {"processing": 2, "succeeded": 1}});
        let read = remote(Dialect::Anthropic, &anthropic).unwrap();
        assert_eq!((read.standing, read.requests), (Standing::UnderWay, 3));
        assert_eq!(remote(Dialect::OpenAi, &json!({"error": {}})), None);
    }

    #[test]
    fn answers_errors_and_what_was_not_made_are_told_apart() {
        let end = |line: &str| told(line).map(|it| it.end);
        let answer = |status, body: &str| Some(End::Answer(status, body.to_owned()));
        let not_made = |why: &str| Some(End::NotMade(why.to_owned()));
        assert_eq!(
            end(r#"{"custom_id":"a","response":{"status_code":200,"body":{"x":1}},"error":null}"#),
            answer(200, r#"{"x":1}"#)
        );
        assert_eq!(
            end(
                r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired","message":"m"}}"#
            ),
            not_made("batch_expired")
        );
        assert_eq!(
            end(r#"{"custom_id":"a","result":{"type":"succeeded","message":{"x":1}}}"#),
            answer(200, r#"{"x":1}"#)
        );
        let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
        assert_eq!(
            end(&format!(r#"{{"custom_id":"a","result":{{"type":"errored","error":{error}}}}}"#)),
            answer(529, error)
        );
        assert_eq!(end(r#"{"custom_id":"a","result":{"type":"expired"}}"#), not_made("expired"));
        assert_eq!(end("no JSON"), None);
    }

    #[test]
    fn the_beginning_of_a_line_says_whose_answer_it_is() {
        let whose = |beginning: &str| told_at_length(beginning).map(|it| it.custom_id);
        let openai = r#"{"id":"r","custom_id":"a-1","response":{"status_code":200,"body":{"x":"yy"#;
        assert_eq!(whose(openai).as_deref(), Some("a-1"));
        let anthropic = r#"{"custom_id":"a-1","result":{"type":"succ"#;
        assert_eq!(whose(anthropic).as_deref(), Some("a-1"));
        assert_eq!(whose(r#"{"response":{"custom_id":"other","body":"yy"#), None);
        assert_eq!(whose("no JSON"), None);
    }
}
