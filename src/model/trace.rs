//! Traces: the ids of W3C's trace context, and what happened in one call to a model.
//! Never what was said in it: that is kept apart, if at all.

pub mod received;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::{AttemptName, RunId};
use super::money::UsdNanos;
use super::usage::Usage;

/// Names a trace: 16 bytes, in text 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// Names a span of a trace: 8 bytes, in text 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TraceId {
    /// A run's own. A ULID is 128 bits, as this is: whoever has one can find the other.
    #[must_use]
    pub fn of_run(run: &RunId) -> Self {
        match ulid::Ulid::from_string(&run.0) {
            Ok(id) => Self(id.0),
            Err(_) => Self(first_bytes(run.0.as_bytes())),
        }
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(is_digit);
        let id = is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        (id != 0).then_some(Self(id))
    }
}

impl SpanId {
    /// Of a part of a run, named by its path: one that is told twice is the same.
    #[must_use]
    pub fn of_run(run: &RunId, path: &str) -> Self {
        Self::of_name(&format!("{run}/{path}"))
    }

    /// Of something else that has a name of its own.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(u64::try_from(first_bytes(name.as_bytes()) >> 64).unwrap_or_default())
    }

    /// Of the attempt of a stage.
    #[must_use]
    pub fn of_attempt(attempt: &AttemptName) -> Self {
        Self::of_run(&attempt.run, &attempt_path(attempt.stage.0, attempt.attempt))
    }
}

/// The path of an attempt in its run.
#[must_use]
pub fn attempt_path(stage: u32, attempt: u32) -> String {
    format!("attempt {stage}/{attempt}")
}

fn first_bytes(text: &[u8]) -> u128 {
    Sha256::digest(text).iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// The span that something is done in: what the header `traceparent` says
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

impl TraceParent {
    /// The attempt of a stage, for what it calls.
    #[must_use]
    pub fn of_attempt(attempt: &AttemptName) -> Self {
        Self { trace: TraceId::of_run(&attempt.run), span: SpanId::of_attempt(attempt) }
    }

    /// Reads a header; `None` for what is none, which is then as if it were not there.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().splitn(4, '-');
        let version = parts.next()?;
        let (trace, span) = (TraceId::parse(parts.next()?)?, parts.next()?);
        let flags = parts.next()?;
        let is_known = version.len() == 2 && version.bytes().all(is_digit) && version != "ff";
        // Later versions may say more at the end.
        let is_whole = flags.len() == 2 || (version != "00" && flags.get(2..3) == Some("-"));
        let is_span = span.len() == 16 && span.bytes().all(is_digit);
        let span = u64::from_str_radix(span, 16).ok().filter(|it| *it != 0 && is_span)?;
        (is_known && is_whole).then_some(Self { trace, span: SpanId(span) })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

/// What happened in one call, in the order of time. Moments are microseconds since it came in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallTrail {
    /// Whether the answer was to be a stream.
    #[serde(skip_serializing_if = "is_default")]
    pub is_stream: bool,
    /// The most tokens that the answer was to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// What the gateway's cache had to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<CacheStep>,
    /// Each time that it was sent or answered from here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<CallAttempt>,
    /// What guardrails have found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The provider's own id of the answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub response: String,
    /// Why the answer ended, once for each choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finish: Vec<String>,
    /// Tools that the answer asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolCall>,
    /// Why the gateway refused, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refusal: String,
}

/// What a cache had to do with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStep {
    /// When.
    pub at_us: u64,
    /// `hit`, `part`, `miss` or `kept`.
    pub what: String,
}

/// One time that a call was sent, or was answered from here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallAttempt {
    /// Counts from 1; attempts of a second round after an answer that did not fit begin higher.
    pub number: u32,
    /// Who was asked.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// The model that answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answered_by: String,
    /// `live`, `cache` or `cassette`.
    pub origin: String,
    /// When it began.
    pub began_us: u64,
    /// When the first piece of the answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_us: Option<u64>,
    /// When it was done.
    pub ended_us: u64,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong: one word, or the status.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The same in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    #[serde(skip_serializing_if = "is_default")]
    pub cost: UsdNanos,
    /// What it would have cost.
    #[serde(skip_serializing_if = "is_default")]
    pub avoided: UsdNanos,
    /// What was reserved for it.
    #[serde(skip_serializing_if = "is_default")]
    pub reserved: UsdNanos,
    /// Id of the price that was taken.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub price: String,
    /// What was not as usual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// What a guardrail has found; never the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// What it was, such as `pii_email`.
    pub what: String,
    /// What the rule does: `report`, `redact` or `block`.
    pub action: String,
    /// `in` the request or `out` in the answer.
    pub way: String,
    /// How often.
    pub count: u32,
}

/// A tool that an answer asks for. Its arguments are content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Its name.
    pub name: String,
    /// The id of this call of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StageIndex;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_and_what_is_none_is_as_if_it_were_not_there() {
        let parent = TraceParent::parse(HEADER).unwrap();
        assert_eq!(parent.to_string(), HEADER);
        let later = HEADER.replacen("00-", "cc-", 1) + "-what-comes";
        assert_eq!(TraceParent::parse(&later), Some(parent));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_spans_of_attempts_are_their_own_and_the_same_each_time() {
        let run = RunId("01k9zz0000abcdefghjkmnpqrs".to_owned());
        let name = |attempt| AttemptName { run: run.clone(), stage: StageIndex(1), attempt };
        let first = TraceParent::of_attempt(&name(1));
        assert_eq!(first, TraceParent::of_attempt(&name(1)));
        assert_ne!(first.span, TraceParent::of_attempt(&name(2)).span);
        assert_eq!(first.trace, TraceId::parse(&first.trace.to_string()).unwrap());
    }

    #[test]
    fn a_trail_is_short_where_little_happened_and_reads_what_a_later_version_wrote() {
        let text = serde_json::to_string(&CallTrail::default()).unwrap();
        assert_eq!(text, "{}");
        let read: CallTrail = serde_json::from_str("{\"later\":1,\"finish\":[\"stop\"]}").unwrap();
        assert_eq!(read.finish, ["stop"]);
    }
}
