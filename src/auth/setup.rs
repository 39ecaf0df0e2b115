//! The first person of a new installation: proves with a token from the server's log that they run it.

use subtle::ConstantTimeEq as _;

use crate::auth::people::{NewPerson, PersonError};
use crate::auth::tokens::{self, Token};
use crate::auth::{Auth, AuthError};
use crate::model::{PersonId, Timestamp};
use crate::store::StoreError;
use crate::store::access::people::PersonRow;

/// What a set-up token begins with.
const PREFIX: &str = "tls_";
/// How long one is good; the next start of the server prints another.
const LIFE_MILLIS: i64 = 24 * 3_600_000;

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
    /// The token is not one that a server has printed in the last day.
    #[error("this is no set-up token of this installation")]
    WrongToken,
    /// The login or the password cannot be used, or the store failed.
    #[error(transparent)]
    Person(#[from] PersonError),
}

impl From<StoreError> for SetupError {
    fn from(error: StoreError) -> Self {
        Self::Person(error.into())
    }
}

impl Auth {
    /// A token with which somebody can become the owner; `None` when there is somebody. Each process that
    /// starts makes its own, and all of them are good at all of them.
    pub async fn begin_setup(&self) -> Result<Option<Token>, AuthError> {
        if !self.store.list_people().await?.is_empty() {
            return Ok(None);
        }
        let token = Token(format!("{PREFIX}{}", tokens::random_text()));
        let now = self.clock.now();
        self.store.insert_setup_token(&tokens::hash(&token.0), now, oldest(now)).await?;
        Ok(Some(token))
    }

    /// Whether there is somebody.
    pub async fn is_set_up(&self) -> Result<bool, AuthError> {
        Ok(!self.store.list_people().await?.is_empty())
    }

    /// Makes the first person, who owns the installation and has shown a set-up token; uses up all tokens.
    pub async fn finish_setup(
        &self,
        token: &str,
        owner: NewOwner,
    ) -> Result<PersonRow, SetupError> {
        let shown = tokens::hash(token);
        let good = self.store.list_setup_tokens(oldest(self.clock.now())).await?;
        if good.is_empty() && !self.store.list_people().await?.is_empty() {
            return Err(SetupError::Done);
        }
        if !is_among(&shown, &good) {
            return Err(SetupError::WrongToken);
        }
        let person = self.owner_of(owner).await?;
        if !self.store.claim_setup(&person).await? {
            return Err(SetupError::Done);
        }
        self.note_set_up(&person.login).await?;
        Ok(person)
    }

    /// Makes the first person, who owns the installation, for whoever works on the server itself.
    pub async fn set_up(&self, owner: NewOwner) -> Result<PersonRow, SetupError> {
        let person = self.owner_of(owner).await?;
        let is_first = self.store.insert_first_person(&person).await?;
        is_first.then_some(person).ok_or(SetupError::Done)
    }

    async fn owner_of(&self, owner: NewOwner) -> Result<PersonRow, PersonError> {
        let NewOwner { id, login, password } = owner;
        let password = Some(password);
        let new = NewPerson { login, password, is_owner: true, ..NewPerson::default() };
        Ok(PersonRow { id, ..self.person_of(new).await? })
    }
}

fn oldest(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(LIFE_MILLIS))
}

/// Compares with each, so that the time says nothing about any.
fn is_among(shown: &str, good: &[String]) -> bool {
    let is_equal = |it: &String| it.as_bytes().ct_eq(shown.as_bytes());
    let equal = good.iter().map(is_equal).fold(subtle::Choice::from(0), |all, it| all | it);
    equal.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let good = ["a".to_owned(), "b".to_owned()];
        assert!(is_among("a", &good) && is_among("b", &good));
        assert!(!is_among("c", &good) && !is_among("", &good) && !is_among("a", &[]));
    }
}
