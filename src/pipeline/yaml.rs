//! A YAML 1.2 file as a tree of nodes that know where they stand. Bounded in size, depth and the
//! expansion of aliases; says what is wrong with the text in words for people, never panics.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::diagnostic::Place;
use super::reading::Reading;

mod scalar;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use scalar::{Scalar, ScalarKind};

/// Largest file, in bytes.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// Deepest nesting of lists and mappings.
const MOST_DEPTH: usize = 64;

/// Weight of a tree with all aliases expanded: bytes of text, and [`NODE_WEIGHT`] for each node.
const MOST_WEIGHT: usize = 16 << 20;

/// Weight of a node without its text.
pub(crate) const NODE_WEIGHT: usize = 16;

/// A value of the file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

impl Value {
    /// After the last byte of what is in it.
    fn end(&self) -> Option<usize> {
        let place = match self {
            Self::Scalar(_) => return None,
            Self::Sequence(items) => items.last()?.place,
            Self::Mapping(entries) => {
                let last = entries.last()?;
                let (key, value) = (last.key_place, last.value.place);
                if value.start < key.start { key } else { value }
            }
        };
        Some(place.start + place.len)
    }
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// What stands here, for `found …` in messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Scalar(scalar) => scalar.describe(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The value below a key, if this is a mapping that has it.
    pub(crate) fn find(&self, key: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|it| it.key == key).map(|it| &it.value)
    }

    /// Bytes of text and nodes below this one.
    pub(crate) fn weight(&self) -> usize {
        NODE_WEIGHT
            + match &self.value {
                Value::Scalar(scalar) => scalar.text.len(),
                Value::Sequence(items) => items.iter().map(Self::weight).sum(),
                Value::Mapping(entries) => {
                    entries.iter().map(|it| it.key.len() + NODE_WEIGHT + it.value.weight()).sum()
                }
            }
    }

    /// As JSON; text stays text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(scalar) => scalar.to_json(),
            Value::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => serde_json::Value::Object(
                entries.iter().map(|it| (it.key.clone(), it.value.to_json())).collect(),
            ),
        }
    }
}

/// Reads the one document of a file. `None` when the text is not YAML; problems are in `reading`.
pub(crate) fn parse(text: &str, source: usize, reading: &Reading) -> Option<Node> {
    if !syntax::can_be_read(text, source, reading) {
        return None;
    }
    let mut builder = Builder::new(text, source, reading);
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                let (start, end) =
                    (builder.byte(span.start.index()), builder.byte(span.end.index()));
                builder.take(event, start, end)?;
            }
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let open = builder.open.last().map(|it| it.start);
                let open = open.or_else(|| Some(reading.place(source, at, at)));
                syntax::report(error.info(), at, open, text, reading);
                return None;
            }
        }
    }
    if builder.root.is_none() {
        let message = "the file is empty: it has no `stages`";
        let help = "write `stages:` with at least one stage below it";
        reading.error("yaml/empty", reading.place(source, 0, 0), message, help);
    }
    builder.root
}

/// A list or mapping that has not ended yet.
struct Open {
    start: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<(String, Place)>, seen: HashMap<String, Place> },
}

