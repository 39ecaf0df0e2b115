#[cfg(unix)]
mod killed;
mod held;

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::gateway::budget::account::{Amount, Limit};
use crate::gateway::budget::scope::{Kind, Scope, Window};
use crate::gateway::budget::{CallId, Mode};
use crate::gateway::call::headers::request_id;
use crate::gateway::ledger::{Origin, Row};
use crate::model::{RunId, Usage, UsdNanos};
use crate::provider::Operation;
use crate::store::spend::calls::CallRow;
use crate::store::spend::sums::{SpendBy, SpendFilter};

const HOUR: i64 = 3_600_000;

/// The time of the runtime, which tests stop, and what they add to it.
#[derive(Debug)]
struct TestClock {
    start: tokio::time::Instant,
    more: AtomicI64,
}

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { start: tokio::time::Instant::now(), more: AtomicI64::new(HOUR) })
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        Timestamp(elapsed + self.more.load(Ordering::Relaxed))
    }
}

pub(super) fn amount(money: i64, tokens: i64) -> Amount {
    Amount { money: UsdNanos(money), tokens }
}

pub(super) fn money(limit: i64) -> Limit {
    Limit { money: Some(UsdNanos(limit)), ..Limit::default() }
}

pub(super) fn budget(id: &str, scope: Scope, window: Window, limit: Limit) -> Budget {
    Budget { id: id.to_owned(), scope, window, limit, mode: Mode::Hard }
}

fn budgets() -> Vec<Budget> {
    let tokens = Limit { tokens: Some(1500), ..Limit::default() };
    vec![
        budget("all", Scope::default(), Window::Whole, money(2000)),
        budget("team", Scope::default().with(Kind::Team, "*"), Window::Hour, money(900)),
        budget("run", Scope::default().with(Kind::Run, "*"), Window::Whole, tokens),
    ]
}

pub(super) fn call(number: u128, estimate: Amount, team: &str, run: &str) -> Reservation {
    let subject = Subject::default()
        .with(Kind::Team, team)
        .with(Kind::Project, format!("{team}/app"))
        .with(Kind::Run, run)
        .with(Kind::Stage, "eval");
    let id = CallId { request: number, attempt: 1 };
    Reservation { id, subject, estimate, deadline: Timestamp(i64::MAX), requests: 1 }
}

pub(super) fn row(call: &Reservation, cost: Amount, at: Timestamp) -> Row {
    Row {
        request: request_id(call.id.request),
        attempt: call.id.attempt,
        at,
        key: "ci".to_owned(),
        subject: call.subject.clone(),
        operation: crate::gateway::ledger::What::Call(Operation::ChatCompletions),
        provider: "fake".to_owned(),
        model: "m1".to_owned(),
        answered_by: None,
        origin: Origin::Live,
        status: Some(200),
        usage: Usage::default(),
        cost: cost.money,
        avoided: UsdNanos(0),
        reserved: call.estimate.money,
        overrun: UsdNanos(0),
        price: None,
        flags: Vec::new(),
        first_token_ms: Some(1),
        total_ms: 2,
        tags: String::new(),
        notes: None,
        similar: None,
        trail: super::super::trail::Trail::default(),
    }
}

async fn open(path: &Path) -> Store {
    let store = Store::open(&format!("sqlite:{}", path.join("state.db").display())).await.unwrap();
    // Only now: opening waits for threads.
    tokio::time::pause();
    store.hold_time_while_working()
}

async fn ledger(store: &Store, clock: &Arc<TestClock>, budgets: Vec<Budget>) -> Arc<Ledger> {
    let parts = BookParts { store: store.clone(), name: "p".to_owned(), clock: clock.clone() };
    Arc::new(Ledger::stored(parts, budgets).await.unwrap())
}

fn keeper(ledger: &Ledger) -> Keeper<'_> {
    let books = ledger.books.as_ref().unwrap();
    Keeper::new(ledger, books)
}

