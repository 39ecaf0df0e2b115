//! The table `data_keys`: what texts are sealed with, itself wrapped by a key from elsewhere.

use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

/// One row of `data_keys`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DataKeyRow {
    /// Its id.
    pub id: String,
    /// Who wrapped it: `file`, `transit` or `aws_kms`.
    pub provider: String,
    /// Which key of the provider.
    pub wrapped_by: String,
    /// The wrapped key.
    pub wrapped_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing is sealed with it.
    pub retired_at: Option<Timestamp>,
}

impl Store {
    /// Adds a data key.
    pub async fn insert_data_key(&self, key: &DataKeyRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO data_keys (id, provider, wrapped_by, wrapped_key, created_at, retired_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&key.id)
                .bind(&key.provider)
                .bind(&key.wrapped_by)
                .bind(&key.wrapped_key)
                .bind(key.created_at)
                .bind(key.retired_at)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// The data key with this id.
    pub async fn find_data_key(&self, id: &str) -> Result<Option<DataKeyRow>, StoreError> {
        const SQL: &str = "SELECT * FROM data_keys WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// The data key that new texts are sealed with: the newest that is not retired.
    pub async fn find_current_data_key(&self) -> Result<Option<DataKeyRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM data_keys WHERE retired_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_optional(db).await?))
    }

    /// All data keys, oldest first.
    pub async fn list_data_keys(&self) -> Result<Vec<DataKeyRow>, StoreError> {
        const SQL: &str = "SELECT * FROM data_keys ORDER BY created_at, id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?))
    }

    /// Notes who wraps a data key now; false when it was wrapped anew meanwhile.
    pub async fn rewrap_data_key(
        &self,
        old: &DataKeyRow,
        new: &DataKeyRow,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE data_keys SET provider = $3, wrapped_by = $4, wrapped_key = $5
            WHERE id = $1 AND wrapped_key = $2";
        let changed = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&old.id)
                .bind(&old.wrapped_key)
                .bind(&new.provider)
                .bind(&new.wrapped_by)
                .bind(&new.wrapped_key)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(changed > 0)
    }

    /// Retires every data key but this one.
    pub async fn retire_data_keys_but(
        &self,
        current: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE data_keys SET retired_at = $2 WHERE id <> $1 AND retired_at IS NULL";
        with_writer!(self, db => { sqlx::query(SQL).bind(current).bind(now).execute(db).await?; });
        Ok(())
    }

    /// Removes a data key for good.
    pub async fn delete_data_key(&self, id: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM data_keys WHERE id = $1 AND retired_at IS NOT NULL";
        with_writer!(self, db => { sqlx::query(SQL).bind(id).execute(db).await?; });
        Ok(())
    }
}
