//! The built binary as a process: one command to its end, or a server. Use it by
//! `#[path = "support/process.rs"] mod started;`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

/// `trunkline serve` on a state folder, with stages as processes of this machine; ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    /// What it has said until it listened, and that it does.
    pub(crate) first_lines: Vec<String>,
    errors: Option<std::thread::JoinHandle<String>>,
}

/// The binary on a state folder, without the environment of the test.
pub(crate) fn trunkline(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", state);
    command.env("TRUNKLINE_STATE", state).env("TRUNKLINE_EXECUTOR", "host").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Standard output of a command that ends well.
pub(crate) fn says(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}\n{errors}");
    text
}

/// What a line says, also where lines are JSON.
fn said(line: &str) -> String {
    let json: Option<Value> = serde_json::from_str(line).ok();
    let message = json.as_ref().and_then(|it| it["fields"]["message"].as_str());
    message.unwrap_or(line).to_owned()
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut url, mut first_lines) = (None, Vec::new());
        while url.is_none() {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended before it listened: {}", errors.join().unwrap());
            url = said(line.trim()).strip_prefix("listening on ").map(str::to_owned);
            first_lines.push(line);
        }
        // What it says later is read by nobody, and must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, url: url.unwrap(), first_lines, errors: Some(errors) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for its end; what it has written to standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.errors.take().unwrap().join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _nobody_asks = self.child.wait();
    }
}
