//! Templates: strings in which `${{ expression }}` stands for its value, and `$${{` for `${{` itself.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::Value;
use cel::parser::pratt_parser::{Lexer, LexerPosition, TokenKind};

use super::types::Wanted;
use super::{ExpressionError, Reference, Scope, memory};

const OPEN: &str = "${{";
const ESCAPED: &str = "$${{";

/// A string in which `${{ expression }}` stands for its value.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Template {
    source: String,
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// An expression.
    Value {
        /// With `${{` and `}}`.
        written: &'a str,
        /// Without them.
        expression: &'a str,
        /// Where the expression starts in the template.
        start: usize,
    },
}

impl Template {
    /// Parses a string; every `${{ }}` must hold a valid expression. The errors are all that can be
    /// known, in the order of the source.
    pub fn parse(source: &str) -> Result<Self, Vec<ExpressionError>> {
        let (parts, unclosed) = split(source);
        let mut problems = Vec::new();
        for part in parts {
            if let Part::Value { expression, start, .. } = part {
                let found = memory::problems(expression, Wanted::Text);
                problems.extend(found.into_iter().map(|it| {
                    let is_whole = it.span.is_none();
                    let it = moved(it, start);
                    if is_whole { it.at((start, start + expression.len())) } else { it }
                }));
            }
        }
        problems.extend(unclosed);
        if problems.is_empty() { Ok(Self { source: source.to_owned() }) } else { Err(problems) }
    }

    /// A string in which nothing is replaced.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { source: escaped(text) }
    }

    /// The text as written, or as left by [`Self::fold`].
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text, if there is nothing to replace.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        let mut text = String::with_capacity(self.source.len());
        for part in parts(&self.source).ok()? {
            match part {
                Part::Text(it) => text.push_str(it),
                Part::Value { .. } => return None,
            }
        }
        Some(text)
    }

    /// Whether a part must wait for the run: for the results of needs (`needs.…`), or for what
    /// `always()`, `failed()` and `passed()` speak of.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.expressions().into_iter().any(|(expression, _)| is_dynamic(expression))
    }

    /// Replaces every part that can be known before the run starts, and leaves the others. What a
    /// value contains is text from then on, even if it looks like an expression.
    pub fn fold(&self, scope: &Scope<'_>) -> Result<Self, ExpressionError> {
        let (mut source, mut text) = (String::with_capacity(self.source.len()), String::new());
        for part in parts(&self.source)? {
            match part {
                Part::Text(it) => text.push_str(it),
                Part::Value { written, expression, .. } if is_dynamic(expression) => {
                    let kept = text.trim_end_matches('$');
                    source.push_str(&escaped(kept));
                    // A `$` directly before `${{` would escape it.
                    if let Some(signs) = text.get(kept.len()..).filter(|it| !it.is_empty()) {
                        source.extend([OPEN, " \"", signs, "\" }}"]);
                    }
                    source.push_str(written);
                    text.clear();
                }
                Part::Value { expression, start, .. } => {
                    text.push_str(&value_of(expression, start, scope)?);
                }
            }
        }
        source.push_str(&escaped(&text));
        Ok(Self { source })
    }

    /// Replaces every part.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<String, ExpressionError> {
        let mut text = String::with_capacity(self.source.len());
        for part in parts(&self.source)? {
            match part {
                Part::Text(it) => text.push_str(it),
                Part::Value { expression, start, .. } => {
                    text.push_str(&value_of(expression, start, scope)?);
                }
            }
        }
        Ok(text)
    }

    /// The globs of every `hash(…)` call; the context must hold an answer for each list.
    #[must_use]
    pub fn hash_calls(&self) -> Vec<Vec<String>> {
        let compiled = |(expression, _)| memory::compiled(expression).ok();
        self.expressions().into_iter().filter_map(compiled).flat_map(|it| it.hash_calls()).collect()
    }

    /// The values it reads, in the order they are written.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        for (expression, start) in self.expressions() {
            let Ok(compiled) = memory::compiled(expression) else { continue };
            found.extend(compiled.references.iter().cloned().map(|mut it| {
                it.span = (it.span.0 + start, it.span.1 + start);
                it
            }));
        }
        found
    }

    /// The expressions, and where they start.
    fn expressions(&self) -> Vec<(&str, usize)> {
        let value = |part| match part {
            Part::Value { expression, start, .. } => Some((expression, start)),
            Part::Text(_) => None,
        };
        parts(&self.source).unwrap_or_default().into_iter().filter_map(value).collect()
    }
}

