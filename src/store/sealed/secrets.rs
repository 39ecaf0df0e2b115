//! The table `secrets`. Every change of it stands in `audit_events` as well.

use crate::model::{ProjectId, TeamId, Timestamp};
use crate::store::audit::{AuditRow, insert_event};
use crate::store::{Store, StoreError, in_transaction, with_db};

/// One row of `secrets`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SecretRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub team: TeamId,
    /// Of one project, or empty.
    pub project: ProjectId,
    /// Of one environment, or empty.
    pub environment: String,
    /// Its name.
    pub name: String,
    /// The sealed value.
    pub sealed: String,
    /// Who may read it, JSON.
    pub rules: String,
    /// Counts its values and rules.
    pub version: i64,
    /// Login of who changed it last.
    pub changed_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Where a secret is: of a team, of a project, or of an environment of either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    /// Whose it is.
    pub team: TeamId,
    /// Of one project, or empty.
    pub project: ProjectId,
    /// Of one environment, or empty.
    pub environment: String,
    /// Its name.
    pub name: String,
}

impl Store {
    /// Adds a secret, or gives the one in its place another value and other rules; gives its version.
    pub async fn save_secret(&self, row: &SecretRow, event: &AuditRow) -> Result<i64, StoreError> {
        const SQL: &str = "
            INSERT INTO secrets (
                id, team, project, environment, name, sealed, rules, version, changed_by,
                created_at, changed_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $9)
            ON CONFLICT (team, project, environment, name) DO UPDATE SET
                sealed = excluded.sealed, rules = excluded.rules, version = secrets.version + 1,
                changed_by = excluded.changed_by, changed_at = excluded.changed_at
            RETURNING version";
        Ok(in_transaction!(self, tx => {
            let version = sqlx::query_scalar(SQL)
                .bind(&row.id)
                .bind(&row.team)
                .bind(&row.project)
                .bind(&row.environment)
                .bind(&row.name)
                .bind(&row.sealed)
                .bind(&row.rules)
                .bind(&row.changed_by)
                .bind(row.changed_at)
                .fetch_one(&mut *tx)
                .await?;
            insert_event!(event, &mut *tx);
            version
        }))
    }

    /// Removes a secret; false when there is none in this place.
    pub async fn delete_secret(
        &self,
        place: &SecretPlace,
        event: &AuditRow,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            DELETE FROM secrets WHERE team = $1 AND project = $2 AND environment = $3 AND name = $4";
        Ok(in_transaction!(self, tx => {
            let deleted = sqlx::query(SQL)
                .bind(&place.team)
                .bind(&place.project)
                .bind(&place.environment)
                .bind(&place.name)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if deleted > 0 {
                insert_event!(event, &mut *tx);
            }
            deleted > 0
        }))
    }

    /// The secrets of a team (`project` empty) or of a project, by name and environment.
    pub async fn list_secrets(
        &self,
        team: &TeamId,
        project: &ProjectId,
    ) -> Result<Vec<SecretRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM secrets WHERE team = $1 AND project = $2 ORDER BY name, environment";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(team).bind(project).fetch_all(db).await?))
    }

    /// The secret that a stage means by this name: of its environment before the others, and of its
    /// project before the team.
    pub async fn find_secret(&self, wanted: &SecretPlace) -> Result<Option<SecretRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM secrets
            WHERE team = $1 AND name = $4 AND project IN ($2, '') AND environment IN ($3, '')
            ORDER BY environment DESC, project DESC LIMIT 1";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(&wanted.team)
                .bind(&wanted.project)
                .bind(&wanted.environment)
                .bind(&wanted.name)
                .fetch_optional(db)
                .await?
        }))
    }
}
