//! The ledger in the store, held together with other processes: servers, workers and local runs.
//!
//! To plug it in: `Ledger::stored(parts, budgets)` where `Ledger::new` would stand, and beside the server a task
//! that runs [`keep`] until the last call has ended. A run's own budget is added with `Ledger::set_budget` when a
//! key of it is made, under the same id in every process, and removed with `unset_budget`.
//!
//! A call is held against what this process was granted, in memory. What has been spent is written in batches, a
//! transaction each. `kill -9` loses at most the rows of the last batch; their money is charged nevertheless, as
//! everything that was granted to a process counts as spent when it gives no sign for [`EXPIRES_AFTER`].

mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::{BATCH_EVERY, Ledger, NotAtOnce, NotReserved, State, definition};
use crate::gateway::budget::grants::{self, Need};
use crate::gateway::budget::scope::Subject;
use crate::gateway::budget::{Budget, Budgets, Reservation, Reserved};
use crate::metrics::Unwritten;
use crate::model::{Clock, Milliseconds, Timestamp};
use crate::store::spend::batches::Batch;
use crate::store::spend::hours;
use crate::store::spend::spenders::{Held, Spender};
use crate::store::{Store, StoreError};

/// When a process that gives no sign counts as dead.
pub const EXPIRES_AFTER: Milliseconds = Milliseconds(60_000);
/// How often budgets are read again and what is not used goes back.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How often a process gives a sign, and looks for dead ones.
const SIGN_EVERY: Milliseconds = Milliseconds(10_000);
/// How long a call waits for what other processes have set aside and may not use.
const PATIENCE: Milliseconds = Milliseconds(2_500);
/// How often it asks meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// How long it waits behind others that ask: longer ones mean that the store does not answer.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// How often the last batch is tried at the end.
const LAST_TRIES: u32 = 5;

/// What a ledger in the store is made of.
#[derive(Debug, Clone)]
pub struct BookParts {
    /// The database.
    pub store: Store,
    /// Name of the process, for people.
    pub name: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The side of a ledger that knows the store.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) parts: BookParts,
    id: String,
    /// One asks, or looks, at a time: what it gets is often enough for those behind it.
    turn: Semaphore,
    /// Who asks does not while a batch is written: what is learned of accounts would not be in its order, and what calls
    /// have cost could be taken for written that is in no row yet. Taken after `turn`.
    order: Semaphore,
    /// The version of the table of budgets that is known, and which budgets it had.
    tabled: Mutex<(i64, BTreeSet<String>)>,
    batches: AtomicI64,
}

impl Books {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Waits until no batch is being written, and lets none be written meanwhile; nothing, when that takes too long.
    pub(super) async fn between_batches(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(TURN_WITHIN, self.order.acquire()).await.ok()?.ok()
    }

    fn spender(&self) -> Spender<'_> {
        let now = self.parts.clock.now();
        Spender { id: &self.id, name: &self.parts.name, now, expires_at: now.plus(EXPIRES_AFTER) }
    }
}

impl Ledger {
    /// A ledger in the store: with the budgets of its table, and these.
    pub async fn stored(parts: BookParts, budgets: Vec<Budget>) -> Result<Self, StoreError> {
        let now = u64::try_from(parts.clock.now().0).unwrap_or_default();
        let ulid = Ulid::from_parts(now, fastrand::u128(..)).to_string().to_ascii_lowercase();
        let books = Books {
            id: format!("{} {ulid}", parts.name),
            parts,
            turn: Semaphore::new(1),
            order: Semaphore::new(1),
            tabled: Mutex::new((-1, BTreeSet::new())),
            batches: AtomicI64::new(0),
        };
        let state = State { budgets: Budgets::shared(budgets), ..State::default() };
        let ledger = Self { state: Mutex::new(state), books: Some(books), ..Self::default() };
        ledger.read_budgets().await?;
        Ok(ledger)
    }

    /// Where it is written, and the name of this process there; none where it is in memory.
    #[must_use]
    pub fn place(&self) -> Option<(&Store, &str)> {
        self.books.as_ref().map(|it| (&it.parts.store, it.id()))
    }

    /// Asks the store for what a call needs, and reserves with it. Where others have set aside what is left, it
    /// waits a while for them to give it back.
    pub(super) async fn ask_for(
        &self,
        books: &Books,
        call: &Reservation,
        needs: Vec<Need>,
    ) -> Result<Reserved, NotReserved> {
        let _waits = Waits::new(self, call, needs);
        let until = books.parts.clock.now().plus(PATIENCE);
        loop {
            let turn = tokio::time::timeout(TURN_WITHIN, books.turn.acquire()).await;
            let Ok(Ok(turn)) = turn else { return Err(NotReserved::Behind) };
            let asked = self.ask_once(books, call, until).await;
            drop(turn);
            match asked {
                Ok(Some(reserved)) => return Ok(reserved),
                Ok(None) => tokio::time::sleep(ASK_EVERY).await,
                Err(why) => return Err(why),
            }
        }
    }

