//! What a run was started with that its executor does not tell: for `resume` and `rerun`, which go on with the same, and
//! for commands that a person is told to type. Values of secrets are kept nowhere.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args::{DriveArgs, ModelCalls};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::shell_word;
use crate::model::RunId;

/// What a run was started with. Fields are only ever added, each with a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The gateway's file that a person named.
    pub gateway: Option<PathBuf>,
    /// What cassettes are for, where that was said.
    pub model_calls: Option<ModelCalls>,
    /// Names of the secrets that were given.
    pub secrets: Vec<String>,
    /// Files that secrets were given in.
    pub secrets_files: Vec<PathBuf>,
    /// Variables of the gateway's file with keys of providers that were there.
    pub keys: Vec<String>,
}

impl Remembered {
    /// That of a run; nothing, where nothing was given or the run was made by a version that kept nothing.
    #[must_use]
    pub fn of_run(state: &State, run: &RunId) -> Self {
        let text = std::fs::read_to_string(note(&state.folder, run)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The same with what is given now, which wins; `gateway` is the file that is named by it or was before.
    #[must_use]
    pub fn with(self, session: &Session, args: &DriveArgs, gateway: Option<&Path>) -> Self {
        let name = |it: &String| it.split_once('=').map_or(it.as_str(), |it| it.0).to_owned();
        let has_secrets = !args.secrets.is_empty() || !args.secrets_files.is_empty();
        let (secrets, secrets_files) = if has_secrets {
            let files = args.secrets_files.iter().map(|it| session.folder.join(it));
            (args.secrets.iter().map(name).collect(), files.collect())
        } else {
            (self.secrets, self.secrets_files)
        };
        Self {
            gateway: gateway.map(Path::to_owned),
            model_calls: args.model_calls.or(self.model_calls),
            secrets,
            secrets_files,
            keys: self.keys,
        }
    }

    /// The same with keys that are there now.
    #[must_use]
    pub fn with_keys(mut self, now: Vec<String>) -> Self {
        self.keys.extend(now);
        self.keys.sort();
        self.keys.dedup();
        self
    }

    /// Keeps it for whoever goes on with the run.
    pub fn keep(&self, state: &State, run: &RunId) -> io::Result<()> {
        let note = note(&state.folder, run);
        if *self == Self::default() && !note.exists() {
            return Ok(());
        }
        if let Some(folder) = note.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(note, serde_json::to_string(self)?)
    }

    /// As options of a command, each behind a space: ` --secret API_KEY`.
    #[must_use]
    pub fn options(&self) -> String {
        let path = |it: &PathBuf| shell_word(&it.display().to_string());
        let mut options = String::new();
        let mut add = |name: &str, value: &str| options += &format!(" --{name} {value}");
        for it in &self.secrets {
            add("secret", &shell_word(it));
        }
        for it in &self.secrets_files {
            add("secrets-file", &path(it));
        }
        if let Some(file) = &self.gateway {
            add("gateway", &path(file));
        }
        if let Some(mode) = self.model_calls {
            add("model-calls", mode.word());
        }
        options
    }
}

/// Where it is kept.
fn note(state_folder: &Path, run: &RunId) -> PathBuf {
    state_folder.join("started-with").join(run.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_becomes_options_without_the_values_of_secrets() {
        let remembered = Remembered {
            gateway: Some(PathBuf::from("/etc/my gateway.toml")),
            model_calls: Some(ModelCalls::ReplayOrRecord),
            secrets: vec!["API_KEY".to_owned()],
            secrets_files: vec![PathBuf::from("/home/ada/.secrets")],
            keys: vec!["OPENAI_KEY".to_owned()],
        };
        assert_eq!(
            remembered.options(),
            " --secret API_KEY --secrets-file /home/ada/.secrets --gateway '/etc/my gateway.toml' \
             --model-calls replay_or_record"
        );
        assert_eq!(Remembered::default().options(), "");
    }

    #[test]
    fn what_is_kept_is_read_again_and_so_is_what_another_version_wrote() {
        let text = r#"{"gateway":"/gw.toml","model_calls":"live","secrets":["A"],"secrets_files":[],"keys":[]}"#;
        let read: Remembered = serde_json::from_str(text).unwrap();
        assert_eq!((read.model_calls, read.secrets.len()), (Some(ModelCalls::Live), 1));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let other: Remembered = serde_json::from_str(r#"{"later":1}"#).unwrap();
        assert_eq!(other, Remembered::default());
    }
}
