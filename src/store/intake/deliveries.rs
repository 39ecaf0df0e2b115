//! The table `deliveries`.

use sqlx::FromRow;

use crate::model::{ForgeKind, ProjectId, Timestamp};
use crate::store::{Store, StoreError, read_word, with_db, with_writer};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It waits for its turn, or for another try.
    Received,
    /// It was understood and acted upon.
    Processed,
    /// There was nothing to do.
    Ignored,
    /// It was given up, or something of it could not be read.
    Failed,
}

impl DeliveryStatus {
    /// The word in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processed => "processed",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
        }
    }
}

/// A delivery to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id here.
    pub id: String,
    /// For which project.
    pub project: ProjectId,
    /// In whose words it is.
    pub forge: ForgeKind,
    /// The forge's id of it.
    pub delivery: String,
    /// Digest of the body.
    pub digest: String,
    /// Which event.
    pub event: String,
    /// The body.
    pub body: String,
    /// When it is processed at the earliest.
    pub next_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
}

/// One row of `deliveries`, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id here.
    pub id: String,
    /// For which project.
    pub project: ProjectId,
    /// In whose words it is.
    pub forge: ForgeKind,
    /// The forge's id of it.
    pub delivery: String,
    /// Which event.
    pub event: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// What came of it, for people.
    pub outcome: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was done.
    pub processed_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Record {
    id: String,
    project: ProjectId,
    forge: String,
    delivery: String,
    event: String,
    status: String,
    outcome: String,
    attempts: i64,
    next_at: Timestamp,
    received_at: Timestamp,
    processed_at: Option<Timestamp>,
}

impl TryFrom<Record> for DeliveryRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let what = || format!("delivery `{}`", record.id);
        let (forge, status) = (read_word(what, &record.forge)?, read_word(what, &record.status)?);
        Ok(Self {
            id: record.id,
            project: record.project,
            forge,
            delivery: record.delivery,
            event: record.event,
            status,
            outcome: record.outcome,
            attempts: record.attempts,
            next_at: record.next_at,
            received_at: record.received_at,
            processed_at: record.processed_at,
        })
    }
}

/// Columns of a [`Record`]: all but the body, which may be large.
macro_rules! columns {
    () => {
        "SELECT id, project, forge, delivery, event, status, outcome, attempts, next_at, received_at,
            processed_at FROM deliveries "
    };
}

impl Store {
    /// Stores a delivery once; `None`, or the id under which it is here already.
    pub async fn insert_delivery(&self, new: &NewDelivery) -> Result<Option<String>, StoreError> {
        const SQL: &str = "
            INSERT INTO deliveries (
                id, project, forge, delivery, digest, event, body, status, outcome, attempts, next_at,
                received_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'received', '', 0, $8, $9) ON CONFLICT DO NOTHING";
        const FIND: &str = "
            SELECT min(id) FROM (
                SELECT id FROM deliveries WHERE project = $1 AND forge = $2 AND delivery = $3
                UNION ALL
                SELECT id FROM deliveries WHERE project = $1 AND forge = $2 AND digest = $4
            ) AS found";
        let added = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&new.id)
                .bind(&new.project)
                .bind(new.forge.as_str())
                .bind(&new.delivery)
                .bind(&new.digest)
                .bind(&new.event)
                .bind(&new.body)
                .bind(new.next_at)
                .bind(new.received_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        if added > 0 {
            return Ok(None);
        }
        Ok(with_db!(self, db => {
            sqlx::query_scalar(FIND)
                .bind(&new.project)
                .bind(new.forge.as_str())
                .bind(&new.delivery)
                .bind(&new.digest)
                .fetch_optional(db)
                .await?
        }))
    }

