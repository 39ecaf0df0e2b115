//! Keys that sign sessions and the tokens of stages: made when they are needed, sealed at rest, and published
//! before they are used. Processes that share a database share them.

mod key;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::error::Unspecified;

pub(super) use key::{SigningKey, Times};

use crate::model::{Clock, Timestamp};
use crate::secrets::{SealError, Sealer};
use crate::store::{Store, StoreError};

const DAY_MILLIS: i64 = 24 * 3_600_000;
/// How long a key signs.
const SIGNS_MILLIS: i64 = 30 * DAY_MILLIS;
/// How long the next one is published before it signs, so that everybody has it by then.
const LEAD_MILLIS: i64 = 2 * DAY_MILLIS;
/// How long a key still verifies when it no longer signs: longer than anything that it signs lives.
const SERVES_MILLIS: i64 = 2 * DAY_MILLIS;
/// How often the keys of other processes are looked for.
const RELOAD_MILLIS: i64 = 60_000;
/// How often they are, when a token names one that is not known.
const RELOAD_UNKNOWN_MILLIS: i64 = 1000;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Sessions of people: only we read them.
    Session,
    /// Tokens of stages: clouds read them, and not all of them know `EdDSA`.
    Workload,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Workload => "workload",
        }
    }

    fn algorithm(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Session => jsonwebtoken::Algorithm::EdDSA,
            Self::Workload => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// Why nothing can be signed or verified.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key could not be made.
    #[error("a signing key could not be made")]
    Make(#[from] Unspecified),
    /// A stored key cannot be read.
    #[error("the signing key `{kid}` cannot be read")]
    Unreadable {
        /// Its id.
        kid: String,
    },
    /// Something could not be signed.
    #[error("a token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
    /// A key could not be sealed or opened.
    #[error("a signing key could not be sealed or opened")]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All keys of an installation.
#[derive(Debug)]
pub(super) struct Keyring {
    store: Store,
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    loaded: Mutex<BTreeMap<Purpose, Loaded>>,
}

#[derive(Debug, Clone)]
struct Loaded {
    at: Timestamp,
    keys: Vec<Arc<SigningKey>>,
}

impl Keyring {
    pub(super) fn new(store: Store, sealer: Sealer, clock: Arc<dyn Clock>) -> Self {
        Self { store, sealer, clock, loaded: Mutex::default() }
    }

    /// The key that signs now: the oldest that may. Makes the next one in time.
    pub(super) async fn signer(&self, purpose: Purpose) -> Result<Arc<SigningKey>, KeyError> {
        let now = self.clock.now();
        let mut keys = self.keys(purpose, RELOAD_MILLIS).await?;
        let newest = keys.iter().map(|it| it.times.signs_until).max().unwrap_or_default();
        if newest.0.saturating_sub(now.0) < LEAD_MILLIS {
            self.make(purpose, now).await?;
            keys = self.keys(purpose, 0).await?;
        }
        let may_sign = |it: &&Arc<SigningKey>| it.times.signs_until > now;
        keys.iter().find(may_sign).cloned().ok_or(KeyError::Make(Unspecified))
    }

    /// The key of this id, while it verifies.
    pub(super) async fn verifier(
        &self,
        purpose: Purpose,
        kid: &str,
    ) -> Result<Option<Arc<SigningKey>>, KeyError> {
        let now = self.clock.now();
        for reload_millis in [RELOAD_MILLIS, RELOAD_UNKNOWN_MILLIS] {
            let keys = self.keys(purpose, reload_millis).await?;
            let found = keys.into_iter().find(|it| it.kid == kid && it.times.serves_until > now);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The public halves of all that verify, as JWKs.
    pub(super) async fn published(
        &self,
        purpose: Purpose,
    ) -> Result<Vec<serde_json::Value>, KeyError> {
        self.signer(purpose).await?;
        let keys = self.keys(purpose, RELOAD_MILLIS).await?;
        Ok(keys.iter().map(|it| it.jwk.clone()).collect())
    }

    async fn make(&self, purpose: Purpose, now: Timestamp) -> Result<(), KeyError> {
        let signs_until = Timestamp(now.0.saturating_add(SIGNS_MILLIS));
        let serves_until = Timestamp(signs_until.0.saturating_add(SERVES_MILLIS));
        let times = Times { created_at: now, signs_until, serves_until };
        let row = key::make(purpose, times, &self.sealer).await?;
        Ok(self.store.insert_signing_key(&row).await?)
    }

    /// What is loaded, unless that is older than `age_millis`.
    async fn keys(
        &self,
        purpose: Purpose,
        age_millis: i64,
    ) -> Result<Vec<Arc<SigningKey>>, KeyError> {
        let now = self.clock.now();
        let known = self.lock().get(&purpose).cloned();
        if let Some(known) = &known
            && now.0.saturating_sub(known.at.0) < age_millis
        {
            return Ok(known.keys.clone());
        }
        let mut keys = Vec::new();
        for row in self.store.list_signing_keys(purpose.as_str(), now).await? {
            let loaded = known.iter().flat_map(|it| &it.keys).find(|it| it.kid == row.id).cloned();
            keys.push(match loaded {
                Some(key) => key,
                None => Arc::new(key::open(purpose, row, &self.sealer).await?),
            });
        }
        self.lock().insert(purpose, Loaded { at: now, keys: keys.clone() });
        Ok(keys)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Purpose, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
