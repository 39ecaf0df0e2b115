//! What every subcommand is given: settings, the folder a person stands in, and where to write.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::GlobalArgs;
use super::output::Output;
use crate::config::{self, Environment, Settings};
use crate::model::{Clock, Timestamp};
use crate::source::Repository;
use crate::worker::SystemClock;

/// One call of `trunkline`.
#[derive(Debug, Clone)]
pub struct Session {
    /// Settings.
    pub settings: Settings,
    /// The environment, for `--secret NAME`.
    pub environment: Environment,
    /// The server that commands are for, by its address or host; `None` for this machine.
    pub server: Option<String>,
    /// Certificates of authorities that are trusted as well.
    pub ca: Option<PathBuf>,
    /// What `--config` names.
    pub config: Option<PathBuf>,
    /// The folder a person stands in.
    pub folder: PathBuf,
    /// Where results go.
    pub output: Output,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Session {
    /// What the environment and the global options say.
    pub fn new(environment: Environment, global: &GlobalArgs) -> anyhow::Result<Self> {
        let folder = config::working_folder().context("the current folder cannot be read")?;
        let mut settings = Settings::read(&environment, global.state.clone())?;
        // The daemon and later processes must see the same folder, wherever they stand.
        settings.state_folder = folder.join(&settings.state_folder);
        let server = global.server.clone().or_else(|| settings.client.server.clone());
        let ca = global.ca.clone().or_else(|| settings.client.ca.clone()).map(|it| folder.join(it));
        let config = global.config.as_ref().map(|it| folder.join(it));
        let output = Output::new(&settings, global.color, global.json);
        let clock = Arc::new(SystemClock);
        Ok(Self { settings, environment, server, ca, config, folder, output, clock })
    }

    /// The server of `--server`, and not of the environment.
    #[must_use]
    pub fn named_server(&self) -> Option<&str> {
        self.server.as_deref().filter(|it| Some(*it) != self.settings.client.server.as_deref())
    }

    /// The repository a person stands in, as its runs name it.
    #[must_use]
    pub fn repository(&self) -> Option<String> {
        Repository::discover(&self.folder).ok().as_ref().map(repository_name)
    }

    /// Says what a long process does, on standard output: as a line of its log where that is JSON.
    pub fn announce(&self, text: &str) -> std::io::Result<()> {
        if !self.settings.log_json && !self.output.json {
            return self.output.line(text);
        }
        let at = chrono::DateTime::from_timestamp_millis(self.now().0).unwrap_or_default();
        self.output.json(&serde_json::json!({
            "timestamp": at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            "level": "INFO",
            "fields": { "message": text },
            "target": "trunkline",
        }))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What the runs of a repository on this machine call it.
#[must_use]
pub fn repository_name(repository: &Repository) -> String {
    repository.folder().display().to_string()
}
