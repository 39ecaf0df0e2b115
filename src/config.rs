//! Settings, read once when the process starts. The only place that reads the environment.

mod fleet;
mod client;
mod forges;
mod mail;
mod sign_in;
pub mod keys;
mod server;
mod setting;
pub mod file;
mod layers;
mod dependent;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use client::{ApiToken, ClientSettings, ProxySettings};
pub use fleet::{FleetSettings, read_labels};
pub use forges::ForgeSettings;
use keys::KeySettings;
pub use layers::{DEFAULT_FILE, Layers, Unreadable};
pub use mail::MailSettings;
pub use server::{RetentionSettings, ServerSettings, TraceSettings};
pub use setting::{Kind, SETTINGS, Setting};
pub use sign_in::{GroupGrant, ProviderSettings, SignInSettings};

/// Variables that processes of the host executor get. Not the others: they may hold secrets.
const HOST_VARIABLES: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "USER", "TZ", "TMPDIR"];

/// The variables of the environment, as they were when the process started.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect() }
    }

    /// The value of a variable; an empty one counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|it| !it.is_empty())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: owned.into_iter().collect() }
    }
}

impl Environment {
    /// The configuration file that `TRUNKLINE_CONFIG` names.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        self.get("TRUNKLINE_CONFIG").map(PathBuf::from)
    }
}

/// The folder this process stands in.
pub fn working_folder() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// What runs attempts, unless the command line says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExecutorKind {
    /// Docker containers.
    #[default]
    Docker,
    /// Processes of this machine, without isolation.
    Host,
}

/// How this installation works, from the environment and from what the machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where state lives: database, logs, blobs, checkouts.
    pub state_folder: PathBuf,
    /// Address of a server's database, when it is not a file in the state folder. Holds a password.
    pub database_url: Option<String>,
    /// How people sign in to a server.
    pub sign_in: SignInSettings,
    /// How the server reaches repositories and forges.
    pub forges: ForgeSettings,
    /// How the server sends mail, if it does.
    pub mail: Option<MailSettings>,
    /// Address of the Docker daemon, when it is not the default one.
    pub docker_host: Option<String>,
    /// Docker's own configuration, with the credentials of registries.
    pub docker_config: Option<PathBuf>,
    /// What runs attempts.
    pub executor: ExecutorKind,
    /// Environment that processes of the host executor start with.
    pub host_env: Vec<(String, String)>,
    /// Attempts at the same time.
    pub slots: usize,
    /// Login of the person at the keyboard.
    pub user: String,
    /// Which of the engine's own messages are written to standard error, if somebody says.
    pub log_filter: Option<String>,
    /// Whether those are JSON lines.
    pub log_json: bool,
    /// Whether colours are wanted (`Some(false)` with `NO_COLOR`), if the environment says so.
    pub color: Option<bool>,
    /// Whether the terminal can move its cursor.
    pub is_dumb_terminal: bool,
    /// What a server seals with.
    pub keys: KeySettings,
    /// Its place among others on one database.
    pub fleet: FleetSettings,
    /// Which server commands are for, and how it is reached.
    pub client: ClientSettings,
    /// How a server listens, is watched, and forgets.
    pub server: ServerSettings,
    /// The file of the LLM gateway that stages use.
    pub gateway_file: Option<PathBuf>,
}

/// Why the settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither a state folder nor a home folder is known.
    #[error(
        "no state folder is known: none of `TRUNKLINE_STATE`, `XDG_DATA_HOME` and `HOME` is set"
    )]
    NoStateFolder,
    /// A variable that is needed has no value.
    #[error("`{name}` is not set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// A variable has a value that it cannot have.
    #[error("`{name}` is `{value}`, and must be {expected}")]
    BadValue {
        /// The variable.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A variable names a file with a value, and that cannot be used.
    #[error("`{name}` names `{file}`, which cannot be used: {reason}")]
    BadFile {
        /// The variable.
        name: String,
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
}

impl ConfigError {
    /// The variable that it is about.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::NoStateFolder => None,
            Self::Missing { name } | Self::BadValue { name, .. } => Some(name),
            Self::BadFile { name, .. } => Some(name),
        }
    }
}

