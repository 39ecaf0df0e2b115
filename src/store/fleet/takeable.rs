//! Runs that a process may begin to drive, by indexes: never the whole list.

use sqlx::{FromRow, QueryBuilder};

use crate::model::{ProjectId, RunId, TeamId, Timestamp};
use crate::store::{Store, StoreError, with_db};

/// A run that nobody drives.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TakeableRun {
    /// Its id.
    pub id: RunId,
    /// Its number.
    pub number: i64,
    /// Whose it is; empty for a run of no project.
    pub team: TeamId,
    /// The team's share of the slots.
    pub weight: i64,
    /// The project's: higher is served first within the team.
    pub priority: i64,
    /// Labels that its driver must have: `key=value` lines in order, or empty.
    pub wants: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// A run that is not driven any more, or was by a process that has given no sign for long.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct OrphanedRun {
    /// Its id.
    pub id: RunId,
    /// Labels that its driver must have.
    pub wants: String,
    /// When its last lease was over; the epoch of moments for one that was given back.
    pub lease_until: Timestamp,
}

/// What a project's work counts for beside that of others.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ProjectShare {
    /// Whose it is.
    pub team: TeamId,
    /// The team's share of the slots.
    pub weight: i64,
    /// Higher is served first within the team.
    pub priority: i64,
    /// The trunk.
    pub default_branch: String,
}

impl Store {
    /// What a project's work counts for.
    pub async fn find_share(
        &self,
        project: &ProjectId,
    ) -> Result<Option<ProjectShare>, StoreError> {
        const SQL: &str = "
            SELECT p.team, t.weight, p.priority, p.default_branch
            FROM projects p JOIN teams t ON t.id = p.team WHERE p.id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_optional(db).await?))
    }

    /// New runs that nobody has taken yet: of each team the first `of_each`, whose driver needs one of these
    /// sets of labels.
    pub async fn list_new_runs(
        &self,
        wants: &[String],
        of_each: u32,
    ) -> Result<Vec<TakeableRun>, StoreError> {
        if wants.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new(RANKED);
            let mut words = sql.separated(", ");
            for want in wants {
                words.push_bind(want);
            }
            sql.push(")) AS ranked WHERE place <= ").push_bind(i64::from(of_each));
            sql.push(" ORDER BY id");
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Every set of labels that new runs want.
    pub async fn list_wants_of_new_runs(&self) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "
            SELECT DISTINCT wants FROM runs WHERE status = 'queued' AND lease_epoch = 0";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).fetch_all(db).await?))
    }

    /// Runs that had a driver and have none now, oldest lease first.
    pub async fn list_orphaned_runs(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OrphanedRun>, StoreError> {
        const SQL: &str = "
            SELECT id, wants, lease_until FROM runs
            WHERE status IN ('queued', 'running', 'waiting', 'cancelling') AND lease_epoch > 0
              AND lease_until <= $1
            ORDER BY lease_until, id LIMIT $2";
        let limit = i64::from(limit);
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(now).bind(limit).fetch_all(db).await?
        }))
    }

    /// Unfinished runs whose lease a process of this state folder holds, or held when it died.
    pub async fn list_runs_held_by(
        &self,
        instance: &str,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        const SQL: &str = "
            SELECT id FROM runs
            WHERE lease_instance = $1 AND lease_instance <> ''
              AND status IN ('queued', 'running', 'waiting', 'cancelling')
            ORDER BY id LIMIT $2";
        let limit = i64::from(limit);
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL).bind(instance).bind(limit).fetch_all(db).await?
        }))
    }
}

const RANKED: &str = "
    SELECT id, number, team, weight, priority, wants, created_at FROM (
        SELECT r.id, r.number, COALESCE(p.team, '') AS team, COALESCE(t.weight, 1) AS weight,
            COALESCE(p.priority, 0) AS priority, r.wants, r.created_at,
            ROW_NUMBER() OVER (
                PARTITION BY COALESCE(p.team, '') ORDER BY COALESCE(p.priority, 0) DESC, r.id
            ) AS place
        FROM runs r LEFT JOIN projects p ON p.id = r.project LEFT JOIN teams t ON t.id = p.team
        WHERE r.status = 'queued' AND r.lease_epoch = 0 AND r.wants IN (";
