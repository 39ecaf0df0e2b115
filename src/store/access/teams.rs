//! The tables `teams` and `members`.

use sqlx::FromRow;

use crate::model::{PersonId, Role, TeamId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, read_word, with_db, with_writer};

const SAVE: &str = "
    INSERT INTO members (team, person, role, added_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (team, person) DO UPDATE SET role = excluded.role";
const DELETE: &str = "DELETE FROM members WHERE team = $1 AND person = $2";
/// Whether somebody is an admin of a team who may sign in, and nobody else is.
const IS_LAST_ADMIN: &str = "
    SELECT COUNT(*) = 1 AND MIN(members.person) = $2
    FROM members JOIN people ON people.id = members.person
    WHERE members.team = $1 AND members.role = 'admin' AND people.disabled_at IS NULL";

/// One row of `teams`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TeamRow {
    /// Its id.
    pub id: TeamId,
    /// Its name in addresses.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Its share of the slots beside other teams' weights.
    pub weight: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person's place in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The team.
    pub team: TeamId,
    /// Its name.
    pub team_name: String,
    /// The person.
    pub person: PersonId,
    /// Their login.
    pub login: String,
    /// What they may do.
    pub role: Role,
}

#[derive(FromRow)]
pub(super) struct Record {
    team: TeamId,
    team_name: String,
    person: PersonId,
    login: String,
    role: String,
}

impl TryFrom<Record> for MemberRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let role = read_word(|| format!("role of `{}`", record.login), &record.role)?;
        Ok(Self {
            team: record.team,
            team_name: record.team_name,
            person: record.person,
            login: record.login,
            role,
        })
    }
}

impl Store {
    /// Adds a team; [`StoreError::Taken`] when its name is.
    pub async fn insert_team(&self, team: &TeamRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO teams (id, name, title, weight, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (name) DO NOTHING";
        let added = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&team.id)
                .bind(&team.name)
                .bind(&team.title)
                .bind(team.weight)
                .bind(team.created_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        if added == 0 { Err(StoreError::taken("team", &team.name)) } else { Ok(()) }
    }

    /// The team with this name.
    pub async fn find_team(&self, name: &str) -> Result<Option<TeamRow>, StoreError> {
        const SQL: &str = "SELECT * FROM teams WHERE name = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(name).fetch_optional(db).await?))
    }

    /// The team with this id.
    pub async fn find_team_by_id(&self, id: &TeamId) -> Result<Option<TeamRow>, StoreError> {
        const SQL: &str = "SELECT * FROM teams WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// All teams by name.
    pub async fn list_teams(&self) -> Result<Vec<TeamRow>, StoreError> {
        const SQL: &str = "SELECT * FROM teams ORDER BY name";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?))
    }

    /// Changes a team's name for people; false when there is no such team.
    pub async fn save_team_title(&self, team: &TeamId, title: &str) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE teams SET title = $2 WHERE id = $1";
        let changed = with_writer!(self, db => {
            sqlx::query(SQL).bind(team).bind(title).execute(db).await?.rows_affected()
        });
        Ok(changed > 0)
    }

    /// Gives a person another role in a team, or none. [`StoreError::Last`], and nothing is done, when no admin would be
    /// left who may sign in.
    pub async fn change_member(
        &self,
        team: &TeamRow,
        (person, login): (&PersonId, &str),
        role: Option<Role>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // The row of the team, so that two admins do not end each other at once.
        const LOCK: &str = "UPDATE teams SET weight = weight WHERE id = $1";
        in_transaction!(self, tx => {
            sqlx::query(LOCK).bind(&team.id).execute(&mut *tx).await?;
            let sql = sqlx::query_scalar(IS_LAST_ADMIN).bind(&team.id).bind(person);
            let last: bool = sql.fetch_one(&mut *tx).await?;
            if last && role != Some(Role::Admin) {
                let role = format!("admin of the team `{}`", team.name);
                return Err(StoreError::Last { login: login.to_owned(), role });
            }
            match role {
                Some(role) => {
                    let sql = sqlx::query(SAVE).bind(&team.id).bind(person).bind(role.as_str());
                    sql.bind(now).execute(&mut *tx).await?
                }
                None => sqlx::query(DELETE).bind(&team.id).bind(person).execute(&mut *tx).await?,
            };
        });
        Ok(())
    }

    /// Makes a person a member, or changes their role, as somebody above the team has decided.
    pub async fn save_member(
        &self,
        team: &TeamId,
        person: &PersonId,
        role: Role,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        with_writer!(self, db => {
            let sql = sqlx::query(SAVE).bind(team).bind(person);
            sql.bind(role.as_str()).bind(now).execute(db).await?;
        });
        Ok(())
    }

    /// Ends a membership, as somebody above the team has decided; no error if there is none.
    pub async fn delete_member(&self, team: &TeamId, person: &PersonId) -> Result<(), StoreError> {
        with_writer!(self, db => {
            sqlx::query(DELETE).bind(team).bind(person).execute(db).await?;
        });
        Ok(())
    }

    /// Names of the teams whose only admin who may sign in somebody is, in order.
    pub async fn list_teams_led_alone(&self, person: &PersonId) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "
            SELECT teams.name FROM members JOIN teams ON teams.id = members.team
            WHERE members.person = $1 AND members.role = 'admin' AND NOT EXISTS (
                SELECT 1 FROM members AS others JOIN people ON people.id = others.person
                WHERE others.team = members.team AND others.person <> $1 AND others.role = 'admin'
                    AND people.disabled_at IS NULL)
            ORDER BY teams.name";
        let names: Vec<(String,)> =
            with_db!(self, db => sqlx::query_as(SQL).bind(person).fetch_all(db).await?);
        Ok(names.into_iter().map(|(name,)| name).collect())
    }

    /// The members of a team by login.
    pub async fn list_members(&self, team: &TeamId) -> Result<Vec<MemberRow>, StoreError> {
        const SQL: &str = "
            SELECT members.team, teams.name AS team_name, members.person, people.login, members.role
            FROM members JOIN people ON people.id = members.person JOIN teams ON teams.id = members.team
            WHERE members.team = $1 ORDER BY people.login";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(team).fetch_all(db).await?);
        records.into_iter().map(MemberRow::try_from).collect()
    }

    /// The teams a person is a member of, by name.
    pub async fn list_memberships(&self, person: &PersonId) -> Result<Vec<MemberRow>, StoreError> {
        const SQL: &str = "
            SELECT members.team, teams.name AS team_name, members.person, people.login, members.role
            FROM members JOIN people ON people.id = members.person JOIN teams ON teams.id = members.team
            WHERE members.person = $1 ORDER BY teams.name";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(person).fetch_all(db).await?);
        records.into_iter().map(MemberRow::try_from).collect()
    }
}
