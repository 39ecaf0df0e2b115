//! What the last look at a project's remote has told, and what its trunk has: columns of `projects` that nothing
//! else reads.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};

use super::deliveries::DeliveryStatus;
use crate::model::{ProjectId, Timestamp};
use crate::store::{Store, StoreError, with_db, with_writer};

/// The pipelines of a trunk's newest commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrunkReading {
    /// The branch that was the trunk.
    pub branch: String,
    /// The commit.
    pub commit: String,
    /// Names of its pipelines that a push of the trunk starts, and of those that cannot be read.
    pub pushed: Vec<String>,
    /// Names of the others.
    pub others: Vec<String>,
    /// Files that cannot be read.
    pub broken: Vec<BrokenFile>,
}

/// A file of a pipeline that cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokenFile {
    /// Its path.
    pub file: String,
    /// The first thing that is wrong with it, as a terminal shows it.
    pub problem: String,
}

impl TrunkReading {
    /// Whether runs of this pipeline say how the trunk stands; those of no push stand beside it.
    #[must_use]
    pub fn counts(&self, pipeline: &str, is_pushed: bool) -> bool {
        let has = |names: &[String]| names.iter().any(|it| it == pipeline);
        has(&self.pushed) || (!is_pushed && has(&self.others))
    }
}

/// What is known of a project's remote and of its trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The project.
    pub project: ProjectId,
    /// When the last look at its remote ended, if there was one.
    pub looked_at: Option<Timestamp>,
    /// Why that look has failed, or empty.
    pub error: String,
    /// What was read of the trunk; nothing where its branch was another one then.
    pub trunk: Option<TrunkReading>,
    /// Where the trunk is, or empty.
    pub revision: String,
    /// The delivery that has brought it there, or empty.
    pub delivery: String,
    /// What came of that delivery, if it has failed.
    pub failure: Option<String>,
}

#[derive(FromRow)]
struct Record {
    id: ProjectId,
    default_branch: String,
    looked_at: Option<Timestamp>,
    look_error: String,
    trunk_read: String,
    revision: Option<String>,
    delivery: Option<String>,
    status: Option<String>,
    outcome: Option<String>,
}

impl From<Record> for Look {
    fn from(record: Record) -> Self {
        let trunk: Option<TrunkReading> = serde_json::from_str(&record.trunk_read).ok();
        let is_failed = record.status.as_deref() == Some(DeliveryStatus::Failed.as_str());
        Self {
            project: record.id,
            looked_at: record.looked_at,
            error: record.look_error,
            trunk: trunk.filter(|it| it.branch == record.default_branch),
            revision: record.revision.unwrap_or_default(),
            delivery: record.delivery.unwrap_or_default(),
            failure: record.outcome.filter(|_| is_failed),
        }
    }
}

impl Store {
    /// What is known of the remotes and trunks of these projects, in no order.
    pub async fn list_looks(&self, projects: &[ProjectId]) -> Result<Vec<Look>, StoreError> {
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<Record> = with_db!(self, db => {
            let mut sql = QueryBuilder::new(
                "SELECT projects.id, projects.default_branch, projects.looked_at, projects.look_error,
                    projects.trunk_read, known_refs.revision, deliveries.id AS delivery, deliveries.status,
                    deliveries.outcome
                FROM projects
                LEFT JOIN known_refs ON known_refs.project = projects.id
                    AND known_refs.name = 'refs/heads/' || projects.default_branch
                LEFT JOIN deliveries ON deliveries.id = known_refs.delivery
                WHERE projects.id IN (",
            );
            let mut ids = sql.separated(", ");
            for project in projects {
                ids.push_bind(project);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(db).await?
        });
        Ok(records.into_iter().map(Look::from).collect())
    }

    /// Writes down how a look at a remote ended: `error` is empty when all went well.
    pub async fn save_look(
        &self,
        project: &ProjectId,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE projects SET looked_at = $2, look_error = $3 WHERE id = $1";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(project).bind(now).bind(error).execute(db).await?;
        });
        Ok(())
    }

    /// Writes down what the trunk has.
    pub async fn save_trunk_reading(
        &self,
        project: &ProjectId,
        reading: &TrunkReading,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE projects SET trunk_read = $2 WHERE id = $1";
        let json = serde_json::to_string(reading).unwrap_or_default();
        with_writer!(self, db => {
            sqlx::query(SQL).bind(project).bind(&json).execute(db).await?;
        });
        Ok(())
    }
}
