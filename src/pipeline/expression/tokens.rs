//! The words of an expression, for what the parser does not tell: where things are, how much there
//! is of them, and names with dashes.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::parser::pratt_parser::{Lexer, LexerPosition, Token, TokenKind};

use super::{ExpressionError, Reference, words};

/// Longest expression.
const BYTES_MAX: usize = 4096;
/// Most words in an expression; bounds what the parser may build.
const TOKENS_MAX: usize = 512;

/// An expression as it goes to the parser.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// The source, with `needs.a-b` written as `needs["a-b"]`, which is what CEL understands.
    pub(super) text: String,
    tokens: Vec<Token>,
    /// Where an edit ends in `text`, and how many bytes longer it has made it.
    edits: Vec<(usize, usize)>,
}

/// Splits a source into words, within the limits.
pub(super) fn prepare(source: &str) -> Result<Prepared, ExpressionError> {
    if source.len() > BYTES_MAX {
        return Err(ExpressionError::new(format!(
            "the expression has {} bytes; at most {BYTES_MAX} are allowed",
            source.len()
        )));
    }
    let (text, edits) = with_quoted_names(source);
    let mut prepared = Prepared { text, tokens: Vec::new(), edits };
    let mut lexer = Lexer::new(&prepared.text);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokWhitespace | TokenKind::TokComment => (),
            TokenKind::TokEnd => break,
            TokenKind::TokError | TokenKind::TokEqual => return Err(prepared.unreadable(token)),
            _ => tokens.push(token),
        }
        if tokens.len() > TOKENS_MAX {
            return Err(ExpressionError::new(format!(
                "the expression has more than {TOKENS_MAX} words and signs"
            ))
            .help("compute this in a step and publish it as an output"));
        }
    }
    if tokens.is_empty() {
        return Err(ExpressionError::new("the expression is empty"));
    }
    prepared.tokens = tokens;
    Ok(prepared)
}

/// Stages and matrix axes may be called what CEL reads as a subtraction or a number. Neither has a
/// meaning directly after `needs.` or `matrix.`, so the whole name is quoted there.
fn with_quoted_names(source: &str) -> (String, Vec<(usize, usize)>) {
    let (mut text, mut edits, mut copied) = (String::new(), Vec::new(), 0);
    let mut lexer = Lexer::new(source);
    let mut after_dot = false;
    loop {
        let token = lexer.lex();
        let is_root = token.kind == TokenKind::TokIdent
            && !after_dot
            && matches!(source.get(token.start..token.end), Some("needs" | "matrix"));
        after_dot = token.kind == TokenKind::TokDot;
        if token.kind == TokenKind::TokEnd {
            break;
        }
        if !is_root {
            continue;
        }
        let mut end = token.end;
        for dot in name_positions(source, token.end) {
            let name = name_at(source, dot + 1);
            end = dot + 1 + name.len();
            if is_plain_name(name) {
                continue;
            }
            text.push_str(source.get(copied..dot).unwrap_or_default());
            text.extend(["[\"", name, "\"]"]);
            copied = end;
            edits.push((text.len(), 3));
        }
        lexer.restore_position(LexerPosition { pos: end, at_end: false, done: false, err: None });
    }
    text.push_str(source.get(copied..).unwrap_or_default());
    (text, edits)
}

/// Where the dots before free names are, after a `needs` or `matrix` that ends at `end`: the stage
/// or axis, and for `needs.x.outputs.y` the output.
fn name_positions(source: &str, end: usize) -> Vec<usize> {
    let rest = |at: usize| source.get(at..).unwrap_or_default();
    if !rest(end).starts_with('.') || name_at(source, end + 1).is_empty() {
        return Vec::new();
    }
    let after = end + 1 + name_at(source, end + 1).len();
    let output = after + ".outputs".len();
    let has_output =
        rest(after).starts_with(".outputs.") && !name_at(source, output + 1).is_empty();
    if has_output { vec![end, output] } else { vec![end] }
}

fn name_at(source: &str, start: usize) -> &str {
    let rest = source.get(start..).unwrap_or_default();
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    let name = rest.split(|it| !is_part(it)).next().unwrap_or_default();
    name.trim_end_matches('-')
}

/// Whether the parser reads this as one name.
pub(super) fn is_plain_name(name: &str) -> bool {
    let mut lexer = Lexer::new(name);
    let first = lexer.lex();
    first.kind == TokenKind::TokIdent && first.end == name.len() && !name.starts_with('`')
}

impl Prepared {
    /// The place in the source of a place in the prepared text.
    fn in_source(&self, offset: usize) -> usize {
        let added: usize =
            self.edits.iter().take_while(|(end, _)| *end <= offset).map(|(_, added)| added).sum();
        offset.saturating_sub(added)
    }

