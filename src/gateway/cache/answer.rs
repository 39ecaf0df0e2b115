//! Whether what a provider sends with status 200 is an answer of the operation: nothing else may be kept. Pure.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::provider::Operation;

/// The members of an object.
type Members<'a> = HashMap<String, &'a RawValue>;

/// Whether a whole body is an answer that would be given again: it has what answers of this operation must have, and no
/// error.
#[must_use]
pub fn is_answer(operation: Operation, body: &[u8]) -> bool {
    let members = std::str::from_utf8(body).ok();
    let members = members.and_then(|it| serde_json::from_str::<Members<'_>>(it).ok());
    let Some(members) = members.filter(|it| given(it, "error").is_none()) else { return false };
    match operation {
        Operation::ChatCompletions => each_has(&members, "choices", "message"),
        Operation::Completions => each_has(&members, "choices", "text"),
        // One that is queued or in progress is a promise.
        Operation::Responses => {
            let status = given(&members, "status");
            let is_done = matches!(status, Some("\"completed\"" | "\"incomplete\""));
            is_done && items(&members, "output").is_some()
        }
        Operation::Embeddings => each_has(&members, "data", "embedding"),
        Operation::Moderations => items(&members, "results").is_some_and(|it| !it.is_empty()),
        Operation::Messages => items(&members, "content").is_some(),
        Operation::CountTokens => {
            given(&members, "input_tokens").is_some_and(|it| it.parse::<f64>().is_ok())
        }
    }
}

/// A member that is there, and not `null`.
fn given<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    members.get(name).copied().map(RawValue::get).filter(|it| *it != "null")
}

/// The objects of a list; `None` for what is none.
fn items<'a>(members: &Members<'a>, name: &str) -> Option<Vec<Members<'a>>> {
    serde_json::from_str(given(members, name)?).ok()
}

/// Whether a list has objects, and each of them this member and no error.
fn each_has(members: &Members<'_>, list: &str, member: &str) -> bool {
    let is_good = |it: &Members<'_>| given(it, member).is_some() && given(it, "error").is_none();
    items(members, list).is_some_and(|it| !it.is_empty() && it.iter().all(is_good))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: Operation, good: &[&str], bad: &[&str]) {
        for body in good {
            assert!(is_answer(operation, body.as_bytes()), "{operation:?} {body}");
        }
        let never = ["", "[1]", "404", "\"x\"", "null", "{}", "<html>", r#"{"usage":{}}"#];
        for body in bad.iter().chain(&never) {
            assert!(!is_answer(operation, body.as_bytes()), "{operation:?} {body}");
        }
    }

    #[test]
    fn an_answer_has_what_those_of_its_operation_have() {
        check(
            Operation::ChatCompletions,
            &[
                r#" {"choices":[{"message":{"content":"a"}},{"message":{}}],"error":null} "#,
                r#"{"choices":[{"index":0,"message":{"content":"a"},"error":null}]}"#,
            ],
            &[
                r#"{"choices":[]}"#,
                r#"{"choices":{}}"#,
                r#"{"choices":null}"#,
                r#"{"choices":[1]}"#,
                r#"{"choices":[[{}]]}"#,
                r#"{"choices":[{"text":"a"}]}"#,
                r#"{"choices":[{"message":{}},{"message":null}]}"#,
                r#"{"choices":[{"message":{},"error":{"code":502}}]}"#,
                r#"{"choices":[{"message":{}}],"error":{"code":502}}"#,
                r#"[null,[{"message":{}}]]"#,
                r#"{"choices":[{"message":{}}]"#,
            ],
        );
        check(
            Operation::Completions,
            &[r#"{"choices":[{"text":""}]}"#],
            &[r#"{"choices":[{"message":{}}]}"#],
        );
        check(
            Operation::Responses,
            &[
                r#"{"status":"completed","output":[{"type":"message"}],"error":null}"#,
                r#"{"status":"incomplete","output":[]}"#,
            ],
            &[
                r#"{"status":"queued","output":[]}"#,
                r#"{"status":"completed"}"#,
                r#"{"status":"failed","output":[],"error":{"code":"x"}}"#,
                r#"{"output":[]}"#,
            ],
        );
        check(
            Operation::Messages,
            &[r#"{"type":"message","content":[{"type":"text","text":"a"}]}"#, r#"{"content":[]}"#],
            &[r#"{"type":"message"}"#, r#"{"content":"a"}"#],
        );
        check(
            Operation::Embeddings,
            &[r#"{"data":[{"embedding":[1]}]}"#],
            &[r#"{"data":[]}"#, r#"{"data":[{"index":0}]}"#],
        );
        check(Operation::Moderations, &[r#"{"results":[{}]}"#], &[r#"{"results":[]}"#]);
        check(
            Operation::CountTokens,
            &[r#"{"input_tokens":3}"#, r#"{"input_tokens":3.0}"#],
            &[r#"{"input_tokens":"3"}"#, r#"{"input_tokens":null}"#, r#"{"tokens":3}"#],
        );
    }
}
