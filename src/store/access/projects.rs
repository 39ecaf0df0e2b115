//! The table `projects`.

use sqlx::FromRow;

use crate::model::{ForgeKind, PersonId, ProjectId, TeamId, Timestamp};
use crate::store::{Store, StoreError, read_word, with_db, with_writer};

/// One row of `projects`, with the name of its team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its id.
    pub id: ProjectId,
    /// Whose it is.
    pub team: TeamId,
    /// Name of the team.
    pub team_name: String,
    /// Its name in addresses.
    pub name: String,
    /// Where the code is fetched from.
    pub address: String,
    /// Who serves it.
    pub forge: ForgeKind,
    /// Base address of the forge's API, or empty.
    pub forge_url: String,
    /// `owner/name` there, or empty.
    pub forge_path: String,
    /// The trunk.
    pub default_branch: String,
    /// Higher is served first within the team.
    pub priority: i64,
    /// How often the remote is asked for news; 0 for never.
    pub poll_seconds: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing starts its runs.
    pub archived_at: Option<Timestamp>,
}

impl ProjectRow {
    /// `team/name`.
    #[must_use]
    pub fn slug(&self) -> String {
        format!("{}/{}", self.team_name, self.name)
    }

    /// Its address without the user name and password that one of an earlier version may have.
    #[must_use]
    pub fn shown_address(&self) -> String {
        match credential_of(&self.address) {
            Some((before, after)) => format!("{before}***@{after}"),
            None => self.address.clone(),
        }
    }

    /// Whether there is a forge that takes statuses of its commits.
    #[must_use]
    pub fn has_forge(&self) -> bool {
        self.forge != ForgeKind::Git && !self.forge_path.is_empty()
    }
}

/// What stands before and after the user name and password of an address, where it has some: a login of SSH
/// alone is none.
fn credential_of(address: &str) -> Option<(&str, &str)> {
    let start = address.find("://")? + "://".len();
    let (before, rest) = address.split_at(start);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let at = rest.get(..end)?.rfind('@')?;
    let (user, after) = (rest.get(..at)?, rest.get(at + 1..)?);
    let is_login = before.eq_ignore_ascii_case("ssh://") && !user.contains(':');
    (!is_login).then_some((before, after))
}

/// Whether a user name or password stands in an address of a repository.
#[must_use]
pub fn has_credential(address: &str) -> bool {
    credential_of(address).is_some()
}

#[derive(FromRow)]
struct Record {
    id: ProjectId,
    team: TeamId,
    team_name: String,
    name: String,
    address: String,
    forge: String,
    forge_url: String,
    forge_path: String,
    default_branch: String,
    priority: i64,
    poll_seconds: i64,
    created_at: Timestamp,
    archived_at: Option<Timestamp>,
}

impl TryFrom<Record> for ProjectRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let forge = read_word(|| format!("forge of project `{}`", record.name), &record.forge)?;
        Ok(Self {
            id: record.id,
            team: record.team,
            team_name: record.team_name,
            name: record.name,
            address: record.address,
            forge,
            forge_url: record.forge_url,
            forge_path: record.forge_path,
            default_branch: record.default_branch,
            priority: record.priority,
            poll_seconds: record.poll_seconds,
            created_at: record.created_at,
            archived_at: record.archived_at,
        })
    }
}

