//! The tables `people` and `identities`.

use sqlx::FromRow;

use crate::model::{PersonId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// Whether somebody is an owner who may sign in, and nobody else is.
const IS_LAST_OWNER: &str = "
    SELECT COUNT(*) = 1 AND MIN(id) = $1 FROM people WHERE is_owner AND disabled_at IS NULL";

/// One row of `people`.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct PersonRow {
    /// Their id.
    pub id: PersonId,
    /// Login, in lower case.
    pub login: String,
    /// Name for people; may be empty.
    pub name: String,
    /// Address, or empty.
    pub email: String,
    /// PHC string of the password, or empty: no local sign-in.
    pub password_hash: String,
    /// Whether they own the whole installation.
    pub is_owner: bool,
    /// When they came.
    pub created_at: Timestamp,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

impl std::fmt::Debug for PersonRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonRow").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A password that its person changes. It has no `Debug`.
#[derive(Clone)]
pub struct PasswordChange {
    /// What was kept until now, and was proved.
    pub from: String,
    /// What is kept from now on.
    pub to: String,
    /// Id of the session that asks, which goes on; or empty.
    pub kept_session: String,
}

impl Store {
    /// Adds a person; [`StoreError::Taken`] when the login is.
    pub async fn insert_person(&self, person: &PersonRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO people (id, login, name, email, password_hash, is_owner, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (login) DO NOTHING";
        let added = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&person.id)
                .bind(&person.login)
                .bind(&person.name)
                .bind(&person.email)
                .bind(&person.password_hash)
                .bind(person.is_owner)
                .bind(person.created_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        if added == 0 { Err(StoreError::taken("person", &person.login)) } else { Ok(()) }
    }

    /// Adds the first person, who owns the installation; false when there is somebody already.
    pub async fn insert_first_person(&self, person: &PersonRow) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO people (id, login, name, email, password_hash, is_owner, created_at)
            SELECT $1, $2, $3, $4, $5, true, $6 WHERE NOT EXISTS (SELECT 1 FROM people)
            ON CONFLICT (login) DO NOTHING";
        let added = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&person.id)
                .bind(&person.login)
                .bind(&person.name)
                .bind(&person.email)
                .bind(&person.password_hash)
                .bind(person.created_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(added > 0)
    }

    /// The person with this login.
    pub async fn find_person(&self, login: &str) -> Result<Option<PersonRow>, StoreError> {
        const SQL: &str = "SELECT * FROM people WHERE login = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(login).fetch_optional(db).await?))
    }

    /// The person with this id.
    pub async fn find_person_by_id(&self, id: &PersonId) -> Result<Option<PersonRow>, StoreError> {
        const SQL: &str = "SELECT * FROM people WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// Everybody by login.
    pub async fn list_people(&self) -> Result<Vec<PersonRow>, StoreError> {
        const SQL: &str = "SELECT * FROM people ORDER BY login";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?))
    }

    /// Changes what a person may change: name, address, password, ownership, whether they may sign in.
    /// [`StoreError::Last`], and nothing is done, when no owner would be left who may sign in.
    pub async fn save_person(&self, person: &PersonRow) -> Result<(), StoreError> {
        // One row that is never removed, so that two owners do not end each other at once.
        const LOCK: &str =
            "UPDATE people SET login = login WHERE id = (SELECT MIN(id) FROM people)";
        const SQL: &str = "
            UPDATE people SET name = $2, email = $3, password_hash = $4, is_owner = $5, disabled_at = $6
            WHERE id = $1";
        let is_able = person.is_owner && person.disabled_at.is_none();
        in_transaction!(self, tx => {
            sqlx::query(LOCK).execute(&mut *tx).await?;
            let last: bool =
                sqlx::query_scalar(IS_LAST_OWNER).bind(&person.id).fetch_one(&mut *tx).await?;
            if last && !is_able {
                let role = "owner of this installation who may sign in".to_owned();
                return Err(StoreError::Last { login: person.login.clone(), role });
            }
            sqlx::query(SQL)
                .bind(&person.id)
                .bind(&person.name)
                .bind(&person.email)
                .bind(&person.password_hash)
                .bind(person.is_owner)
                .bind(person.disabled_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Changes the password of somebody who may sign in, and ends their other sessions; false, and nothing
    /// is done, when it is no longer what it was.
    pub async fn change_password(
        &self,
        person: &PersonId,
        change: &PasswordChange,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const PASSWORD: &str = "
            UPDATE people SET password_hash = $3
            WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL";
        const SESSIONS: &str = "
            UPDATE sessions SET revoked_at = $2
            WHERE person = $1 AND id <> $3 AND revoked_at IS NULL";
        let is_changed = in_transaction!(self, tx => {
            let sql = sqlx::query(PASSWORD).bind(person).bind(&change.from).bind(&change.to);
            let is_changed = sql.execute(&mut *tx).await?.rows_affected() > 0;
            if is_changed {
                let sql = sqlx::query(SESSIONS).bind(person).bind(now).bind(&change.kept_session);
                sql.execute(&mut *tx).await?;
            }
            is_changed
        });
        Ok(is_changed)
    }

    /// The person who is `subject` at `provider`.
    pub async fn find_person_by_identity(
        &self,
        provider: &str,
        subject: &str,
    ) -> Result<Option<PersonRow>, StoreError> {
        const SQL: &str = "
            SELECT people.* FROM people JOIN identities ON identities.person = people.id
            WHERE identities.provider = $1 AND identities.subject = $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(provider).bind(subject).fetch_optional(db).await?
        }))
    }

    /// Says who a person is at a provider; an identity that is known already moves to this person.
    pub async fn save_identity(
        &self,
        person: &PersonId,
        provider: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO identities (provider, subject, person) VALUES ($1, $2, $3)
            ON CONFLICT (provider, subject) DO UPDATE SET person = excluded.person";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(provider).bind(subject).bind(person).execute(db).await?;
        });
        Ok(())
    }
}
