//! One fetch, by the `git` of this machine: it has the protocols, credential helpers, SSH agents and
//! proxies that a person has set up. It never asks anybody, and ends in bounded time and space.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::SourceError;

/// The longest a fetch may take.
const TIME_MAX: Duration = Duration::from_mins(2);

/// The most that a mirror may take on the disk.
const BYTES_MAX: u64 = 512 << 20;

/// How often a fetch that takes long is looked at.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The most that is read of what `git` says.
const SAID_MAX: u64 = 16 << 10;

/// What the caller of `trunkline` may have set for another repository.
const FOREIGN: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_QUARANTINE_PATH",
];

/// What is fetched, and where it is kept.
pub(super) struct Fetch<'a> {
    pub(super) mirror: &'a Path,
    pub(super) url: &'a str,
    pub(super) r#ref: &'a str,
    pub(super) kept_as: &'a str,
}

impl Fetch<'_> {
    pub(super) fn carry_out(&self) -> Result<(), SourceError> {
        let log = self.mirror.join("fetch.log");
        let output = File::create(&log).map_err(|it| self.failed(it.to_string()))?;
        let child = self.command(output).spawn().map_err(|it| self.failed(not_started(&it)))?;
        let status = self.wait(child)?;
        if status.success() {
            return Ok(());
        }
        Err(self.explain(&said(&log)))
    }

    fn command(&self, output: File) -> Command {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(self.mirror);
        for setting in ["gc.auto=0", "maintenance.auto=false", "core.hooksPath=/dev/null"] {
            git.args(["-c", setting]);
        }
        git.args(["fetch", "--quiet", "--no-progress", "--depth=1", "--no-tags", "--force"]);
        git.args(["--no-recurse-submodules", "--no-write-fetch-head", "--end-of-options"]);
        git.arg(self.address()).arg(format!("+{}:{}", self.r#ref, self.kept_as));
        for name in FOREIGN {
            git.env_remove(name);
        }
        git.env("GIT_ALLOW_PROTOCOL", "https:ssh:file").env("LC_ALL", "C");
        // Who has to be asked for a password is not there.
        git.env("GIT_TERMINAL_PROMPT", "0");
        git.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
        git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(output));
        git
    }

    /// A path as a URL, as only that takes a depth.
    fn address(&self) -> String {
        if self.url.starts_with('/') { format!("file://{}", self.url) } else { self.url.to_owned() }
    }

    fn wait(&self, mut child: Child) -> Result<ExitStatus, SourceError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(error) => return Err(self.stopped(&mut child, error.to_string())),
            }
            if started.elapsed() > TIME_MAX {
                let reason = format!("it took more than {} seconds", TIME_MAX.as_secs());
                return Err(self.stopped(&mut child, reason));
            }
            if size_of(&self.mirror.join("objects")) > BYTES_MAX {
                let reason = format!("the repository is larger than {} MiB", BYTES_MAX >> 20);
                return Err(self.stopped(&mut child, reason));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn stopped(&self, child: &mut Child, reason: String) -> SourceError {
        if let Err(error) = child.kill().and_then(|()| child.wait()) {
            tracing::warn!(%error, "cannot stop a fetch");
        }
        self.failed(reason)
    }

    fn explain(&self, said: &str) -> SourceError {
        let is_missing = said.contains("couldn't find remote ref")
            || said.contains("not our ref")
            || said.contains("no such remote ref");
        if is_missing {
            return SourceError::NotFound(self.r#ref.to_owned());
        }
        let lines = said.lines().map(str::trim).filter(|it| !it.is_empty());
        let told: Vec<&str> = lines.filter(|it| !it.starts_with("hint:")).take(3).collect();
        self.failed(if told.is_empty() { "git gave no reason".to_owned() } else { told.join("; ") })
    }

    fn failed(&self, reason: String) -> SourceError {
        let operation = format!("fetching `{}` of `{}`", self.r#ref, self.url);
        SourceError::Failed { operation, reason }
    }
}

fn not_started(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::NotFound {
        return "there is no program `git` on this machine".to_owned();
    }
    format!("`git` cannot be started: {error}")
}

fn said(log: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|it| it.take(SAID_MAX).read_to_end(&mut text));
    if let Err(error) = read {
        tracing::warn!(path = %log.display(), %error, "cannot read what git said");
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Bytes of the files of a folder, two levels deep, as git keeps objects.
fn size_of(objects: &Path) -> u64 {
    let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: &fs::DirEntry| entry.metadata().map_or(0, |it| it.len());
    let below = |folder: fs::DirEntry| files(&folder.path()).map(|it| size(&it)).sum::<u64>();
    files(objects).map(below).sum()
}
