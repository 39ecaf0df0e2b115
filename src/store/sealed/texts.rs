//! Every sealed text there is, so that all can be sealed anew. Which columns those are stands here alone.

use crate::store::{Store, StoreError, with_db, with_writer};

/// A column with sealed texts, or empty ones, in a table whose key is `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    /// What it holds, for people.
    pub what: &'static str,
    list: &'static str,
    count: &'static str,
    replace: &'static str,
}

macro_rules! column {
    ($what:literal, $table:literal, $column:literal) => {
        SealedColumn {
            what: $what,
            list: concat!(
                "SELECT id, ",
                $column,
                " AS sealed FROM ",
                $table,
                " WHERE ",
                $column,
                " <> '' AND substr(",
                $column,
                ", 1, length($1)) <> $1 AND id > $2 ORDER BY id LIMIT $3"
            ),
            count: concat!(
                "SELECT count(*) FROM ",
                $table,
                " WHERE substr(",
                $column,
                ", 1, length($1)) = $1"
            ),
            replace: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $3 WHERE id = $1 AND ",
                $column,
                " = $2"
            ),
        }
    };
}

/// All columns with sealed texts. Who adds one to the schema adds it here.
pub const SEALED_COLUMNS: [SealedColumn; 11] = [
    column!("secrets", "secrets", "sealed"),
    column!("signing keys", "signing_keys", "private_key"),
    column!("kept answers", "requests", "answer"),
    column!("secrets of forges", "projects", "hook_secret"),
    column!("credentials of repositories", "projects", "credential"),
    column!("addresses of subscriptions", "subscriptions", "target"),
    column!("secrets of subscriptions", "subscriptions", "secret"),
    column!("former secrets of subscriptions", "subscriptions", "former_secret"),
    column!("requests of the queue", "queue_items", "request"),
    column!("answers of the queue", "queue_items", "answer"),
    column!("webhooks of the queue", "queue_items", "webhook"),
];

/// One sealed text.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SealedText {
    /// Key of its row.
    pub id: String,
    /// The text.
    pub sealed: String,
}

impl Store {
    /// Texts of a column that do not begin with `prefix`, by id, after `after`.
    pub async fn list_sealed_otherwise(
        &self,
        column: SealedColumn,
        (prefix, after): (&str, &str),
        limit: u32,
    ) -> Result<Vec<SealedText>, StoreError> {
        Ok(with_db!(self, db => {
            sqlx::query_as(column.list)
                .bind(prefix)
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// How many texts begin with `prefix`, in all columns.
    pub async fn count_sealed(&self, prefix: &str) -> Result<i64, StoreError> {
        let mut count = 0;
        for column in SEALED_COLUMNS {
            let found: i64 = with_db!(self, db => sqlx::query_scalar(column.count).bind(prefix).fetch_one(db).await?);
            count += found;
        }
        Ok(count)
    }

    /// Puts a text in the place of another; false when that has changed meanwhile.
    pub async fn replace_sealed(
        &self,
        column: SealedColumn,
        old: &SealedText,
        sealed: &str,
    ) -> Result<bool, StoreError> {
        let replaced = with_writer!(self, db => {
            sqlx::query(column.replace)
                .bind(&old.id)
                .bind(&old.sealed)
                .bind(sealed)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(replaced > 0)
    }
}
