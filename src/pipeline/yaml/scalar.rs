//! Scalars, resolved by the core schema of YAML 1.2 (specification section 10.3.2).

use saphyr_parser::ScalarStyle;

/// A single value.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: ScalarKind,
    /// Whether the file shows the text as it is, and after how many bytes of the node's place.
    pub(crate) verbatim: Option<usize>,
}

/// What a scalar is by its form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

impl Scalar {
    pub(super) fn new(text: &str, style: ScalarStyle, shown: &str) -> Self {
        let is_plain = style == ScalarStyle::Plain;
        let kind = if is_plain { resolve(text) } else { ScalarKind::Text };
        let inner = if is_plain { Some(shown) } else { quoted(shown) };
        let verbatim = (inner == Some(text)).then_some(usize::from(!is_plain));
        Self { text: text.to_owned(), kind, verbatim }
    }

    /// A value that stands in no file, such as an input of a template.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        match value.as_str() {
            Some(text) => Self { text: text.to_owned(), kind: ScalarKind::Text, verbatim: None },
            None => Self::from_words(&value.to_string()),
        }
    }

    /// A value that a person wrote on a command line.
    pub(crate) fn from_words(text: &str) -> Self {
        Self { text: text.to_owned(), kind: resolve(text), verbatim: None }
    }

    pub(super) fn describe(&self) -> String {
        let mut shown: String = self.text.chars().take(40).collect();
        if shown.len() < self.text.len() {
            shown.push('…');
        }
        let shown = shown.replace('\n', "⏎");
        match self.kind {
            ScalarKind::Null => "nothing".to_owned(),
            ScalarKind::Bool(_) => format!("the boolean `{shown}`"),
            ScalarKind::Int(_) | ScalarKind::Float(_) => format!("the number `{shown}`"),
            ScalarKind::Text if shown.is_empty() => "an empty text".to_owned(),
            ScalarKind::Text => format!("the text `{shown}`"),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match self.kind {
            ScalarKind::Null => serde_json::Value::Null,
            ScalarKind::Bool(value) => value.into(),
            ScalarKind::Int(value) => value.into(),
            ScalarKind::Float(value) => value.into(),
            ScalarKind::Text => self.text.as_str().into(),
        }
    }
}

fn quoted(shown: &str) -> Option<&str> {
    let quote = shown.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    shown.strip_prefix(quote)?.strip_suffix(quote)
}

fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
        "true" | "True" | "TRUE" => ScalarKind::Bool(true),
        "false" | "False" | "FALSE" => ScalarKind::Bool(false),
        _ => integer(text)
            .map(ScalarKind::Int)
            .or_else(|| float(text).map(ScalarKind::Float))
            .unwrap_or(ScalarKind::Text),
    }
}

fn integer(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['+', '-']));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['+', '-']));
    }
    text.parse().ok()
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, and infinities.
fn float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let has_form = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if has_form { text.parse().ok() } else { None }
}
