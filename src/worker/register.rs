//! A worker among others: its row, its heartbeat, what it learns of the rest.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::executor::Executor;
use crate::model::{TeamId, Timestamp};
use crate::runs::news::heard;
use crate::runs::{Change, News};
use crate::store::fleet::workers::WorkerRow;
use crate::store::{Store, StoreError};
use crate::worker::{Worker, WorkerError, WorkerPlace};

/// Between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Between two tries to get a name whose last holder may be dead.
const NAME_PAUSE: Duration = Duration::from_secs(2);
/// How long such a name is waited for: longer than a dead holder counts as living.
const NAME_TRIES: u32 = 18;

impl<E: Executor> Worker<E> {
    /// Takes the worker's name; gives what tells this start of the process from others. `None` where there
    /// are no others.
    pub(in crate::worker) async fn register(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<Option<String>, WorkerError> {
        let Some(place) = &self.settings.place else { return Ok(None) };
        let session = format!("{:016x}", fastrand::u64(..));
        let mut tries = 0;
        // When the other one gave a sign of life before we came: the next one shows that it lives.
        let mut holder = None;
        loop {
            match self.store().register_worker(&self.row(place, &session)).await {
                Ok(true) => break,
                Ok(false) => {
                    let name = &self.settings.owner;
                    let seen_at = self.holder_seen_at().await;
                    let is_living = holder.is_some() && seen_at.is_some() && seen_at != holder;
                    if is_living || tries >= NAME_TRIES {
                        return Err(WorkerError::NameTaken { name: name.clone() });
                    }
                    if tries == 0 {
                        let hint = "waiting until it is silent; `--name` gives this one another";
                        tracing::warn!(name, hint, "another worker has this name");
                    }
                    holder = holder.or(seen_at);
                }
                Err(error) => tracing::warn!(%error, "the worker could not be registered"),
            }
            tries += 1;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(NAME_PAUSE) => (),
            }
        }
        self.parts.runs.announce_elsewhere(News::Workers);
        Ok(Some(session))
    }

    async fn holder_seen_at(&self) -> Option<Timestamp> {
        let workers = self.store().list_workers().await.unwrap_or_default();
        workers.into_iter().find(|it| it.name == self.settings.owner).map(|it| it.seen_at)
    }

    /// Gives signs of life until `done`, and then takes the row away.
    pub(in crate::worker) async fn keep_registered(
        &self,
        session: Option<&str>,
        done: &CancellationToken,
    ) {
        let Some(session) = session else { return };
        let mut changes = self.parts.runs.subscribe();
        let says_something = |it: &Change| matches!(it.news(), News::Workers | News::Everything);
        while !done.is_cancelled() {
            if let Err(error) = self.beat(session).await {
                tracing::warn!(%error, "no sign of life could be given");
            }
            tokio::select! {
                () = done.cancelled() => (),
                () = heard(&mut changes, says_something) => (),
                () = tokio::time::sleep(BEAT_EVERY) => (),
            }
        }
        if let Err(error) = self.store().delete_worker(&self.settings.owner, session).await {
            tracing::warn!(%error, "the worker's row stays for a while");
        }
    }

    /// One sign of life; learns whether this worker is to be drained, and what runs elsewhere.
    async fn beat(&self, session: &str) -> Result<(), StoreError> {
        let running: BTreeMap<_, _> =
            self.slots.running().into_iter().map(|(team, count)| (team.0, count)).collect();
        let name = self.settings.owner.as_str();
        let now = self.parts.clock.now();
        match self.store().beat_worker((name, session), &running, now).await? {
            Some(is_draining) => {
                let is_leaving = self.is_leaving.load(Ordering::Relaxed);
                if is_leaving && !is_draining {
                    self.store().save_draining(name, true).await?;
                }
                let wanted = is_draining || is_leaving;
                self.draining.send_if_modified(|it| std::mem::replace(it, wanted) != wanted);
            }
            None => {
                if let Some(place) = &self.settings.place {
                    self.store().register_worker(&self.row(place, session)).await?;
                }
            }
        }
        let mut elsewhere: BTreeMap<TeamId, u32> = BTreeMap::new();
        let others = self.store().list_workers().await?;
        for other in others.into_iter().filter(|it| it.name != name && it.is_alive(now)) {
            for (team, count) in other.running {
                *elsewhere.entry(TeamId(team)).or_default() += count;
            }
        }
        self.slots.set_elsewhere(&elsewhere);
        Ok(())
    }

    fn row(&self, place: &WorkerPlace, session: &str) -> WorkerRow {
        let now = self.parts.clock.now();
        WorkerRow {
            name: self.settings.owner.clone(),
            instance: self.settings.instance.clone(),
            session: session.to_owned(),
            kind: place.kind.clone(),
            labels: place.labels.clone(),
            slots: i64::try_from(self.settings.slots).unwrap_or(i64::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            running: BTreeMap::new(),
            started_at: now,
            seen_at: now,
            draining: false,
        }
    }

    fn store(&self) -> &Store {
        self.parts.runs.store()
    }
}
