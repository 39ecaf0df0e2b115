//! The table `shadow_pairs`: calls that a candidate has answered as well.

use sqlx::FromRow;

use crate::model::{Timestamp, UsdNanos};
use crate::store::{Store, StoreError, with_db, with_writer};

/// One row of `shadow_pairs`: a call, and its copy.
#[derive(Debug, Clone, Default, PartialEq, FromRow)]
pub struct PairRow {
    /// Its id: a ULID.
    pub id: String,
    /// Name of the shadow.
    pub shadow: String,
    /// When the call came.
    pub at: Timestamp,
    /// The call, in the ledger.
    pub request: String,
    /// The copy, in the ledger.
    pub copy: String,
    /// The call's endpoint, or empty.
    pub endpoint: String,
    /// The call's model.
    pub model: String,
    /// The copy's.
    pub candidate: String,
    /// Status of the answer; 0 for none.
    pub status: i64,
    /// The same of the copy.
    pub copy_status: i64,
    /// Why the copy has no answer, or empty.
    pub reason: String,
    /// Until the end of the answer.
    pub total_ms: i64,
    /// The same of the copy.
    pub copy_total_ms: i64,
    /// Until its first piece.
    pub first_ms: i64,
    /// The same of the copy.
    pub copy_first_ms: i64,
    /// What it cost.
    pub cost: UsdNanos,
    /// The same of the copy.
    pub copy_cost: UsdNanos,
    /// Tokens of the answer.
    pub output_tokens: i64,
    /// The same of the copy.
    pub copy_output_tokens: i64,
    /// Whether the model refused.
    pub refused: bool,
    /// The same of the copy.
    pub copy_refused: bool,
    /// Whether the answer fits its schema; no value where there is none.
    pub fits: Option<bool>,
    /// The same of the copy.
    pub copy_fits: Option<bool>,
    /// How much the texts have in common, from 0 to 1; no value where one has no answer.
    pub similarity: Option<f64>,
    /// How many of the first hits of two indexes are the same, from 0 to 1.
    pub overlap: Option<f64>,
    /// Name of the team whose the call was, or empty.
    pub team: String,
}

impl Store {
    /// Writes a pair down, unless it is.
    pub async fn insert_shadow_pair(&self, row: &PairRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO shadow_pairs (
                id, shadow, at, request, copy, endpoint, model, candidate, status, copy_status, reason, total_ms,
                copy_total_ms, first_ms, copy_first_ms, cost, copy_cost, output_tokens, copy_output_tokens, refused,
                copy_refused, fits, copy_fits, similarity, overlap, team
            )
            VALUES (
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24, $25, $26
            ) ON CONFLICT (id) DO NOTHING";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.id)
                .bind(&row.shadow)
                .bind(row.at)
                .bind(&row.request)
                .bind(&row.copy)
                .bind(&row.endpoint)
                .bind(&row.model)
                .bind(&row.candidate)
                .bind(row.status)
                .bind(row.copy_status)
                .bind(&row.reason)
                .bind(row.total_ms)
                .bind(row.copy_total_ms)
                .bind(row.first_ms)
                .bind(row.copy_first_ms)
                .bind(row.cost)
                .bind(row.copy_cost)
                .bind(row.output_tokens)
                .bind(row.copy_output_tokens)
                .bind(row.refused)
                .bind(row.copy_refused)
                .bind(row.fits)
                .bind(row.copy_fits)
                .bind(row.similarity)
                .bind(row.overlap)
                .bind(&row.team)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// The newest pairs of a shadow since a moment: of calls of one team, or of all.
    pub async fn list_shadow_pairs(
        &self,
        (shadow, team): (&str, Option<&str>),
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<PairRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM shadow_pairs WHERE shadow = $1 AND at >= $2 AND ($4 = '' OR team = $4)
            ORDER BY at DESC, id DESC LIMIT $3";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(shadow)
                .bind(since)
                .bind(i64::from(limit))
                .bind(team.unwrap_or_default())
                .fetch_all(db)
                .await?
        }))
    }

    /// Removes pairs of calls that came before a moment; gives how many.
    pub async fn delete_shadow_pairs(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM shadow_pairs WHERE id IN (
                SELECT id FROM shadow_pairs WHERE at < $1 ORDER BY at LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}
