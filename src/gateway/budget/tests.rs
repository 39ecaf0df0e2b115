use std::collections::BTreeMap;

use proptest::prelude::*;

use super::scope::Kind;
use super::*;
use crate::gateway::prices::rate::Date;

const HOUR: i64 = 3_600_000;

fn amount(money: i64, tokens: i64) -> Amount {
    Amount { money: UsdNanos(money), tokens }
}

fn budget(id: &str, scope: Scope, window: Window, limit: Limit) -> Budget {
    Budget { id: id.to_owned(), scope, window, limit, mode: Mode::Hard }
}

fn money(limit: i64) -> Limit {
    Limit { money: Some(UsdNanos(limit)), ..Limit::default() }
}

fn id(number: u128) -> CallId {
    CallId { request: number, attempt: 1 }
}

fn call(number: u128, estimate: Amount) -> Reservation {
    let subject = Subject::default().with(Kind::Team, "core").with(Kind::Run, "r1");
    Reservation { id: id(number), subject, estimate, deadline: Timestamp(60_000), requests: 1 }
}

fn one(limit: Limit) -> Budgets {
    Budgets::new(vec![budget("all", Scope::default(), Window::Whole, limit)])
}

#[test]
fn what_is_remembered_of_each_closed_call_is_small() {
    assert!(size_of::<(CallId, Closed)>() <= 48);
    let mut budgets = Budgets::default();
    for request in 0..3 {
        let id = CallId { request, attempt: 1 };
        let reservation = Reservation {
            id,
            subject: Subject::default(),
            estimate: Amount::default(),
            deadline: Timestamp(i64::from(request == 2)),
            requests: 1,
        };
        budgets.reserve(&reservation, Timestamp(0)).unwrap();
        if request == 0 {
            budgets.settle(id, Amount::default());
        }
    }
    assert_eq!(budgets.expire(Timestamp(0)).len(), 1);
    // Only what nobody has settled in time may still be corrected.
    let is_charged = |request| budgets.closed[&CallId { request, attempt: 1 }].charged.is_some();
    assert_eq!((is_charged(0), is_charged(1)), (false, true));
}

#[test]
fn calls_that_together_do_not_fit_are_not_all_let_through() {
    let mut budgets = one(money(100));
    for number in 0..4 {
        let result = budgets.reserve(&call(number, amount(40, 1)), Timestamp(0));
        assert_eq!(result.is_ok(), number < 2, "{number}");
    }
    budgets.settle(id(0), amount(10, 1));
    assert!(budgets.reserve(&call(5, amount(50, 1)), Timestamp(0)).is_ok());
    assert!(budgets.reserve(&call(6, amount(1, 1)), Timestamp(0)).is_err());
}

#[test]
fn a_call_holds_with_all_budgets_or_with_none() {
    let team = Scope::default().with(Kind::Team, "core");
    let run = Scope::default().with(Kind::Run, "*");
    let mut budgets = Budgets::new(vec![
        budget("team", team, Window::Day, money(1000)),
        budget("run", run, Window::Whole, money(50)),
    ]);
    let refused = budgets.reserve(&call(1, amount(60, 7)), Timestamp(0)).unwrap_err();
    insta::assert_snapshot!(refused, @"the budget `run` (run=r1) has 0.00000005 USD; 0.00 USD and 0 tokens are used or reserved, and this call may need 0.00000006 USD and 7 tokens");
    assert!(budgets.standing().is_empty(), "{:?}", budgets.standing());
    budgets.reserve(&call(2, amount(50, 7)), Timestamp(0)).unwrap();
    let refused = budgets.reserve(&call(3, amount(1, 7)), Timestamp(0)).unwrap_err();
    assert_eq!(refused.frees_at, None);
    assert_eq!(budgets.standing().len(), 2);
}

#[test]
fn each_run_has_an_account_of_its_own_and_other_calls_none() {
    let scope = Scope::default().with(Kind::Run, "*").with(Kind::Team, "core");
    let budget = budget("run", scope, Window::Whole, money(50));
    let account = |subject: &Subject| budget.scope.account_of(subject);
    let core = Subject::default().with(Kind::Team, "core");
    assert_eq!(account(&core), None);
    assert_eq!(account(&core.clone().with(Kind::Run, "r1")).as_deref(), Some("team=core run=r1"));
    assert_eq!(account(&core.with(Kind::Run, "r2")).as_deref(), Some("team=core run=r2"));
    for (name, is_its) in [
        ("team=core run=r2", true),
        ("team=core run=test (os=linux)", true),
        ("team=other run=r2", false),
        ("team=core", false),
        ("run=r2", false),
        ("", false),
    ] {
        assert_eq!(budget.scope.has_account(name), is_its, "{name}");
    }
    assert!(Scope::default().has_account("") && !Scope::default().has_account("team=core"));
}

