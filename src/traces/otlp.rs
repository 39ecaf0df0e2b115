//! The wire format: JSON of OTLP (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in
//! hexadecimal, 64-bit numbers as texts.

use serde_json::{Value, json};

use super::span::{Micros, Span, SpanStatus};

/// A request with these spans.
#[must_use]
pub fn to_json(spans: &[Span]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&[
            ("service.name", json!("trunkline")),
            ("service.version", json!(env!("CARGO_PKG_VERSION"))),
        ]) },
        "scopeSpans": [{
            "scope": { "name": "trunkline", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Value {
    let events = span.events.iter().map(|(at, name, more)| {
        json!({ "timeUnixNano": nanoseconds(*at), "name": name, "attributes": attributes(more) })
    });
    let mut body = json!({
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.ended),
        "attributes": attributes(&span.attributes),
        "events": events.collect::<Vec<_>>(),
        "status": match &span.status {
            SpanStatus::Unset => json!({}),
            SpanStatus::Ok => json!({ "code": 1 }),
            SpanStatus::Error(message) => json!({ "code": 2, "message": message }),
        },
    });
    if let Some(fields) = body.as_object_mut().filter(|_| !span.parent_id.is_empty()) {
        fields.insert("parentSpanId".to_owned(), json!(span.parent_id));
    }
    body
}

fn attributes(attributes: &[(&'static str, Value)]) -> Vec<Value> {
    let value = |value: &Value| match value {
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Bool(is) => json!({ "boolValue": is }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let values = items.iter().map(|it| json!({ "stringValue": it }));
            json!({ "arrayValue": { "values": values.collect::<Vec<_>>() } })
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {
            json!({ "stringValue": value.to_string() })
        }
    };
    attributes.iter().map(|(name, it)| json!({ "key": name, "value": value(it) })).collect()
}

fn nanoseconds(at: Micros) -> String {
    (i128::from(at.0) * 1_000).max(0).to_string()
}
