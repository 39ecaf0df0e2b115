//! The processes of one attempt: a shell that runs its steps, all in one process group, and a `cat` that
//! writes what they print to the log. Both live on when the engine dies.
//!
//! They do not print to the file itself, as `echo … > /dev/stderr` would then empty it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Pid;
use tokio::process::Command;

use crate::executor::control::{self, AttemptFolder};
use crate::executor::host::started::{Role, Started, Watched};
use crate::executor::layout::Layout;
use crate::executor::{ExecutorError, Signal};

/// Between two looks at something that takes a moment.
pub(super) const PAUSE: Duration = Duration::from_millis(1);
/// Exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;
/// Environment variable that tells whose process it is, also when it has left the group.
const COOKIE: &str = "TRUNKLINE_ATTEMPT_FOLDER";

/// The processes of one attempt.
pub(super) struct Process {
    folder: AttemptFolder,
    control: PathBuf,
    workspace: PathBuf,
    env: Vec<(String, String)>,
    started: Arc<Started>,
}

/// Where an attempt stands.
pub(super) enum Standing {
    NotBegun,
    /// Begun, but the shell has not told its id yet, or was never started.
    Unborn,
    Running(Running),
    Ended(i32),
    /// It ran, and nobody knows how it ended.
    Lost,
}

impl Process {
    pub(super) fn of(
        folder: &AttemptFolder,
        workspace: PathBuf,
        env: Vec<(String, String)>,
        started: Arc<Started>,
    ) -> Self {
        Self { folder: folder.clone(), control: folder.control(0), workspace, env, started }
    }

    pub(super) fn slug(&self) -> &str {
        self.folder.slug()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(super) fn standing(&self, layout: &Layout, boot: &str) -> Result<Standing, ExecutorError> {
        // First: one that has ended before has written all that is looked at next.
        let started = self.started.find(self.slug(), Role::Shell);
        if let Some(code) = self.exit_code() {
            return Ok(Standing::Ended(code));
        }
        let is_begun = self.folder.is_begun(0);
        if layout.boot != boot {
            // All processes ended with the machine, and a marker may be lost that was written shortly before.
            return Ok(Standing::Lost);
        }
        if !is_begun {
            return Ok(Standing::NotBegun);
        }
        let Some(id) = self.id() else {
            return Ok(started.map_or(Standing::Unborn, |it| Standing::Running(Running(it))));
        };
        if let Some(running) = self.running(id)? {
            return Ok(Standing::Running(running));
        }
        // It may have ended since the first look.
        Ok(match self.exit_code() {
            Some(code) => Standing::Ended(code),
            None if self.folder.is_stopped() => Standing::Ended(KILLED),
            None => Standing::Lost,
        })
    }

    /// Starts the shell. If another engine does the same, one of the two shells gives way to the other.
    pub(super) fn spawn(&self) -> Result<(), ExecutorError> {
        self.try_spawn().map_err(|error| ExecutorError::Infra {
            operation: format!("starting a shell for attempt {}", self.slug()),
            reason: error.to_string(),
        })
    }

    fn try_spawn(&self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        // Held by `cat` as long as it lives: the log is whole when it can be had.
        match rustix::fs::flock(&log, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let (reader, writer) = io::pipe()?;
        // By its whole path: to look for it, the engine would be copied with all its memory.
        let mut cat = Command::new(self.find_program("cat"));
        cat.env_clear().process_group(0);
        let writing = cat.stdin(reader).stdout(log).stderr(Stdio::null()).spawn()?;
        self.started.insert(self.slug(), Role::Writer, &writing)?;
        drop(cat);
        let mut shell = Command::new("/bin/sh");
        shell.arg(self.control.join("main.sh")).env_clear().envs(self.env.iter().cloned());
        shell.env(COOKIE, self.folder.path()).current_dir(&self.workspace).process_group(0);
        shell.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        self.started.insert(self.slug(), Role::Shell, &shell.spawn()?)
    }

    fn find_program(&self, name: &str) -> PathBuf {
        let found = self.env.iter().find(|(name, _)| name == "PATH");
        let path = found.map_or("/usr/bin:/bin", |(_, value)| value);
        let mut places = path.split(':').map(|folder| Path::new(folder).join(name));
        places.find(|it| it.is_absolute() && it.is_file()).unwrap_or_else(|| PathBuf::from(name))
    }

    /// Waits a moment for the end of the log, which follows that of the shell.
    pub(super) async fn wait_for_writer(&self) {
        match self.started.find(self.slug(), Role::Writer) {
            Some(writer) => writer.end_within(PAUSE).await,
            None => tokio::time::sleep(PAUSE).await,
        }
    }

    /// The attempt has ended: what is written down about it is enough.
    pub(super) fn forget(&self, role: Role) {
        self.started.forget(self.slug(), role);
    }

    /// Whether nothing more is written to the log.
    pub(super) fn is_log_whole(&self) -> bool {
        File::open(self.log())
            .is_ok_and(|log| rustix::fs::flock(&log, FlockOperation::NonBlockingLockShared).is_ok())
    }

    /// Sends a signal to every process of the attempt, those that left its group too.
    pub(super) fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        for id in self.all() {
            // It may have ended meanwhile.
            rustix::process::kill_process(id, signal).ok();
        }
    }

    fn all(&self) -> Vec<Pid> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let id = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            Pid::from_raw(name.to_str()?.parse().ok()?)
        };
        entries.filter_map(id).filter(|id| self.is_ours(*id)).collect()
    }

    fn is_ours(&self, id: Pid) -> bool {
        let path = format!("/proc/{}/environ", id.as_raw_nonzero());
        let cookie = [COOKIE.as_bytes(), b"=", path_bytes(self.folder.path())].concat();
        fs::read(path).is_ok_and(|it| it.split(|byte| *byte == 0).any(|it| it == cookie))
    }

    fn exit_code(&self) -> Option<i32> {
        read_number(&self.control.join("exit"))
    }

    fn id(&self) -> Option<Pid> {
        Pid::from_raw(read_number(&self.control.join("pid"))?)
    }

    fn running(&self, id: Pid) -> Result<Option<Running>, ExecutorError> {
        let watched = Watched::open(id)
            .map_err(|error| control::failed("watching process of", &self.control, &error))?;
        // An ended process that nobody has waited for has no environment any more.
        Ok(watched.filter(|_| self.is_ours(id)).map(Running))
    }
}

/// A shell that runs.
pub(super) struct Running(Watched);

impl Running {
    /// Waits for its end, and then ends what it left behind in its group.
    pub(super) async fn end(self) -> Result<(), ExecutorError> {
        let id = self.0.id;
        self.0.end().await.map_err(|error| ExecutorError::Infra {
            operation: format!("watching process {}", id.as_raw_nonzero()),
            reason: error.to_string(),
        })?;
        rustix::process::kill_process_group(id, rustix::process::Signal::KILL).ok();
        Ok(())
    }
}

/// A number with its line's end; without it, it is not written to the end yet.
fn read_number(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
}

fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}
