//! The built binary against a server, as a person on another machine uses it.

#[path = "terminal/accounts.rs"]
mod accounts;
#[path = "terminal/budgets.rs"]
mod budgets;
#[path = "terminal/traces.rs"]
mod traces;
#[path = "terminal/broken.rs"]
mod broken;
#[path = "terminal/sign_in.rs"]
mod sign_in;
#[path = "terminal/things.rs"]
mod things;
#[path = "terminal/logs.rs"]
mod logs;
#[path = "terminal/runs.rs"]
mod runs;
#[path = "terminal/world.rs"]
mod world;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A person at a terminal, with a home of their own and nothing in it.
pub(crate) struct Terminal {
    folder: TempDir,
    /// More of the environment.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    /// The file with the tokens.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.path().join("config/trunkline/servers.json")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path()).env("USER", "ada").env("TZ", "UTC");
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command.env("TRUNKLINE_STATE", self.path("state"));
        command.envs(self.env.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// What comes of a command that is given this on standard input.
    pub(crate) fn output(&self, stdin: &str, arguments: &[&str]) -> Output {
        let mut child = self.start(arguments);
        let mut input = child.stdin.take().unwrap();
        // Whoever asks for nothing has closed it.
        let _is_read = input.write_all(stdin.as_bytes());
        drop(input);
        child.wait_with_output().unwrap()
    }

    /// Standard output of a command that passes and is given this.
    pub(crate) fn types(&self, stdin: &str, arguments: &[&str]) -> String {
        let (text, errors, code) = parts(&self.output(stdin, arguments));
        assert_eq!(code, Some(0), "{arguments:?}\n{text}\n{errors}");
        text
    }

    /// Standard output of a command that passes.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        self.types("", arguments)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Standard error of a command that ends with this code.
    pub(crate) fn complains(&self, code: i32, arguments: &[&str]) -> String {
        let (text, errors, found) = parts(&self.output("", arguments));
        assert_eq!(found, Some(code), "{arguments:?}\n{text}\n{errors}");
        errors
    }
}

/// Standard output, standard error and the exit code.
pub(crate) fn parts(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}
