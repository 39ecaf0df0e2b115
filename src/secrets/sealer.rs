//! Seals texts for the database. The data keys are in the database too, wrapped; unwrapped ones stay in
//! memory for a bounded time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::envelope::{Envelope, Key};
use super::keys::{KeyError, Keyring, Wrapped};
use crate::model::{Clock, Milliseconds, Timestamp};
use crate::store::sealed::data_keys::DataKeyRow;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// How long an unwrapped data key stays in memory.
const KEY_KEPT: Milliseconds = Milliseconds::from_seconds(300);
/// How long it may take until a process seals with a new data key.
const CURRENT_KEPT: Milliseconds = Milliseconds::from_seconds(30);
/// Unwrapped data keys in memory; there are more only after years of rotations.
const KEYS_MAX: usize = 32;

/// Seals and opens texts. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    pub(super) store: Store,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Arc<dyn Clock>,
    unwrapped: Arc<Mutex<Unwrapped>>,
}

#[derive(Default)]
struct Unwrapped {
    keys: HashMap<String, (Key, Timestamp)>,
    current: Option<(String, Timestamp)>,
}

/// Why a text could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The text is not what was sealed for this purpose.
    #[error("what is sealed for `{purpose}` was changed, or belongs elsewhere")]
    Changed {
        /// What it was to be opened for.
        purpose: String,
    },
    /// The data key is gone.
    #[error("the data key `{0}` is not in the database")]
    NoDataKey(String),
    /// Another process rotates the keys.
    #[error("another process rotates the keys")]
    UnderWay,
    /// The key provider failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SealError {
    /// What a person can do about it, as a sentence.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Changed { .. } | Self::NoDataKey(_) => {
                Some("Set the value anew, or restore the database from a backup.")
            }
            Self::UnderWay => Some("Wait until it is done: `trunkline key status`."),
            Self::Key(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }
}

impl Sealer {
    /// A sealer whose data keys are in this store, wrapped by this keyring.
    #[must_use]
    pub fn new(store: Store, keyring: Keyring, clock: Arc<dyn Clock>) -> Self {
        Self { store, keyring: Arc::new(keyring), clock, unwrapped: Arc::default() }
    }

    /// Seals a text. `purpose` says where it will stand, such as `signing_key/<id>`, and cannot be
    /// changed afterwards. Not secret.
    pub async fn seal(&self, purpose: &str, plain: &str) -> Result<String, SealError> {
        let data_key = self.current_data_key().await?;
        let key = self.key(&data_key).await?;
        let sealed = Envelope::seal(&key, &data_key, purpose, plain);
        let changed = || SealError::Changed { purpose: purpose.to_owned() };
        Ok(sealed.ok_or_else(changed)?.to_text())
    }

    /// Opens what was sealed for the same purpose.
    pub async fn open(&self, purpose: &str, sealed: &str) -> Result<String, SealError> {
        let changed = || SealError::Changed { purpose: purpose.to_owned() };
        let envelope = Envelope::parse(sealed).filter(|it| it.purpose == purpose);
        let envelope = envelope.ok_or_else(changed)?;
        let key = self.key(&envelope.data_key).await?;
        envelope.open(&key).ok_or_else(changed)
    }

    /// The id of the data key that new texts are sealed with; makes the first one.
    pub(super) async fn current_data_key(&self) -> Result<String, SealError> {
        let now = self.clock.now();
        let kept = self.unwrapped().current.clone();
        if let Some((id, until)) = kept
            && now < until
        {
            return Ok(id);
        }
        let id = match self.store.find_current_data_key().await? {
            Some(row) => row.id,
            None => self.new_data_key().await?,
        };
        self.unwrapped().current = Some((id.clone(), now.plus(CURRENT_KEPT)));
        Ok(id)
    }

    /// A new data key, stored; what is sealed from now on is sealed with it.
    pub(super) async fn new_data_key(&self) -> Result<String, SealError> {
        let now = self.clock.now();
        let id = super::new_id(now);
        let provider = self.keyring.primary();
        let (key, wrapped) = provider.new_key(&id).await?;
        let row = DataKeyRow {
            id: id.clone(),
            provider: provider.as_str().to_owned(),
            wrapped_by: wrapped.by,
            wrapped_key: wrapped.text,
            created_at: now,
            retired_at: None,
        };
        self.store.insert_data_key(&row).await?;
        self.keep(&id, key);
        Ok(id)
    }

    /// The same text under the data key of now.
    pub(super) async fn sealed_anew(&self, sealed: &str) -> Result<String, SealError> {
        let purpose = Envelope::parse(sealed).map(|it| it.purpose).unwrap_or_default();
        let plain = zeroize::Zeroizing::new(self.open(&purpose, sealed).await?);
        self.seal(&purpose, &plain).await
    }

    /// The next text is sealed with the newest data key.
    pub(super) fn forget_current(&self) {
        self.unwrapped().current = None;
    }

    async fn key(&self, data_key: &str) -> Result<Key, SealError> {
        let now = self.clock.now();
        let kept = self.unwrapped().keys.get(data_key).cloned();
        if let Some((key, until)) = kept
            && now < until
        {
            return Ok(key);
        }
        let row = self.store.find_data_key(data_key).await?;
        let row = row.ok_or_else(|| SealError::NoDataKey(data_key.to_owned()))?;
        let wrapped = Wrapped { by: row.wrapped_by, text: row.wrapped_key };
        let key = self.keyring.unwrap(&row.provider, data_key, &wrapped).await?;
        self.keep(data_key, key.clone());
        Ok(key)
    }

    fn keep(&self, data_key: &str, key: Key) {
        let now = self.clock.now();
        let keys = &mut self.unwrapped().keys;
        keys.retain(|_, (_, until)| now < *until);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(data_key.to_owned(), (key, now.plus(KEY_KEPT)));
    }

    fn unwrapped(&self) -> std::sync::MutexGuard<'_, Unwrapped> {
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sealer {
    /// Never shows a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}
