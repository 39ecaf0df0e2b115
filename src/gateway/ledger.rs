//! What was reserved and spent, in memory; and as JSON lines for a file (`trunkline gateway`), or in the tables
//! of the store for servers, workers and local runs ([`stored`]). Nothing waits for the disk: what is to be
//! written is handed over in batches, so a killed process loses at most the rows of the last [`BATCH_EVERY`].

pub mod stored;
pub mod row;
pub mod definition;
pub mod notes;
pub mod trail;
pub mod summed;
mod held;
mod lines;
mod sum;
mod written;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::budget::account::{Account, Amount};
use super::budget::grants::Need;
use super::budget::scope::Subject;
use super::budget::{Budget, Budgets, CallId, Entry, Refused, Reservation, Reserved, Settled};
use crate::model::{Timestamp, UsdNanos};
use crate::store::spend::calls::CallRow;
use lines::{LINE_BYTES_AT_MOST, Line};
pub use row::{Origin, Row, Similar, What};
use stored::Books;
pub use sum::{Sum, SumName};
use written::Written;

/// How often lines are handed over.
pub const BATCH_EVERY: Duration = Duration::from_millis(20);
/// Rows of the store that may wait; the same holds.
const ROWS_AT_MOST: usize = 50_000;
/// Sums that are kept apart for people.
const SUMS_AT_MOST: usize = 10_000;

#[derive(Debug, Default)]
struct State {
    budgets: Budgets,
    /// Each with its end.
    lines: String,
    /// Bytes of lines that there were so far.
    bytes_ever: u64,
    lost_lines: u64,
    rows: Vec<CallRow>,
    sums: BTreeMap<SumName, Sum>,
}

impl State {
    /// Counts what nobody could write down, and says so once.
    fn lose(&mut self) {
        if self.lost_lines == 0 {
            tracing::error!(
                "the ledger could not be written for so long that parts of it are lost"
            );
        }
        self.lost_lines += 1;
    }
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    keeps_lines: bool,
    /// Bytes of lines that are written; none where nobody writes them.
    written: watch::Sender<Option<u64>>,
    /// Whether they cannot be written now.
    is_stuck: AtomicBool,
    books: Option<Books>,
}

/// Why nothing was reserved.
#[derive(Debug)]
pub enum NotReserved {
    /// A budget.
    Refused(Box<Refused>),
    /// What is written down cannot be handed over as fast as calls come, or the store does not answer.
    Behind,
}

/// Why nothing was reserved at once.
enum NotAtOnce {
    Not(NotReserved),
    /// The store is to be asked for more.
    Short(Vec<Need>),
}

impl Ledger {
    /// An empty one; with `keeps_lines`, somebody takes its lines.
    #[must_use]
    pub fn new(budgets: Vec<Budget>, keeps_lines: bool) -> Self {
        let state = State { budgets: Budgets::new(budgets), ..State::default() };
        Self { state: Mutex::new(state), keeps_lines, ..Self::default() }
    }

    /// Takes up a line that was written before. Says whether it was an entry, or why it cannot be read.
    pub fn take_up(&self, line: &[u8]) -> Result<bool, String> {
        let Written::Entry(entry) = written::read(line)? else { return Ok(false) };
        self.lock().budgets.replay(&entry);
        Ok(true)
    }

    /// Adds a budget, or changes the one of its name: for the calls of one run, say.
    pub fn set_budget(&self, budget: Budget) {
        self.lock().budgets.set(budget);
    }

    /// Removes a budget: calls are no longer held to it. What was spent of it stays written down.
    pub fn unset_budget(&self, id: &str) {
        self.lock().budgets.unset(id);
    }

    /// Reserves with all budgets or with none. Waits for nothing, unless the ledger is in the store and not
    /// enough of a budget is granted to this process.
    pub async fn reserve(
        &self,
        call: Reservation,
        now: Timestamp,
    ) -> Result<Reserved, NotReserved> {
        if self.is_stuck.load(Ordering::Relaxed) {
            return Err(NotReserved::Behind);
        }
        let tried = Self::try_reserve(&mut self.lock(), &call, now);
        let reserved = match (tried, &self.books) {
            (Ok(reserved), _) => reserved,
            (Err(NotAtOnce::Not(why)), _) => return Err(why),
            (Err(NotAtOnce::Short(needs)), Some(books)) => {
                Box::pin(self.ask_for(books, &call, needs)).await?
            }
            (Err(NotAtOnce::Short(_)), None) => return Err(NotReserved::Behind),
        };
        self.write(&Line::Entry(&Entry::Reserved { reservation: call, at: now }));
        Ok(reserved)
    }

