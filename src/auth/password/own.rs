//! Somebody changes their own password, and shows the old one for it.

use super::{PasswordError, hash, is_right};
use crate::auth::lockout::Subject;
use crate::auth::{Auth, AuthError, Caller, Proof};
use crate::store::StoreError;
use crate::store::access::people::PasswordChange;

/// The old password and the new one. It has no `Debug`.
pub struct OwnPassword {
    /// The one that is good until now.
    pub old: String,
    /// The one that is good from now on.
    pub new: String,
}

/// Why the password stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum OwnPasswordError {
    /// They sign in elsewhere.
    #[error("you have no password: you sign in with your organisation, or with tokens")]
    NoPassword,
    /// The old one is not the old one.
    #[error("the old password is wrong")]
    Wrong,
    /// It was changed while this was asked for.
    #[error("the password was changed in the meantime")]
    Changed,
    /// The new one cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// There were too many wrong tries.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Changes the caller's password; every session but the one that asks ends. Wrong tries make the next one
    /// wait, apart from those at the sign-in: who has found an open browser guesses no password here.
    pub async fn change_own_password(
        &self,
        caller: &Caller,
        change: OwnPassword,
    ) -> Result<(), OwnPasswordError> {
        let person = self.store.find_person_by_id(&caller.person).await?;
        let person = person.filter(|it| !it.password_hash.is_empty());
        let person = person.ok_or(OwnPasswordError::NoPassword)?;
        let tries = Subject::Own(&person.login);
        self.claim_try(&tries).await?;
        let turn = self.hashing.acquire().await;
        let _turn = turn.map_err(|_| AuthError::Unproven)?;
        if !is_right(change.old, Some(person.password_hash.clone())).await {
            return Err(OwnPasswordError::Wrong);
        }
        self.forgive(&tries).await?;
        let kept = match &caller.proof {
            Proof::Session(id) => id.as_str(),
            Proof::Token(..) => "",
        };
        let change = PasswordChange {
            from: person.password_hash,
            to: hash(change.new).await?,
            kept_session: kept.to_owned(),
        };
        let is_changed = self.store.change_password(&person.id, &change, self.clock.now()).await?;
        is_changed.then_some(()).ok_or(OwnPasswordError::Changed)
    }
}
