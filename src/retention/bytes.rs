//! Logs, and files that nothing refers to.

use std::collections::HashSet;

use super::{RetentionError, Sweep};
use crate::blobs::garbage::{GRACE, garbage};
use crate::model::{RunId, Timestamp};

impl Sweep<'_> {
    /// Logs of runs that ended long ago, found by their folders; and those of runs that are gone.
    pub(super) async fn logs(&self) -> Result<u64, RetentionError> {
        let by_age = self.days_ago(i64::from(self.of.settings.logs_days));
        let mut removed = 0;
        for run in self.of.logs.list_runs().await? {
            if !self.may_go(&run, by_age).await? {
                continue;
            }
            removed += 1;
            if self.is_real() {
                self.of.logs.delete_run(&run).await?;
                self.pause().await;
            }
        }
        Ok(removed)
    }

    async fn may_go(&self, run: &RunId, by_age: Option<Timestamp>) -> Result<bool, RetentionError> {
        let store = &self.of.store;
        let before = by_age.unwrap_or(Timestamp(i64::MIN));
        Ok(match store.has_ended_before(run, before).await? {
            Some(false) => false,
            Some(true) => !self.needed.contains(run) && !store.is_last_green(run).await?,
            // Another server of this database has removed it; or it is about to be stored.
            None => self.days_ago(1).zip(made_at(run)).is_some_and(|(before, it)| it < before),
        })
    }

    /// Blobs that nothing refers to and that are old enough that nobody is about to.
    pub(super) async fn blobs(&self) -> Result<(u64, u64), RetentionError> {
        let blobs = &self.of.blobs;
        let stored = blobs.list().await?;
        let referenced: HashSet<_> =
            self.of.store.list_referenced_blobs().await?.into_iter().collect();
        let before = Timestamp(self.now.0.saturating_sub_unsigned(GRACE.0));
        let (mut count, mut bytes) = (0, 0);
        for blob in garbage(&stored, &referenced, self.now, GRACE) {
            if !self.is_real() || blobs.delete_garbage(&blob.digest, before).await? {
                count += 1;
                bytes += blob.size_bytes;
            }
        }
        if self.is_real() {
            blobs.sweep_temporary(before).await?;
        }
        Ok((count, bytes))
    }
}

/// When a run was made: its id says so.
fn made_at(run: &RunId) -> Option<Timestamp> {
    let id = ulid::Ulid::from_string(&run.0).ok()?;
    i64::try_from(id.timestamp_ms()).ok().map(Timestamp)
}
