//! What steps publish: metrics as JSON lines in `$TRUNKLINE_METRICS`, outputs as `key=value` in
//! `$TRUNKLINE_OUTPUTS`. Good lines count even when others are bad; every bad one is reported.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// Most metrics of an attempt.
pub const METRICS_MAX: usize = 1000;
/// Most bytes of all names and values of outputs.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Largest file of either kind.
pub const FILE_BYTES_MAX: usize = 4 << 20;
const NAME_BYTES_MAX: usize = 128;
/// Bad lines that are reported; a file with more is bad enough.
const PROBLEMS_MAX: usize = 1000;

/// What was read, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published<T> {
    /// Values by name. The last one of a name counts.
    pub values: BTreeMap<String, T>,
    /// Lines that were left out.
    pub problems: Vec<LineProblem>,
}

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl<T> Published<T> {
    fn new() -> Self {
        Self { values: BTreeMap::new(), problems: Vec::new() }
    }

    fn refuse(&mut self, line: usize, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(LineProblem { line, message: message.into() });
        }
    }

    /// Whether the file is small enough to be read at all.
    fn admits(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= FILE_BYTES_MAX;
        if !fits {
            let size = bytes.len();
            self.refuse(1, format!("the file has {size} bytes; at most {FILE_BYTES_MAX} are read"));
        }
        fits
    }
}

/// Reads metrics: each line is `{"name": "f1", "value": 0.9}`, or one or more numbers by name, as in
/// `{"f1": 0.9, "rouge_l": 0.4}`.
#[must_use]
pub fn metrics(bytes: &[u8]) -> Published<f64> {
    let mut published = Published::new();
    if !published.admits(bytes) {
        return published;
    }
    for (at, line) in bytes.split(|it| *it == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        for read in metrics_of(line) {
            let added = read.and_then(|(name, value)| add_metric(&mut published, name, value));
            if let Err(message) = added {
                published.refuse(at + 1, message);
            }
        }
    }
    published
}

fn add_metric(published: &mut Published<f64>, name: String, value: f64) -> Result<(), String> {
    if published.values.len() >= METRICS_MAX && !published.values.contains_key(&name) {
        return Err(format!("`{name}` is one metric too many; at most {METRICS_MAX} are kept"));
    }
    published.values.insert(name, value);
    Ok(())
}

fn metrics_of(line: &[u8]) -> Vec<Result<(String, f64), String>> {
    const FORM: &str = "write `{\"name\": value}`";
    let object: Map<String, Value> = match serde_json::from_slice(line) {
        Ok(object) => object,
        Err(error) if error.is_data() => return vec![Err(format!("is no JSON object; {FORM}"))],
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.split(" at line").next().unwrap_or_default();
            return vec![Err(format!("is no JSON: {reason} at column {}; {FORM}", error.column()))];
        }
    };
    match (object.get("name"), object.get("value")) {
        (Some(Value::String(name)), Some(value)) => vec![metric(name, value)],
        (Some(Value::String(name)), None) => vec![Err(format!("`{name}` has no `value`"))],
        _ if object.is_empty() => vec![Err(format!("names no metric; {FORM}"))],
        _ => object.iter().map(|(name, value)| metric(name, value)).collect(),
    }
}

fn metric(name: &str, value: &Value) -> Result<(String, f64), String> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "_-./".contains(it);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_part) {
        return Err(format!(
            "`{}` is no name of a metric; use letters, digits, `_`, `-`, `.` and `/`, at most \
             {NAME_BYTES_MAX}",
            shortened(name)
        ));
    }
    match value.as_f64().filter(|it| it.is_finite()) {
        Some(number) => Ok((name.to_owned(), number)),
        None => Err(format!("`{name}` is {}, not a finite number", shortened(&value.to_string()))),
    }
}

/// Reads outputs: `key=value` in a line, or as GitHub has it for several lines, `key<<END`, the lines,
/// and `END`.
#[must_use]
pub fn outputs(bytes: &[u8]) -> Published<String> {
    let mut published = Published::new();
    if !published.admits(bytes) {
        return published;
    }
    let mut used = 0;
    let mut lines = bytes.split(|it| *it == b'\n').map(without_return).enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let read = std::str::from_utf8(line)
            .map_err(|_| "is not UTF-8".to_owned())
            .and_then(|line| output(line, lines.by_ref().map(|(_, line)| line)));
        let added =
            read.and_then(|(name, value)| add_output(&mut published, &mut used, name, value));
        if let Err(message) = added {
            published.refuse(at + 1, message);
        }
    }
    published
}

fn add_output(
    published: &mut Published<String>,
    used_bytes: &mut usize,
    name: String,
    value: String,
) -> Result<(), String> {
    let added = name.len() + value.len();
    let replaced = published.values.get(&name).map_or(0, |it| name.len() + it.len());
    let needed = *used_bytes - replaced + added;
    if needed > OUTPUT_BYTES_MAX {
        return Err(format!(
            "`{name}` with {added} bytes is too much; all outputs together may have \
             {OUTPUT_BYTES_MAX}, so hand on large things as artifacts"
        ));
    }
    *used_bytes = needed;
    published.values.insert(name, value);
    Ok(())
}

/// One output. What comes first decides the form: `a=b<<c` has one line.
fn output<'a>(
    line: &str,
    following: impl Iterator<Item = &'a [u8]>,
) -> Result<(String, String), String> {
    let (equals, heredoc) = (line.find('='), line.find("<<"));
    if let Some((name, end)) = line.split_once("<<")
        && heredoc < equals.or(Some(usize::MAX))
    {
        let value = heredoc_value(name, end.trim(), following)?;
        return Ok((checked_key(name)?, value));
    }
    let Some((name, value)) = line.split_once('=') else {
        return Err(format!("`{}` is no `key=value`", shortened(line)));
    };
    Ok((checked_key(name)?, value.to_owned()))
}

fn heredoc_value<'a>(
    name: &str,
    end: &str,
    following: impl Iterator<Item = &'a [u8]>,
) -> Result<String, String> {
    if end.is_empty() {
        return Err(format!("`{}<<` names no end", shortened(name)));
    }
    let mut lines: Vec<&[u8]> = Vec::new();
    for line in following {
        if line == end.as_bytes() {
            return String::from_utf8(lines.join(&b'\n'))
                .map_err(|_| format!("the value of `{}` is not UTF-8", shortened(name)));
        }
        lines.push(line);
    }
    Err(format!("`{}<<{end}` is never closed by a line `{end}`", shortened(name)))
}

fn checked_key(key: &str) -> Result<String, String> {
    let key = key.trim();
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    let starts_well = key.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    if starts_well && key.len() <= NAME_BYTES_MAX && key.chars().all(is_part) {
        return Ok(key.to_owned());
    }
    Err(format!(
        "`{}` is no key; use letters, digits, `_` and `-`, beginning with a letter",
        shortened(key)
    ))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}
