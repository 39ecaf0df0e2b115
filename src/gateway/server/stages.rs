//! The gateway as stages of pipelines use it: each attempt has a key of its own that ends with it, an
//! address, the budgets of its run, and notes on what its calls came to.

pub mod variables;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::doors::Doors;
use super::secret::Secret;
use super::{Core, accept, finish, keep_cassettes, queue, shadow, sweep};
use crate::gateway::budget::Budget;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::cassette::{Cassette, CassetteError, saver};
use crate::gateway::keys::{self, Key, OwnCassette};
use crate::gateway::ledger::notes::Notes;
use crate::gateway::ledger::{BATCH_EVERY, Sum, stored, trail};
use crate::gateway::settings::{CassetteMode, ForStages};
use crate::model::{AttemptName, RunId, Timestamp, TraceParent, UsdNanos};
use crate::store::access::gateway_keys::GatewayKeyRow;
use crate::store::spend::accounts::AccountRow;
use crate::store::spend::calls::OF_REPORTS;
use crate::store::{Store, StoreError};
use variables::{Told, Variables};

/// How long calls may go on when a process stops that serves stages alone: those of stages that go on are made again.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long the end of an attempt waits until its calls, which are stopped, are settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// Calls of a run that are looked through for those of an attempt that is taken over.
const EARLIER_PAGE: u32 = 1_000;
const EARLIER_PAGES: u32 = 20;

/// What one attempt may do.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The attempt.
    pub attempt: AttemptName,
    /// Whose calls it makes.
    pub subject: Subject,
    /// Budgets of its run and of its stage.
    pub budgets: Vec<Budget>,
    /// When its key ends, should nobody end it.
    pub expires: Timestamp,
    /// What its calls are recorded in or replayed from.
    pub cassette: OwnCassette,
}

/// Where what outlives the process is kept.
#[derive(Debug, Clone)]
pub struct Place {
    /// A folder that only this user may look into.
    pub folder: PathBuf,
    /// Names the address: the next process of this name is at the same one.
    pub owner: String,
}

/// The gateway of this process, for the stages that it runs.
#[derive(Debug)]
pub struct Stages {
    core: Arc<Core>,
    store: Store,
    doors: Doors,
    secret: Secret,
    settings: ForStages,
    admitted: Arc<Mutex<AllAdmitted>>,
    /// Hears of recordings of stages.
    recordings: Arc<Notify>,
    stop: CancellationToken,
    /// Whether apps call, too, whose calls nobody makes again.
    has_apps: AtomicBool,
    /// Writes the ledger until it is over.
    books: TaskTracker,
    over: CancellationToken,
}

/// An attempt that may call.
#[derive(Debug)]
struct Admitted {
    notes: Notes,
    /// The same notes as its calls hold them: what is left of it when the key is closed is held by calls alone.
    held: Weak<Notes>,
    cassette: OwnCassette,
    /// The budgets of the pipeline file for it.
    budgets: Vec<Budget>,
}

#[derive(Debug, Default)]
struct AllAdmitted {
    attempts: HashMap<AttemptName, Admitted>,
    budgets: HashMap<RunId, BTreeMap<String, Budget>>,
}

impl AllAdmitted {
    /// What attempts record in.
    fn cassettes(admitted: &Mutex<Self>) -> Vec<Arc<Cassette>> {
        let admitted = admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.attempts.values().filter_map(|it| it.cassette.cassette.clone()).collect()
    }
}

