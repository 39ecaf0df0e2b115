//! Answers that are kept so that an equal call need not go out: in memory, and in Redis for several
//! processes. What cannot be looked up in time is a miss, never an error.

pub mod settings;
pub mod wish;
pub mod kept;
pub mod answer;
pub mod embedding;
pub mod flight;
pub mod remote;
pub mod keeper;
pub mod semantic;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::model::{Clock, Milliseconds};
use flight::Flights;
use kept::Kept;
use remote::Remote;
use semantic::Index;
use settings::CacheSettings;
use wish::key;

/// Writes to Redis that may be under way; what comes beyond stays in memory alone.
const WRITES_AT_MOST: usize = 256;
/// Versions of namespaces that this process knows of.
const VERSIONS_AT_MOST: usize = 10_000;
/// How long Redis keeps a version that was said there: far longer than any entry lives.
const VERSION_LIVES: Duration = Duration::from_hours(400 * 24);

/// The cache.
pub struct Cache {
    settings: CacheSettings,
    memory: moka::sync::Cache<String, Held>,
    remote: Option<Remote>,
    flights: Arc<Flights>,
    index: Index,
    versions: Mutex<HashMap<(String, String), String>>,
    writes: Arc<Semaphore>,
    tasks: TaskTracker,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone)]
struct Held {
    kept: Arc<Kept>,
    lives: Duration,
}

/// Takes entries out of memory when their time is over.
struct Lifetime;

impl moka::Expiry<String, Held> for Lifetime {
    fn expire_after_create(&self, _: &String, held: &Held, _: Instant) -> Option<Duration> {
        Some(held.lives)
    }

    fn expire_after_update(
        &self,
        _: &String,
        held: &Held,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(held.lives)
    }
}

/// Why a version could not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Redis does not answer, and other processes would go on with the old one.
    #[error("the shared cache does not answer, so the version was not changed")]
    Down,
    /// There are too many.
    #[error("there are too many namespaces")]
    Full,
}

impl Cache {
    /// An empty one.
    #[must_use]
    pub fn new(
        settings: CacheSettings,
        remote: Option<Remote>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
    ) -> Self {
        let weight = |key: &String, held: &Held| {
            u32::try_from(key.len() + held.kept.size()).unwrap_or(u32::MAX)
        };
        let memory = moka::sync::Cache::builder()
            .max_capacity(settings.memory_bytes)
            .weigher(weight)
            .expire_after(Lifetime)
            .build();
        let flights = Arc::new(Flights::new(settings.waiters));
        let writes = Arc::new(Semaphore::new(WRITES_AT_MOST));
        let versions = Mutex::default();
        let index = Index::new(settings.semantic_bytes);
        Self { settings, memory, remote, flights, index, versions, writes, tasks, clock }
    }

    /// What it may keep and share.
    #[must_use]
    pub fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// Calls under way.
    #[must_use]
    pub fn flights(&self) -> &Arc<Flights> {
        &self.flights
    }

    /// Questions whose answers are kept.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What is kept in this process.
    #[must_use]
    pub fn at_hand(&self, key: &str) -> Option<Arc<Kept>> {
        let held = self.memory.get(key)?;
        (self.clock.now() < held.kept.until).then_some(held.kept)
    }

    /// What is kept, here or in Redis.
    pub async fn find(&self, key: &str) -> Option<Arc<Kept>> {
        self.find_all(&[key.to_owned()]).await.pop().flatten()
    }

    /// The same for several keys, with one question to Redis.
    pub async fn find_all(&self, keys: &[String]) -> Vec<Option<Arc<Kept>>> {
        let mut found: Vec<_> = keys.iter().map(|it| self.at_hand(it)).collect();
        let Some(remote) = &self.remote else { return found };
        let missing = |it: &(&String, &mut Option<Arc<Kept>>)| it.1.is_none();
        let slots: Vec<_> = keys.iter().zip(&mut found).filter(missing).collect();
        if slots.is_empty() {
            return found;
        }
        let names: Vec<_> = slots.iter().map(|it| entry_name(it.0)).collect();
        let bytes = remote.get_all(&names).await.unwrap_or_default();
        for ((key, slot), bytes) in slots.into_iter().zip(bytes) {
            let Some(kept) = bytes.and_then(|it| Kept::decode(&it)) else { continue };
            let left = kept.until.since(self.clock.now());
            if left.0 > 0 {
                let kept = Arc::new(kept);
                self.hold(key, kept.clone(), left);
                *slot = Some(kept);
            }
        }
        found
    }

    /// Keeps an answer: here at once, in Redis soon. One that is too large is not kept.
    pub fn keep(&self, key: &str, kept: Kept, ttl: Milliseconds) {
        self.keep_all(vec![(key.to_owned(), kept)], ttl);
    }

    /// The same for several.
    pub fn keep_all(&self, entries: Vec<(String, Kept)>, ttl: Milliseconds) {
        let until = self.clock.now().plus(ttl);
        let mut written = Vec::new();
        for (key, kept) in entries {
            if kept.size() as u64 > self.settings.entry_bytes || ttl.0 == 0 {
                continue;
            }
            let kept = Arc::new(Kept { until, ..kept });
            if self.remote.is_some() {
                written.push((entry_name(&key), kept.encode()));
            }
            self.hold(&key, kept, ttl);
        }
        let (Some(remote), Ok(permit)) =
            (self.remote.clone(), self.writes.clone().try_acquire_owned())
        else {
            return;
        };
        self.tasks.spawn(async move {
            remote.set_all(written, ttl.into()).await.ok();
            drop(permit);
        });
    }

    fn hold(&self, key: &str, kept: Arc<Kept>, ttl: Milliseconds) {
        self.memory.insert(key.to_owned(), Held { kept, lives: ttl.into() });
    }

    /// The content version of a namespace; `None` when it cannot be known now, so that nothing that
    /// is kept may be used.
    pub async fn version(&self, tenant: &str, namespace: &str) -> Option<String> {
        let name = (tenant.to_owned(), namespace.to_owned());
        let known = || {
            let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
            versions.get(&name).cloned()
        };
        let of_settings = || self.settings.namespace(namespace).and_then(|it| it.version.clone());
        if namespace == settings::DEFAULT {
            return Some(of_settings().unwrap_or_default());
        }
        let said = match &self.remote {
            Some(remote) => {
                remote.get_all(&[version_name(tenant, namespace)]).await.ok()?.pop().flatten()
            }
            None => None,
        };
        let said = said.and_then(|it| String::from_utf8(it.to_vec()).ok());
        Some(said.or_else(known).or_else(of_settings).unwrap_or_default())
    }

    /// Gives a namespace a new content version. What was kept before is out of reach from now on.
    pub async fn set_version(
        &self,
        tenant: &str,
        namespace: &str,
        version: &str,
    ) -> Result<(), VersionError> {
        if let Some(remote) = &self.remote {
            let name = version_name(tenant, namespace);
            let set =
                remote.set_all(vec![(name, version.as_bytes().to_vec())], VERSION_LIVES).await;
            set.map_err(|_| VersionError::Down)?;
        }
        let name = (tenant.to_owned(), namespace.to_owned());
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.len() >= VERSIONS_AT_MOST && !versions.contains_key(&name) {
            return Err(VersionError::Full);
        }
        versions.insert(name, version.to_owned());
        Ok(())
    }
}

fn entry_name(key: &str) -> String {
    format!("entry:{key}")
}

fn version_name(tenant: &str, namespace: &str) -> String {
    format!("version:{}", key(&[tenant, namespace]))
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("entries", &self.memory.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