impl Settings {
    /// Settings from the environment; `state_folder` wins over what it says.
    pub fn read(
        environment: &Environment,
        state_folder: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let get = |name| environment.get(name);
        let state_folder = match state_folder {
            Some(folder) => folder,
            None => default_state_folder(environment)?,
        };
        Ok(Self {
            state_folder,
            database_url: get("DATABASE_URL").map(str::to_owned),
            sign_in: sign_in::read(environment)?,
            forges: forges::read(environment),
            mail: mail::read(environment),
            docker_host: get("DOCKER_HOST").map(str::to_owned),
            docker_config: docker_config(environment),
            executor: executor_kind(get("TRUNKLINE_EXECUTOR"))?,
            host_env: host_env(environment),
            slots: slots(get("TRUNKLINE_JOBS"))?,
            user: user(environment),
            log_filter: get("TRUNKLINE_LOG").map(str::to_owned),
            log_json: get("TRUNKLINE_LOG_FORMAT") == Some("json"),
            color: color(environment),
            is_dumb_terminal: get("TERM").is_none_or(|it| it == "dumb"),
            keys: KeySettings::read(environment)?,
            fleet: FleetSettings::read(environment)?,
            client: client::read(environment),
            server: server::read(environment)?,
            gateway_file: get("TRUNKLINE_GATEWAY").map(PathBuf::from),
        })
    }
}

fn default_state_folder(environment: &Environment) -> Result<PathBuf, ConfigError> {
    if let Some(folder) = environment.get("TRUNKLINE_STATE") {
        return Ok(PathBuf::from(folder));
    }
    if let Some(folder) = environment.get("XDG_DATA_HOME") {
        return Ok(PathBuf::from(folder).join("trunkline"));
    }
    let home = environment.get("HOME").ok_or(ConfigError::NoStateFolder)?;
    Ok(PathBuf::from(home).join(".local/share/trunkline"))
}

/// Login of who calls: what the environment says, else the name of the user of this process.
fn user(environment: &Environment) -> String {
    let named = environment.get("USER").or_else(|| environment.get("LOGNAME"));
    if let Some(name) = named {
        return name.to_owned();
    }
    let id = rustix::process::getuid().as_raw();
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of_user(&text, id).unwrap_or_else(|| format!("uid {id}"))
}

/// The name with this number in a text as `/etc/passwd` has it: `name:password:number:…`.
fn name_of_user(text: &str, id: u32) -> Option<String> {
    let mut users = text.lines().map(|it| it.split(':').collect::<Vec<_>>());
    let is_it = |it: &Vec<&str>| it.get(2).and_then(|it| it.parse().ok()) == Some(id);
    users.find(is_it)?.first().map(|it| (*it).to_owned())
}

fn host_env(environment: &Environment) -> Vec<(String, String)> {
    let pair = |name: &str| Some((name.to_owned(), environment.get(name)?.to_owned()));
    HOST_VARIABLES.into_iter().filter_map(pair).collect()
}

fn docker_config(environment: &Environment) -> Option<PathBuf> {
    let folder = environment.get("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(environment.get("HOME")?).join(".docker"));
    Some(folder.or_else(home)?.join("config.json"))
}

fn executor_kind(value: Option<&str>) -> Result<ExecutorKind, ConfigError> {
    match value {
        None | Some("docker") => Ok(ExecutorKind::Docker),
        Some("host") => Ok(ExecutorKind::Host),
        Some(other) => Err(ConfigError::BadValue {
            name: "TRUNKLINE_EXECUTOR",
            value: other.to_owned(),
            expected: "`docker` or `host`",
        }),
    }
}

/// As many as there are CPUs, and at least two, so that a waiting stage does not block the rest.
fn slots(value: Option<&str>) -> Result<usize, ConfigError> {
    let Some(value) = value else {
        return Ok(std::thread::available_parallelism().map_or(2, |it| it.get().max(2)));
    };
    let parsed = value.parse().ok().filter(|it| (1..=1000).contains(it));
    parsed.ok_or_else(|| ConfigError::BadValue {
        name: "TRUNKLINE_JOBS",
        value: value.to_owned(),
        expected: "a number from 1 to 1000",
    })
}

/// `NO_COLOR` (<https://no-color.org>) wins over `CLICOLOR_FORCE` (<https://bixense.com/clicolors>).
fn color(environment: &Environment) -> Option<bool> {
    if environment.get("NO_COLOR").is_some() {
        return Some(false);
    }
    environment.get("CLICOLOR_FORCE").filter(|it| *it != "0").map(|_| true)
}
