//! Local sign-in, with login and password.

use crate::auth::lockout::Subject;
use crate::auth::sessions::{Client, SignedIn};
use crate::auth::{Auth, AuthError, password};

/// The longest login that is looked up.
const LOGIN_BYTES_MAX: usize = 63;

/// Somebody who wants to sign in.
pub struct SignIn {
    /// Login, in any case.
    pub login: String,
    /// Password.
    pub password: String,
    /// Where from.
    pub client: Client,
}

impl Auth {
    /// Signs a person in. An unknown login, a wrong password and a person who is shut out look the same, in
    /// time too.
    pub async fn sign_in(&self, attempt: SignIn) -> Result<SignedIn, AuthError> {
        let (login, address) = (attempt.login.to_lowercase(), attempt.client.address.clone());
        let signed_in = self.prove_and_sign_in(attempt).await;
        if matches!(signed_in, Err(AuthError::Unproven)) {
            self.note_refused(&login, &address).await?;
        }
        signed_in
    }

    async fn prove_and_sign_in(&self, attempt: SignIn) -> Result<SignedIn, AuthError> {
        let login = attempt.login.to_lowercase();
        if login.len() > LOGIN_BYTES_MAX {
            return Err(AuthError::Unproven);
        }
        let by_address = Subject::Address(&attempt.client.address);
        let by_login = Subject::Login(&login);
        self.claim_try(&by_address).await?;
        self.claim_try(&by_login).await?;
        let person = self.store.find_person(&login).await?;
        let person = person.filter(|it| it.disabled_at.is_none() && !it.password_hash.is_empty());
        let kept = person.as_ref().map(|it| it.password_hash.clone());
        let is_right = {
            let turn = self.hashing.acquire().await;
            let _turn = turn.map_err(|_| AuthError::Unproven)?;
            password::is_right(attempt.password, kept).await
        };
        let person = person.filter(|_| is_right).ok_or(AuthError::Unproven)?;
        self.forgive(&by_login).await?;
        self.forgive(&by_address).await?;
        self.begin_session(person, &attempt.client).await
    }
}
