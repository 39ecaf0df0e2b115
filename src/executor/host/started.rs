//! The processes that this engine has started itself, by attempt: it need not wait until they have told
//! their ids. Those of an engine before it are found by what they wrote.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;

/// What a process does for its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Runs the steps.
    Shell,
    /// Writes the log.
    Writer,
}

/// A process, whatever becomes of its id.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) id: Pid,
    fd: OwnedFd,
}

/// Processes by attempt.
#[derive(Debug, Default)]
pub(super) struct Started {
    all: Mutex<HashMap<(String, Role), Watched>>,
}

impl Started {
    /// Remembers a child that nobody has waited for yet.
    pub(super) fn insert(&self, slug: &str, role: Role, child: &Child) -> io::Result<()> {
        let id = child.id().and_then(|it| Pid::from_raw(i32::try_from(it).ok()?));
        if let Some(watched) = id.map(Watched::open).transpose()?.flatten() {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert((slug.to_owned(), role), watched);
        }
        Ok(())
    }

    /// One that runs.
    pub(super) fn find(&self, slug: &str, role: Role) -> Option<Watched> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(slug.to_owned(), role)).filter(|it| !it.has_ended())?.try_clone().ok()
    }

    pub(super) fn forget(&self, slug: &str, role: Role) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(slug.to_owned(), role));
    }
}

impl Watched {
    /// `None` when there is no process with this id.
    pub(super) fn open(id: Pid) -> io::Result<Option<Self>> {
        match rustix::process::pidfd_open(id, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self { id, fd })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { id: self.id, fd: self.fd.try_clone()? })
    }

    fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Waits for its end.
    pub(super) async fn end(self) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "its unsafe successor is for types whose descriptor may change"
        )]
        let fd = AsyncFd::with_interest(self.fd, Interest::READABLE)?;
        fd.readable().await.map(drop)
    }

    /// Waits for its end, but not for long.
    pub(super) async fn end_within(self, patience: Duration) {
        // Who waits looks again whatever came of it.
        tokio::time::timeout(patience, self.end()).await.ok();
    }
}
