//! Where the keys are that data keys are wrapped with. None of them ever stands in the database.

mod file;
mod transit;
mod aws_kms;
mod sigv4;
mod remote;

use std::path::PathBuf;

use super::envelope::Key;

pub use aws_kms::AwsKms;
pub use file::KeyFile;
pub use transit::Transit;

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
    /// The transit engine of OpenBao or Vault.
    Transit(Transit),
    /// AWS KMS.
    AwsKms(AwsKms),
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
    /// The provider does not answer, or not as it should.
    #[error("{provider} did not answer `{operation}`: {reason}")]
    Unreachable {
        /// Who.
        provider: &'static str,
        /// What was asked.
        operation: String,
        /// What is known.
        reason: String,
    },
    /// The provider says no.
    #[error("{provider} refused `{operation}`: {reason}")]
    Refused {
        /// Who.
        provider: &'static str,
        /// What was asked.
        operation: String,
        /// What it said.
        reason: String,
    },
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
            Self::Unreachable { .. } => Some("Check its address, and that it runs."),
            Self::Refused { .. } => {
                Some("Check the key's name, and that the token or access key may use it.")
            }
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
            Self::Transit(_) => "transit",
            Self::AwsKms(_) => "aws_kms",
        }
    }

    /// A fresh data key, and what may be stored of it. `data_key` is its id, bound to it where the
    /// provider can do that.
    pub(super) async fn new_key(&self, data_key: &str) -> Result<(Key, Wrapped), KeyError> {
        if let Self::AwsKms(kms) = self {
            return kms.new_key(data_key).await;
        }
        let key = Key::new(super::random_bytes());
        let wrapped = self.wrap(data_key, &key).await?;
        Ok((key, wrapped))
    }

    async fn wrap(&self, data_key: &str, key: &Key) -> Result<Wrapped, KeyError> {
        match self {
            Self::File(file) => file.wrap(data_key, key).await,
            Self::Transit(transit) => transit.wrap(key).await,
            Self::AwsKms(kms) => kms.wrap(data_key, key).await,
        }
    }

    async fn unwrap(&self, data_key: &str, wrapped: &Wrapped) -> Result<Key, KeyError> {
        match self {
            Self::File(file) => file.unwrap(data_key, wrapped).await,
            Self::Transit(transit) => transit.unwrap(data_key, wrapped).await,
            Self::AwsKms(kms) => kms.unwrap(data_key, wrapped).await,
        }
    }

    /// Makes a new version of the wrapping key and gives its name. AWS makes those itself, on the
    /// schedule that is set there: the answer is the key.
    async fn rotate(&self) -> Result<String, KeyError> {
        match self {
            Self::File(file) => file.rotate().await,
            Self::Transit(transit) => transit.rotate().await,
            Self::AwsKms(kms) => Ok(kms.key().to_owned()),
        }
    }

    async fn rewrap(&self, data_key: &str, wrapped: &Wrapped) -> Result<Wrapped, KeyError> {
        match self {
            Self::File(file) => {
                let key = file.unwrap(data_key, wrapped).await?;
                file.wrap(data_key, &key).await
            }
            Self::Transit(transit) => transit.rewrap(wrapped).await,
            Self::AwsKms(kms) => kms.rewrap(data_key, wrapped).await,
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

    /// A new version of the wrapping key; its name.
    pub(super) async fn rotate(&self) -> Result<String, KeyError> {
        self.primary.rotate().await
    }

    /// The same data key under the newest wrapping key of the primary provider, whoever wrapped it before.
    pub(super) async fn rewrap(
        &self,
        provider: &str,
        data_key: &str,
        wrapped: &Wrapped,
    ) -> Result<Wrapped, KeyError> {
        if provider == self.primary.as_str() {
            return self.primary.rewrap(data_key, wrapped).await;
        }
        let key = self.unwrap(provider, data_key, wrapped).await?;
        self.primary.wrap(data_key, &key).await
    }
}