/// An expression that cannot be compiled is left for the moment that needs it, which will say why.
fn is_dynamic(expression: &str) -> bool {
    memory::compiled(expression).is_ok_and(|it| it.is_dynamic())
}

fn value_of(expression: &str, start: usize, scope: &Scope<'_>) -> Result<String, ExpressionError> {
    let value = memory::compiled(expression).and_then(|it| it.value(scope));
    value.and_then(|it| rendered(expression, &it)).map_err(|it| moved(it, start))
}

fn rendered(expression: &str, value: &Value) -> Result<String, ExpressionError> {
    match value {
        Value::String(text) => Ok(text.as_ref().clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::UInt(number) => Ok(number.to_string()),
        // `Display` writes no `.0` behind a whole number.
        Value::Float(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        other => Err(ExpressionError::new(format!(
            "`{expression}` is a {} and cannot stand in a string",
            other.type_of()
        ))
        .help("name one of its values")),
    }
}

fn moved(mut error: ExpressionError, start: usize) -> ExpressionError {
    error.span = error.span.map(|(from, to)| (from + start, to + start));
    error
}

fn escaped(text: &str) -> String {
    text.replace(OPEN, ESCAPED)
}

/// The parts of a template that is whole.
fn parts(source: &str) -> Result<Vec<Part<'_>>, ExpressionError> {
    match split(source) {
        (parts, None) => Ok(parts),
        (_, Some(error)) => Err(error),
    }
}

/// The parts, up to a `${{` that is not closed.
fn split(source: &str) -> (Vec<Part<'_>>, Option<ExpressionError>) {
    let mut parts = Vec::new();
    let mut rest = 0;
    while let Some(open) = find_from(source, OPEN, rest) {
        let before = source.get(rest..open).unwrap_or_default();
        if let Some(text) = before.strip_suffix('$') {
            parts.extend([Part::Text(text), Part::Text(OPEN)]);
            rest = open + OPEN.len();
            continue;
        }
        parts.push(Part::Text(before));
        let Some(close) = closing(source, open + OPEN.len()) else {
            let error = ExpressionError::new("`${{` is not closed")
                .help("close it with `}}`, or write `$${{` for the signs themselves")
                .at((open, open + OPEN.len()));
            return (parts, Some(error));
        };
        let inside = source.get(open + OPEN.len()..close).unwrap_or_default();
        let start = open + OPEN.len() + inside.len() - inside.trim_start().len();
        rest = close + "}}".len();
        let written = source.get(open..rest).unwrap_or_default();
        parts.push(Part::Value { written, expression: inside.trim(), start });
    }
    parts.push(Part::Text(source.get(rest..).unwrap_or_default()));
    (parts, None)
}

fn find_from(source: &str, wanted: &str, start: usize) -> Option<usize> {
    Some(source.get(start..)?.find(wanted)? + start)
}

/// Where the `}}` is that ends the expression; one inside a string, or of a map, does not count.
fn closing(source: &str, start: usize) -> Option<usize> {
    let rest = source.get(start..)?;
    let mut lexer = Lexer::new(rest);
    let mut depth = 0_usize;
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokEnd => return None,
            TokenKind::TokLeftBrace => depth += 1,
            TokenKind::TokRightBrace if depth > 0 => depth -= 1,
            TokenKind::TokRightBrace if rest.get(token.start..)?.starts_with("}}") => {
                return Some(start + token.start);
            }
            // What cannot be read is passed by, and reported when the expression is compiled.
            TokenKind::TokError => {
                let pos = token.start + 1;
                lexer.restore_position(LexerPosition {
                    pos,
                    at_end: false,
                    done: false,
                    err: None,
                });
            }
            _ => (),
        }
    }
}