pub(super) async fn total(store: &Store) -> i64 {
    let filter = SpendFilter { to: Timestamp(i64::MAX), limit: 1000, ..SpendFilter::default() };
    let sums = store.sum_spend(SpendBy::Model, &filter).await.unwrap();
    sums.iter().map(|it| it.cost.0).sum()
}

#[tokio::test]
async fn what_was_spent_is_known_to_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let one = ledger(&store, &clock, budgets()).await;
    let first = call(1, amount(500, 10), "a", "r");
    one.reserve(first.clone(), clock.now()).await.unwrap();
    let mut spent = row(&first, amount(450, 9), clock.now());
    one.settle(first.id, amount(450, 9), &mut spent);
    keeper(&one).end().await;

    let two = ledger(&store, &clock, budgets()).await;
    let refused = two.reserve(call(2, amount(500, 10), "a", "r"), clock.now()).await;
    let Err(NotReserved::Refused(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!((refused.budget.as_str(), refused.used.money.0), ("team", 450));
    two.reserve(call(3, amount(400, 10), "a", "r"), clock.now()).await.unwrap();
    let rows = store.list_calls_of_run(&RunId("r".to_owned()), Default::default(), 9).await;
    let rows = rows.unwrap();
    assert_eq!((rows.len(), rows[0].cost.0, rows[0].tokens), (1, 450, 9));
    assert_eq!((rows[0].owner.project.as_str(), rows[0].owner.stage.as_str()), ("a/app", "eval"));
}

#[tokio::test]
async fn a_call_that_comes_at_once_after_one_that_cost_more_than_was_reserved_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let run = Scope::default().with(Kind::Run, "*");
    let run = vec![budget("run", run, Window::Whole, money(300))];
    let one = ledger(&store, &clock, run).await;
    let first = call(1, amount(102, 1), "a", "r");
    one.reserve(first.clone(), clock.now()).await.unwrap();
    one.settle(first.id, amount(200, 1), &mut row(&first, amount(200, 1), clock.now()));
    // Nothing of it is written yet.
    let refused = one.reserve(call(2, amount(102, 1), "a", "r"), clock.now()).await;
    let Err(NotReserved::Refused(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.used.money.0, 200);
    one.reserve(call(3, amount(90, 1), "a", "r"), clock.now()).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_process_had_counts_as_spent_until_it_is_seen_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let one = ledger(&store, &clock, budgets()).await;
    let first = call(1, amount(500, 10), "a", "r");
    one.reserve(first.clone(), clock.now()).await.unwrap();
    let two = ledger(&store, &clock, budgets()).await;
    let mut second = keeper(&two);
    clock.more.fetch_add(61_000, Ordering::Relaxed);
    second.step().await;
    let accounts = store.list_accounts("team", 9).await.unwrap();
    assert!(accounts[0].spent.0 >= 500 && accounts[0].granted.0 == 0, "{accounts:?}");
    let charged = total(&store).await;
    assert!((500..600).contains(&charged), "{charged}");
    assert_eq!(accounts[0].alerted, 50);
    assert_eq!(store.list_alerts_to_tell(9).await.unwrap().len(), 1);
    // It was only slow.
    let mut spent = row(&first, amount(300, 9), clock.now());
    one.settle(first.id, amount(300, 9), &mut spent);
    keeper(&one).end().await;
    assert_eq!(total(&store).await, 300);
    let accounts = store.list_accounts("team", 9).await.unwrap();
    assert_eq!((accounts[0].spent.0, accounts[0].granted.0), (300, 0));
}

#[tokio::test]
async fn calls_that_are_free_do_not_pile_up_without_end_while_nobody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let ledger = ledger(&store, &clock, Vec::new()).await;
    let free = row(&call(1, amount(0, 0), "a", "r"), amount(0, 0), clock.now());
    for _ in 0..100_010 {
        ledger.record(&free);
    }
    assert_eq!(ledger.waiting_rows(), 100_000);
}

