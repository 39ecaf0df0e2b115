//! Secrets given on the command line, in files, or in the environment. They are kept in memory only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::failure::Usage;
use crate::cli::session::Session;

/// All secrets by name; what is given later wins, and the command line wins over files.
pub fn gather(
    session: &Session,
    given: &[String],
    files: &[PathBuf],
) -> Result<BTreeMap<String, String>, Usage> {
    let mut secrets = BTreeMap::new();
    for file in files {
        let path = session.folder.join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("the secrets file `{}` cannot be read: {error}", file.display());
            Usage::new(message, "give the path of a file with `NAME=value` lines")
        })?;
        secrets.extend(read_file(file, &text)?);
    }
    refuse_absent(session, given)?;
    for it in given {
        secrets.extend([read_given(session, it)?]);
    }
    Ok(secrets)
}

/// Several that the environment should have and has not are told at once.
fn refuse_absent(session: &Session, given: &[String]) -> Result<(), Usage> {
    let is_absent = |it: &&String| !it.contains('=') && session.environment.get(it).is_none();
    let absent: Vec<_> = given.iter().filter(is_absent).map(|it| format!("`{it}`")).collect();
    if absent.len() < 2 {
        return Ok(());
    }
    let absent = absent.join(", ");
    let message =
        format!("the environment has no variables {absent} for the secrets of these names");
    let help = "set them, or give values with `--secret NAME=…` or `--secrets-file FILE`";
    Err(Usage::new(message, help))
}

fn read_given(session: &Session, given: &str) -> Result<(String, String), Usage> {
    if let Some((name, value)) = given.split_once('=') {
        return Ok((checked_name(name)?, value.to_owned()));
    }
    let value = session.environment.get(given).ok_or_else(|| {
        Usage::new(
            format!("the environment has no variable `{given}` for the secret of this name"),
            format!("set it, or give the value with `--secret {given}=…`"),
        )
    })?;
    Ok((checked_name(given)?, value.to_owned()))
}

/// `NAME=value` lines; `export`, comments, empty lines and quotes as in a shell's file.
fn read_file(file: &Path, text: &str) -> Result<BTreeMap<String, String>, Usage> {
    let mut secrets = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        // The line itself is not shown: it may hold the secret.
        let wrong = || {
            Usage::new(
                format!("line {number} of `{}` is not `NAME=value`", file.display()),
                "write one secret a line; a value with spaces at its ends stands in quotes",
            )
        };
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        secrets.insert(checked_name(name.trim())?, unquoted(value.trim()));
    }
    Ok(secrets)
}

/// The names that a pipeline file may use, a path in a vault among them.
fn checked_name(name: &str) -> Result<String, Usage> {
    let is_known = |it: u8| it.is_ascii_alphanumeric() || b"_-./".contains(&it);
    if !name.is_empty() && name.bytes().all(is_known) {
        return Ok(name.to_owned());
    }
    Err(Usage::new(
        format!("`{name}` cannot be the name of a secret"),
        "use letters, digits, `_`, `-`, `.` and `/`",
    ))
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        let inner = value.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
        if let Some(inner) = inner {
            return if quote == '"' {
                inner.replace("\\n", "\n").replace("\\\"", "\"")
            } else {
                inner.to_owned()
            };
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_secrets_is_read_as_a_shell_would() {
        let text = "# keys\nexport API_KEY=abc=def\n\nPEM=\"one\\ntwo\"\nPLAIN='a b '\n";
        let secrets = read_file(Path::new(".env"), text).unwrap();
        let expected = [("API_KEY", "abc=def"), ("PEM", "one\ntwo"), ("PLAIN", "a b ")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(secrets, BTreeMap::from(expected));
    }

    #[test]
    fn a_wrong_line_is_named_but_not_shown() {
        let error = read_file(Path::new(".env"), "A=1\nhunter2\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2 of `.env` is not `NAME=value`");
    }

    #[test]
    fn a_name_is_one_that_a_pipeline_may_use() {
        let secrets = read_file(Path::new(".env"), "prod/api-key=x\n").unwrap();
        assert_eq!(secrets.into_keys().collect::<Vec<_>>(), ["prod/api-key"]);
        let error = read_file(Path::new(".env"), "a b=x\n").unwrap_err();
        assert_eq!(error.to_string(), "`a b` cannot be the name of a secret");
    }
}
