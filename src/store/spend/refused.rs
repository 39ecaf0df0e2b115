//! What a database does not take, whatever is written with it: it is found in its batch, and said in plain words
//! or left out, so that it does not hold up the rest.

use std::ops::Range;

use super::accounts::{AccountName, add_to_account};
use super::batches::{AccountChange, Batch, added};
use super::calls::{CallRow, insert_calls};
use crate::model::Timestamp;
use crate::store::{Store, StoreError, connection};

/// Letters of a text in plain words.
const LETTERS: usize = 200;
/// What marks a row whose words were changed.
const FLAG: &str = "set_aside";

/// A row that was refused.
#[derive(Debug)]
pub struct RefusedCall {
    /// As it was to be written.
    pub row: CallRow,
    /// What the database said.
    pub why: StoreError,
    /// Whether not even its plain words are taken: it is in the batch no more.
    pub is_left_out: bool,
}

/// What was refused of a batch.
#[derive(Debug, Default)]
pub struct RefusedParts {
    /// Rows of the ledger.
    pub calls: Vec<RefusedCall>,
    /// Accounts that are in the batch no more, with what was to change.
    pub accounts: Vec<(AccountName, AccountChange, StoreError)>,
}

/// Runs `$body` in a transaction and takes back what it did.
macro_rules! tried {
    ($store:expr, $tx:ident => $body:expr) => {{
        let _use = $store.begin_use($crate::metrics::StoreAccess::Write);
        match &$store.pool {
            $crate::store::Pool::Sqlite { writer, .. } => {
                let mut $tx = connection::begin_writing(writer).await?;
                $body;
                $tx.rollback().await?;
            }
            $crate::store::Pool::Postgres(db) => {
                let mut $tx = db.begin().await?;
                $body;
                $tx.rollback().await?;
            }
        }
    }};
}

impl Store {
    /// Takes out of a batch what the database refuses for its contents: a row is there in plain words then, with
    /// the flag `set_aside` and all its money, and only what is refused even so is left out. Nothing is written.
    pub async fn take_refused(
        &self,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<RefusedParts, StoreError> {
        let mut refused = RefusedParts::default();
        // From the end, so that the places before it stay what they are.
        for (place, why) in self.find_refused_calls(&batch.calls).await?.into_iter().rev() {
            let row = batch.calls.remove(place);
            let plain = in_plain_words(&row);
            let is_left_out = self.refusal_of_calls(std::slice::from_ref(&plain)).await?.is_some();
            if !is_left_out {
                batch.calls.insert(place, plain);
            }
            refused.calls.push(RefusedCall { row, why, is_left_out });
        }
        for (name, change) in std::mem::take(&mut batch.changes) {
            match self.refusal_of_change((&name, &change), now).await? {
                Some(why) => refused.accounts.push((name, change, why)),
                None => drop(batch.changes.insert(name, change)),
            }
        }
        Ok(refused)
    }

    /// Places of rows that are refused alone, in order.
    async fn find_refused_calls(
        &self,
        rows: &[CallRow],
    ) -> Result<Vec<(usize, StoreError)>, StoreError> {
        let mut parts: Vec<Range<usize>> = std::iter::once(0..rows.len()).collect();
        let mut refused = Vec::new();
        while let Some(part) = parts.pop() {
            let Some(why) =
                self.refusal_of_calls(rows.get(part.clone()).unwrap_or_default()).await?
            else {
                continue;
            };
            if part.len() <= 1 {
                refused.push((part.start, why));
                continue;
            }
            let middle = part.start.midpoint(part.end);
            parts.extend([middle..part.end, part.start..middle]);
        }
        Ok(refused)
    }

    async fn refusal_of_calls(&self, rows: &[CallRow]) -> Result<Option<StoreError>, StoreError> {
        refusal(self.try_calls(rows).await)
    }

    async fn refusal_of_change(
        &self,
        change: (&AccountName, &AccountChange),
        now: Timestamp,
    ) -> Result<Option<StoreError>, StoreError> {
        refusal(self.try_change(change, now).await)
    }

    async fn try_calls(&self, rows: &[CallRow]) -> Result<(), StoreError> {
        tried!(self, tx => insert_calls!(tx, rows));
        Ok(())
    }

    async fn try_change(
        &self,
        (name, change): (&AccountName, &AccountChange),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        tried!(self, tx => drop(add_to_account!(tx, name, added(change), now)));
        Ok(())
    }
}

/// That something is refused is an answer; that the database does not answer is none.
fn refusal(tried: Result<(), StoreError>) -> Result<Option<StoreError>, StoreError> {
    match tried {
        Ok(()) => Ok(None),
        Err(error) if error.is_about_content() => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

fn in_plain_words(row: &CallRow) -> CallRow {
    let plain = |text: &str| -> String {
        text.chars().filter(|it| !it.is_control()).take(LETTERS).collect()
    };
    let owner = super::calls::Owner {
        organisation: plain(&row.owner.organisation),
        team: plain(&row.owner.team),
        project: plain(&row.owner.project),
        pipeline: plain(&row.owner.pipeline),
        run: plain(&row.owner.run),
        stage: plain(&row.owner.stage),
        endpoint: plain(&row.owner.endpoint),
    };
    CallRow {
        request: plain(&row.request),
        spender: plain(&row.spender),
        key_name: plain(&row.key_name),
        owner,
        provider: plain(&row.provider),
        model: plain(&row.model),
        answered_by: plain(&row.answered_by),
        price: plain(&row.price),
        price_from: plain(&row.price_from),
        flags: format!("{} {FLAG}", plain(&row.flags)).trim().to_owned(),
        tags: String::new(),
        ..row.clone()
    }
}