#[tokio::test]
async fn a_call_waits_for_what_another_process_does_not_use() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let all = || vec![budget("all", Scope::default(), Window::Whole, money(1000))];
    let (one, two) = (ledger(&store, &clock, all()).await, ledger(&store, &clock, all()).await);
    let over = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(keep(one.clone(), over.clone()));
    let first = call(1, amount(900, 1), "a", "r");
    one.reserve(first.clone(), clock.now()).await.unwrap();
    one.settle(first.id, amount(10, 1), &mut row(&first, amount(10, 1), clock.now()));
    two.reserve(call(2, amount(900, 1), "a", "r"), clock.now()).await.unwrap();
    let refused = one.reserve(call(3, amount(200, 1), "a", "r"), clock.now()).await;
    assert!(matches!(refused, Err(NotReserved::Refused(_))), "{refused:?}");
    over.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_budget_of_the_table_holds_as_soon_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let one = ledger(&store, &clock, Vec::new()).await;
    let call = |number| call(number, amount(60, 1), "a", "r");
    one.reserve(call(1), clock.now()).await.unwrap();
    let team = Scope::default().with(Kind::Team, "a");
    let row = definition::row(&budget("a/month", team, Window::Month, money(100)));
    let event = crate::store::audit::AuditRow {
        id: "1".to_owned(),
        at: clock.now(),
        actor: "person:ada".to_owned(),
        address: String::new(),
        action: "budget.set".to_owned(),
        team: crate::model::TeamId(String::new()),
        project: crate::model::ProjectId(String::new()),
        subject: String::new(),
        detail: String::new(),
    };
    let saved = store.save_budget(&row, 0, &event).await.unwrap();
    let mut keeper = keeper(&one);
    keeper.step().await;
    one.reserve(call(2), clock.now()).await.unwrap();
    assert!(one.reserve(call(3), clock.now()).await.is_err());
    let event = crate::store::audit::AuditRow { id: "2".to_owned(), ..event };
    store.archive_budget("a/month", saved.version, &event).await.unwrap();
    clock.more.fetch_add(1_000, Ordering::Relaxed);
    keeper.step().await;
    one.reserve(call(4), clock.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_spend_at_the_same_time_never_exceed_a_budget_together() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("state.db").display());
    let clock = TestClock::new();
    let all = || {
        vec![
            budget("all", Scope::default(), Window::Whole, money(20_000)),
            budget("run", Scope::default().with(Kind::Run, "*"), Window::Whole, money(9_000)),
        ]
    };
    let over = CancellationToken::new();
    let (mut calls, mut kept) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
    for process in 0..3_u128 {
        let ledger = ledger(&Store::open(&url).await.unwrap(), &clock, all()).await;
        kept.spawn(keep(ledger.clone(), over.clone()));
        for number in 0..60 {
            let (ledger, clock) = (ledger.clone(), clock.clone());
            let run = ["1", "2", "3"][usize::try_from(number % 3).unwrap()];
            let call = call(process * 1000 + number, amount(300, 1), "a", run);
            calls.spawn(async move {
                ledger.reserve(call.clone(), clock.now()).await.ok()?;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..40))).await;
                let cost = amount(fastrand::i64(200..=300), 1);
                ledger.settle(call.id, cost, &mut row(&call, cost, clock.now()));
                Some(cost.money.0)
            });
        }
    }
    let mut charged = 0;
    while let Some(done) = calls.join_next().await {
        charged += done.unwrap().unwrap_or(0);
    }
    over.cancel();
    while kept.join_next().await.is_some() {}
    let store = Store::open(&url).await.unwrap();
    assert_eq!(total(&store).await, charged);
    assert!((15_000..=20_000).contains(&charged), "{charged}");
    let account = &store.list_accounts("all", 1).await.unwrap()[0];
    assert_eq!((account.spent.0, account.granted.0), (charged, 0));
    for run in store.list_accounts("run", 9).await.unwrap() {
        assert!(run.spent.0 <= 9_000 && run.granted.0 == 0, "{run:?}");
    }
}

