//! What a process has spent since it last wrote: rows of the ledger, and what they change in accounts, at once.

use std::collections::BTreeMap;

use super::accounts::{AccountName, AccountRow, Added, Ceiling, add_to_account};
use super::alerts::{AlertRow, tell_of_thresholds};
use super::calls::{CallRow, insert_calls};
use super::spenders::{Spender, add_to_grant, give_sign};
use crate::model::Amount;
use crate::store::{Store, StoreError, in_transaction};

/// What changes in an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Its limits, to be shown and for alerts.
    pub ceiling: Ceiling,
    /// What calls have cost; negative when one was charged too much before.
    pub spent: Amount,
    /// Calls that were charged.
    pub requests: i64,
    /// What they cost beyond their reservations.
    pub overrun: Amount,
    /// What is no longer set aside for the process: it is spent, or given back.
    pub released: Amount,
}

/// What is written at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Counts from 1. One that was written changes nothing when it is written again.
    pub number: i64,
    /// Rows of the ledger; one that is there already is replaced. No call is in it twice.
    pub calls: Vec<CallRow>,
    /// Changes of accounts.
    pub changes: BTreeMap<AccountName, AccountChange>,
}

/// What came of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// The accounts as they are now; none when the batch had been written before.
    pub accounts: Vec<AccountRow>,
    /// Thresholds that were crossed.
    pub alerts: Vec<AlertRow>,
}

impl Store {
    /// Writes a batch, whole or not at all, and once.
    #[expect(clippy::cognitive_complexity, reason = "the body is there twice, once a database")]
    pub async fn write_batch(
        &self,
        spender: &Spender<'_>,
        batch: &Batch,
    ) -> Result<Written, StoreError> {
        const COUNT: &str = "UPDATE spenders SET batch = $2 WHERE id = $1";
        let written = in_transaction!(self, tx => {
            let mut written = Written::default();
            if give_sign!(tx, spender) < batch.number {
                sqlx::query(COUNT).bind(spender.id).bind(batch.number).execute(&mut *tx).await?;
                insert_calls!(tx, &batch.calls);
                for (name, change) in &batch.changes {
                    let row = add_to_account!(tx, name, added(change), spender.now);
                    let kept = Amount::default().minus(change.released);
                    if kept != Amount::default() {
                        add_to_grant!(tx, spender.id, name, kept);
                    }
                    tell_of_thresholds!(tx, &row, spender.now, written.alerts);
                    written.accounts.push(row);
                }
            }
            written
        });
        Ok(written)
    }
}

pub(super) fn added(change: &AccountChange) -> Added {
    Added {
        ceiling: change.ceiling,
        spent: change.spent,
        requests: change.requests,
        overrun: change.overrun,
        granted: Amount::default().minus(change.released),
    }
}
