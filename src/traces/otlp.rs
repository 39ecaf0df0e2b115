//! The wire format: JSON of OTLP (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in
//! hexadecimal, 64-bit numbers as texts.

use serde_json::{Value, json};

use super::span::{Attributes, Maker, Micros, Span, SpanStatus};

/// A request with these spans, by who has made them.
#[must_use]
pub fn to_json(spans: &[Span]) -> Value {
    let mut groups: Vec<(Option<&Maker>, Vec<Value>)> = Vec::new();
    for it in spans {
        let maker = it.maker.as_deref();
        let is_alike = |other: Option<&Maker>| match (maker, other) {
            (Some(one), Some(other)) => {
                (&one.resource, &one.scope) == (&other.resource, &other.scope)
            }
            (one, other) => one.is_none() && other.is_none(),
        };
        // Those of one request come one after the other.
        match groups.last_mut().filter(|group| is_alike(group.0)) {
            Some(group) => group.1.push(span(it)),
            None => groups.push((maker, vec![span(it)])),
        }
    }
    let groups = groups.into_iter().map(|(maker, spans)| match maker {
        Some(maker) => json!({
            "resource": { "attributes": attributes(&maker.resource) },
            "scopeSpans": [{ "scope": { "name": maker.scope }, "spans": spans }],
        }),
        None => json!({
            "resource": { "attributes": attributes(&vec![
                ("service.name".into(), json!("trunkline")),
                ("service.version".into(), json!(env!("CARGO_PKG_VERSION"))),
            ]) },
            "scopeSpans": [{
                "scope": { "name": "trunkline", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }),
    });
    json!({ "resourceSpans": groups.collect::<Vec<_>>() })
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
    let Some(fields) = body.as_object_mut() else { return body };
    if !span.parent_id.is_empty() {
        fields.insert("parentSpanId".to_owned(), json!(span.parent_id));
    }
    let links = span.maker.as_ref().map(|it| it.links.as_slice()).unwrap_or_default();
    if !links.is_empty() {
        let links = links.iter().map(|it| json!({ "traceId": it.0, "spanId": it.1 }));
        fields.insert("links".to_owned(), links.collect());
    }
    body
}

fn attributes(attributes: &Attributes) -> Vec<Value> {
    attributes.iter().map(|(name, it)| json!({ "key": name, "value": any_value(it) })).collect()
}

fn any_value(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Bool(is) => json!({ "boolValue": is }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(items) => {
            let values: Vec<_> = items.iter().map(any_value).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Object(members) => {
            let member =
                |(name, it): (&String, &Value)| json!({ "key": name, "value": any_value(it) });
            let values: Vec<_> = members.iter().map(member).collect();
            json!({ "kvlistValue": { "values": values } })
        }
        Value::Null => json!({}),
    }
}

fn nanoseconds(at: Micros) -> String {
    (i128::from(at.0) * 1_000).max(0).to_string()
}