    /// Nothing, when it may be worth it to ask again.
    async fn ask_once(
        &self,
        books: &Books,
        call: &Reservation,
        until: Timestamp,
    ) -> Result<Option<Reserved>, NotReserved> {
        let Some(_between) = books.between_batches().await else { return Err(NotReserved::Behind) };
        let now = books.parts.clock.now();
        // What others asked for meanwhile may do.
        let needs = match Self::try_reserve(&mut self.lock(), call, now) {
            Ok(reserved) => return Ok(Some(reserved)),
            Err(NotAtOnce::Not(why)) => return Err(why),
            Err(NotAtOnce::Short(needs)) => needs,
        };
        let asks = grants::asks(&needs);
        let decide = |rows: &[_]| grants::decide(&needs, rows);
        let granted = books.parts.store.grant(&books.spender(), &asks, decide).await;
        let (grant, rows) = granted.map_err(|error| {
            tracing::error!(%error, "the store was asked for money of a budget and did not answer");
            NotReserved::Behind
        })?;
        let mut state = self.lock();
        match state.budgets.take_grant(&needs, (&grant, &rows)) {
            Some((need, is_elsewhere)) => {
                // What is known of the account now may be less than what was.
                if let Ok(reserved) = Self::try_reserve(&mut state, call, now) {
                    return Ok(Some(reserved));
                }
                if is_elsewhere && now < until {
                    return Ok(None);
                }
                state.budgets.note_refused(need, now);
                Err(NotReserved::Refused(Box::new(state.budgets.refusal(need, call))))
            }
            None => match Self::try_reserve(&mut state, call, now) {
                Ok(reserved) => Ok(Some(reserved)),
                Err(NotAtOnce::Not(why)) => Err(why),
                Err(NotAtOnce::Short(_)) => Ok(None),
            },
        }
    }

    /// Learns how the accounts of a subject stand that this process knows nothing of, for
    /// [`headroom`](Self::headroom).
    pub async fn look_up(&self, subject: &Subject, now: Timestamp) {
        let Some(books) = &self.books else { return };
        let needs = self.lock().budgets.unknown(subject, now);
        if needs.is_empty() {
            return;
        }
        let Ok(_turn) = books.turn.acquire().await else { return };
        let Some(_between) = books.between_batches().await else { return };
        let asks = grants::asks(&needs);
        let decide = |rows: &[_]| grants::decide(&needs, rows);
        let spender = books.spender();
        match Box::pin(books.parts.store.grant(&spender, &asks, decide)).await {
            Ok((grant, rows)) => {
                self.lock().budgets.take_grant(&needs, (&grant, &rows));
            }
            Err(error) => tracing::warn!(%error, "how a budget stands could not be read"),
        }
    }

    /// Reads the table of budgets, when it has changed.
    async fn read_budgets(&self) -> Result<(), StoreError> {
        let Some(books) = &self.books else { return Ok(()) };
        let version = books.parts.store.find_budgets_version().await?;
        let lock = || books.tabled.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().0 == version {
            return Ok(());
        }
        let rows = books.parts.store.list_budgets().await?;
        let mut ids = BTreeSet::new();
        for row in &rows {
            ids.insert(row.id.clone());
            match definition::read(row) {
                Ok(budget) => self.set_budget(budget),
                Err(error) => tracing::error!(error, "a budget does not hold"),
            }
        }
        let (_, before) = std::mem::replace(&mut *lock(), (version, ids.clone()));
        for gone in before.difference(&ids) {
            self.unset_budget(gone);
        }
        Ok(())
    }

    fn take_standing(&self, held: &[Held], now: Timestamp) {
        let mut state = self.lock();
        state.budgets.take_standing(held);
        state.budgets.give_back(now);
    }

    /// What waits, as a batch.
    fn take_batch(&self, books: &Books) -> Option<Batch> {
        let mut state = self.lock();
        let changes = state.budgets.take_changes();
        let rows = std::mem::take(&mut state.rows);
        drop(state);
        if rows.is_empty() && changes.is_empty() {
            return None;
        }
        // Of two words on one call the last counts.
        let calls = rows.into_iter().map(|it| ((it.request.clone(), it.attempt), it));
        let calls: BTreeMap<_, _> = calls.collect();
        let number = books.batches.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Batch { number, calls: calls.into_values().collect(), changes })
    }
}

/// A call that waits for money is counted among those that do, as long as this lives.
struct Waits<'a> {
    ledger: &'a Ledger,
    call: &'a Reservation,
    needs: Vec<Need>,
}

impl<'a> Waits<'a> {
    fn new(ledger: &'a Ledger, call: &'a Reservation, needs: Vec<Need>) -> Self {
        ledger.lock().budgets.want(call, &needs, true);
        Self { ledger, call, needs }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.ledger.lock().budgets.want(self.call, &self.needs, false);
    }
}

