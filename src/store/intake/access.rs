//! How a project's repository and forge are reached: columns of `projects` that nothing else reads.

use crate::model::ProjectId;
use crate::store::{Store, StoreError, with_db, with_writer};

/// How a project is reached. Secrets are sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct ProjectAccess {
    /// What proves deliveries, sealed; or empty.
    pub hook_secret: String,
    /// What the remote and the forge want to see, sealed; or empty.
    pub credential: String,
    /// Commits of history that a mirror has; 0 for all.
    pub fetch_depth: i64,
    /// Whether each stage has a status of its own.
    pub stage_statuses: bool,
}

impl Store {
    /// How a project is reached.
    pub async fn find_project_access(
        &self,
        project: &ProjectId,
    ) -> Result<Option<ProjectAccess>, StoreError> {
        const SQL: &str = "
            SELECT hook_secret, credential, fetch_depth, stage_statuses FROM projects WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_optional(db).await?))
    }

    /// Changes how a project is reached.
    pub async fn save_project_access(
        &self,
        project: &ProjectId,
        access: &ProjectAccess,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE projects SET
                hook_secret = $2, credential = $3, fetch_depth = $4, stage_statuses = $5
            WHERE id = $1";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(project)
                .bind(&access.hook_secret)
                .bind(&access.credential)
                .bind(access.fetch_depth)
                .bind(access.stage_statuses)
                .execute(db)
                .await?;
        });
        Ok(())
    }
}