    fn try_reserve(
        state: &mut State,
        call: &Reservation,
        now: Timestamp,
    ) -> Result<Reserved, NotAtOnce> {
        if state.lines.len() >= LINE_BYTES_AT_MOST || state.rows.len() >= ROWS_AT_MOST {
            return Err(NotAtOnce::Not(NotReserved::Behind));
        }
        let needs = state.budgets.needs(call, now);
        if let Some(need) = state.budgets.just_refused(&needs, now) {
            let refused = Box::new(state.budgets.refusal(need, call));
            return Err(NotAtOnce::Not(NotReserved::Refused(refused)));
        }
        if !needs.is_empty() {
            return Err(NotAtOnce::Short(needs));
        }
        let reserved = state.budgets.reserve(call, now);
        reserved.map_err(|it| NotAtOnce::Not(NotReserved::Refused(it)))
    }

    /// Charges what was spent already, whether it fits or not: what does not is overrun. Says which budget it did
    /// not fit into.
    pub async fn charge(
        &self,
        call: Reservation,
        now: Timestamp,
        row: &mut Row,
    ) -> Result<Option<Box<Refused>>, NotReserved> {
        let (id, cost) = (call.id, call.estimate);
        let refused = match self.reserve(call.clone(), now).await {
            Ok(_) => {
                row.reserved = cost.money;
                None
            }
            Err(NotReserved::Refused(why)) => {
                let reservation = Reservation { estimate: Amount::default(), ..call };
                let entry = Entry::Reserved { reservation, at: now };
                self.lock().budgets.replay(&entry);
                self.write(&Line::Entry(&entry));
                Some(why)
            }
            Err(NotReserved::Behind) => return Err(NotReserved::Behind),
        };
        self.settle(id, cost, row);
        Ok(refused)
    }

    /// Whether a call was reserved, or closed not long ago.
    #[must_use]
    pub fn knows(&self, id: CallId) -> bool {
        self.lock().budgets.knows(id)
    }

    /// Lets go what was reserved only to know whether it could be.
    pub fn release(&self, id: CallId) {
        let settled = self.lock().budgets.cancel(id);
        self.closed(id, Amount::default(), &settled);
    }

    /// Charges a call. The row gets its overrun.
    pub fn settle(&self, id: CallId, cost: Amount, row: &mut Row) {
        let stored = self.stored_row(row, cost.tokens);
        let mut state = self.lock();
        let settled = state.budgets.settle(id, cost);
        row.overrun = settled.overrun.money;
        // In one step with the accounts: they are written in one transaction.
        state.rows.extend(stored.map(|it| CallRow { overrun: row.overrun, ..it }));
        drop(state);
        self.closed(id, cost, &settled);
        self.tell(row);
    }

    /// Lets a call go that cost nothing.
    pub fn cancel(&self, id: CallId, row: &Row) {
        let settled = self.lock().budgets.cancel(id);
        self.closed(id, Amount::default(), &settled);
        self.record(row);
    }

    /// Writes a call down that was never reserved: one that is free, or was answered from here.
    pub fn record(&self, row: &Row) {
        let stored = self.stored_row(row, 0);
        let mut state = self.lock();
        // Nothing refuses calls that are free while the store does not answer: those beyond this are not kept.
        if state.rows.len() < 2 * ROWS_AT_MOST {
            state.rows.extend(stored);
        } else {
            state.lose();
        }
        drop(state);
        self.tell(row);
    }

    fn stored_row(&self, row: &Row, tokens: i64) -> Option<CallRow> {
        self.books.as_ref().map(|it| row.stored(it.id(), tokens))
    }

    fn tell(&self, row: &Row) {
        self.write(&Line::Call(row));
        if let Some(notes) = &row.notes {
            notes.count(row);
        }
        row.trail.told(row);
        let mut state = self.lock();
        let name = (row.key.clone(), row.provider.clone(), row.model.clone());
        if state.sums.len() >= SUMS_AT_MOST && !state.sums.contains_key(&name) {
            return;
        }
        state.sums.entry(name).or_default().add(row);
    }

