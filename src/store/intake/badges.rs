//! Who may see how a project stands without signing in: columns of `projects` that nothing else reads.

use crate::model::ProjectId;
use crate::store::{Store, StoreError, with_db, with_writer};

/// Who may see the badges of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct BadgeAccess {
    /// Whether everybody may.
    #[sqlx(rename = "badge_public")]
    pub is_public: bool,
    /// What somebody else must know, or empty.
    #[sqlx(rename = "badge_token")]
    pub token: String,
}

impl Store {
    /// Who may see the badges of a project.
    pub async fn find_badge_access(
        &self,
        project: &ProjectId,
    ) -> Result<Option<BadgeAccess>, StoreError> {
        const SQL: &str = "SELECT badge_public, badge_token FROM projects WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_optional(db).await?))
    }

    /// Says who may.
    pub async fn save_badge_access(
        &self,
        project: &ProjectId,
        access: &BadgeAccess,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE projects SET badge_public = $2, badge_token = $3 WHERE id = $1";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(project)
                .bind(access.is_public)
                .bind(&access.token)
                .execute(db)
                .await?;
        });
        Ok(())
    }
}
