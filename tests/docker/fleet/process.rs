//! One process of the fleet.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Process {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: PathBuf,
    pub(super) log: PathBuf,
    pub(super) shared: PathBuf,
    pub(super) repositories: PathBuf,
    pub(super) database: String,
    pub(super) child: Option<Child>,
    /// When it comes back.
    pub(super) back_at: Option<Instant>,
}

impl Process {
    pub(super) fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.arg("--state").arg(&self.state).arg(&self.kind);
        command.args(["--slots", "2", "--name", &self.name]);
        if self.kind == "serve" {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.env("DATABASE_URL", &self.database);
        command.env("TRUNKLINE_SHARED", &self.shared);
        command.env("TRUNKLINE_KEY_FILE", self.shared.join("secret.keys"));
        command.env("TRUNKLINE_REPOSITORIES", &self.repositories);
        command.env("TRUNKLINE_LEASE_SECONDS", "5");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.back_at = None;
    }

    pub(super) fn kill(&mut self, away: Duration) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.back_at = Some(Instant::now() + away);
    }

    /// Starts it again when its time has come, or when it has ended by itself, as it does when the database
    /// is away at its start.
    pub(super) fn revive(&mut self) {
        let has_ended = self.child.as_mut().is_some_and(|it| it.try_wait().unwrap().is_some());
        if has_ended {
            self.child = None;
            self.back_at = Some(Instant::now() + Duration::from_secs(1));
        }
        if self.child.is_none() && self.back_at.is_none_or(|it| it <= Instant::now()) {
            self.start();
        }
    }

    /// The label of its containers.
    pub(super) fn instance(&self) -> String {
        let text = std::fs::read_to_string(self.state.join("instance")).unwrap_or_default();
        let text = text.trim().to_owned();
        if text.is_empty() { "none".to_owned() } else { text }
    }
}
