//! The part of the cache that several processes share, in Redis. When it is down or slow, that is told
//! once a minute, it is left alone for a second, and everything there counts as missing.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// Before each of our keys.
const PREFIX: &str = "trunkline:1:";
/// How long a Redis that failed is left alone.
const REST: Duration = Duration::from_secs(1);
/// How often it is told.
const TELL_EVERY: Duration = Duration::from_mins(1);
/// Redis is given this many times longer for a connection than for an answer.
const CONNECT_FACTOR: u32 = 4;

/// A Redis. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    manager: ConnectionManager,
    limit: Duration,
    trouble: Arc<Mutex<Trouble>>,
}

#[derive(Debug, Default)]
struct Trouble {
    rests_until: Option<Instant>,
    told: Option<Instant>,
}

/// It does not answer, or not in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down;

impl Remote {
    /// At an address such as `redis://127.0.0.1:6379/0`. Connects when it is first asked. `limit` is
    /// how long one answer may take.
    pub fn new(address: &str, limit: Duration) -> Result<Self, String> {
        // The cause may show the address, and that may hold a password.
        let wrong = |_| "`redis` is not an address such as `redis://127.0.0.1:6379`".to_owned();
        let client = redis::Client::open(address).map_err(wrong)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(limit.saturating_mul(CONNECT_FACTOR)))
            .set_response_timeout(Some(limit))
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(client, config).map_err(wrong)?;
        Ok(Self { manager, limit, trouble: Arc::default() })
    }

    /// What it has under each of these keys.
    pub async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>, Down> {
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(format!("{PREFIX}{key}"));
        }
        let found: Vec<Option<Vec<u8>>> =
            self.ask(command.query_async(&mut self.manager.clone())).await?;
        Ok(found.into_iter().map(|it| it.map(Bytes::from)).collect())
    }

    /// Puts these there for a while.
    pub async fn set_all(
        &self,
        entries: Vec<(String, Vec<u8>)>,
        ttl: Duration,
    ) -> Result<(), Down> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut commands = redis::pipe();
        for (key, value) in entries {
            let command = commands.cmd("SET").arg(format!("{PREFIX}{key}"));
            command.arg(value).arg("PX").arg(ttl).ignore();
        }
        self.ask(commands.query_async(&mut self.manager.clone())).await
    }

    async fn ask<T>(
        &self,
        question: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, Down> {
        if self.rests() {
            return Err(Down);
        }
        match tokio::time::timeout(self.limit, question).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failed(error.kind())),
            Err(_) => Err(self.failed("it took too long")),
        }
    }

    fn rests(&self) -> bool {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.rests_until.is_some_and(|it| Instant::now() < it)
    }

    fn failed(&self, why: impl fmt::Debug) -> Down {
        let now = Instant::now();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.rests_until = now.checked_add(REST);
        let is_new = trouble.told.is_none_or(|it| now.duration_since(it) >= TELL_EVERY);
        if is_new {
            trouble.told = Some(now);
            tracing::warn!(?why, "the shared cache does not answer; calls go on without it");
        }
        Down
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("limit", &self.limit).finish_non_exhaustive()
    }
}
