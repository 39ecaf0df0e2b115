//! What is asked of a server: method, path, query and body.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

/// What may stand in a segment or a value as it is (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One request to the API.
#[derive(Clone)]
pub struct Call {
    /// What is to be done.
    pub method: Method,
    /// Path and query, from the root on.
    pub target: String,
    /// The body, as JSON.
    pub body: Option<Value>,
}

impl std::fmt::Debug for Call {
    /// A body may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

impl Call {
    /// A call to what these segments name below `/api/v1`.
    #[must_use]
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let mut target = crate::api::PREFIX.to_owned();
        for segment in segments {
            target.push('/');
            target.push_str(&encoded(segment));
        }
        Self { method, target, body: None }
    }

    /// Reads something.
    #[must_use]
    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// Asks for something.
    #[must_use]
    pub fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    /// Puts something in its place.
    #[must_use]
    pub fn put(segments: &[&str]) -> Self {
        Self::new(Method::PUT, segments)
    }

    /// Changes what is named of something.
    #[must_use]
    pub fn patch(segments: &[&str]) -> Self {
        Self::new(Method::PATCH, segments)
    }

    /// Removes something.
    #[must_use]
    pub fn delete(segments: &[&str]) -> Self {
        Self::new(Method::DELETE, segments)
    }

    /// With this in the query, unless it is empty.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts alike are given as they are"
    )]
    #[must_use]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.target.push(if self.target.contains('?') { '&' } else { '?' });
            self.target.push_str(&format!("{name}={}", encoded(&value)));
        }
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_value(body).ok();
        self
    }
}

/// `..` and `.` would be taken for steps between folders.
fn encoded(text: &str) -> String {
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, ENCODED).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_stays_in_its_segment() {
        let call =
            Call::get(&["runs", "01k", "stages", "unit (3.11)/x?"]).query("from_line", "1&2");
        assert_eq!(call.target, "/api/v1/runs/01k/stages/unit%20%283.11%29%2Fx%3F?from_line=1%262");
        assert_eq!(Call::get(&["a"]).query("x", "").query("y", 2).target, "/api/v1/a?y=2");
    }
}
