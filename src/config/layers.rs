//! The file and the environment as one: what the environment says wins. And what is wrong with the whole.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::dependent;
use super::file::{self, GivenByVariable, Gravity, Problem};
use super::setting::{Kind, SETTINGS, Setting};
use super::{ConfigError, Environment, Settings};

/// Where a server looks for its file when nobody names one.
pub const DEFAULT_FILE: &str = "/etc/trunkline/server.toml";

/// A file, what it means here, and what is wrong with that.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The environment, completed by the file.
    pub environment: Environment,
    /// All problems, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
#[error("the configuration file `{path}` cannot be read: {source}")]
pub struct Unreadable {
    /// The file.
    pub path: String,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

impl Layers {
    /// Reads a file, and lays the environment over it.
    pub fn read(path: &Path, environment: &Environment) -> Result<Self, Unreadable> {
        let unreadable = |source| Unreadable { path: path.display().to_string(), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (given, mut problems) = file::read(&text, folder);
        let mut layered = environment.clone();
        for (variable, value) in &given {
            let is_set = environment.get(variable).is_some()
                || environment.get(&format!("{variable}_FILE")).is_some();
            if !is_set {
                layered.variables.insert((*variable).to_owned(), value.text.clone());
            }
        }
        let checker = Checker { given: &given, path };
        checker.look(&layered, &mut problems);
        problems.sort_by_key(|it| it.span.start);
        Ok(Self { path: path.to_owned(), text, environment: layered, problems })
    }

    /// Whether a server can start so.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.problems.iter().any(|it| it.gravity == Gravity::Error)
    }
}

impl Environment {
    /// The same with the values of hidden settings that variables such as `DATABASE_URL_FILE` name files of.
    pub fn with_files(mut self) -> Result<Self, ConfigError> {
        for setting in SETTINGS {
            let Some(name) = setting.file_variable() else { continue };
            let Some(file) = self.get(&name).map(str::to_owned) else { continue };
            if self.get(setting.variable).is_some() {
                continue;
            }
            let text = file::secret_of(Path::new(&file));
            let text = text.map_err(|reason| ConfigError::BadFile { name, file, reason })?;
            self.variables.insert(setting.variable.to_owned(), text);
        }
        Ok(self)
    }
}

struct Checker<'a> {
    given: &'a GivenByVariable,
    path: &'a Path,
}

