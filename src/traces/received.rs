//! From a row of a span that an app has sent to the span. Pure.

use serde_json::Value;

use super::span::{Attributes, Maker, Micros, Span, SpanKind, SpanStatus};
use crate::model::trace::received::{self, ReceivedDetail};
use crate::store::spend::requests::spans::SpanRow;

/// The span of a row, with whose it is.
#[must_use]
pub fn received_span(row: &SpanRow) -> Span {
    let detail: ReceivedDetail = serde_json::from_str(&row.detail).unwrap_or_default();
    let began = Micros(row.at_us);
    let owner = &row.owner;
    let mut span = Span {
        trace_id: row.trace.clone(),
        span_id: row.span.clone(),
        parent_id: row.parent.clone(),
        name: if row.name.is_empty() { "(no name)".to_owned() } else { row.name.clone() },
        kind: kind(&row.kind),
        began,
        ended: Micros(row.at_us.saturating_add(row.total_us)),
        status: match detail.status.as_str() {
            "error" => SpanStatus::Error(detail.message),
            "ok" => SpanStatus::Ok,
            _ => SpanStatus::Unset,
        },
        attributes: pairs(detail.attributes),
        events: detail
            .events
            .into_iter()
            .map(|it| (Micros(it.at_us), it.name, pairs(it.attributes)))
            .collect(),
        maker: None,
    };
    for (name, value) in [
        ("trunkline.key", &row.key_name),
        ("trunkline.team", &owner.team),
        ("trunkline.project", &owner.project),
        ("trunkline.endpoint", &owner.endpoint),
        ("trunkline.run", &owner.run),
        ("trunkline.stage", &owner.stage),
    ] {
        span.with(name, value.as_str());
    }
    if detail.dropped > 0 {
        span.with("trunkline.dropped", detail.dropped);
    }
    span.maker = Some(Box::new(Maker {
        id: row.id.clone(),
        service: row.service.clone(),
        resource: pairs(detail.resource),
        scope: detail.scope,
        links: detail.links.into_iter().map(|it| (it.trace, it.span)).collect(),
        team: owner.team.clone(),
    }));
    span
}

fn pairs(attributes: received::Attributes) -> Attributes {
    let pair = |(name, value): (String, Value)| (name.into(), value);
    attributes.into_iter().map(pair).collect()
}

fn kind(word: &str) -> SpanKind {
    match word {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}