    /// The oldest delivery of each project whose turn has come, in the order they came: a project with
    /// thousands of them does not keep the others waiting.
    pub async fn list_due_deliveries(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        // Goes from project to project by an index; `SELECT DISTINCT` would read every delivery.
        const SQL: &str = concat!(
            "WITH RECURSIVE waiting(project) AS (
                SELECT min(project) FROM deliveries WHERE status = 'received'
                UNION ALL
                SELECT (
                    SELECT min(following.project) FROM deliveries AS following
                    WHERE following.status = 'received' AND following.project > waiting.project)
                FROM waiting WHERE waiting.project IS NOT NULL
            ) ",
            columns!(),
            "WHERE id IN (
                SELECT (
                    SELECT oldest.id FROM deliveries AS oldest
                    WHERE oldest.status = 'received' AND oldest.project = waiting.project
                        AND oldest.next_at <= $1
                    ORDER BY oldest.id LIMIT 1)
                FROM waiting)
            ORDER BY id LIMIT $2",
        );
        let records: Vec<Record> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(now).bind(i64::from(limit)).fetch_all(db).await?
        });
        records.into_iter().map(DeliveryRow::try_from).collect()
    }

    /// Takes a delivery for a while, if nobody else has taken it since `row` was read.
    pub async fn claim_delivery(
        &self,
        row: &DeliveryRow,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE deliveries SET next_at = $3, attempts = attempts + 1
            WHERE id = $1 AND status = 'received' AND next_at = $2";
        let claimed = with_writer!(self, db => {
            sqlx::query(SQL).bind(&row.id).bind(row.next_at).bind(until).execute(db).await?
                .rows_affected()
        });
        Ok(claimed > 0)
    }

    /// Keeps a delivery that was taken; false when somebody else has it since.
    pub async fn keep_delivery(
        &self,
        id: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE deliveries SET next_at = $3
            WHERE id = $1 AND status = 'received' AND next_at = $2";
        let kept = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(from).bind(until).execute(db).await?.rows_affected()
        });
        Ok(kept > 0)
    }

    /// Says what came of a delivery; with `received`, when it is tried again.
    pub async fn save_outcome(
        &self,
        id: &str,
        (status, outcome): (DeliveryStatus, &str),
        next_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE deliveries SET status = $2, outcome = $3, next_at = $4, processed_at = $5
            WHERE id = $1";
        let done = (status != DeliveryStatus::Received).then_some(now);
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(id)
                .bind(status.as_str())
                .bind(outcome)
                .bind(next_at)
                .bind(done)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// Lets a delivery be processed once more.
    pub async fn replay_delivery(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE deliveries SET status = 'received', attempts = 0, next_at = $2, processed_at = NULL
            WHERE id = $1 AND status <> 'received'";
        with_writer!(self, db => { sqlx::query(SQL).bind(id).bind(now).execute(db).await?; });
        Ok(())
    }

    /// Deliveries of a project, newest first.
    pub async fn list_deliveries(
        &self,
        project: &ProjectId,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        const SQL: &str = concat!(
            columns!(),
            "WHERE project = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"
        );
        let before = before.unwrap_or_default();
        let records: Vec<Record> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(project).bind(before).bind(i64::from(limit)).fetch_all(db).await?
        });
        records.into_iter().map(DeliveryRow::try_from).collect()
    }

    /// The delivery with this id.
    pub async fn find_delivery(&self, id: &str) -> Result<Option<DeliveryRow>, StoreError> {
        const SQL: &str = concat!(columns!(), "WHERE id = $1");
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?);
        record.map(DeliveryRow::try_from).transpose()
    }

    /// The bodies of the deliveries of a project from one id to another, by id, but none with more characters than
    /// this.
    pub async fn list_delivery_bodies(
        &self,
        project: &ProjectId,
        (oldest, newest): (&str, &str),
        chars_max: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        const SQL: &str = "
            SELECT id, body FROM deliveries
            WHERE project = $1 AND id >= $2 AND id <= $3 AND length(body) <= $4";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(project)
                .bind(oldest)
                .bind(newest)
                .bind(i64::from(chars_max))
                .fetch_all(db)
                .await?
        }))
    }

    /// The body of a delivery, as it came.
    pub async fn find_delivery_body(&self, id: &str) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT body FROM deliveries WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).bind(id).fetch_optional(db).await?))
    }
}