struct Builder<'a> {
    text: &'a str,
    /// Byte of each character, when the text is not ASCII.
    bytes: Option<Vec<usize>>,
    source: usize,
    reading: &'a Reading,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    weight: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, source: usize, reading: &'a Reading) -> Self {
        let bytes =
            (!text.is_ascii()).then(|| text.char_indices().map(|(index, _)| index).collect());
        Self {
            text,
            bytes,
            source,
            reading,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            weight: 0,
        }
    }

    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
            None => character.min(self.text.len()),
        }
    }

    fn place(&self, start: usize, end: usize) -> Place {
        self.reading.place(self.source, start, end)
    }

    /// `None` ends the parse, with the reason recorded.
    fn take(&mut self, event: Event<'_>, start: usize, end: usize) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(_) => self.start_document(start, end),
            Event::Alias(anchor) => self.take_alias(anchor, start, end),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), start, end);
                self.take_scalar(&text, style, anchor, (start, end))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), start, end);
                self.enter(Content::Sequence(Vec::new()), anchor, start, end)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), start, end);
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.enter(Content::Mapping { entries, key: None, seen }, anchor, start, end)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(end),
        }
    }

    fn start_document(&mut self, start: usize, end: usize) -> Option<()> {
        if self.root.is_none() {
            return Some(());
        }
        let message = "a second document starts here; a pipeline file has exactly one";
        let help = "remove the `---`, or move what follows into a file of its own";
        self.reading.error("yaml/several-documents", self.place(start, end), message, help);
        None
    }

    fn refuse_tag(&self, tag: Option<&Tag>, start: usize, end: usize) {
        let Some(tag) = tag else { return };
        let name = if tag.is_yaml_core_schema() { "!!" } else { tag.handle.as_str() };
        let message = format!("the tag `{name}{}` has no meaning here", tag.suffix);
        let help = "remove it; quote a value that must be text";
        self.reading.error("yaml/tag", self.place(start, end), message, help);
    }

    fn take_alias(&mut self, anchor: usize, start: usize, end: usize) -> Option<()> {
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside the value it refers to, so it has no end";
            let help = "write the value out, or move it into `defaults`";
            self.reading.error("yaml/alias", self.place(start, end), message, help);
            return None;
        };
        let node = node.clone();
        self.add_weight(node.weight(), start, end)?;
        self.add(node);
        Some(())
    }

    fn add_weight(&mut self, weight: usize, start: usize, end: usize) -> Option<()> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MOST_WEIGHT {
            return Some(());
        }
        let message =
            format!("the file grows beyond {} MiB through its aliases", MOST_WEIGHT >> 20);
        let help = "use fewer `*aliases`, or a template with `include`";
        self.reading.error("yaml/alias-expansion", self.place(start, end), message, help);
        None
    }

    fn take_scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        (start, end): (usize, usize),
    ) -> Option<()> {
        let shown = self.text.get(start..end).unwrap_or_default();
        let place = self.place(start, start + shown.trim_end().len());
        let scalar = Scalar::new(text, style, shown.trim_end());
        self.add_weight(NODE_WEIGHT + text.len(), start, end)?;
        let node = Node { place, value: Value::Scalar(scalar) };
        self.remember(anchor, &node);
        self.add(node);
        Some(())
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn enter(&mut self, content: Content, anchor: usize, start: usize, end: usize) -> Option<()> {
        if self.open.len() >= MOST_DEPTH {
            let message = format!("lists and mappings are nested deeper than {MOST_DEPTH} levels");
            self.reading.error("yaml/depth", self.place(start, end), message, "nest less");
            return None;
        }
        self.add_weight(NODE_WEIGHT, start, end)?;
        self.open.push(Open { start: self.place(start, end), anchor, content });
        Some(())
    }

    fn leave(&mut self, end: usize) -> Option<()> {
        let Open { start, anchor, content } = self.open.pop()?;
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } => Value::Mapping(entries),
        };
        let is_flow = self.text.get(start.start..).is_some_and(|it| it.starts_with(['[', '{']));
        let end = if is_flow { end } else { value.end().unwrap_or(end).clamp(start.start, end) };
        let len = self.text.get(start.start..end).unwrap_or_default().trim_end().len();
        let node = Node { place: Place { len, ..start }, value };
        if anchor != 0 {
            self.add_weight(node.weight(), start.start, end)?;
        }
        self.remember(anchor, &node);
        self.add(node);
        Some(())
    }

    fn add(&mut self, node: Node) {
        let reading = self.reading;
        match self.open.last_mut().map(|it| &mut it.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key, seen }) => match key.take() {
                None => *key = Some(key_of(&node, reading)),
                Some((name, place)) => {
                    if let Some(first) = seen.get(&name) {
                        duplicate_key(&name, place, *first, reading);
                    } else {
                        seen.insert(name.clone(), place);
                        entries.push(Entry { key: name, key_place: place, value: node });
                    }
                }
            },
        }
    }
}

fn key_of(node: &Node, reading: &Reading) -> (String, Place) {
    if let Value::Scalar(scalar) = &node.value {
        return (scalar.text.clone(), node.place);
    }
    let message = format!("a key must be a name, found {}", node.describe());
    let help = "a `{{` at the start of a value must be quoted: `\"{{ … }}\"`";
    reading.error("yaml/key", node.place, message, help);
    (format!("\u{0}{}", node.place.start), node.place)
}

fn duplicate_key(name: &str, place: Place, first: Place, reading: &Reading) {
    let message =
        format!("the key `{name}` stands here a second time; first on line {}", first.line);
    reading.error("yaml/duplicate-key", place, message, "keep one of the two");
}