#[test]
fn a_model_in_upper_or_lower_case_has_one_account() {
    let sent = |name: &str| Subject::default().with(Kind::Run, "R1").with(Kind::Model, name);
    for wanted in ["*", "exact", "EXACT"] {
        let scope = Scope::default().with(Kind::Run, "*").with(Kind::Model, wanted);
        for name in ["exact", "EXACT", "eXact"] {
            let account = scope.account_of(&sent(name));
            assert_eq!(account.as_deref(), Some("run=R1 model=exact"), "{wanted} {name}");
        }
        assert_eq!(scope.account_of(&sent("other")).is_some(), wanted == "*");
        assert!(scope.has_account("run=R1 model=exact"), "{wanted}");
    }
    let team = Scope::default().with(Kind::Team, "Core");
    assert_eq!(team.account_of(&Subject::default().with(Kind::Team, "core")), None);
    assert!(!team.has_account("team=core"));
}

#[test]
fn what_one_case_of_a_model_has_used_is_gone_for_the_others() {
    let scope = Scope::default().with(Kind::Model, "*");
    let mut budgets = Budgets::new(vec![budget("model", scope, Window::Whole, money(50))]);
    let of = |number: u128, name: &str| Reservation {
        subject: Subject::default().with(Kind::Model, name),
        ..call(number, amount(40, 0))
    };
    budgets.reserve(&of(1, "exact"), Timestamp(0)).unwrap();
    assert!(budgets.reserve(&of(2, "EXACT"), Timestamp(0)).is_err());
    budgets.reserve(&of(3, "other"), Timestamp(0)).unwrap();
}

#[test]
fn a_window_begins_anew_and_a_late_settlement_is_charged_where_it_was_reserved() {
    let mut budgets = Budgets::new(vec![budget("hour", Scope::default(), Window::Hour, money(50))]);
    budgets.reserve(&call(1, amount(50, 1)), Timestamp(HOUR - 1)).unwrap();
    let refused = budgets.reserve(&call(2, amount(1, 1)), Timestamp(HOUR - 1)).unwrap_err();
    assert_eq!(refused.frees_at, Some(Timestamp(HOUR)));
    budgets.reserve(&call(3, amount(50, 1)), Timestamp(HOUR)).unwrap();
    budgets.settle(id(1), amount(20, 1));
    let spent: Vec<_> = budgets.standing().iter().map(|it| it.2.spent.money.0).collect();
    assert_eq!(spent, [20, 0]);
    budgets.forget(Timestamp(2 * HOUR));
    assert_eq!(budgets.standing().len(), 1, "the window with an open call stays");
}

#[test]
fn months_and_days_begin_at_midnight_utc() {
    let at = "2026-02-28".parse::<Date>().unwrap().start();
    let noon = Timestamp(at.0 + 12 * HOUR);
    let month = Window::Month.start(noon);
    assert_eq!(Date::of(month).to_string(), "2026-02-01");
    assert_eq!(Date::of(Window::Month.end(month).unwrap()).to_string(), "2026-03-01");
    assert_eq!(Window::Day.start(noon), at);
}

#[test]
fn a_second_settlement_changes_nothing() {
    let mut budgets = one(money(100));
    budgets.reserve(&call(1, amount(40, 1)), Timestamp(0)).unwrap();
    assert_eq!(budgets.settle(id(1), amount(30, 1)).charged, amount(30, 1));
    assert_eq!(budgets.settle(id(1), amount(30, 1)), Settled::default());
    assert_eq!(budgets.cancel(id(1)), Settled::default());
    assert_eq!(budgets.settle(id(9), amount(30, 1)), Settled::default());
    assert_eq!(budgets.standing()[0].2.spent, amount(30, 1));
}