impl Stages {
    /// Starts listening for stages of this machine.
    pub async fn start(
        core: Arc<Core>,
        store: Store,
        settings: ForStages,
        place: &Place,
    ) -> io::Result<Arc<Self>> {
        let stop = CancellationToken::new();
        let secret = Secret::open(&place.folder)?;
        let note = place.folder.join(format!("{}.json", place.owner));
        let doors = Doors::open(core.clone(), note, settings.port, stop.clone()).await?;
        core.tasks.spawn(sweep(core.clone(), stop.clone()));
        core.tasks.spawn(queue::serve(core.clone(), stop.clone()));
        core.tasks.spawn(shadow::serve(core.clone(), stop.clone()));
        let (books, over) = (TaskTracker::new(), CancellationToken::new());
        books.spawn(stored::keep(core.ledger.clone(), over.clone()));
        let written = (store.clone(), core.clock.clone());
        books.spawn(trail::writer::keep(core.trails.clone(), written, over.clone()));
        let of_apps = (core.clone(), over.clone());
        books.spawn(async move { keep_cassettes(&of_apps.0, of_apps.1).await });
        let (admitted, recordings) =
            (Arc::<Mutex<AllAdmitted>>::default(), Arc::<Notify>::default());
        let of_stages = admitted.clone();
        let list = move || AllAdmitted::cassettes(&of_stages);
        books.spawn(saver::keep(recordings.clone(), list, over.clone()));
        let has_apps = AtomicBool::new(false);
        Ok(Arc::new(Self {
            core,
            store,
            doors,
            secret,
            settings,
            admitted,
            recordings,
            stop,
            has_apps,
            books,
            over,
        }))
    }

    /// Listens for apps, too.
    pub fn listen(&self, listener: TcpListener) {
        self.has_apps.store(true, Ordering::Relaxed);
        self.core.tasks.spawn(accept(self.core.clone(), listener, self.stop.clone()));
    }

    /// Stops listening, and writes down what is left to be.
    pub async fn close(&self) {
        self.stop.cancel();
        let has_apps = self.has_apps.load(Ordering::Relaxed);
        finish(&self.core, if has_apps { super::GOODBYE } else { GOODBYE }).await;
        let left = std::mem::take(&mut self.lock().attempts);
        for admitted in left.into_values() {
            save(admitted.cassette).await;
        }
        // After the last call.
        self.over.cancel();
        self.books.close();
        self.books.wait().await;
    }

    /// Forgets the address, after which nothing is there that could call.
    pub fn forget_address(&self) {
        self.doors.forget();
    }

    /// Lets an attempt call. Done again, it changes nothing.
    pub async fn admit(&self, admission: &Admission) -> Result<Notes, StoreError> {
        let attempt = &admission.attempt;
        let subject = match &self.settings.organisation {
            Some(name) => admission.subject.clone().with(Kind::Organisation, name.as_str()),
            None => admission.subject.clone(),
        };
        let digest = keys::digest(&self.secret.key_of(attempt));
        let now = self.core.clock.now();
        admission.budgets.iter().cloned().for_each(|it| self.core.ledger.set_budget(it));
        let is_known = self.lock().attempts.contains_key(attempt);
        let earlier = if is_known { Sum::default() } else { self.earlier(attempt).await? };
        let (notes, held) = {
            let mut all = self.lock();
            let budgets = admission.budgets.iter().map(|it| (it.id.clone(), it.clone()));
            all.budgets.entry(attempt.run.clone()).or_default().extend(budgets);
            let admitted = all.attempts.entry(attempt.clone()).or_insert_with(|| Admitted {
                notes: Notes::of(earlier, self.core.cut.child_token()),
                held: Weak::new(),
                cassette: admission.cassette.clone(),
                budgets: admission.budgets.clone(),
            });
            let notes = admitted.notes.clone();
            let held = admitted.held.upgrade().unwrap_or_else(|| Arc::new(notes.clone()));
            admitted.held = Arc::downgrade(&held);
            (notes, held)
        };
        let row = GatewayKeyRow {
            digest: keys::hex(&digest),
            name: attempt.slug(),
            team: String::new(),
            attempt: attempt.slug(),
            subject: subject.words(),
            models: Vec::new(),
            per_minute: None,
            created_by: String::new(),
            created_at: now,
            expires_at: Some(admission.expires),
            ..GatewayKeyRow::default()
        };
        self.store.save_gateway_key(&row).await?;
        let key = Key {
            name: attempt.slug(),
            subject,
            expires: Some(admission.expires),
            own: Some(admission.cassette.clone()),
            notes: Some(held),
            parent: Some(TraceParent::of_attempt(attempt)),
            ..Key::default()
        };
        self.core.keys.insert(digest, key, now);
        Ok(notes)
    }

    /// Where the cassettes of stages are in a repository, if anywhere.
    #[must_use]
    pub fn cassettes(&self) -> Option<&str> {
        self.settings.cassettes.as_deref()
    }