impl Checker<'_> {
    fn look(&self, environment: &Environment, problems: &mut Vec<Problem>) {
        self.literal_secrets(problems);
        self.files(problems);
        problems.extend(self.database(environment));
        let read = environment.clone().with_files();
        if let Ok(read) = &read {
            problems.extend(dependent::problems(read, self.given));
        }
        match read.and_then(|it| Settings::read(&it, None)) {
            Ok(settings) => problems.extend(self.exposure(&settings)),
            Err(ConfigError::NoStateFolder) => (),
            Err(error) => {
                let setting = SETTINGS.iter().find(|it| Some(it.variable) == error.variable());
                let is_told = |key: &str| {
                    problems.iter().any(|it| it.message.starts_with(&format!("`{key}")))
                };
                // What is missing may be there, and wrong.
                if !setting.is_some_and(|it| is_told(it.key)) {
                    problems.push(self.settings_problem(&error));
                }
            }
        }
    }

    fn span(&self, variable: &str) -> Range<usize> {
        self.given.get(variable).map(|it| it.span.clone()).unwrap_or_default()
    }

    /// The file should be one that everybody may see.
    fn literal_secrets(&self, problems: &mut Vec<Problem>) {
        let is_open = fs::metadata(self.path).is_ok_and(|it| it.permissions().mode() & 0o077 != 0);
        let hidden = SETTINGS.iter().filter(|it| it.kind == Kind::Hidden);
        for setting in hidden {
            let Some(given) = self.given.get(setting.variable).filter(|it| it.is_literal) else {
                continue;
            };
            if !is_open || (setting.key == "database_url" && !given.text.contains('@')) {
                continue;
            }
            let key = setting.key;
            problems.push(Problem {
                code: "config/secret-in-file",
                gravity: Gravity::Warning,
                message: format!("`{key}` is a secret in a file that others can read"),
                help: Some(format!(
                    "move it to a file of its own, and name that with `{key}_file`"
                )),
                span: given.span.clone(),
            });
        }
    }

    /// Files that are used as they are must be there, and readable.
    fn files(&self, problems: &mut Vec<Problem>) {
        for setting in SETTINGS.iter().filter(|it| it.kind == Kind::Path) {
            let Some(given) = self.given.get(setting.variable) else { continue };
            if let Some((reason, help)) = wrong_path(setting, Path::new(&given.text)) {
                problems.push(Problem {
                    code: "config/unreadable-file",
                    gravity: Gravity::Error,
                    message: format!("`{}` names `{}`: {reason}", setting.key, given.text),
                    help: Some(help.to_owned()),
                    span: given.span.clone(),
                });
            }
        }
    }

    fn database(&self, environment: &Environment) -> Option<Problem> {
        let url = environment.get("DATABASE_URL")?;
        let reason = match url.split_once(':') {
            Some(("sqlite", rest)) if !rest.is_empty() => return None,
            Some(("postgres" | "postgresql", _)) => match reqwest::Url::parse(url) {
                Ok(_) => return None,
                Err(error) => format!("`database_url` cannot be read: {error}"),
            },
            Some(_) | None => {
                "`database_url` starts with neither `postgres:` nor `sqlite:`".to_owned()
            }
        };
        let help = "write `postgres://user@host/database`; its password may stand in it".to_owned();
        Some(self.error("config/database-url", "DATABASE_URL", reason, Some(help)))
    }

    fn error(
        &self,
        code: &'static str,
        variable: &str,
        message: String,
        help: Option<String>,
    ) -> Problem {
        let span = self.span(variable);
        Problem { code, gravity: Gravity::Error, message, help, span }
    }

    fn settings_problem(&self, error: &ConfigError) -> Problem {
        let variable = error.variable().unwrap_or_default();
        let setting = SETTINGS.iter().find(|it| it.variable == variable);
        let message = match setting.filter(|it| self.given.contains_key(it.variable)) {
            Some(setting) => error.to_string().replace(variable, setting.key),
            None => error.to_string(),
        };
        let missing = setting.filter(|it| !self.given.contains_key(it.variable));
        let help = missing.map(|it| format!("`{}` in the file, or `{variable}`", it.key));
        self.error("config/wrong-value", variable, message, help)
    }

    /// What others of the network could see or do.
    fn exposure(&self, settings: &Settings) -> Vec<Problem> {
        let warning = |code, variable: &str, message: &str, help: &str| Problem {
            code,
            gravity: Gravity::Warning,
            message: message.to_owned(),
            help: Some(help.to_owned()),
            span: self.span(variable),
        };
        let is_open = |it: SocketAddr| !it.ip().is_loopback();
        let server = &settings.server;
        let mut problems = Vec::new();
        if is_open(server.listen) && !settings.sign_in.is_https() {
            let (message, variable) = match &settings.sign_in.public_url {
                Some(_) => (
                    "`server.public_url` is not `https:`, and others can reach the server",
                    "TRUNKLINE_PUBLIC_URL",
                ),
                None => (
                    "`server.public_url` is not set, and others can reach the server",
                    "TRUNKLINE_LISTEN",
                ),
            };
            let help = "put a proxy with TLS in front, and name its `https:` address: without TLS passwords and tokens can be read on the way";
            problems.push(warning("config/no-tls", variable, message, help));
        }
        let metrics = server.metrics_listen.unwrap_or(server.listen);
        if is_open(metrics) && server.metrics_token.is_none() {
            let message = "everybody who reaches the server can read `/metrics`";
            let help = "set `metrics.token_file`, or `metrics.listen = \"127.0.0.1:9090\"`";
            let variable = if server.metrics_listen.is_some() {
                "TRUNKLINE_METRICS_LISTEN"
            } else {
                "TRUNKLINE_LISTEN"
            };
            problems.push(warning("config/open-metrics", variable, message, help));
        }
        problems
    }
}

/// What is wrong with a path, and what to do.
fn wrong_path(setting: &Setting, path: &Path) -> Option<(String, &'static str)> {
    const READABLE: &str = "the server's user must be able to read it";
    const MAKE: &str = "make the folder that it lies in";
    match setting.key {
        "forges.github_app_key_file" | "gateway.file" => {
            fs::read(path).err().map(|it| (it.to_string(), READABLE))
        }
        // Made on the first start; the folder is not.
        "keys.file" if path.exists() => fs::read(path).err().map(|it| (it.to_string(), READABLE)),
        "keys.file" => {
            let has_folder = path.parent().is_some_and(Path::is_dir);
            (!has_folder).then(|| ("its folder is not there".to_owned(), MAKE))
        }
        "forges.repositories" | "worker.docker_config" => {
            fs::read_dir(path).err().map(|it| (it.to_string(), READABLE))
        }
        _ => None,
    }
}