/// What can happen to two processes.
#[derive(Debug, Clone)]
enum Step {
    Reserve { money: i64, tokens: i64, team: usize, run: usize },
    Settle { which: usize, percent: i64 },
    Cancel { which: usize },
    Keep,
    Pass { ms: i64 },
    Die,
    End,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        8 => (0_i64..400, 0_i64..400, 0_usize..2, 0_usize..3)
            .prop_map(|(money, tokens, team, run)| Step::Reserve { money, tokens, team, run }),
        6 => (0_usize..1000, prop_oneof![4 => 0_i64..=100, 1 => 100_i64..250])
            .prop_map(|(which, percent)| Step::Settle { which, percent }),
        1 => (0_usize..1000).prop_map(|which| Step::Cancel { which }),
        5 => Just(Step::Keep),
        2 => prop_oneof![3 => 0_i64..2_000, 1 => 60_000_i64..70_000, 1 => 0..HOUR]
            .prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Die),
        1 => Just(Step::End),
    ];
    prop::collection::vec((0_usize..2, step), 0..60)
}

struct Process {
    ledger: Arc<Ledger>,
    /// Of its keeper.
    batch: Option<Batch>,
    signed: Option<Timestamp>,
    ticked: Option<Timestamp>,
    open: Vec<(Reservation, Timestamp)>,
}

struct World {
    store: Store,
    clock: Arc<TestClock>,
    processes: Vec<Process>,
    /// What the provider has charged: call, cost, when it was let through, and whether it was told of.
    charged: BTreeMap<u128, (Reservation, Amount, Timestamp, bool)>,
    next: u128,
}

impl World {
    async fn new(folder: &Path) -> Self {
        let (store, clock) = (open(folder).await, TestClock::new());
        let mut processes = Vec::new();
        for _ in 0..2 {
            processes.push(Self::process(&store, &clock).await);
        }
        Self { store, clock, processes, charged: BTreeMap::new(), next: 0 }
    }

    async fn process(store: &Store, clock: &Arc<TestClock>) -> Process {
        let ledger = ledger(store, clock, budgets()).await;
        Process { ledger, batch: None, signed: None, ticked: None, open: Vec::new() }
    }

    async fn step(&mut self, who: usize, step: &Step) {
        let process = &mut self.processes[who];
        match *step {
            Step::Reserve { money, tokens, team, run } => {
                self.next += 1;
                let (team, run) = (["a", "b"][team], ["1", "2", "3"][run]);
                let call = call(self.next, amount(money, tokens), team, run);
                let now = self.clock.now();
                if process.ledger.reserve(call.clone(), now).await.is_ok() {
                    process.open.push((call, now));
                }
            }
            Step::Settle { which, percent } if !process.open.is_empty() => {
                let (call, at) = process.open.remove(which % process.open.len());
                let part = |of: i64| of * percent / 100;
                let cost = amount(part(call.estimate.money.0), part(call.estimate.tokens));
                process.ledger.settle(call.id, cost, &mut row(&call, cost, at));
                self.charged.insert(call.id.request, (call, cost, at, true));
            }
            Step::Cancel { which } if !process.open.is_empty() => {
                let (call, at) = process.open.remove(which % process.open.len());
                process.ledger.cancel(call.id, &row(&call, Amount::default(), at));
            }
            Step::Keep => {
                let ledger = process.ledger.clone();
                let mut keeper = keeper(&ledger);
                (keeper.batch, keeper.signed, keeper.ticked) =
                    (process.batch.take(), process.signed, process.ticked);
                keeper.step().await;
                (process.signed, process.ticked) = (keeper.signed, keeper.ticked);
                process.batch = keeper.batch.take();
            }
            Step::Pass { ms } => drop(self.clock.more.fetch_add(ms, Ordering::Relaxed)),
            Step::Die => {
                for (call, at) in std::mem::take(&mut process.open) {
                    let cost = call.estimate;
                    self.charged.insert(call.id.request, (call, cost, at, false));
                }
                *process = Self::process(&self.store, &self.clock).await;
            }
            Step::End => self.end(who).await,
            Step::Settle { .. } | Step::Cancel { .. } => {}
        }
    }