#[test]
fn a_call_that_nobody_settles_costs_its_estimate_until_its_cost_is_known() {
    let mut budgets = one(money(100));
    budgets.reserve(&call(1, amount(40, 8)), Timestamp(0)).unwrap();
    assert!(budgets.expire(Timestamp(59_999)).is_empty());
    let expired = budgets.expire(Timestamp(60_000));
    assert_eq!((expired[0].0, expired[0].2.charged), (id(1), amount(40, 8)));
    let late = budgets.settle(id(1), amount(25, 5));
    assert_eq!((late.charged, late.close), (amount(-15, -3), Some(Close::Corrected)));
    assert_eq!(budgets.settle(id(1), amount(25, 5)), Settled::default());
    assert_eq!(budgets.standing()[0].2.spent, amount(25, 5));
}

#[test]
fn a_call_that_cost_more_than_it_reserved_is_charged_and_told_and_stops_the_next() {
    let mut budgets = one(money(100));
    budgets.reserve(&call(1, amount(90, 1)), Timestamp(0)).unwrap();
    let settled = budgets.settle(id(1), amount(120, 1));
    assert_eq!(settled.overrun, amount(30, 0));
    assert_eq!(settled.alerts[0].percent, 100);
    assert!(budgets.reserve(&call(2, amount(0, 0)), Timestamp(0)).is_err());
}

#[test]
fn thresholds_are_told_of_once_and_a_call_near_the_end_is_warned() {
    let mut budgets = one(money(100));
    let mut told = Vec::new();
    for number in 0..10 {
        let reserved = budgets.reserve(&call(number, amount(10, 1)), Timestamp(0)).unwrap();
        assert_eq!(reserved.nearly_used.is_empty(), number < 8, "{number}");
        assert_eq!(reserved.remaining, Some(UsdNanos(i64::try_from(9 - number).unwrap() * 10)));
        told.extend(budgets.settle(id(number), amount(10, 1)).alerts.iter().map(|it| it.percent));
    }
    assert_eq!(told, [50, 80, 100]);
}

#[test]
fn what_is_only_reserved_is_no_reason_to_warn() {
    let mut budgets = one(money(500));
    for number in 0..2 {
        let reserved = budgets.reserve(&call(number, amount(250, 1)), Timestamp(0)).unwrap();
        assert!(reserved.nearly_used.is_empty(), "{number}");
    }
    for (number, cost) in [(0, 60), (1, 250)] {
        budgets.settle(id(number), amount(cost, 1));
    }
    let next = budgets.reserve(&call(2, amount(190, 1)), Timestamp(0)).unwrap();
    assert!(next.nearly_used.is_empty(), "62 % are spent");
    budgets.settle(id(2), amount(90, 1));
    let last = budgets.reserve(&call(3, amount(1, 1)), Timestamp(0)).unwrap();
    assert_eq!(last.nearly_used, ["all"], "80 % are spent");
}

#[test]
fn a_soft_budget_lets_everything_through_and_tells() {
    let soft =
        Budget { mode: Mode::Soft, ..budget("soft", Scope::default(), Window::Day, money(10)) };
    let mut budgets = Budgets::new(vec![soft]);
    budgets.reserve(&call(1, amount(50, 1)), Timestamp(0)).unwrap();
    assert_eq!(budgets.settle(id(1), amount(50, 1)).alerts[0].percent, 100);
    assert!(budgets.reserve(&call(2, amount(50, 1)), Timestamp(0)).is_ok());
    assert_eq!(budgets.headroom(&call(2, amount(0, 0)).subject, Timestamp(0)), (None, None));
}

#[test]
fn tokens_are_a_limit_of_their_own() {
    let mut budgets = one(Limit { tokens: Some(100), ..Limit::default() });
    budgets.reserve(&call(1, amount(1, 60)), Timestamp(0)).unwrap();
    assert!(budgets.reserve(&call(2, amount(1, 41)), Timestamp(0)).is_err());
    let subject = call(1, amount(0, 0)).subject;
    assert_eq!(budgets.headroom(&subject, Timestamp(0)), (None, Some(40)));
}

#[test]
fn a_ceiling_for_a_thousand_calls_grows_with_the_calls() {
    let limit =
        Limit { per_thousand: Some(UsdNanos(1000)), at_least_requests: 10, ..Limit::default() };
    let mut budgets = one(limit);
    // Ten calls are taken for granted: 10 nano-dollars.
    budgets.reserve(&call(0, amount(10, 1)), Timestamp(0)).unwrap();
    assert!(budgets.reserve(&call(1, amount(1, 1)), Timestamp(0)).is_err());
    budgets.settle(id(0), amount(0, 1));
    for number in 2..=14 {
        budgets.reserve(&call(number, amount(1, 1)), Timestamp(0)).unwrap();
        budgets.settle(id(number), amount(1, 1));
    }
    // Fourteen calls cost 13; the next one may cost 2.
    assert!(budgets.reserve(&call(20, amount(3, 1)), Timestamp(0)).is_err());
    assert!(budgets.reserve(&call(21, amount(2, 1)), Timestamp(0)).is_ok());
}

