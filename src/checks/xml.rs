//! A bounded walk over XML. Entities that a document declares are refused: they are how a small file
//! becomes a large one.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::{ReportError, check_size};

const DEPTH_MAX: usize = 128;

/// What a reader of reports cares about.
pub(super) enum Node<'a> {
    /// An element begins.
    Start(Element<'a>),
    /// The element of this name ends.
    End(String),
    /// Text, entities replaced.
    Text(Cow<'a, str>),
}

/// The beginning of an element.
pub(super) struct Element<'a> {
    start: BytesStart<'a>,
}

/// A document that is being read.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    depth: usize,
}

/// The text of a report; bytes that are no UTF-8 are replaced, as test output may hold anything.
pub(super) fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>, ReportError> {
    check_size(file, bytes)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = "the report is UTF-16; write it as UTF-8".to_owned();
        return Err(ReportError { file: file.to_owned(), line: 1, message });
    }
    Ok(String::from_utf8_lossy(bytes))
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().allow_dangling_amp = true;
        Self { file, text, reader, depth: 0 }
    }

    /// The next node, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Node<'a>>, ReportError> {
        loop {
            let event = self.reader.read_event().map_err(|error| {
                self.problem_at(self.reader.error_position(), format!("is no XML: {error}"))
            })?;
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        let message = format!("elements are nested deeper than {DEPTH_MAX}");
                        return Err(self.problem(message));
                    }
                    return Ok(Some(Node::Start(Element { start })));
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Some(Node::End(end.local_name().into_inner().to_owned())));
                }
                Event::Text(text) => return Ok(Some(Node::Text(text.xml10_content()))),
                Event::CData(text) => return Ok(Some(Node::Text(text.xml10_content()))),
                Event::GeneralRef(name) => return Ok(Some(Node::Text(referred(&name).into()))),
                Event::DocType(text) if text.contains("<!ENTITY") => {
                    return Err(self.problem("declares entities, which are not allowed"));
                }
                Event::Eof if self.depth > 0 => {
                    return Err(self.problem("ends in the middle of an element"));
                }
                Event::Eof => return Ok(None),
                Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::Empty(_) => (),
            }
        }
    }

    /// The name of the outermost element.
    pub(super) fn root(&mut self, wanted: &[&str], kind: &str) -> Result<Element<'a>, ReportError> {
        while let Some(node) = self.next()? {
            if let Node::Start(element) = node {
                if wanted.contains(&element.name()) {
                    return Ok(element);
                }
                let wanted = wanted.join("` or `");
                return Err(self.problem(format!(
                    "is no {kind} report: it begins with `{}`, not with `{wanted}`",
                    element.name()
                )));
            }
        }
        Err(self.problem(format!("is no {kind} report: it is empty")))
    }

    pub(super) fn problem(&self, message: impl Into<String>) -> ReportError {
        self.problem_at(self.reader.buffer_position(), message)
    }

    fn problem_at(&self, position: u64, message: impl Into<String>) -> ReportError {
        let end = usize::try_from(position).unwrap_or(usize::MAX).min(self.text.len());
        let before = self.text.as_bytes().get(..end).unwrap_or_default();
        let line = before.split(|it| *it == b'\n').count() as u64;
        ReportError { file: self.file.to_owned(), line, message: message.into() }
    }
}

impl Element<'_> {
    /// Its name, without a namespace.
    pub(super) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// An attribute, if it is there; entities are replaced.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let attribute = self.start.try_get_attribute(name).ok().flatten()?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        Some(value.map_or_else(|_| attribute.value.clone().into_owned(), Cow::into_owned))
    }

    /// A number, if it is there and is one. Some writers put commas between thousands.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let value: f64 = self.attribute(name)?.trim().replace(',', "").parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    }

    /// A whole number, if it is there and is one.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        self.attribute(name)?.trim().parse().ok()
    }
}

/// The five entities of XML, and characters by number; anything else stays as it was written.
fn referred(name: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return character.to_string();
    }
    match &**name {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        other => format!("&{other};"),
    }
}
