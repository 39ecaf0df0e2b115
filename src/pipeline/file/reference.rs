//! Finds names such as `needs.build.status` in the text of an expression, without understanding the
//! rest of it.

#[cfg(test)]
mod tests;

/// A name with a member, and where it stands in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `needs`, `matrix`, `inputs`, or another word.
    pub(crate) root: String,
    /// What follows after `.` or in `["…"]`.
    pub(crate) member: Option<String>,
    /// First byte of the root.
    pub(crate) start: usize,
    /// After the last byte of the member.
    pub(crate) end: usize,
    /// The text that follows directly, for `needs.a-b`.
    pub(crate) rest: String,
}

/// The names of a CEL expression, outside of its strings.
pub(crate) fn references(source: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = source.get(at..).and_then(|rest| rest.chars().next()) {
        if matches!(c, '"' | '\'') {
            at = string_end(source, at);
        } else if is_start(c) {
            let end = word_end(source, at);
            let is_string_prefix = source.get(end..).is_some_and(|it| it.starts_with(['"', '\'']));
            if !is_string_prefix && !follows_a_dot(source, at) {
                found.push(reference(source, at, end));
            }
            at = end;
        } else if c.is_ascii_digit() {
            at = word_end(source, at);
        } else {
            at += c.len_utf8();
        }
    }
    found
}

/// The expressions inside the `${{ }}` of a text, as byte ranges.
pub(crate) fn inner_expressions(source: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find("${{")) {
        let start = at + open + 3;
        let end = closing_braces(source, start);
        found.push((start, end));
        at = (end + 2).min(source.len());
    }
    found
}

fn closing_braces(source: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(rest) = source.get(at..).filter(|it| !it.is_empty()) {
        if rest.starts_with("}}") {
            return at;
        }
        if rest.starts_with(['"', '\'']) {
            at = string_end(source, at);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    source.len()
}

fn is_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn word_end(source: &str, start: usize) -> usize {
    let rest = source.get(start..).unwrap_or_default();
    let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    start + len
}

/// After the closing quote of the string that opens at `start`, or the end.
fn string_end(source: &str, start: usize) -> usize {
    let rest = source.get(start..).unwrap_or_default();
    let Some(quote) = rest.chars().next() else { return source.len() };
    let mut is_escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return start + index + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    source.len()
}

fn follows_a_dot(source: &str, at: usize) -> bool {
    source.get(..at).is_some_and(|before| before.trim_end().ends_with('.'))
}

fn reference(source: &str, start: usize, root_end: usize) -> Reference {
    let root = source.get(start..root_end).unwrap_or_default().to_owned();
    let (member, end) = member_after(source, root_end)
        .map_or((None, root_end), |(member, end)| (Some(member), end));
    let rest: String = source.get(end..).unwrap_or_default().chars().take(80).collect();
    Reference { root, member, start, end, rest }
}

fn member_after(source: &str, at: usize) -> Option<(String, usize)> {
    let rest = source.get(at..)?;
    let inner = rest.trim_start();
    let lead = at + rest.len() - inner.len();
    if let Some(after) = inner.strip_prefix('.') {
        let start = lead + 1 + (after.len() - after.trim_start().len());
        let end = word_end(source, start);
        return (end > start).then(|| (source.get(start..end).unwrap_or_default().to_owned(), end));
    }
    let after = inner.strip_prefix('[')?;
    let start = lead + 1 + (after.len() - after.trim_start().len());
    let end = source.get(start..)?.starts_with(['"', '\'']).then(|| string_end(source, start))?;
    let text = source.get(start + 1..end.checked_sub(1)?)?;
    let close = source.get(end..)?.find(']')?;
    Some((text.to_owned(), end + close + 1))
}