    /// What they are for, where a stage does not say.
    #[must_use]
    pub fn model_calls(&self) -> CassetteMode {
        self.settings.model_calls
    }

    /// The cassette that an attempt has already.
    #[must_use]
    pub fn cassette_of(&self, attempt: &AttemptName) -> Option<OwnCassette> {
        self.lock().attempts.get(attempt).map(|it| it.cassette.clone())
    }

    /// Opens a cassette: a file of a working tree, or the text that a revision has of it.
    pub fn open_cassette(
        &self,
        file: PathBuf,
        text: Option<&str>,
    ) -> Result<Arc<Cassette>, CassetteError> {
        let redactor = self.core.redactor.clone();
        let cassette = match text {
            Some(text) => Cassette::of_text(file, text, redactor),
            None => Cassette::read(file, redactor),
        };
        cassette.map(|it| Arc::new(it.telling(self.recordings.clone())))
    }

    /// Closes the key of an attempt whose containers have ended, and stops the calls that are under way. Once they are
    /// settled, or `SETTLED_WITHIN` is over, the notes tell all that it has spent.
    pub async fn close_key(&self, attempt: &AttemptName) {
        let handles = |it: &Admitted| (it.notes.clone(), it.held.clone());
        let admitted = self.lock().attempts.get(attempt).map(handles);
        let Some((notes, held)) = admitted else { return };
        self.core.keys.close(&keys::digest(&self.secret.key_of(attempt)));
        let unsettled = notes.close(&held, SETTLED_WITHIN).await;
        if unsettled > 0 {
            tracing::warn!(%attempt, unsettled, "calls of an attempt that has ended count as reserved");
        }
    }

    /// Ends the key of an attempt that was admitted here, and writes what it has recorded.
    pub async fn end(&self, attempt: &AttemptName) {
        let ended = self.lock().attempts.remove(attempt);
        let Some(admitted) = ended else { return };
        save(admitted.cassette).await;
        if let Err(error) = self.store.delete_gateway_keys_of(attempt).await {
            tracing::warn!(%attempt, %error, "the key of an attempt is left until it expires");
        }
        self.core.keys.remove(&keys::digest(&self.secret.key_of(attempt)));
    }

    /// Forgets the budgets of a run that has ended, or goes on elsewhere.
    pub fn end_run(&self, run: &RunId) {
        for id in self.lock().budgets.remove(run).unwrap_or_default().into_keys() {
            self.core.ledger.unset_budget(&id);
        }
    }

    /// What a client of an attempt needs, at this name or address of this machine.
    #[must_use]
    pub fn variables(&self, attempt: &AttemptName, (host, told): (&str, &Told<'_>)) -> Variables {
        let key = self.secret.key_of(attempt);
        let address = format!("http://{host}:{}", self.doors.port());
        let takes_spans = self.core.trails.settings().spans_per_second > 0;
        let variables = Variables::new(key, &address);
        if takes_spans { variables.with_traces(attempt, &address, told) } else { variables }
    }

    /// By what containers reach this machine, where Docker's own address is not it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.settings.host.as_deref()
    }

