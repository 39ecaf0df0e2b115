//! The wire format: JSON of OTLP (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in
//! hexadecimal, 64-bit numbers as texts. Written straight from the spans: a tree of it would be many times as large.

use serde::{Serialize, Serializer};
use serde_json::{Number, Value, json};

use super::span::{Attributes, Maker, Micros, Span, SpanStatus};

/// A request with these spans, by who has made them.
#[must_use]
pub fn to_json(spans: &[Span]) -> String {
    let own: Attributes = vec![
        ("service.name".into(), json!("trunkline")),
        ("service.version".into(), json!(env!("CARGO_PKG_VERSION"))),
    ];
    // Those of one request come one after the other.
    let groups =
        spans.chunk_by(|one, other| is_alike(one.maker.as_deref(), other.maker.as_deref()));
    let request = Request { resource_spans: groups.map(|it| Group::of(it, &own)).collect() };
    serde_json::to_string(&request).unwrap_or_default()
}

fn is_alike(one: Option<&Maker>, other: Option<&Maker>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (&one.resource, &one.scope) == (&other.resource, &other.scope),
        (one, other) => one.is_none() && other.is_none(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: Vec<Group<'a>>,
}

/// Spans of one maker.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(serialize_with = "attributes")]
    attributes: &'a Attributes,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope<'a>,
    #[serde(serialize_with = "spans")]
    spans: &'a [Span],
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl<'a> Group<'a> {
    fn of(spans: &'a [Span], own: &'a Attributes) -> Self {
        let maker = spans.first().and_then(|it| it.maker.as_deref());
        let attributes = maker.map_or(own, |it| &it.resource);
        let scope = match maker {
            Some(maker) => Scope { name: &maker.scope, version: None },
            None => Scope { name: "trunkline", version: Some(env!("CARGO_PKG_VERSION")) },
        };
        Self { resource: Resource { attributes }, scope_spans: [ScopeSpans { scope, spans }] }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    parent_span_id: &'a str,
    name: &'a str,
    kind: u8,
    #[serde(serialize_with = "nanoseconds")]
    start_time_unix_nano: Micros,
    #[serde(serialize_with = "nanoseconds")]
    end_time_unix_nano: Micros,
    #[serde(serialize_with = "attributes")]
    attributes: &'a Attributes,
    events: Vec<EventJson<'a>>,
    status: StatusJson<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<LinkJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    #[serde(serialize_with = "nanoseconds")]
    time_unix_nano: Micros,
    name: &'a str,
    #[serde(serialize_with = "attributes")]
    attributes: &'a Attributes,
}

#[derive(Serialize)]
struct StatusJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkJson<'a> {
    trace_id: &'a str,
    span_id: &'a str,
}

impl<'a> SpanJson<'a> {
    fn of(span: &'a Span) -> Self {
        let events = span.events.iter();
        let events = events.map(|(at, name, attributes)| EventJson {
            time_unix_nano: *at,
            name,
            attributes,
        });
        let (code, message) = match &span.status {
            SpanStatus::Unset => (None, None),
            SpanStatus::Ok => (Some(1), None),
            SpanStatus::Error(message) => (Some(2), Some(message.as_str())),
        };
        let links = span.maker.iter().flat_map(|it| &it.links);
        Self {
            trace_id: &span.trace_id,
            span_id: &span.span_id,
            parent_span_id: &span.parent_id,
            name: &span.name,
            kind: span.kind as u8,
            start_time_unix_nano: span.began,
            end_time_unix_nano: span.ended,
            attributes: &span.attributes,
            events: events.collect(),
            status: StatusJson { code, message },
            links: links.map(|it| LinkJson { trace_id: &it.0, span_id: &it.1 }).collect(),
        }
    }
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    DoubleValue(&'a Number),
    IntValue(String),
    BoolValue(bool),
    StringValue(&'a str),
    ArrayValue {
        values: Vec<AnyValue<'a>>,
    },
    KvlistValue {
        values: Vec<KeyValue<'a>>,
    },
    #[serde(untagged)]
    Nothing {},
}

impl<'a> AnyValue<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Number(number) if number.is_f64() => Self::DoubleValue(number),
            Value::Number(number) => Self::IntValue(number.to_string()),
            Value::Bool(is) => Self::BoolValue(*is),
            Value::String(text) => Self::StringValue(text),
            Value::Array(items) => {
                Self::ArrayValue { values: items.iter().map(Self::of).collect() }
            }
            Value::Object(members) => {
                let pair =
                    |(key, it): (&'a String, &'a Value)| KeyValue { key, value: Self::of(it) };
                Self::KvlistValue { values: members.iter().map(pair).collect() }
            }
            Value::Null => Self::Nothing {},
        }
    }
}

fn spans<S: Serializer>(spans: &[Span], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(spans.iter().map(SpanJson::of))
}

fn attributes<S: Serializer>(all: &Attributes, serializer: S) -> Result<S::Ok, S::Error> {
    let pairs = all.iter().map(|(key, value)| KeyValue { key, value: AnyValue::of(value) });
    serializer.collect_seq(pairs)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn nanoseconds<S: Serializer>(at: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&(i128::from(at.0) * 1_000).max(0))
}