impl Store {
    /// Adds a project; [`StoreError::Taken`] when its team has one of that name.
    pub async fn insert_project(&self, project: &ProjectRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO projects (
                id, team, name, address, forge, forge_url, forge_path, default_branch,
                priority, poll_seconds, created_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (team, name) DO NOTHING";
        let added = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&project.id)
                .bind(&project.team)
                .bind(&project.name)
                .bind(&project.address)
                .bind(project.forge.as_str())
                .bind(&project.forge_url)
                .bind(&project.forge_path)
                .bind(&project.default_branch)
                .bind(project.priority)
                .bind(project.poll_seconds)
                .bind(project.created_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        if added == 0 { Err(StoreError::taken("project", &project.slug())) } else { Ok(()) }
    }

    /// Changes everything that can change in a project; [`StoreError::Conflict`] when it is no longer as it
    /// was `before`.
    pub async fn change_project(
        &self,
        before: &ProjectRow,
        after: &ProjectRow,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE projects SET
                address = $2, forge = $3, forge_url = $4, forge_path = $5, default_branch = $6,
                priority = $7, poll_seconds = $8, archived_at = $9
            WHERE id = $1 AND address = $10 AND forge = $11 AND forge_url = $12 AND forge_path = $13
                AND default_branch = $14 AND priority = $15 AND poll_seconds = $16
                AND COALESCE(archived_at, 0) = $17";
        let changed = with_writer!(self, db => {
            let mut query = sqlx::query(SQL).bind(&after.id);
            query = query.bind(&after.address).bind(after.forge.as_str()).bind(&after.forge_url);
            query = query.bind(&after.forge_path).bind(&after.default_branch).bind(after.priority);
            query = query.bind(after.poll_seconds).bind(after.archived_at);
            query = query.bind(&before.address).bind(before.forge.as_str()).bind(&before.forge_url);
            query = query.bind(&before.forge_path).bind(&before.default_branch).bind(before.priority);
            query = query.bind(before.poll_seconds).bind(before.archived_at.unwrap_or_default());
            query.execute(db).await?.rows_affected()
        });
        if changed == 0 {
            return Err(StoreError::Conflict { what: format!("project {}", before.slug()) });
        }
        Ok(())
    }

    /// The project with this id.
    pub async fn find_project(&self, id: &ProjectId) -> Result<Option<ProjectRow>, StoreError> {
        const SQL: &str = "
            SELECT projects.*, teams.name AS team_name FROM projects
            JOIN teams ON teams.id = projects.team WHERE projects.id = $1";
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?);
        record.map(ProjectRow::try_from).transpose()
    }

    /// The project of a team with this name.
    pub async fn find_project_by_name(
        &self,
        team: &str,
        name: &str,
    ) -> Result<Option<ProjectRow>, StoreError> {
        const SQL: &str = "
            SELECT projects.*, teams.name AS team_name FROM projects
            JOIN teams ON teams.id = projects.team WHERE teams.name = $1 AND projects.name = $2";
        let record: Option<Record> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(team).bind(name).fetch_optional(db).await?
        });
        record.map(ProjectRow::try_from).transpose()
    }

    /// All projects by team and name.
    pub async fn list_projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        const SQL: &str = "
            SELECT projects.*, teams.name AS team_name FROM projects
            JOIN teams ON teams.id = projects.team ORDER BY teams.name, projects.name";
        let records: Vec<Record> = with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?);
        records.into_iter().map(ProjectRow::try_from).collect()
    }

    /// The projects of the teams a person is a member of, by team and name.
    pub async fn list_projects_of(&self, person: &PersonId) -> Result<Vec<ProjectRow>, StoreError> {
        const SQL: &str = "
            SELECT projects.*, teams.name AS team_name FROM projects
            JOIN teams ON teams.id = projects.team JOIN members ON members.team = teams.id
            WHERE members.person = $1 ORDER BY teams.name, projects.name";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(person).fetch_all(db).await?);
        records.into_iter().map(ProjectRow::try_from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_in_an_address_is_told_from_a_login_of_ssh() {
        let split =
            |address| credential_of(address).map(|(before, after)| format!("{before}***@{after}"));
        for address in [
            "https://user:pass@host/a/b.git",
            "https://token@host/a/b.git",
            "https://a@b:c@host/a/b.git",
        ] {
            assert_eq!(split(address).as_deref(), Some("https://***@host/a/b.git"), "{address}");
        }
        assert_eq!(split("ssh://git:pw@host/a.git").as_deref(), Some("ssh://***@host/a.git"));
        for address in [
            "git@host:a/b.git",
            "ssh://git@host:22/a.git",
            "https://host/a@b.git",
            "file:///srv/a@b.git",
        ] {
            assert_eq!(split(address), None, "{address}");
        }
    }
}
