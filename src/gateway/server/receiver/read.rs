//! From spans as they came to rows: what is no span, and what is beyond the bounds, is left out and counted. Texts are
//! scrubbed here, before anything of them is held. Pure.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::said::{self, Said};
use super::values::{Bounds, Values};
use super::wire::{ExportRequest, KeyValue, Scope, Span};
use crate::gateway::keys::{self, Key};
use crate::gateway::ledger::row::owner;
use crate::gateway::ledger::trail::content::Content;
use crate::gateway::ledger::trail::settings::Keep;
use crate::gateway::ledger::trail::trails::{ReceivedSpan, Trails};
use crate::model::trace::received::{
    Attributes, ReceivedDetail, ReceivedEvent, ReceivedLink, operation,
};
use crate::model::{SpanId, Timestamp, TraceId};
use crate::store::spend::calls::Owner;
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::TraceContentRow;

/// Spans of one request.
pub(super) const SPANS_AT_MOST: usize = 2_048;
/// Attributes of a span, of an event in it, and of a resource.
const OF_SPAN: usize = 64;
const OF_EVENT: usize = 16;
const OF_RESOURCE: usize = 32;
/// Events and links of a span.
const EVENTS_AT_MOST: usize = 32;
const LINKS_AT_MOST: usize = 16;
/// Bytes of a name, and of why something went wrong.
const NAME_BYTES: usize = 256;
const MESSAGE_BYTES: usize = 1_024;
/// Bytes of all attributes of a span and its events, and of those of a resource.
const SPAN_BYTES: usize = 16 << 10;
const RESOURCE_BYTES: usize = 4 << 10;
/// A clock may be ahead by so much.
const AHEAD_MS: i64 = 3_600_000;
/// What every id begins with.
const ID: &str = "spn_";

/// Whose spans they are, and what is kept of them.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) trails: &'a Trails,
    pub(super) key: &'a Key,
    /// The text of the key, which no span shall hold.
    pub(super) key_text: &'a str,
    pub(super) keep: Keep,
    pub(super) now: Timestamp,
}

/// The spans that are taken, and how many are not.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) spans: Vec<ReceivedSpan>,
    pub(super) rejected: usize,
    /// Why, of the first one.
    pub(super) why: Option<&'static str>,
}

impl Read {
    fn reject(&mut self, why: &'static str) {
        self.rejected += 1;
        self.why.get_or_insert(why);
    }
}

/// Who has made a span.
struct Maker {
    service: String,
    resource: Attributes,
    scope: String,
}

impl Reader<'_> {
    pub(super) fn read(&self, request: ExportRequest) -> Read {
        let mut read = Read::default();
        for group in request.resource_spans {
            let mut values = self.values(RESOURCE_BYTES);
            let attributes = group.resource.map(|it| it.attributes).unwrap_or_default();
            let (resource, _) = gather(attributes, (&mut values, OF_RESOURCE), None);
            let service = text_of(&resource, "service.name");
            for scoped in group.scope_spans {
                let scope = self.name(&scoped.scope.unwrap_or(Scope { name: String::new() }).name);
                let maker = Maker { service: service.clone(), resource: resource.clone(), scope };
                for span in scoped.spans {
                    if read.spans.len() >= SPANS_AT_MOST {
                        read.reject("a request holds too many spans");
                        continue;
                    }
                    match self.span(span, &maker) {
                        Ok(span) => read.spans.push(span),
                        Err(why) => read.reject(why),
                    }
                }
            }
        }
        read
    }

    fn span(&self, span: Span, maker: &Maker) -> Result<ReceivedSpan, &'static str> {
        let trace = trace_id(&span.trace_id).ok_or("a span has no `trace_id` of 16 bytes")?;
        let id = span_id(&span.id).ok_or("a span has no `span_id` of 8 bytes")?;
        let at_us = micros(span.start_time_unix_nano);
        if at_us / 1000 > self.now.0.saturating_add(AHEAD_MS) {
            return Err("a span begins more than an hour from now");
        }
        // One that is its own parent has none.
        let parent = span_id(&span.parent_span_id).filter(|it| *it != id);
        let total_us = micros(span.end_time_unix_nano).saturating_sub(at_us).max(0);
        let (name, kind) = (self.name(&span.name), kind(span.kind).to_owned());
        let mut heard = Said::new(self.keep);
        let detail = self.detail(span, maker, &mut heard);
        let row = SpanRow {
            id: row_id(&owner(&self.key.subject), &self.key.name, (trace, id)),
            trace: trace.to_string(),
            span: id.to_string(),
            parent: parent.map(|it| it.to_string()).unwrap_or_default(),
            at: Timestamp(at_us / 1000),
            at_us,
            written_at: Timestamp(0),
            key_name: self.key.name.clone(),
            owner: owner(&self.key.subject),
            service: maker.service.clone(),
            name,
            kind,
            operation: operation(&detail.attributes).to_owned(),
            provider: first_of(
                &detail.attributes,
                &["gen_ai.provider.name", "gen_ai.system", "db.system.name", "db.system"],
            ),
            model: first_of(&detail.attributes, &["gen_ai.request.model", "llm.model_name"]),
            status: http_status(&detail.attributes),
            error: error_of(&detail),
            total_us,
            detail: serde_json::to_string(&detail).unwrap_or_default(),
        };
        let content = self.content(&row.id, heard);
        Ok(ReceivedSpan { row, content })
    }

    fn detail(&self, span: Span, maker: &Maker, heard: &mut Said) -> ReceivedDetail {
        let status = span.status.unwrap_or_default();
        let mut values = self.values(SPAN_BYTES);
        let (attributes, dropped) =
            gather(span.attributes, (&mut values, OF_SPAN), Some((&mut *heard, "")));
        let mut detail = ReceivedDetail {
            status: ["", "ok", "error"]
                .get(usize::try_from(status.code).unwrap_or_default())
                .map_or_else(String::new, |it| (*it).to_owned()),
            message: values.text(&status.message, MESSAGE_BYTES),
            resource: maker.resource.clone(),
            scope: maker.scope.clone(),
            dropped: dropped
                .saturating_add(span.dropped_attributes_count)
                .saturating_add(span.dropped_events_count)
                .saturating_add(span.dropped_links_count),
            attributes,
            ..ReceivedDetail::default()
        };
        let more = span.events.len().saturating_sub(EVENTS_AT_MOST)
            + span.links.len().saturating_sub(LINKS_AT_MOST);
        detail.dropped = detail.dropped.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        for event in span.events.into_iter().take(EVENTS_AT_MOST) {
            let name = self.name(&event.name);
            let (attributes, dropped) = gather(
                event.attributes,
                (&mut values, OF_EVENT),
                Some((&mut *heard, name.as_str())),
            );
            detail.dropped = detail.dropped.saturating_add(dropped);
            let at_us = micros(event.time_unix_nano);
            detail.events.push(ReceivedEvent { at_us, name, attributes });
        }
        detail.links = span.links.iter().take(LINKS_AT_MOST).filter_map(link).collect();
        detail
    }

    fn content(&self, id: &str, heard: Said) -> Option<TraceContentRow> {
        let heard = heard.content?;
        let is_redacted = self.keep == Keep::Redacted;
        let scrub = |text: &str| {
            self.trails.scrubbed(&text.replace(self.key_text, "[redacted]"), is_redacted)
        };
        let content: Content = heard.scrubbed(&scrub).cut(self.trails.settings().content_bytes);
        Some(TraceContentRow {
            id: id.to_owned(),
            written_at: Timestamp(0),
            kept: self.keep.as_str().to_owned(),
            is_cut: content.is_cut,
            content: serde_json::to_string(&content).unwrap_or_default(),
        })
    }

    fn values(&self, bytes: usize) -> Values<'_> {
        let is_redacted = self.keep != Keep::Full;
        Values::new(self.trails, (self.key_text, is_redacted), Bounds { bytes, name: NAME_BYTES })
    }

    fn name(&self, text: &str) -> String {
        self.values(NAME_BYTES).text(text, NAME_BYTES)
    }
}