    /// Charges calls that nobody settled in time, and forgets windows that are over.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let expired = {
            let mut state = self.lock();
            state.budgets.forget(now);
            let expired = state.budgets.expire(now);
            if let Some(books) = &self.books {
                let rows = expired.iter();
                let rows = rows.map(|(id, subject, settled)| {
                    row::expired(books.id(), (*id, subject), settled.charged, now)
                });
                state.rows.extend(rows);
            }
            expired
        };
        for (id, _, settled) in &expired {
            self.closed(*id, settled.charged, settled);
        }
        expired.len()
    }

    /// What hard budgets have left for a call, as far as it is known here.
    #[must_use]
    pub fn headroom(&self, subject: &Subject, now: Timestamp) -> (Option<UsdNanos>, Option<u64>) {
        self.lock().budgets.headroom(subject, now)
    }

    /// All sums, by name.
    #[must_use]
    pub fn sums(&self) -> Vec<(SumName, Sum)> {
        self.lock().sums.iter().map(|it| (it.0.clone(), *it.1)).collect()
    }

    /// All accounts: budget, account, what is used.
    #[must_use]
    pub fn accounts(&self) -> Vec<(Budget, String, Account)> {
        let state = self.lock();
        let accounts = state.budgets.standing().into_iter();
        accounts.map(|it| (it.0.clone(), it.1.to_owned(), it.2)).collect()
    }

    /// Rows that wait to be written to the store.
    #[must_use]
    pub fn waiting_rows(&self) -> usize {
        self.lock().rows.len()
    }

    /// How many calls are reserved and not closed.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.lock().budgets.open_calls()
    }

    fn closed(&self, id: CallId, cost: Amount, settled: &Settled) {
        let Some(close) = settled.close else { return };
        self.write(&Line::Entry(&Entry::Closed { id, cost, close }));
        for alert in &settled.alerts {
            tracing::warn!(
                budget = alert.budget,
                account = alert.account,
                percent = alert.percent,
                "a budget is used up to a threshold"
            );
            self.write(&Line::Alert(alert));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::budget::Mode;
    use crate::gateway::budget::account::Limit;
    use crate::gateway::budget::scope::{Scope, Window};

    fn budgets() -> Vec<Budget> {
        let limit = Limit { money: Some(UsdNanos(100)), ..Limit::default() };
        let (id, scope) = ("all".to_owned(), Scope::default());
        vec![Budget { id, scope, window: Window::Whole, limit, mode: Mode::Hard }]
    }

    fn call(request: u128, money: i64) -> Reservation {
        Reservation {
            id: CallId { request, attempt: 1 },
            subject: Subject::default(),
            estimate: Amount { money: UsdNanos(money), tokens: 1 },
            deadline: Timestamp(1000),
            requests: 1,
        }
    }

    #[tokio::test]
    async fn a_ledger_that_starts_again_knows_what_was_open_and_charges_it() {
        let ledger = Ledger::new(budgets(), true);
        ledger.reserve(call(1, 60), Timestamp(0)).await.unwrap();
        ledger.reserve(call(u128::MAX, 30), Timestamp(0)).await.unwrap();
        let refused = ledger.reserve(call(3, 30), Timestamp(0)).await;
        assert!(matches!(refused, Err(NotReserved::Refused(_))));
        let lines = ledger.take_lines(String::new());
        let replay = |ledger: &Ledger, lines: &str| {
            let taken = lines.lines().map(|it| ledger.take_up(it.as_bytes()));
            taken.filter(|it| *it == Ok(true)).count()
        };

        let again = Ledger::new(budgets(), true);
        assert_eq!(replay(&again, &format!("{lines}half a li")), 2);
        assert_eq!(again.open_calls(), 2);
        assert_eq!(again.sweep(Timestamp(1000)), 2);
        assert_eq!(again.accounts()[0].2.spent.money, UsdNanos(90));
        let lines = lines + &again.take_lines(String::new());

        let third = Ledger::new(budgets(), false);
        assert_eq!(replay(&third, &lines), 4);
        assert_eq!((third.open_calls(), third.accounts()[0].2.spent.money), (0, UsdNanos(90)));
    }
}
