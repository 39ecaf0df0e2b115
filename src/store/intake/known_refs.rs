//! The table `known_refs`, and when a project's remote is looked at next. A ref that is gone keeps its row for a
//! while, without a revision: should it come again, that is told from its first coming.

use std::collections::BTreeMap;

use crate::model::{ProjectId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// Where a ref of a remote was when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KnownRef {
    /// Full ref.
    pub name: String,
    /// The commit, or the tag object.
    pub revision: String,
    /// The delivery that has brought it, or empty.
    pub delivery: String,
    /// When.
    pub seen_at: Timestamp,
}

impl Store {
    /// All refs that are known of a project's remote.
    pub async fn list_known_refs(&self, project: &ProjectId) -> Result<Vec<KnownRef>, StoreError> {
        const SQL: &str = "SELECT name, revision, delivery, seen_at FROM known_refs
            WHERE project = $1 AND revision <> '' ORDER BY name";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_all(db).await?))
    }

    /// Refs that are gone, and since when.
    pub async fn list_gone_refs(
        &self,
        project: &ProjectId,
    ) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        const SQL: &str =
            "SELECT name, seen_at FROM known_refs WHERE project = $1 AND revision = ''";
        let gone: Vec<(String, Timestamp)> =
            with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_all(db).await?);
        Ok(gone.into_iter().collect())
    }

    /// Forgets refs that have been gone since before that moment. Gives how many.
    pub async fn forget_gone_refs(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM known_refs WHERE revision = '' AND seen_at < $1";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).execute(db).await?.rows_affected()
        }))
    }

    /// What is known of one ref.
    pub async fn find_known_ref(
        &self,
        project: &ProjectId,
        name: &str,
    ) -> Result<Option<KnownRef>, StoreError> {
        const SQL: &str = "
            SELECT name, revision, delivery, seen_at FROM known_refs
            WHERE project = $1 AND name = $2 AND revision <> ''";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(project).bind(name).fetch_optional(db).await?
        }))
    }

    /// Writes down where a ref is now; `None` when it is gone.
    pub async fn save_known_ref(
        &self,
        project: &ProjectId,
        (name, revision): (&str, Option<&str>),
        delivery: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        with_writer!(self, db => {
            sqlx::query(SAVE)
                .bind(project)
                .bind(name)
                .bind(revision.unwrap_or_default())
                .bind(delivery)
                .bind(now)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// Writes down all refs of a remote that was never looked at before.
    pub async fn save_first_refs(
        &self,
        project: &ProjectId,
        refs: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        in_transaction!(self, tx => {
            for (name, revision) in refs {
                sqlx::query(SAVE)
                    .bind(project)
                    .bind(name)
                    .bind(revision)
                    .bind("")
                    .bind(now)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// Projects whose remote is to be looked at, with the moment that was set for it.
    pub async fn list_projects_to_look_at(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(ProjectId, Timestamp)>, StoreError> {
        const SQL: &str = "
            SELECT id, look_at FROM projects WHERE look_at <= $1 AND archived_at IS NULL
            ORDER BY look_at, id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(now).fetch_all(db).await?))
    }

    /// Sets when a remote is looked at next, if nobody else has since `seen` was read: who succeeds looks
    /// at it now.
    pub async fn claim_look(
        &self,
        project: &ProjectId,
        seen: Timestamp,
        next: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE projects SET look_at = $3 WHERE id = $1 AND look_at = $2";
        let claimed = with_writer!(self, db => {
            sqlx::query(SQL).bind(project).bind(seen).bind(next).execute(db).await?.rows_affected()
        });
        Ok(claimed > 0)
    }

    /// Has a remote looked at as soon as possible.
    pub async fn request_look(&self, project: &ProjectId) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE projects SET look_at = 0 WHERE id = $1";
        with_writer!(self, db => { sqlx::query(SQL).bind(project).execute(db).await?; });
        Ok(())
    }
}

const SAVE: &str = "
    INSERT INTO known_refs (project, name, revision, delivery, seen_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (project, name) DO UPDATE SET
        revision = excluded.revision, delivery = excluded.delivery, seen_at = excluded.seen_at";