/// What is an attribute, and how many are none or too many. What was said goes to `heard`.
fn gather(
    pairs: Vec<KeyValue>,
    (values, most): (&mut Values<'_>, usize),
    mut heard: Option<(&mut Said, &str)>,
) -> (Attributes, u32) {
    let (mut attributes, mut dropped) = (Attributes::new(), 0_u32);
    for KeyValue { key: name, value } in pairs {
        let event = heard.as_ref().map_or("", |it| it.1);
        if said::is_content(&name, event) {
            if let Some((heard, _)) = &mut heard {
                heard.hear(&name, value);
            }
            continue;
        }
        let has_room = attributes.len() < most && !attributes.contains_key(&name);
        let is_taken = has_room && values.is_name(&name) && !is_ours(&name);
        let value = is_taken.then(|| values.attribute(&name, value)).flatten();
        match value {
            Some(Value::Null) => {}
            Some(value) => drop(attributes.insert(name, value)),
            None => dropped = dropped.saturating_add(1),
        }
    }
    (attributes, dropped)
}

/// Those are what the gateway says, and nobody else.
fn is_ours(name: &str) -> bool {
    name.starts_with("trunkline.")
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let id = u128::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(TraceId(id))
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let id = u64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(SpanId(id))
}

fn link(link: &super::wire::Link) -> Option<ReceivedLink> {
    let (trace, span) = (trace_id(&link.trace_id)?, span_id(&link.span_id)?);
    Some(ReceivedLink { trace: trace.to_string(), span: span.to_string() })
}

/// The same each time that a span comes, and another one for each owner: nobody takes the place of what is not theirs.
fn row_id(owner: &Owner, key: &str, (trace, span): (TraceId, SpanId)) -> String {
    let nobodys = owner.team.is_empty() && owner.project.is_empty();
    let key = if nobodys { key } else { "" };
    let whose = [&owner.organisation, &owner.team, &owner.project].map(String::as_str);
    let mut digest = Sha256::new();
    for part in whose.into_iter().chain([key]) {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.update(trace.0.to_be_bytes());
    digest.update(span.0.to_be_bytes());
    let hex = keys::hex(&digest.finalize().into());
    format!("{ID}{}", hex.get(..32).unwrap_or_default())
}

fn kind(number: i32) -> &'static str {
    match number {
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "internal",
    }
}

fn micros(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1000).unwrap_or(i64::MAX)
}

fn text_of(attributes: &Attributes, name: &str) -> String {
    attributes.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn first_of(attributes: &Attributes, names: &[&str]) -> String {
    let mut found = names.iter().filter_map(|it| attributes.get(*it)?.as_str());
    found.next().unwrap_or_default().to_owned()
}

fn http_status(attributes: &Attributes) -> Option<i64> {
    let names = ["http.response.status_code", "http.status_code"];
    names.into_iter().find_map(|it| attributes.get(it)?.as_i64())
}

/// The word for what went wrong: the conventions' own, or just that something did.
fn error_of(detail: &ReceivedDetail) -> String {
    match text_of(&detail.attributes, "error.type") {
        kind if !kind.is_empty() => kind,
        _ if detail.status == "error" => "error".to_owned(),
        _ => String::new(),
    }
}
