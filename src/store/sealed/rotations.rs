//! The table `key_rotations`: how far a rotation is, and who does it.

use crate::model::Timestamp;
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// One row of `key_rotations`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RotationRow {
    /// Its id.
    pub id: String,
    /// The provider's new key; empty until it is there.
    pub wrapped_by: String,
    /// The new data key; empty until it is there.
    pub data_key: String,
    /// The process that does it.
    pub owner: String,
    /// Until when it is theirs.
    pub owned_until: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; 0 while it is under way.
    pub finished_at: Timestamp,
}

impl Store {
    /// Begins a rotation (`new`), or takes over one whose owner is silent. `None`: somebody is at it.
    pub async fn claim_rotation(
        &self,
        new: &RotationRow,
    ) -> Result<Option<RotationRow>, StoreError> {
        const BEGIN: &str = "
            INSERT INTO key_rotations (
                id, wrapped_by, data_key, owner, owned_until, started_at, finished_at
            )
            VALUES ($1, '', '', $2, $3, $4, 0) ON CONFLICT DO NOTHING";
        const TAKE: &str = "
            UPDATE key_rotations SET owner = $1, owned_until = $2
            WHERE finished_at = 0 AND (owner = $1 OR owned_until <= $3) RETURNING *";
        Ok(in_transaction!(self, tx => {
            sqlx::query(BEGIN)
                .bind(&new.id)
                .bind(&new.owner)
                .bind(new.owned_until)
                .bind(new.started_at)
                .execute(&mut *tx)
                .await?;
            sqlx::query_as(TAKE)
                .bind(&new.owner)
                .bind(new.owned_until)
                .bind(new.started_at)
                .fetch_optional(&mut *tx)
                .await?
        }))
    }

    /// Notes how far it is; false when somebody else has taken it over.
    pub async fn save_rotation(&self, rotation: &RotationRow) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE key_rotations SET wrapped_by = $3, data_key = $4, owned_until = $5, finished_at = $6
            WHERE id = $1 AND owner = $2";
        let saved = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&rotation.id)
                .bind(&rotation.owner)
                .bind(&rotation.wrapped_by)
                .bind(&rotation.data_key)
                .bind(rotation.owned_until)
                .bind(rotation.finished_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(saved > 0)
    }

    /// The newest rotation.
    pub async fn find_last_rotation(&self) -> Result<Option<RotationRow>, StoreError> {
        const SQL: &str = "SELECT * FROM key_rotations ORDER BY id DESC LIMIT 1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_optional(db).await?))
    }
}