/// Writes batches, and holds together with the other processes, until `over`; then what is left. While the store
/// does not answer, rows wait, and no call is let through once too many do.
pub async fn keep(ledger: Arc<Ledger>, over: CancellationToken) {
    let Some(books) = &ledger.books else { return };
    let mut keeper = Keeper::new(&ledger, books);
    while tokio::time::timeout(BATCH_EVERY, over.cancelled()).await.is_err() {
        keeper.step().await;
    }
    keeper.end().await;
}

struct Keeper<'a> {
    ledger: &'a Ledger,
    books: &'a Books,
    /// What could not be written yet: it stays as it is, since it may have been.
    batch: Option<Batch>,
    ticked: Option<Timestamp>,
    signed: Option<Timestamp>,
    unwritten: Unwritten,
}

impl<'a> Keeper<'a> {
    fn new(ledger: &'a Ledger, books: &'a Books) -> Self {
        let unwritten = Unwritten::default();
        Self { ledger, books, batch: None, ticked: None, signed: None, unwritten }
    }
}

impl Keeper<'_> {
    async fn step(&mut self) {
        if let Err(error) = self.write().await {
            tracing::error!(%error, "the ledger cannot be written");
            tokio::time::sleep(10 * BATCH_EVERY).await;
        }
        let now = self.books.parts.clock.now();
        let every = Milliseconds(u64::try_from(TICK_EVERY.as_millis()).unwrap_or(u64::MAX));
        if self.ticked.is_some_and(|it| now.since(it) < every) {
            return;
        }
        self.ticked = Some(now);
        if let Err(error) = self.tick(now).await {
            tracing::warn!(%error, "how budgets stand could not be read");
        }
    }

    /// Whether there was anything to write.
    async fn write(&mut self) -> Result<bool, StoreError> {
        if self.batch.is_none() {
            self.batch = self.ledger.take_batch(self.books);
        }
        let Some(batch) = &self.batch else {
            self.unwritten.written();
            return Ok(false);
        };
        let books = self.books;
        let Ok(_order) = books.order.acquire().await else { return Ok(false) };
        let written = match books.parts.store.write_batch(&books.spender(), batch).await {
            Ok(written) => written,
            Err(error) => {
                self.unwritten.failed();
                self.set_aside(&error).await?;
                return Err(error);
            }
        };
        self.batch = None;
        self.unwritten.written();
        self.ledger.lock().budgets.written(&written.accounts);
        for alert in written.alerts {
            let (budget, account, percent) = (alert.budget, alert.account, alert.percent);
            tracing::warn!(budget, account, percent, "a budget is used up to a threshold");
        }
        Ok(true)
    }

    /// Where the database does not take the batch for what it says: takes out what is refused, so that the rest is
    /// written the next time.
    async fn set_aside(&mut self, error: &StoreError) -> Result<(), StoreError> {
        let Some(batch) = self.batch.as_mut().filter(|_| error.is_about_content()) else {
            return Ok(());
        };
        let (store, now) = (&self.books.parts.store, self.books.parts.clock.now());
        // A half of it must not be lost with an error in between.
        let mut rest = batch.clone();
        let refused = store.take_refused(&mut rest, now).await?;
        *batch = rest;
        refusals::tell(&refused);
        Ok(())
    }

    async fn tick(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.ledger.read_budgets().await?;
        let store = &self.books.parts.store;
        let is_due = self.signed.is_none_or(|it| now.since(it) >= SIGN_EVERY);
        let Ok(turn) = self.books.turn.acquire().await else { return Ok(()) };
        let held = if is_due {
            store.beat_spender(&self.books.spender()).await?
        } else {
            store.list_held(self.books.id()).await?
        };
        self.ledger.take_standing(&held, now);
        drop(turn);
        if is_due {
            self.signed = Some(now);
            // A little at a time, so that no batch waits for long.
            store.sum_up_spend(hours::settled(now)).await?;
            while let Some(lapsed) = store.lapse_spender(now).await? {
                let (name, charged) = (lapsed.name, lapsed.charged);
                tracing::warn!(
                    name,
                    %charged,
                    "a process gave no sign: what was granted to it counts as spent"
                );
            }
        }
        Ok(())
    }

    /// Everything that is left, and what was granted goes back.
    async fn end(&mut self) {
        for _ in 0..LAST_TRIES {
            self.ledger.lock().budgets.give_back_all();
            match self.write().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%error, "the end of the ledger cannot be written");
                    tokio::time::sleep(10 * BATCH_EVERY).await;
                }
            }
        }
        if let Err(error) = self.books.parts.store.delete_spender(self.books.id()).await {
            tracing::warn!(%error, "the end of the ledger is not written down");
        }
    }
}

#[cfg(test)]
mod tests;
