//! Secrets: sealing them at rest under keys that the database never sees, and masking them in everything
//! that leaves an attempt.

pub mod mask;
pub mod keys;
mod envelope;
mod sealer;
pub mod rules;
pub mod team;
mod source;
pub mod rotation;
pub mod signature;

pub use keys::{KeyError, Keyring};
pub use mask::Masker;
pub use sealer::{SealError, Sealer};
pub use source::{Delivered, Given, SecretSource};
pub use team::{SecretRequest, TeamSecrets, TeamSecretsError};

use crate::model::Timestamp;

/// Random bytes of the operating system.
///
/// # Panics
/// When the system has none, which no program can go on without.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "nothing safe can be done without randomness")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new id: a ULID in lower case. Sorts by its moment.
#[must_use]
pub fn new_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.0).unwrap_or_default();
    let random = u128::from_be_bytes(random_bytes());
    ulid::Ulid::from_parts(millis, random).to_string().to_lowercase()
}
