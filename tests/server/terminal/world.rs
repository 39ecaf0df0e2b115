//! `trunkline serve` as a process of its own, with one project whose repository lies beside it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::Terminal;
use crate::support::PASSWORD;

/// A server in a process, and a terminal that is signed in to it.
pub(crate) struct World {
    pub(crate) terminal: Terminal,
    pub(crate) url: String,
    folder: TempDir,
    server: Option<Child>,
}

impl World {
    /// A server with the project `shop/web`, which has this pipeline, named `ci`.
    pub(crate) fn start(stages: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_repository(&folder.path().join("git/web"), stages);
        let mut world =
            Self { terminal: Terminal::new(), url: String::new(), folder, server: None };
        world.prepare();
        world.serve("127.0.0.1:0");
        let (url, terminal) = (&world.url, &world.terminal);
        let password = format!("{PASSWORD}\n");
        terminal.types(&password, &["login", url, "--scope", "owner"]);
        world.terminal.env = vec![("TRUNKLINE_SERVER", url.clone())];
        let address = format!("file://{}", world.folder.path().join("git/web").display());
        world.terminal.says(&["project", "create", "shop/web", "--address", &address]);
        world
    }

    /// What whoever runs the server does before it starts.
    fn prepare(&self) {
        for arguments in [
            &["person", "add", "ada", "--owner"][..],
            &["team", "add", "shop"],
            &["team", "member", "shop", "ada", "admin"],
        ] {
            let mut command = self.command(arguments);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let _is_read = std::io::Write::write_all(&mut stdin, PASSWORD.as_bytes());
            drop(stdin);
            assert!(child.wait().unwrap().success(), "{arguments:?}");
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.args(arguments).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path());
        command.env("TRUNKLINE_STATE", self.folder.path().join("state"));
        command.env("TRUNKLINE_REPOSITORIES", self.folder.path().join("git"));
        command
    }

    fn serve(&mut self, address: &str) {
        let mut command = self.command(&["serve", "--listen", address]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let line = lines.find_map(|it| Some(it.strip_prefix("listening on ")?.to_owned()));
        self.url = line.expect("it listens");
        self.server = Some(child);
        // It must not stop because nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// Takes the server away at once, as a power cut does.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) fn serve_again(&mut self) {
        let address = self.url.strip_prefix("http://").unwrap().to_owned();
        let url = self.url.clone();
        self.serve(&address);
        assert_eq!(self.url, url);
    }

    /// Waits until a run of the server stands so.
    pub(crate) fn wait_until(&self, run: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let shown = self.terminal.json(&["show", run]);
            if is_so(&shown) {
                return shown;
            }
            assert!(Instant::now() < until, "it never comes: {shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let pid = server.id().to_string();
            let _is_told = Command::new("kill").args(["-TERM", &pid]).status();
            let _has_ended = server.wait();
        }
        // What the last process has left in Docker goes with it.
        let mut gc = self.command(&["gc"]);
        let _is_clean = gc.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn make_repository(folder: &Path, stages: &str) {
    std::fs::create_dir_all(folder.join("pipelines")).unwrap();
    let text = format!(
        "version: 1\nname: ci\non:\n  push: {{ branches: [main] }}\n  manual: {{ inputs: {{ word: {{ type: string, \
         default: hello }} }} }}\ndefaults: {{ image: \"busybox:stable\" }}\nstages:\n{stages}"
    );
    std::fs::write(folder.join("pipelines/ci.yml"), text).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message", "Sell chairs"]);
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    assert!(git.args(arguments).current_dir(folder).status().unwrap().success());
}