#[test]
fn budgets_are_written_as_people_write_them() {
    let text = "id = \"team\"\nscope = { team = \"core\", run = \"*\" }\nwindow = \"month\"\nusd = \"12.50\"\nmode = \"soft\"";
    let read: Budget = toml::from_str(text).unwrap();
    assert_eq!(read.limit.money, Some(UsdNanos(12_500_000_000)));
    assert_eq!((read.mode, read.window), (Mode::Soft, Window::Month));
}

/// What can happen to the calls of a world.
#[derive(Debug, Clone)]
enum Step {
    Reserve {
        money: i64,
        tokens: i64,
        team: usize,
        run: usize,
    },
    /// The provider is done with a call and charges this much of its estimate, in percent.
    Settle {
        which: usize,
        percent: i64,
    },
    Cancel {
        which: usize,
    },
    Settled {
        which: usize,
    },
    Expire,
    Pass {
        ms: i64,
    },
    /// The gateway is killed and starts again from what was written down.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_i64..400, 0_i64..400, 0_usize..2, 0_usize..3)
            .prop_map(|(money, tokens, team, run)| Step::Reserve { money, tokens, team, run }),
        6 => (any::<prop::sample::Index>(), prop_oneof![4 => 0_i64..=100, 1 => 100_i64..250])
            .prop_map(|(which, percent)| Step::Settle { which: which.index(1000), percent }),
        1 => (0_usize..1000).prop_map(|which| Step::Cancel { which }),
        1 => (0_usize..1000).prop_map(|which| Step::Settled { which }),
        1 => Just(Step::Expire),
        2 => (0_i64..40 * 60_000).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..120)
}

fn all_budgets() -> Vec<Budget> {
    let tokens = Limit { tokens: Some(1500), ..Limit::default() };
    let ceiling =
        Limit { per_thousand: Some(UsdNanos(90_000)), at_least_requests: 5, ..Limit::default() };
    vec![
        budget("all", Scope::default(), Window::Whole, money(2000)),
        budget("team", Scope::default().with(Kind::Team, "*"), Window::Hour, money(900)),
        budget("run", Scope::default().with(Kind::Run, "*"), Window::Day, tokens),
        budget("ceiling", Scope::default().with(Kind::Team, "a"), Window::Whole, ceiling),
        Budget { mode: Mode::Soft, ..budget("soft", Scope::default(), Window::Day, money(10)) },
    ]
}

/// A world: the budgets, what was written down, and what the provider really charged.
struct World {
    budgets: Budgets,
    now: Timestamp,
    written: Vec<Entry>,
    ledger: Amount,
    open: Vec<Reservation>,
    closed: Vec<(CallId, Amount)>,
    expired: BTreeMap<CallId, Reservation>,
    /// The charge of each call: the provider's, or the estimate while it is not known.
    charges: BTreeMap<CallId, Amount>,
    next: u128,
}

