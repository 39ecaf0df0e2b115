//! Looks at a stream on its way. Texts come in small pieces, and a word may lie across their border: each
//! text has a window that holds back its tail. Pieces that need not change pass byte for byte.

pub mod deltas;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::schema::Schema;
use super::settings::Action;
use super::texts::{self, Form};
use super::window::Window;
use super::{Rule, Screen, Stopped, UNREADABLE, Way, blank_logprobs};
use crate::model::trace::Finding;
use crate::provider::Operation;
use crate::provider::sse::Parser;
use deltas::{Closes, closes, delta_of};

/// The largest event that is looked at.
const EVENT_BYTES: usize = 8 << 20;
/// The longest text that is compared with a schema.
const TEXT_BYTES: usize = 4 << 20;

/// Looks at one stream.
#[derive(Debug)]
pub struct Filter {
    parser: Parser,
    lane: Lane,
    held: BytesMut,
    /// Where the held bytes begin in the stream.
    start: u64,
    changes: bool,
}

/// A schema that is held against what was said.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The rule that asks for it.
    pub rule: Arc<Rule>,
    /// The schema.
    pub schema: Arc<Schema>,
}

/// The texts of a stream, and what may pass of it.
#[derive(Debug)]
struct Lane {
    operation: Operation,
    screen: Screen,
    channels: BTreeMap<String, Channel>,
    changes: bool,
    judges: Vec<Judge>,
    is_judged: bool,
    out: BytesMut,
    stopped: Option<Stopped>,
}

/// One text.
#[derive(Debug)]
struct Channel {
    window: Window,
    form: Form,
    /// The last event with a piece of it, in whose form the rest can be said.
    template: Option<Arc<Template>>,
    /// All of it, where a schema is to be held against it.
    said: String,
}

#[derive(Debug)]
struct Template {
    name: Vec<u8>,
    data: String,
    places: Vec<(String, Range<usize>)>,
}

impl Filter {
    /// For a stream of this kind.
    #[must_use]
    pub fn new(operation: Operation, screen: Screen, judges: Vec<Judge>) -> Self {
        let changes = screen.changes_answers();
        let lane = Lane {
            operation,
            screen,
            channels: BTreeMap::new(),
            changes,
            judges,
            is_judged: false,
            out: BytesMut::new(),
            stopped: None,
        };
        let (parser, held) = (Parser::new(EVENT_BYTES), BytesMut::new());
        Self { parser, lane, held, start: 0, changes }
    }

    /// Takes a piece in and gives what may pass.
    pub fn push(&mut self, piece: &Bytes) -> Bytes {
        let Self { parser, lane, held, start, changes, .. } = self;
        if *changes {
            held.extend_from_slice(piece);
        }
        parser.push(piece, |event| {
            let length = usize::try_from(event.range.end - event.range.start).unwrap_or(usize::MAX);
            let raw =
                if *changes { held.split_to(length.min(held.len())) } else { BytesMut::new() };
            *start = event.range.end;
            lane.event(&raw, (event.name, &event.data), event.is_oversized);
        });
        if *changes && held.len() > EVENT_BYTES {
            lane.stop_at("event", "it is too large to be looked at");
            held.clear();
        }
        if *changes { lane.out.split().freeze() } else { piece.clone() }
    }

    /// The stream is over: gives what was held.
    pub fn finish(&mut self) -> Bytes {
        let Self { parser, lane, held, changes, .. } = self;
        parser.finish(|event| {
            let raw = if *changes { held.split() } else { BytesMut::new() };
            lane.event(&raw, (event.name, &event.data), event.is_oversized);
        });
        lane.close(&Closes::All);
        lane.judge();
        if *changes { lane.out.split().freeze() } else { Bytes::new() }
    }

    /// The rule that has stopped it.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stopped> {
        self.lane.stopped.as_ref()
    }

    /// What was noted for people since the last time.
    #[must_use]
    pub fn take_findings(&mut self) -> Vec<Finding> {
        self.lane.screen.take_findings()
    }

    /// What was found.
    #[must_use]
    pub fn flags(&self) -> &[&'static str] {
        self.lane.screen.flags()
    }
}

impl Lane {
    fn stop_at(&mut self, rule: &str, why: &str) {
        let stopped = self.screen.stopped(rule, why);
        self.stopped.get_or_insert(stopped);
    }

    fn event(&mut self, raw: &[u8], (name, data): (&[u8], &[u8]), is_oversized: bool) {
        if self.stopped.is_some() {
            return;
        }
        if is_oversized && self.changes {
            return self.stop_at("event", "it is too large to be looked at");
        }
        if data == b"[DONE]" {
            self.close(&Closes::All);
            self.judge();
        }
        let read = std::str::from_utf8(data).ok();
        let read = read.and_then(|it| Some((it, serde_json::from_str::<Value>(it).ok()?)));
        let Some((text, mut value)) = read else {
            let says_nothing = data.trim_ascii().is_empty() || data == b"[DONE]";
            if !says_nothing && self.screen.must_read_answers() {
                self.stop_at(UNREADABLE, "the event is no JSON");
            }
            if self.stopped.is_none() {
                self.out.extend_from_slice(raw);
            }
            return;
        };
        if deltas::is_last(&value) {
            self.judge();
        }
        let mut plain = None;
        if self.changes && text.contains("\"logprobs\"") && blank_logprobs(&mut value) {
            plain = Some(value.to_string());
        }
        let looked = self.looked(name, plain.as_deref().unwrap_or(text), &value);
        if self.stopped.is_some() {
            return;
        }
        match looked {
            Err(stopped) => drop(self.stopped.get_or_insert(stopped)),
            Ok(changed) => match changed.or(plain) {
                Some(data) => self.say(name, &data),
                None => self.out.extend_from_slice(raw),
            },
        }
    }

