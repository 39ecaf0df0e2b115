//! The `git` program of this machine, for what needs a network: it has the protocols, credential helpers,
//! SSH agents and proxies that a person has set up. It never asks anybody, and ends in bounded time and space.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::SourceError;

/// How often a call that takes long is looked at.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// The most that is read of what `git` says went wrong.
const COMPLAINT_MAX: u64 = 16 << 10;
/// The most that is read of what it answers: a million refs are 80 MB.
const ANSWER_MAX: u64 = 128 << 20;

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

/// One call of `git` on a bare repository.
pub(super) struct Call<'a> {
    /// The repository.
    pub(super) folder: &'a Path,
    /// What is done, for errors: `fetching …`.
    pub(super) operation: String,
    /// The longest it may take.
    pub(super) time_max: Duration,
    /// The most that the repository may take on the disk.
    pub(super) bytes_max: u64,
}

impl Call<'_> {
    /// Calls `git` with what `set_up` adds to the command, and gives what it wrote. What it complains of when it
    /// fails is judged by `explain`, which may know a better error.
    pub(super) fn carry_out(
        &self,
        set_up: impl FnOnce(&mut Command),
        explain: impl FnOnce(&str) -> Option<SourceError>,
    ) -> Result<String, SourceError> {
        let scratch = self.scratch()?;
        let (answer, complaint) = (scratch.path().join("answer"), scratch.path().join("complaint"));
        let file = |path: &Path| File::create(path).map_err(|it| self.failed(it.to_string()));
        let mut git = self.command();
        set_up(&mut git);
        git.stdin(Stdio::null()).stdout(file(&answer)?).stderr(file(&complaint)?);
        let child = git.spawn().map_err(|it| self.failed(not_started(&it)))?;
        if self.wait(child)?.success() {
            return Ok(read(&answer, ANSWER_MAX));
        }
        let complaint = read(&complaint, COMPLAINT_MAX);
        Err(explain(&complaint).unwrap_or_else(|| self.failed(reason_in(&complaint))))
    }

    fn scratch(&self) -> Result<Scratch, SourceError> {
        Scratch::make(self.folder).map_err(|error| self.failed(error.to_string()))
    }

    fn command(&self) -> Command {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(self.folder);
        for setting in ["gc.auto=0", "maintenance.auto=false", "core.hooksPath=/dev/null"] {
            git.args(["-c", setting]);
        }
        for name in FOREIGN {
            git.env_remove(name);
        }
        // Who has to be asked for a password is not there.
        git.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        git.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
        git
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
            if started.elapsed() > self.time_max {
                let reason = format!("it took more than {} seconds", self.time_max.as_secs());
                return Err(self.stopped(&mut child, reason));
            }
            if size_of(&self.folder.join("objects")) > self.bytes_max {
                let reason = format!("the repository is larger than {} MiB", self.bytes_max >> 20);
                return Err(self.stopped(&mut child, reason));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn stopped(&self, child: &mut Child, reason: String) -> SourceError {
        if let Err(error) = child.kill().and_then(|()| child.wait()) {
            tracing::warn!(%error, "cannot stop `git`");
        }
        self.failed(reason)
    }

    fn failed(&self, reason: String) -> SourceError {
        SourceError::Failed { operation: self.operation.clone(), reason }
    }
}

/// A folder for one call, gone with it. (A call that was killed leaves a few bytes in the repository's own.)
struct Scratch {
    folder: std::path::PathBuf,
}

impl Scratch {
    fn make(repository: &Path) -> std::io::Result<Self> {
        let folder = repository.join(format!("call-{:016x}", fastrand::u64(..)));
        fs::create_dir(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(folder = %self.folder.display(), %error, "not removed");
        }
    }
}

fn not_started(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::NotFound {
        return "there is no program `git` on this machine".to_owned();
    }
    format!("`git` cannot be started: {error}")
}

fn read(path: &Path, bytes_max: u64) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|it| it.take(bytes_max).read_to_end(&mut text));
    if let Err(error) = read {
        tracing::warn!(path = %path.display(), %error, "cannot read what git said");
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn reason_in(complaint: &str) -> String {
    let lines = complaint.lines().map(str::trim).filter(|it| !it.is_empty());
    let told: Vec<&str> = lines.filter(|it| !it.starts_with("hint:")).take(3).collect();
    if told.is_empty() { "git gave no reason".to_owned() } else { told.join("; ") }
}

/// Whether it complains that the remote has no such ref.
pub(super) fn is_missing_ref(complaint: &str) -> bool {
    ["couldn't find remote ref", "not our ref", "no such remote ref"]
        .into_iter()
        .any(|it| complaint.contains(it))
}

/// Bytes of the files of a folder, two levels deep, as git keeps objects.
fn size_of(objects: &Path) -> u64 {
    let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: &fs::DirEntry| entry.metadata().map_or(0, |it| it.len());
    let below = |folder: fs::DirEntry| files(&folder.path()).map(|it| size(&it)).sum::<u64>();
    files(objects).map(below).sum()
}
