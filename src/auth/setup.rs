//! The first person of a new installation: proves with a token from the server's log that they run it.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;

use crate::auth::Auth;
use crate::model::{PersonId, access::is_name};
use crate::store::StoreError;
use crate::store::access::people::PersonRow;

/// The shortest password: NIST SP 800-63B (2025), section 3.1.1.2, for one that stands alone.
const PASSWORD_CHARS_MIN: usize = 15;
const PASSWORD_CHARS_MAX: usize = 256;

/// Who will own the installation.
pub struct NewOwner {
    /// Their id, a new ULID in lower case.
    pub id: PersonId,
    /// Login.
    pub login: String,
    /// Password.
    pub password: String,
}

/// Why somebody cannot become the owner.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is somebody already.
    #[error("this installation is set up already")]
    Done,
    /// The login cannot be used.
    #[error("a login has 1 to 63 of `a-z`, `0-9`, `-` and `_`")]
    BadLogin,
    /// The password cannot be used.
    #[error("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")]
    BadPassword,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Makes the first person, who owns the installation.
    pub async fn set_up(&self, owner: NewOwner) -> Result<PersonRow, SetupError> {
        let login = owner.login.to_lowercase();
        if !is_name(&login) {
            return Err(SetupError::BadLogin);
        }
        let person = PersonRow {
            id: owner.id,
            name: login.clone(),
            login,
            email: String::new(),
            password_hash: hash_password(owner.password).await?,
            is_owner: true,
            created_at: self.clock.now(),
            disabled_at: None,
        };
        if self.store.insert_first_person(&person).await? {
            Ok(person)
        } else {
            Err(SetupError::Done)
        }
    }
}

/// The password as it is kept: Argon2id (RFC 9106), in the form of a PHC string.
pub(super) async fn hash_password(password: String) -> Result<String, SetupError> {
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) {
        return Err(SetupError::BadPassword);
    }
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|it| it.to_string())
    });
    hashed.await.ok().and_then(Result::ok).ok_or(SetupError::Hash)
}