    /// The data of an event as it may pass; `None` when it is the same.
    fn looked(
        &mut self,
        name: &[u8],
        data: &str,
        value: &Value,
    ) -> Result<Option<String>, Stopped> {
        let closes = closes(self.operation, value);
        let (mut pieces, mut wholes) = (Vec::new(), Vec::new());
        let visited = texts::strings(data, |path, range| {
            if let Some((channel, form)) = delta_of(self.operation, value, path) {
                pieces.push((channel, range, form));
            } else if let Some(form) = texts::of_answer(path) {
                wholes.push((range, form));
            }
        });
        if visited.is_err() {
            return Err(self.screen.stopped("unreadable", "the JSON goes too deep"));
        }
        let template = self.template(name, data, &pieces);
        let mut edits = Vec::new();
        for (channel, range, form) in pieces {
            let text =
                texts::decode(data.get(range.clone()).unwrap_or_default()).unwrap_or_default();
            let new = self.piece(&channel, (&text, form), template.as_ref(), &closes)?;
            if new != text {
                edits.push((range, texts::encode(&new)));
            }
        }
        self.close_but(&closes, template.as_deref())?;
        for (range, form) in wholes {
            let text =
                texts::decode(data.get(range.clone()).unwrap_or_default()).unwrap_or_default();
            let hits = self.screen.hits(Way::Out, &text);
            let new = self.screen.replaced(Way::Out, &text, 0..text.len(), (&hits, form))?;
            if new != text {
                edits.push((range, texts::encode(&new)));
            }
        }
        Ok((self.changes && !edits.is_empty()).then(|| edited(data, edits)))
    }

    /// Holds what was said against the schemas, once.
    fn judge(&mut self) {
        if self.judges.is_empty() || std::mem::replace(&mut self.is_judged, true) {
            return;
        }
        let calls_tool = self.channels.values().any(|it| it.form == Form::Json);
        let said = self.channels.iter().filter(|it| deltas::is_answer(it.0));
        let mut texts: Vec<_> =
            said.map(|it| it.1.said.clone()).filter(|it| !it.is_empty()).collect();
        if self.operation == Operation::Messages {
            texts = vec![texts.concat()];
        }
        if calls_tool {
            return;
        }
        for judge in self.judges.clone() {
            if texts.iter().any(|it| judge.schema.check(it).is_err()) {
                self.screen.flag("schema");
                self.screen.find(&judge.rule, "schema", Way::Out);
                if judge.rule.action == Action::Block {
                    self.stop_at(&judge.rule.name, "the answer does not fit");
                }
            }
        }
    }

    fn template(
        &self,
        name: &[u8],
        data: &str,
        pieces: &[(String, Range<usize>, Form)],
    ) -> Option<Arc<Template>> {
        if pieces.is_empty() || !self.changes {
            return None;
        }
        let places = pieces.iter().map(|it| (it.0.clone(), it.1.clone())).collect();
        Some(Arc::new(Template { name: name.to_vec(), data: data.to_owned(), places }))
    }

    fn piece(
        &mut self,
        name: &str,
        (text, form): (&str, Form),
        template: Option<&Arc<Template>>,
        closes: &Closes,
    ) -> Result<String, Stopped> {
        let channel = self.channels.entry(name.to_owned()).or_insert_with(|| Channel {
            window: Window::default(),
            form,
            template: None,
            said: String::new(),
        });
        channel.template = template.cloned();
        if !self.judges.is_empty() && channel.said.len() + text.len() <= TEXT_BYTES {
            channel.said.push_str(text);
        }
        let mut out = channel.window.push(&mut self.screen, text, form)?;
        if closes.has(name) {
            out.push_str(&channel.window.flush(&mut self.screen, form)?);
        }
        Ok(out)
    }

    fn close(&mut self, closes: &Closes) {
        if let Err(stopped) = self.close_but(closes, None) {
            self.stopped.get_or_insert(stopped);
        }
    }

    /// Says the rest of texts that end, except of those that the event at hand has a piece of.
    fn close_but(&mut self, closes: &Closes, at_hand: Option<&Template>) -> Result<(), Stopped> {
        let mut rests = Vec::new();
        for (name, channel) in self.channels.iter_mut().filter(|it| closes.has(it.0)) {
            let is_at_hand = at_hand.is_some_and(|it| it.places.iter().any(|it| it.0 == *name));
            if is_at_hand {
                continue;
            }
            let rest = channel.window.flush(&mut self.screen, channel.form)?;
            if let (false, Some(template)) = (rest.is_empty(), &channel.template) {
                rests.push((template.clone(), name.clone(), rest));
            }
        }
        for (template, name, rest) in rests {
            let of = |it: &(String, Range<usize>)| {
                (it.1.clone(), texts::encode(if it.0 == name { &rest } else { "" }))
            };
            let data = edited(&template.data, template.places.iter().map(of).collect());
            self.say(&template.name, &data);
        }
        Ok(())
    }

    fn say(&mut self, name: &[u8], data: &str) {
        if !self.changes {
            return;
        }
        if !name.is_empty() {
            self.out.extend_from_slice(b"event: ");
            self.out.extend_from_slice(name);
            self.out.extend_from_slice(b"\n");
        }
        self.out.extend_from_slice(b"data: ");
        self.out.extend_from_slice(data.as_bytes());
        self.out.extend_from_slice(b"\n\n");
    }
}

fn edited(data: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|it| it.0.start);
    let (mut out, mut at) = (String::with_capacity(data.len() + 64), 0);
    for (range, text) in edits {
        out.push_str(data.get(at..range.start).unwrap_or_default());
        out.push_str(&text);
        at = range.end;
    }
    out.push_str(data.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