    /// The span in the source of a span in the prepared text.
    pub(super) fn span(&self, start: usize, end: usize) -> (usize, usize) {
        (self.in_source(start), self.in_source(end))
    }

    pub(super) fn text_of(&self, token: Token) -> &str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    /// The word with this index; empty behind the last one.
    pub(super) fn word(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |it| self.text_of(*it))
    }

    /// The token at this place, or `None` at the end.
    pub(super) fn token_at(&self, offset: usize) -> Option<Token> {
        self.tokens.iter().find(|it| it.end > offset).copied()
    }

    /// The first word from `index` on that is wanted: its index, and its place in the source.
    pub(super) fn find_from(
        &self,
        index: usize,
        is_wanted: impl Fn(&str, TokenKind) -> bool,
    ) -> Option<(usize, (usize, usize))> {
        let mut rest = self.tokens.iter().enumerate().skip(index);
        let (found, token) = rest.find(|(_, it)| is_wanted(self.text_of(**it), it.kind))?;
        Some((found, self.span(token.start, token.end)))
    }

    /// Everything that is read from the roots and from these metrics.
    pub(super) fn references(&self, metrics: &[String]) -> Vec<Reference> {
        let mut found = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let name = self.text_of(*token);
            let follows_dot = at.checked_sub(1).is_some_and(|it| self.is(it, TokenKind::TokDot));
            let is_called = self.is(at + 1, TokenKind::TokLeftParen);
            if token.kind != TokenKind::TokIdent || follows_dot || is_called {
                continue;
            }
            let is_metric = metrics.iter().any(|it| it == name);
            if !is_metric && !words::is_root(name) {
                continue;
            }
            let (mut path, end) = self.path_after(at);
            let root = if is_metric { "metrics" } else { name };
            if is_metric {
                path.insert(0, name.to_owned());
            }
            found.push(Reference {
                root: root.to_owned(),
                path,
                span: self.span(token.start, end),
                is_bare: is_metric,
            });
        }
        found
    }

    /// The constant path behind the token, and where it ends.
    fn path_after(&self, root: usize) -> (Vec<String>, usize) {
        let mut path = Vec::new();
        let mut end = self.tokens.get(root).map_or(0, |it| it.end);
        let mut at = root + 1;
        loop {
            let (name_at, next) = if self.is(at, TokenKind::TokDot) {
                (at + 1, at + 2)
            } else if self.is(at, TokenKind::TokLeftBracket)
                && self.is(at + 1, TokenKind::TokString)
                && self.is(at + 2, TokenKind::TokRightBracket)
            {
                (at + 1, at + 3)
            } else {
                return (path, end);
            };
            let is_method =
                self.is(at, TokenKind::TokDot) && self.is(next, TokenKind::TokLeftParen);
            let Some(token) = self.tokens.get(name_at).filter(|_| !is_method) else {
                return (path, end);
            };
            path.push(unquoted(self.text_of(*token)));
            end = self.tokens.get(next - 1).map_or(end, |it| it.end);
            at = next;
        }
    }

    fn is(&self, at: usize, kind: TokenKind) -> bool {
        self.tokens.get(at).is_some_and(|it| it.kind == kind)
    }

    fn unreadable(&self, token: Token) -> ExpressionError {
        let rest = self.text.get(token.start..).unwrap_or_default();
        let sign = rest.chars().next().unwrap_or(' ');
        let span = self.span(token.start, token.start + sign.len_utf8());
        let error = match sign {
            '\'' | '"' => ExpressionError::new("a string is not closed, or has a bad escape")
                .help(format!("end it with `{sign}`; write `\\\\` for a backslash")),
            '=' => ExpressionError::new("`=` is no comparison").help("write `==`"),
            '&' => ExpressionError::new("`&` is no operator").help("write `&&`"),
            '|' => ExpressionError::new("`|` is no operator").help("write `||`"),
            '$' => ExpressionError::new("`$` cannot stand in an expression")
                .help("write the name alone, without `${{ }}`"),
            _ if !sign.is_ascii() && sign.is_alphanumeric() => {
                ExpressionError::new(format!("`{sign}` cannot stand in a name"))
                    .help("names have letters from a to z, digits and `_`")
            }
            _ if sign.is_alphanumeric() => ExpressionError::new(format!(
                "`{}` cannot be read",
                rest.split_whitespace().next().unwrap_or_default()
            )),
            _ => ExpressionError::new(format!("`{sign}` cannot stand in an expression")),
        };
        error.at(span)
    }
}

/// The text of a name or a simple string; one with escapes stays as it is and then matches nothing.
fn unquoted(text: &str) -> String {
    text.trim_matches(['"', '\'']).to_owned()
}