impl World {
    fn new() -> Self {
        Self {
            budgets: Budgets::new(all_budgets()),
            now: Timestamp(0),
            written: Vec::new(),
            ledger: Amount::default(),
            open: Vec::new(),
            closed: Vec::new(),
            expired: BTreeMap::new(),
            charges: BTreeMap::new(),
            next: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Reserve { money, tokens, team, run } => {
                self.next += 1;
                let subject = Subject::default()
                    .with(Kind::Team, ["a", "b"][team])
                    .with(Kind::Run, ["1", "2", "3"][run]);
                let deadline = self.now.plus(crate::model::Milliseconds(60_000));
                let estimate = amount(money, tokens);
                let reservation =
                    Reservation { id: id(self.next), subject, estimate, deadline, requests: 1 };
                let before = self.budgets.standing().iter().map(|it| it.2).collect::<Vec<_>>();
                if self.budgets.reserve(&reservation, self.now).is_ok() {
                    let at = self.now;
                    self.written.push(Entry::Reserved { reservation: reservation.clone(), at });
                    self.open.push(reservation);
                } else {
                    let after = self.budgets.standing().iter().map(|it| it.2).collect::<Vec<_>>();
                    assert_eq!(before, after, "a refusal holds nothing");
                }
            }
            Step::Settle { which, percent } => self.settle(which, percent),
            Step::Cancel { which } if !self.open.is_empty() => {
                let call = self.open.remove(which % self.open.len());
                let settled = self.budgets.cancel(call.id);
                self.note(call.id, Amount::default(), &settled);
            }
            Step::Settled { which } if !self.closed.is_empty() => {
                let (id, cost) = self.closed[which % self.closed.len()];
                assert_eq!(self.budgets.settle(id, cost), Settled::default());
            }
            Step::Expire => {
                for (id, _, settled) in self.budgets.expire(self.now) {
                    let index = self.open.iter().position(|it| it.id == id).unwrap();
                    let call = self.open.remove(index);
                    self.note(id, call.estimate, &settled);
                    self.expired.insert(id, call);
                }
            }
            Step::Pass { ms } => self.now = Timestamp(self.now.0 + ms),
            Step::Restart => {
                let before = self.accounts();
                self.budgets = Budgets::new(all_budgets());
                self.written.iter().for_each(|it| self.budgets.replay(it));
                assert_eq!(before, self.accounts(), "a restart forgets nothing");
            }
            Step::Cancel { .. } | Step::Settled { .. } => {}
        }
    }

    /// Calls in flight and calls that have expired may both be told of.
    fn settle(&mut self, which: usize, percent: i64) {
        let mut known: Vec<_> = self.open.iter().chain(self.expired.values()).cloned().collect();
        if known.is_empty() {
            return;
        }
        let call = known.swap_remove(which % known.len());
        let part = |of: i64| of * percent / 100;
        let cost = amount(part(call.estimate.money.0), part(call.estimate.tokens));
        let settled = self.budgets.settle(call.id, cost);
        self.open.retain(|it| it.id != call.id);
        self.expired.remove(&call.id);
        self.closed.push((call.id, cost));
        self.note(call.id, cost, &settled);
    }

    fn note(&mut self, id: CallId, cost: Amount, settled: &Settled) {
        let close = settled.close.expect("the call was open or had expired");
        self.written.push(Entry::Closed { id, cost, close });
        self.ledger = self.ledger.plus(settled.charged);
        self.charges.insert(id, cost);
    }

    fn accounts(&self) -> Vec<(String, String, Amount, Amount, u64)> {
        let rows = self.budgets.standing();
        let row = |it: &(&Budget, &str, Account)| {
            (it.0.id.clone(), it.1.to_owned(), it.2.spent, it.2.held, it.2.requests)
        };
        rows.iter().map(row).collect()
    }

    fn check(&self) {
        for (budget, name, account) in self.budgets.standing() {
            if budget.mode == Mode::Soft {
                continue;
            }
            let used = account.used();
            if let Some(limit) = budget.limit.money_after(account.requests) {
                let most = limit.0 + account.overrun.money.0;
                assert!(used.money.0 <= most, "{} {name}: {account:?} beyond {most}", budget.id);
            }
            if let Some(limit) = budget.limit.tokens {
                let most = limit + account.overrun.tokens;
                assert!(used.tokens <= most, "{} {name}: {account:?} beyond {most}", budget.id);
            }
        }
        let charged = self.charges.values().fold(Amount::default(), |sum, it| sum.plus(*it));
        assert_eq!(self.ledger, charged, "the ledger is what the provider charged");
        let held = self.open.iter().fold(Amount::default(), |sum, it| sum.plus(it.estimate));
        let all = self.budgets.standing().into_iter().find(|it| it.0.id == "all");
        let all = all.map(|it| it.2).unwrap_or_default();
        assert_eq!((all.spent, all.held), (charged, held));
        assert_eq!(self.budgets.open_calls(), self.open.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_happens_no_hard_budget_is_exceeded_by_more_than_overruns(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
    }
}

#[test]
fn what_is_left_of_a_soft_budget_that_is_exceeded_is_less_than_nothing() {
    let soft = budget("all", Scope::default(), Window::Whole, money(100));
    let mut budgets = Budgets::new(vec![Budget { mode: Mode::Soft, ..soft }]);
    let mut left = Vec::new();
    for number in 0..4 {
        let reserved = budgets.reserve(&call(number, amount(60, 1)), Timestamp(0)).unwrap();
        left.extend(reserved.remaining.map(|it| it.0));
    }
    assert_eq!(left, [40, -20, -80, -140]);
}
