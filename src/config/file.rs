//! The file with a server's settings: TOML, read key by key so that every problem is told at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::{Kind, SETTINGS, Setting};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// The server cannot start so.
    Error,
    /// It can, and perhaps should not.
    Warning,
}

/// One problem of the file, or of what it says together with the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable name, such as `config/unknown-key`.
    pub code: &'static str,
    /// How bad it is.
    pub gravity: Gravity,
    /// What is wrong, with names in backticks.
    pub message: String,
    /// The fix.
    pub help: Option<String>,
    /// Bytes of the file; the beginning for what stands in no file.
    pub span: Range<usize>,
}

/// A value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// As a variable would have it.
    pub text: String,
    /// Where it stands.
    pub span: Range<usize>,
    /// Whether the file has the value itself, and not the name of a file with it.
    pub is_literal: bool,
}

/// What a file says, by variable.
pub type GivenByVariable = BTreeMap<&'static str, Given>;

/// Reads the text of a file in `folder`, which relative paths start from.
#[must_use]
pub fn read(text: &str, folder: &Path) -> (GivenByVariable, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { folder, given: BTreeMap::new(), problems: Vec::new() };
    for error in errors {
        let span = error.span().unwrap_or_default();
        reader.error("config/syntax", span, error.message().to_owned(), None);
    }
    reader.table("", table.get_ref());
    reader.problems.sort_by_key(|it| it.span.start);
    (reader.given, reader.problems)
}

struct Reader<'a> {
    folder: &'a Path,
    given: GivenByVariable,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        self.problems.push(Problem { code, gravity: Gravity::Error, message, help, span });
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = match prefix {
                "" => key.get_ref().to_string(),
                prefix => format!("{prefix}.{}", key.get_ref()),
            };
            let is_table = SETTINGS.iter().any(|it| it.key.starts_with(&format!("{path}.")));
            match (Setting::find(&path), value.get_ref()) {
                (Some((setting, is_file)), _) => self.setting((setting, is_file), &path, value),
                (None, DeValue::Table(inner)) if is_table => self.table(&path, inner),
                (None, _) if is_table => {
                    let message = format!("`{path}` is a table");
                    let help = Some(format!("write `[{path}]`, and its keys below"));
                    self.error("config/wrong-type", value.span(), message, help);
                }
                (None, _) => {
                    let message = format!("there is no setting `{path}`");
                    self.error("config/unknown-key", key.span(), message, Some(suggestion(&path)));
                }
            }
        }
    }

    fn setting(
        &mut self,
        (setting, is_file): (&'static Setting, bool),
        path: &str,
        value: &Spanned<DeValue<'_>>,
    ) {
        let span = value.span();
        let kind = if is_file { Kind::Path } else { setting.kind };
        let Some(text) = text_of(value.get_ref(), kind) else {
            let message = format!("`{path}` must be {}", wanted(kind));
            return self.error("config/wrong-type", span, message, None);
        };
        if let Some(expected) = setting.refuse(&text).filter(|_| !is_file) {
            let message = format!("`{path}` is `{text}`, and must be {expected}");
            let best = match setting.kind {
                Kind::Choice(words) => closest(&text, words.iter().copied()),
                Kind::Text
                | Kind::Hidden
                | Kind::Number { .. }
                | Kind::Words
                | Kind::Addresses
                | Kind::Socket
                | Kind::Url
                | Kind::Path => None,
            };
            let help = best.map(|it| format!("did you mean `{it}`?"));
            return self.error("config/wrong-value", span, message, help);
        }
        let text =
            if kind == Kind::Path { self.folder.join(&text).display().to_string() } else { text };
        let text = if is_file { self.content(path, &text, &span) } else { Some(text) };
        let Some(text) = text else { return };
        let given = Given { text, span: span.clone(), is_literal: !is_file };
        if self.given.insert(setting.variable, given).is_some() {
            let key = setting.key;
            let message = format!("`{key}` and `{key}_file` are both there");
            let help = Some("leave one of them out".to_owned());
            self.error("config/twice", span, message, help);
        }
    }

    fn content(&mut self, path: &str, file: &str, span: &Range<usize>) -> Option<String> {
        match secret_of(Path::new(file)) {
            Ok(text) => Some(text),
            Err(reason) => {
                let message = format!("`{path}` names `{file}`, which cannot be used: {reason}");
                let help = Some("the server's user must be able to read it".to_owned());
                self.error("config/unreadable-file", span.clone(), message, help);
                None
            }
        }
    }
}

/// The value in a file: its text without the end of the last line.
pub(super) fn secret_of(file: &Path) -> Result<String, String> {
    /// The longest value.
    const BYTES_MAX: u64 = 64 << 10;
    let size = std::fs::metadata(file).map_err(|it| it.to_string())?.len();
    if size > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(file).map_err(|it| it.to_string())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// The text that a variable would have; `None` for a value of another type.
fn text_of(value: &DeValue<'_>, kind: Kind) -> Option<String> {
    match (kind, value) {
        (Kind::Number { .. }, DeValue::Integer(number)) => {
            let digits: String = number.as_str().chars().filter(|it| *it != '_').collect();
            Some(u64::from_str_radix(&digits, number.radix()).map_or(digits, |it| it.to_string()))
        }
        (Kind::Words | Kind::Addresses, DeValue::Array(words)) => {
            let words: Option<Vec<&str>> = words.iter().map(|it| it.get_ref().as_str()).collect();
            words.filter(|it| !it.iter().any(|it| it.contains(','))).map(|it| it.join(","))
        }
        (Kind::Number { .. } | Kind::Words | Kind::Addresses, _) => None,
        (_, DeValue::String(text)) => Some(text.to_string()),
        (Kind::Text, DeValue::Integer(number)) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Number { .. } => "a whole number",
        Kind::Words | Kind::Addresses => "a list of texts, such as `[\"a\", \"b\"]`",
        Kind::Text | Kind::Hidden | Kind::Socket | Kind::Url | Kind::Path | Kind::Choice(_) => {
            "a text in quotes"
        }
    }
}

/// The key that was probably meant: the whole path, or the last part in another table.
fn suggestion(path: &str) -> String {
    let last = |it: &'static str| it.rsplit_once('.').map_or(it, |(_, last)| last);
    let keys = || SETTINGS.iter().map(|it| it.key);
    let own_last = path.rsplit_once('.').map_or(path, |(_, last)| last);
    let elsewhere = keys().find(|it| last(it) == own_last);
    match elsewhere.or_else(|| closest(path, keys())) {
        Some(best) => format!("did you mean `{best}`?"),
        None => "`docs/configuration.md` lists all settings".to_owned(),
    }
}

fn closest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let score = |it: &str| strsim::jaro_winkler(it, wanted);
    let best = known.max_by(|left, right| score(left).total_cmp(&score(right)));
    best.filter(|it| score(it) > 0.8)
}
