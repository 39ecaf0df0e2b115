//! Money that is set aside for a call which outlives this process: one of a provider's batch. In the store it is held under
//! a name of its own, like that of a process: whoever learns what the call has cost settles it, once; and when nobody does
//! until its deadline, it counts as spent.

use super::{Amount, Entry, Ledger, Line, NotReserved, Row};
use crate::gateway::budget::grants;
use crate::gateway::budget::{Close, Refused, Reservation};
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::spend::batches::Batch;
use crate::store::spend::spenders::{Grant, Spender};

impl Ledger {
    /// Sets aside what a call may cost, until its deadline. Done again under the same name, it changes nothing.
    pub async fn hold(
        &self,
        name: &str,
        call: &Reservation,
        now: Timestamp,
    ) -> Result<(), NotReserved> {
        let Some(books) = &self.books else {
            return self.reserve(call.clone(), now).await.map(|_| ());
        };
        let silent = |error: StoreError| {
            tracing::error!(%error, "money of a batch cannot be set aside");
            NotReserved::Behind
        };
        let store = &books.parts.store;
        if !store.list_held(name).await.map_err(silent)?.is_empty() {
            return Ok(());
        }
        let Some(_between) = books.between_batches().await else {
            return Err(NotReserved::Behind);
        };
        let needs = self.lock().budgets.whole_needs(call, now);
        if needs.is_empty() {
            return Ok(());
        }
        // One that was let go, and not forgotten: what comes now would count as written.
        store.delete_spender(name).await.map_err(silent)?;
        let asks = grants::asks(&needs);
        let spender = Spender { id: name, name, now, expires_at: call.deadline };
        let decide = |rows: &[_]| grants::decide_exactly(&needs, rows);
        let (grant, rows) = store.grant(&spender, &asks, decide).await.map_err(silent)?;
        let Grant::Short(index) = grant else { return Ok(()) };
        match needs.get(index).zip(rows.get(index)) {
            Some((need, row)) => {
                let refused: Refused = self.lock().budgets.refusal_by(need, row, call);
                Err(NotReserved::Refused(Box::new(refused)))
            }
            None => Err(NotReserved::Behind),
        }
    }

    /// Charges a call that was held, and lets the rest go. Done again, it changes nothing.
    pub async fn settle_held(
        &self,
        (name, call): (&str, &Reservation),
        cost: Amount,
        (row, held_at): (&mut Row, Timestamp),
    ) -> Result<(), StoreError> {
        let Some(books) = &self.books else {
            self.settle_held_here(call, cost, (row, held_at));
            // Only what is written down may be forgotten elsewhere.
            self.until_written().await;
            return Ok(());
        };
        row.overrun = cost.beyond(call.estimate).money;
        if books.parts.store.has_call(&row.request).await? {
            // Who wrote it may be dead for so long that nobody remembers its name.
            return self.write_held(name, Batch { number: 1, ..Batch::default() }).await.map(drop);
        }
        let stored = row.stored(name, cost.tokens);
        let changes = self.lock().budgets.whole_changes(call, cost, held_at);
        let is_first =
            self.write_held(name, Batch { number: 1, calls: vec![stored], changes }).await?;
        if is_first {
            self.tell(row);
        }
        Ok(())
    }

    fn settle_held_here(
        &self,
        call: &Reservation,
        cost: Amount,
        (row, held_at): (&mut Row, Timestamp),
    ) {
        let former = self.lock().budgets.closed_as(call.id);
        if matches!(former, Some(Close::Settled | Close::Corrected)) {
            return;
        }
        if former != Some(Close::Expired) && !self.lock().budgets.is_open(call.id) {
            // A ledger that forgets has forgotten it.
            let entry = Entry::Reserved { reservation: call.clone(), at: held_at };
            self.lock().budgets.replay(&entry);
            self.write(&Line::Entry(&entry));
        }
        self.settle(call.id, cost, row);
    }

    /// Lets a call go that was held and cost nothing.
    pub async fn release_held(&self, name: &str, call: &Reservation) -> Result<(), StoreError> {
        if self.books.is_none() {
            self.release(call.id);
            return Ok(());
        }
        self.write_held(name, Batch { number: 1, ..Batch::default() }).await?;
        self.forget_held(name).await
    }

    /// Forgets a name that nothing is held under any more.
    pub async fn forget_held(&self, name: &str) -> Result<(), StoreError> {
        match &self.books {
            Some(books) => books.parts.store.delete_spender(name).await,
            None => Ok(()),
        }
    }

    /// Writes what became of a call, and gives all back that was held for it. Whether that was not done before.
    async fn write_held(&self, name: &str, mut batch: Batch) -> Result<bool, StoreError> {
        let Some(books) = &self.books else { return Ok(false) };
        let (store, now) = (&books.parts.store, books.parts.clock.now());
        for held in store.list_held(name).await? {
            let change = batch.changes.entry(held.account.name()).or_default();
            change.released = Amount { money: held.own, tokens: held.own_tokens };
            change.ceiling = crate::store::spend::accounts::Ceiling {
                money: held.account.max_money,
                tokens: held.account.max_tokens,
            };
        }
        let is_charged = !batch.calls.is_empty();
        let expires_at = now.plus(super::stored::EXPIRES_AFTER);
        let spender = Spender { id: name, name, now, expires_at };
        let written = store.write_batch(&spender, &batch).await?;
        for alert in &written.alerts {
            let (budget, account, percent) = (&alert.budget, &alert.account, alert.percent);
            tracing::warn!(budget, account, percent, "a budget is used up to a threshold");
        }
        // Without accounts nobody can tell; the row is replaced by itself.
        Ok(is_charged && (batch.changes.is_empty() || !written.accounts.is_empty()))
    }

    /// What a held call is called in the store.
    #[must_use]
    pub fn held_name(item: &str, epoch: i64) -> String {
        format!("batch item {item}/{epoch}")
    }
}
