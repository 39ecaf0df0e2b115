//! Who drives a run: a lease in the store, and on this machine a lock on a file that ends with its
//! process, so that a run whose driver was killed can be taken over at once.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use crate::executor::Executor;
use crate::model::RunId;
use crate::runs::{LoadedRun, News};
use crate::store::fleet::LeaseClaim;

use crate::engine::Command;
use crate::worker::{Worker, WorkerError};

/// A lease is renewed so often while it holds.
const RENEWALS: u32 = 3;

/// Folder of the locks in the state folder.
const LOCKS: &str = "locks";
/// How often a lock is tried: one that somebody only looks at is free again at once.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The right to drive one run, as long as this value lives.
#[derive(Debug)]
pub(in crate::worker) struct Lease {
    pub(in crate::worker) epoch: u64,
    // Unlocked by the kernel when it is closed, whatever becomes of the process.
    _lock: File,
}

impl<E: Executor> Worker<E> {
    /// Takes the lease of a run and records the new epoch in it.
    pub(in crate::worker) async fn take_lease(
        &self,
        loaded: &mut LoadedRun,
    ) -> Result<Lease, WorkerError> {
        let run = loaded.run.id().clone();
        let elsewhere = |owner: &str| WorkerError::DrivenElsewhere {
            run: run.clone(),
            owner: owner.to_owned(),
        };
        let lock = wait_for_lock(&self.settings.state_folder.join(LOCKS), &run)
            .await
            .map_err(|reason| WorkerError::Lock { run: run.clone(), reason })?
            .ok_or_else(|| elsewhere(&loaded.row.lease_owner))?;
        let now = self.parts.clock.now();
        let store = self.parts.runs.store();
        let owner = &self.settings.owner;
        let instance = &self.settings.instance;
        let claim = LeaseClaim {
            run: &run,
            owner,
            instance,
            now,
            until: now.plus(self.settings.lease),
            steal: !self.settings.is_shared,
        };
        let claimed = store.claim_lease(&claim).await;
        let epoch = claimed
            .map_err(crate::runs::RunsError::from)?
            .ok_or_else(|| elsewhere(&loaded.row.lease_owner))?;
        let epoch = u64::try_from(epoch).unwrap_or_default();
        let (owner, instance) = (owner.clone(), instance.clone());
        let command = Command::TakeLease { epoch, owner, instance };
        self.parts.runs.execute(loaded, &command, now).await?;
        Ok(Lease { epoch, _lock: lock })
    }

    /// Prolongs the lease; false when it was lost.
    pub(in crate::worker) async fn renew_lease(
        &self,
        run: &RunId,
        epoch: u64,
    ) -> Result<bool, WorkerError> {
        let until = self.parts.clock.now().plus(self.settings.lease);
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let renewed = self.parts.runs.store().renew_lease(run, epoch, until).await;
        Ok(renewed.map_err(crate::runs::RunsError::from)?)
    }

    /// How often a lease is renewed.
    pub(in crate::worker) fn renew_every(&self) -> Duration {
        Duration::from(self.settings.lease) / RENEWALS
    }

    /// Gives the lease to somebody who has what the run wants now.
    pub(in crate::worker) async fn hand_over_lease(&self, run: &RunId, lease: Lease, wants: &str) {
        let epoch = i64::try_from(lease.epoch).unwrap_or(i64::MAX);
        let now = self.parts.clock.now();
        if let Err(error) = self.parts.runs.store().hand_over_lease(run, epoch, wants, now).await {
            tracing::warn!(%run, %error, "the run could not be handed over; its lease runs out");
        }
        self.forget_lock(run);
        self.parts.runs.announce(News::Takeable);
    }

    /// Gives the lease back. A failure only means that it runs out by itself.
    pub(in crate::worker) async fn release_lease(&self, run: &RunId, lease: Lease) {
        let epoch = i64::try_from(lease.epoch).unwrap_or(i64::MAX);
        if let Err(error) = self.parts.runs.store().release_lease(run, epoch).await {
            tracing::warn!(%run, %error, "the lease could not be given back");
        }
        self.forget_lock(run);
    }

    fn forget_lock(&self, run: &RunId) {
        let folder = self.settings.state_folder.join(LOCKS);
        let _stays = fs::remove_file(folder.join(run.to_string()));
    }
}

/// Whether a living process of this machine drives the run.
#[must_use]
pub fn is_driven_here(state_folder: &Path, run: &RunId) -> bool {
    let file = File::open(state_folder.join(LOCKS).join(run.to_string()));
    file.is_ok_and(|it| matches!(it.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

async fn wait_for_lock(folder: &Path, run: &RunId) -> Result<Option<File>, String> {
    for _ in 1..LOCK_TRIES {
        if let Some(lock) = lock_file(folder, run)? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    lock_file(folder, run)
}

/// Locks the run's file; `None` when a living process has it.
fn lock_file(folder: &Path, run: &RunId) -> Result<Option<File>, String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let path = folder.join(run.to_string());
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) if is_same_file(&file, &path) => return Ok(Some(file)),
            // The last driver removed the file between our open and our lock.
            Ok(()) => (),
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.ino() == named.ino() && open.dev() == named.dev(),
        _ => false,
    }
}