    /// The port at which stages reach it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.doors.port()
    }

    /// Listens where containers of a network reach this machine.
    pub async fn open_at(&self, address: IpAddr) -> io::Result<()> {
        self.doors.open_at(address).await
    }

    /// The budgets of the pipeline file for an attempt of which more is used than they have, as sentences: soft ones, and
    /// hard ones whose last calls cost more than was reserved for them. None where it has called nothing.
    pub async fn exceeded(&self, attempt: &AttemptName) -> Result<Vec<String>, StoreError> {
        let of_it = |it: &Admitted| (it.notes.sum(), it.budgets.clone());
        let found = self.lock().attempts.get(attempt).map(of_it);
        let Some((sum, budgets)) = found else { return Ok(Vec::new()) };
        if budgets.is_empty() || (sum.calls == 0 && sum.reports == 0) {
            return Ok(Vec::new());
        }
        // What was just spent is on its way into the table.
        tokio::time::sleep(3 * BATCH_EVERY).await;
        let accounts = self.store.list_accounts_of_run(&attempt.run.to_string()).await?;
        Ok(over(&budgets, &accounts))
    }

    /// What the calls of an attempt came to that a process before this one let through.
    async fn earlier(&self, attempt: &AttemptName) -> Result<Sum, StoreError> {
        let (mut sum, name) = (Sum::default(), attempt.slug());
        let mut after = (Timestamp(0), String::new(), 0);
        for _ in 0..EARLIER_PAGES {
            let place = (after.0, after.1.as_str(), after.2);
            let calls = self.store.list_calls_of_run(&attempt.run, place, EARLIER_PAGE).await?;
            for call in calls.iter().filter(|it| it.key_name == name) {
                if call.operation == OF_REPORTS {
                    sum.reports += 1;
                    sum.reported = UsdNanos(sum.reported.0.saturating_add(call.cost.0));
                    continue;
                }
                sum.calls += 1;
                let count = |it: i64| u64::try_from(it).unwrap_or_default();
                sum.input_tokens = sum.input_tokens.saturating_add(count(call.input_tokens));
                sum.output_tokens = sum.output_tokens.saturating_add(count(call.output_tokens));
                sum.cost = UsdNanos(sum.cost.0.saturating_add(call.cost.0));
                sum.avoided = UsdNanos(sum.avoided.0.saturating_add(call.avoided.0));
            }
            let is_last = calls.len() < EARLIER_PAGE as usize;
            match calls.last().filter(|_| !is_last) {
                Some(last) => after = (last.at, last.request.clone(), last.attempt),
                None => break,
            }
        }
        Ok(sum)
    }

    fn lock(&self) -> MutexGuard<'_, AllAdmitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says which budgets have less than is spent of them.
fn over(budgets: &[Budget], accounts: &[AccountRow]) -> Vec<String> {
    let told = accounts.iter().filter_map(|account| {
        let budget = budgets.iter().find(|it| it.id == account.budget)?;
        let (limit, spent) = (&budget.limit, account.spent());
        let is_over = limit.money.is_some_and(|it| spent.money > it)
            || limit.tokens.is_some_and(|it| spent.tokens > it);
        let told = || format!("the budget `{}` has {limit}, and {spent} are used", budget.id);
        is_over.then(told)
    });
    told.collect()
}

/// Writes a cassette that has recorded something.
async fn save(own: OwnCassette) {
    let records = matches!(own.mode, CassetteMode::Record | CassetteMode::ReplayOrRecord);
    let Some(cassette) = own.cassette.filter(|_| records) else { return };
    saver::close(cassette).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::budget::Mode;
    use crate::gateway::budget::account::Limit;
    use crate::gateway::budget::scope::{Scope, Window};

    fn account(budget: &str, spent: i64) -> AccountRow {
        AccountRow {
            budget: budget.to_owned(),
            account: "run=r".to_owned(),
            began_at: Timestamp(0),
            spent: UsdNanos(spent),
            spent_tokens: 7,
            requests: 1,
            overrun: UsdNanos(0),
            overrun_tokens: 0,
            granted: UsdNanos(0),
            granted_tokens: 0,
            lost: UsdNanos(0),
            lost_tokens: 0,
            max_money: None,
            max_tokens: None,
            alerted: 0,
            short_at: Timestamp(0),
            used_at: Timestamp(0),
        }
    }

    #[test]
    fn a_hard_budget_that_is_exceeded_is_told_as_a_soft_one() {
        let budget = |(id, mode): (&str, Mode)| Budget {
            id: id.to_owned(),
            scope: Scope::default().with(Kind::Run, "r"),
            window: Window::Whole,
            limit: Limit { money: Some(UsdNanos(150_000_000)), ..Limit::default() },
            mode,
        };
        let budgets =
            [("hard", Mode::Hard), ("soft", Mode::Soft), ("kept", Mode::Hard)].map(budget);
        let spent = [("hard", 200_000_000), ("soft", 200_000_000), ("kept", 150_000_000)];
        let accounts = [("other", 900_000_000)].into_iter().chain(spent);
        let accounts: Vec<_> = accounts.map(|(budget, spent)| account(budget, spent)).collect();
        let told = ["hard", "soft"].map(|it| {
            format!("the budget `{it}` has 0.15 USD, and 0.20 USD and 7 tokens are used")
        });
        assert_eq!(over(&budgets, &accounts), told);
    }
}
