//! Settings that mean nothing, or something else than was thought, without another one; and folders and secrets
//! that are not as a server needs them.

use std::fs;
use std::path::{Path, PathBuf};

use super::Environment;
use super::file::{GivenByVariable, Gravity, Problem};
use super::setting::{SETTINGS, Setting};

/// Settings that mean nothing without another one: what is needed, what for, and who needs it.
const NEEDS: &[(&str, &str, &[&str])] = &[
    (
        "oidc.issuer",
        "an OpenID provider",
        &[
            "oidc.client_id",
            "oidc.client_secret",
            "oidc.domains",
            "oidc.groups",
            "oidc.groups_claim",
        ],
    ),
    ("mail.smtp_url", "mail", &["mail.from"]),
    ("mail.from", "mail", &["mail.smtp_url"]),
    ("traces.endpoint", "the sending of traces", &["traces.headers"]),
    ("forges.github_app_key_file", "a GitHub App", &["forges.github_app_id"]),
    ("forges.github_app_id", "a GitHub App", &["forges.github_app_key_file"]),
];
/// Folders that the server makes and writes to.
const FOLDERS: [&str; 2] = ["state", "worker.shared"];
/// Secrets that people choose, and the fewest characters that are hard to guess.
const CHOSEN: [&str; 2] = ["metrics.token", "oidc.client_secret"];
const CHARS_MIN: usize = 16;

/// Everything of this kind that is wrong.
pub(super) fn problems(environment: &Environment, given: &GivenByVariable) -> Vec<Problem> {
    let look = Look { environment, given };
    let mut problems = look.needs();
    problems.extend(look.database());
    problems.extend(FOLDERS.iter().filter_map(|key| look.folder(key)));
    problems.extend(CHOSEN.iter().filter_map(|key| look.short(key)));
    problems.extend(look.app_key());
    problems
}

struct Look<'a> {
    environment: &'a Environment,
    given: &'a GivenByVariable,
}

impl Look<'_> {
    /// One problem for each thing that lacks something, told where the first setting of it stands.
    fn needs(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (needed, what, by) in NEEDS {
            if self.is_set(needed) {
                continue;
            }
            let mut setting = by.iter().filter(|it| self.is_set(it));
            if let Some(first) = setting.next() {
                let message = format!("{what} needs `{needed}` too");
                problems.push(self.problem("config/incomplete", first, message, None));
            }
        }
        problems
    }

    /// An empty address would quietly mean another database.
    fn database(&self) -> Option<Problem> {
        let name = "DATABASE_URL";
        let is_empty = self.environment.variables.get(name).is_some_and(String::is_empty);
        if !is_empty || self.environment.get("DATABASE_URL_FILE").is_some() {
            return None;
        }
        let is_of_file = self.given.contains_key(name);
        let what = if is_of_file { "`database_url`" } else { "`DATABASE_URL`" };
        let message = format!("{what} is empty, and SQLite in the state folder is used");
        let help = "leave it out for SQLite, or write `postgres://user@host/database`".to_owned();
        let problem = self.problem("config/empty", "database_url", message, Some(help));
        let gravity = if is_of_file { Gravity::Error } else { Gravity::Warning };
        Some(Problem { gravity, ..problem })
    }

    fn folder(&self, key: &str) -> Option<Problem> {
        let folder = PathBuf::from(self.environment.get(find(key)?.variable)?);
        let reason = unwritable(&folder)?;
        let message = format!("`{key}` names `{}`: {reason}", folder.display());
        let help = "name a folder that the server's user may write to".to_owned();
        Some(self.problem("config/unwritable-folder", key, message, Some(help)))
    }

    fn short(&self, key: &str) -> Option<Problem> {
        let value = self.environment.get(find(key)?.variable)?;
        if value.chars().count() >= CHARS_MIN {
            return None;
        }
        let message = format!("`{key}` has fewer than {CHARS_MIN} characters and can be guessed");
        let help = "make one with `openssl rand -hex 32`".to_owned();
        let problem = self.problem("config/short-secret", key, message, Some(help));
        Some(Problem { gravity: Gravity::Warning, ..problem })
    }

    fn app_key(&self) -> Option<Problem> {
        let key = "forges.github_app_key_file";
        let file = self.environment.get(find(key)?.variable)?;
        let text = fs::read_to_string(file).ok()?;
        if text.contains("PRIVATE KEY-----") {
            return None;
        }
        let message = format!("`{key}` names `{file}`, in which there is no private key (PEM)");
        Some(self.problem("config/wrong-value", key, message, None))
    }

    fn is_set(&self, key: &str) -> bool {
        let Some(setting) = find(key) else { return false };
        let file = setting.file_variable();
        self.environment.get(setting.variable).is_some()
            || file.is_some_and(|it| self.environment.get(&it).is_some())
    }

    fn problem(
        &self,
        code: &'static str,
        key: &str,
        message: String,
        help: Option<String>,
    ) -> Problem {
        let given = find(key).and_then(|it| self.given.get(it.variable));
        let span = given.map(|it| it.span.clone()).unwrap_or_default();
        Problem { code, gravity: Gravity::Error, message, help, span }
    }
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|it| it.key == key)
}

/// Why a folder cannot be made or written to. What is tried is taken away again.
fn unwritable(folder: &Path) -> Option<String> {
    let present = folder.ancestors().find(|it| it.exists())?;
    if !present.is_dir() {
        return Some(format!("`{}` is no folder", present.display()));
    }
    let probe = present.join(format!(".trunkline-{}", std::process::id()));
    let written = fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe));
    written.err().map(|it| format!("`{}` cannot be written to: {it}", present.display()))
}
