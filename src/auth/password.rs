//! Passwords: kept as Argon2id (RFC 9106), compared in the same time whether the login exists or not.

mod own;

pub use own::{OwnPassword, OwnPasswordError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

/// The shortest password: NIST SP 800-63B-4 (2025), section 3.1.1.2, for one that stands alone.
const CHARS_MIN: usize = 15;
const CHARS_MAX: usize = 256;
/// What a password is compared with when there is nobody of that login, at the same cost.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has {CHARS_MIN} to {CHARS_MAX} characters")]
    Length,
    /// It could not be hashed.
    #[error("the password could not be hashed")]
    Hash,
}

/// The password as it is kept, in the form of a PHC string.
pub(super) async fn hash(password: String) -> Result<String, PasswordError> {
    if !(CHARS_MIN..=CHARS_MAX).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|it| it.to_string())
    });
    hashed.await.ok().and_then(Result::ok).ok_or(PasswordError::Hash)
}

/// Whether this is the password of `kept`; never for `None`, which takes as long.
pub(super) async fn is_right(password: String, kept: Option<String>) -> bool {
    if password.chars().count() > CHARS_MAX {
        return false;
    }
    let verified = tokio::task::spawn_blocking(move || {
        let is_somebody = kept.is_some();
        let against = kept.as_deref().unwrap_or(NOBODY);
        let is_same = Argon2::default().verify_password(password.as_bytes(), against).is_ok();
        is_same && is_somebody
    });
    verified.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    #[tokio::test]
    async fn a_password_is_right_only_for_what_was_kept_of_it() {
        let password = "correct horse battery".to_owned();
        let kept = hash(password.clone()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_right(password.clone(), Some(kept.clone())).await);
        assert!(!is_right("correct horse batterz".to_owned(), Some(kept)).await);
        assert!(!is_right(password, None).await);
    }

    #[tokio::test]
    async fn a_short_password_is_refused() {
        assert_eq!(hash("x".repeat(14)).await, Err(PasswordError::Length));
        assert_eq!(hash("x".repeat(257)).await, Err(PasswordError::Length));
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let of = |text: &str| {
            let hash = PasswordHash::new(text).unwrap();
            (hash.algorithm, hash.version, hash.params.clone(), hash.hash.map(|it| it.len()))
        };
        let somebody = Argon2::default().hash_password(b"x").unwrap().to_string();
        assert_eq!(of(NOBODY), of(&somebody));
    }
}
