//! People of the installation: made, changed and shut out by its owners.

use crate::auth::Auth;
use crate::auth::password::{self, PasswordError};
use crate::model::access::is_name;
use crate::model::{PersonId, Timestamp};
use crate::store::StoreError;
use crate::store::access::people::PersonRow;

/// The longest name and the longest address of a person.
const TEXT_CHARS_MAX: usize = 200;

/// A person to make.
#[derive(Clone, Default)]
pub struct NewPerson {
    /// Login: becomes lower case.
    pub login: String,
    /// Name for people; the login if empty.
    pub name: String,
    /// Address, or empty.
    pub email: String,
    /// Password; without one they can only sign in elsewhere.
    pub password: Option<String>,
    /// Whether they own the installation.
    pub is_owner: bool,
}

/// What changes in a person; what is `None` stays.
#[derive(Clone, Default)]
pub struct PersonChange {
    /// Name for people.
    pub name: Option<String>,
    /// Address.
    pub email: Option<String>,
    /// A new password, which ends all sessions.
    pub password: Option<String>,
    /// Whether they own the installation.
    pub is_owner: Option<bool>,
    /// Whether they are shut out, which ends all sessions.
    pub is_disabled: Option<bool>,
}

/// Why a person cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// There is nobody of this login.
    #[error("there is no person `{login}`")]
    Unknown {
        /// The login.
        login: String,
    },
    /// The login cannot be used.
    #[error("a login has 1 to 63 of `a-z`, `0-9`, `-` and `_`")]
    BadLogin,
    /// The name or the address is too long.
    #[error("`{what}` has at most {TEXT_CHARS_MAX} characters")]
    TooLong {
        /// Which of them.
        what: &'static str,
    },
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Makes a person.
    pub async fn create_person(&self, new: NewPerson) -> Result<PersonRow, PersonError> {
        let person = self.person_of(new).await?;
        self.store.insert_person(&person).await?;
        Ok(person)
    }

    /// The row of a person who is not stored yet.
    pub(super) async fn person_of(&self, new: NewPerson) -> Result<PersonRow, PersonError> {
        let login = new.login.to_lowercase();
        if !is_name(&login) {
            return Err(PersonError::BadLogin);
        }
        check_texts(Some(&new.name), Some(&new.email))?;
        let password_hash = match new.password {
            Some(password) => password::hash(password).await?,
            None => String::new(),
        };
        let now = self.clock.now();
        Ok(PersonRow {
            id: PersonId(crate::secrets::new_id(now)),
            name: if new.name.is_empty() { login.clone() } else { new.name },
            login,
            email: new.email,
            password_hash,
            is_owner: new.is_owner,
            created_at: now,
            disabled_at: None,
        })
    }

    /// Changes a person.
    pub async fn change_person(
        &self,
        login: &str,
        change: PersonChange,
    ) -> Result<PersonRow, PersonError> {
        check_texts(change.name.as_deref(), change.email.as_deref())?;
        let unknown = || PersonError::Unknown { login: login.to_owned() };
        let person = self.store.find_person(&login.to_lowercase()).await?.ok_or_else(unknown)?;
        let password_hash = match change.password.clone() {
            Some(password) => Some(password::hash(password).await?),
            None => None,
        };
        let ends_sessions = password_hash.is_some() || change.is_disabled == Some(true);
        let now = self.clock.now();
        let person = changed(person, change, password_hash, now);
        self.store.save_person(&person).await?;
        if ends_sessions {
            self.store.revoke_sessions(&person.id, now).await?;
            self.store.delete_failures(&format!("login:{}", person.login)).await?;
        }
        Ok(person)
    }
}

fn check_texts(name: Option<&str>, email: Option<&str>) -> Result<(), PersonError> {
    for (what, text) in [("name", name), ("email", email)] {
        if text.is_some_and(|it| it.chars().count() > TEXT_CHARS_MAX) {
            return Err(PersonError::TooLong { what });
        }
    }
    Ok(())
}

fn changed(
    person: PersonRow,
    change: PersonChange,
    password_hash: Option<String>,
    now: Timestamp,
) -> PersonRow {
    let disabled_at = match change.is_disabled {
        None => person.disabled_at,
        Some(true) => person.disabled_at.or(Some(now)),
        Some(false) => None,
    };
    PersonRow {
        name: change.name.unwrap_or(person.name),
        email: change.email.unwrap_or(person.email),
        password_hash: password_hash.unwrap_or(person.password_hash),
        is_owner: change.is_owner.unwrap_or(person.is_owner),
        disabled_at,
        ..person
    }
}