    async fn end(&mut self, who: usize) {
        let process = &mut self.processes[who];
        for (call, at) in std::mem::take(&mut process.open) {
            process.ledger.cancel(call.id, &row(&call, Amount::default(), at));
        }
        let ledger = process.ledger.clone();
        let mut keeper = keeper(&ledger);
        keeper.batch = process.batch.take();
        keeper.end().await;
        *process = Self::process(&self.store, &self.clock).await;
    }

    /// No hard budget is exceeded by more than overruns, and the store never says less than what is spent.
    async fn check(&self) {
        let mut real: BTreeMap<(String, String, i64), (Amount, Amount)> = BTreeMap::new();
        for (call, cost, at, _) in self.charged.values() {
            for budget in budgets() {
                let Some(account) = budget.scope.account_of(&call.subject) else { continue };
                let sum = real.entry((budget.id, account, budget.window.start(*at).0)).or_default();
                *sum = (sum.0.plus(*cost), sum.1.plus(cost.beyond(call.estimate)));
            }
        }
        for budget in budgets() {
            for account in self.store.list_accounts(&budget.id, 1000).await.unwrap() {
                let key = (account.budget.clone(), account.account.clone(), account.began_at.0);
                let (charged, overrun) = real.get(&key).copied().unwrap_or_default();
                let within = charged.minus(overrun);
                let aside = account.spent().plus(account.granted());
                let of_store = Amount { money: account.overrun, tokens: account.overrun_tokens };
                if let Some(limit) = budget.limit.money {
                    assert!(within.money <= limit, "{account:?}: {within}");
                    assert!(within.money <= aside.money, "{account:?}: {within}");
                    assert!(aside.minus(of_store).money <= limit, "{account:?}");
                }
                if let Some(limit) = budget.limit.tokens {
                    assert!(within.tokens <= limit, "{account:?}: {within}");
                    assert!(within.tokens <= aside.tokens, "{account:?}: {within}");
                    assert!(aside.minus(of_store).tokens <= limit, "{account:?}");
                }
            }
        }
    }

    /// All have ended or are taken for dead: the ledger has each settled call at what it cost, and in sum not
    /// less than the provider has charged.
    async fn check_end(mut self) {
        for who in 0..2 {
            self.end(who).await;
        }
        self.clock.more.fetch_add(61_000, Ordering::Relaxed);
        while self.store.lapse_spender(self.clock.now()).await.unwrap().is_some() {}
        self.check().await;
        let mut rows: BTreeMap<String, CallRow> = BTreeMap::new();
        for run in ["1", "2", "3"] {
            let run = RunId(run.to_owned());
            let of_run =
                self.store.list_calls_of_run(&run, Default::default(), 1000).await.unwrap();
            rows.extend(of_run.into_iter().map(|it| (it.request.clone(), it)));
        }
        let (mut within, mut lost) = (0, 0);
        for (call, cost, _, is_told) in self.charged.values() {
            let row = rows.get(&request_id(call.id.request));
            match row {
                Some(row) => assert_eq!((row.cost, row.tokens), (cost.money, cost.tokens)),
                // Its process died before it wrote; the overrun goes unseen.
                None => lost += 1,
            }
            assert!(row.is_none() || *is_told);
            within += cost.least(call.estimate).money.0;
        }
        let total = total(&self.store).await;
        assert!(total >= within, "{total} are less than {within}, {lost} calls are lost");
        for account in self.store.list_accounts("all", 9).await.unwrap() {
            assert_eq!((account.granted.0, account.spent.0), (0, total));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]
    #[test]
    fn whatever_two_processes_do_the_store_knows_what_was_spent(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let mut world = World::new(folder.path()).await;
            for (who, step) in &steps {
                world.step(*who, step).await;
                world.check().await;
            }
            world.check_end().await;
        });
    }
}
