//! The tables `teams` and `members`.

use sqlx::FromRow;

use crate::model::{PersonId, Role, TeamId, Timestamp};
use crate::store::{Store, StoreError, read_word, with_db, with_writer};

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

    /// Makes a person a member, or changes their role.
    pub async fn save_member(
        &self,
        team: &TeamId,
        person: &PersonId,
        role: Role,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO members (team, person, role, added_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (team, person) DO UPDATE SET role = excluded.role";
        with_writer!(self, db => {
            let sql = sqlx::query(SQL).bind(team).bind(person);
            sql.bind(role.as_str()).bind(now).execute(db).await?;
        });
        Ok(())
    }

    /// Ends a membership; no error if there is none.
    pub async fn delete_member(&self, team: &TeamId, person: &PersonId) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM members WHERE team = $1 AND person = $2";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(team).bind(person).execute(db).await?;
        });
        Ok(())
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
