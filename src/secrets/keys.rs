//! Where the keys are that data keys are wrapped with. None of them ever stands in the database.

mod file;

use std::path::PathBuf;

use super::envelope::Key;

pub use file::KeyFile;

/// A data key as it may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Which key of the provider wrapped it, with its version where there is one.
    pub by: String,
    /// The wrapped key; what is in it only the provider knows.
    pub text: String,
}

/// Something that wraps and unwraps data keys.
#[derive(Debug, Clone)]
pub enum KeyProvider {
    /// A file on this machine.
    File(KeyFile),
}

/// The provider that new data keys are wrapped with, and those that old ones may still need.
#[derive(Debug, Clone)]
pub struct Keyring {
    primary: KeyProvider,
    others: Vec<KeyProvider>,
}

/// Why a key could not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key is not there.
    #[error("`{place}` has no key `{key}`")]
    Missing {
        /// Which key.
        key: String,
        /// Where it was looked for.
        place: String,
    },
    /// The provider that wrapped the key is not set up here.
    #[error("a data key is wrapped by `{0}`, which is not set up here")]
    NotSetUp(String),
    /// What is to be unwrapped was changed, or belongs elsewhere.
    #[error("the wrapped data key `{0}` was changed, or is another one's")]
    Changed(String),
    /// The key file cannot be used.
    #[error("the key file `{path}` cannot be used: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl KeyError {
    /// What a person can do about it, as a sentence.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => {
                Some("Copy the key file of the server that made it, or restore it from its backup.")
            }
            Self::NotSetUp(_) => {
                Some("Give its settings as well, until `trunkline key rotate` is through.")
            }
            Self::File { .. } => Some("Only the server's user may read it: `chmod 600`."),
            Self::Changed(_) => Some("Restore the database from a backup."),
        }
    }
}

impl KeyProvider {
    /// The word it is stored as.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
        }
    }

    /// A fresh data key, and what may be stored of it. `data_key` is its id, bound to it where the
    /// provider can do that.
    pub(super) async fn new_key(&self, data_key: &str) -> Result<(Key, Wrapped), KeyError> {
        let key = Key::new(super::random_bytes());
        let wrapped = self.wrap(data_key, &key).await?;
        Ok((key, wrapped))
    }

    async fn wrap(&self, data_key: &str, key: &Key) -> Result<Wrapped, KeyError> {
        match self {
            Self::File(file) => file.wrap(data_key, key).await,
        }
    }

    async fn unwrap(&self, data_key: &str, wrapped: &Wrapped) -> Result<Key, KeyError> {
        match self {
            Self::File(file) => file.unwrap(data_key, wrapped).await,
        }
    }
}

impl Keyring {
    /// New data keys are wrapped by `primary`.
    #[must_use]
    pub fn new(primary: KeyProvider, others: Vec<KeyProvider>) -> Self {
        Self { primary, others }
    }

    /// What new data keys are wrapped by.
    #[must_use]
    pub fn primary(&self) -> &KeyProvider {
        &self.primary
    }

    fn find(&self, provider: &str) -> Result<&KeyProvider, KeyError> {
        let all = std::iter::once(&self.primary).chain(&self.others);
        all.into_iter()
            .find(|it| it.as_str() == provider)
            .ok_or_else(|| KeyError::NotSetUp(provider.to_owned()))
    }

    pub(super) async fn unwrap(
        &self,
        provider: &str,
        data_key: &str,
        wrapped: &Wrapped,
    ) -> Result<Key, KeyError> {
        self.find(provider)?.unwrap(data_key, wrapped).await
    }
}
