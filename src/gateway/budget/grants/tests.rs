use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::gateway::budget::CallId;
use crate::gateway::budget::account::Limit;
use crate::gateway::budget::scope::{Kind, Scope, Window};
use crate::model::UsdNanos;

/// What the store keeps, as simply as it can be said.
#[derive(Debug, Default)]
struct Shelf {
    accounts: BTreeMap<AccountName, AccountRow>,
    grants: BTreeMap<(usize, AccountName), Amount>,
}

impl Shelf {
    fn row(&mut self, name: &AccountName) -> &mut AccountRow {
        self.accounts.entry(name.clone()).or_insert_with(|| empty(name))
    }

    fn set_aside(&mut self, process: usize, name: &AccountName, amount: Amount) {
        let row = self.row(name);
        row.granted.0 += amount.money.0;
        row.granted_tokens += amount.tokens;
        let grant = self.grants.entry((process, name.clone())).or_default();
        *grant = grant.plus(amount);
    }

    fn charge(&mut self, name: &AccountName, amount: Amount) {
        let row = self.row(name);
        row.spent.0 += amount.money.0;
        row.spent_tokens += amount.tokens;
    }

    fn grant(&mut self, process: usize, needs: &[Need]) -> (Grant, Vec<AccountRow>) {
        let asks = asks(needs);
        let rows: Vec<_> = asks.iter().map(|it| self.row(&it.name).clone()).collect();
        let grant = decide(needs, &rows);
        if let Grant::Given(amounts) = &grant {
            for (ask, amount) in asks.iter().zip(amounts) {
                self.set_aside(process, &ask.name, *amount);
            }
        }
        (grant, rows)
    }

    fn write(&mut self, process: usize, budgets: &mut Budgets) {
        let changes = budgets.take_changes();
        let mut rows = Vec::new();
        for (name, change) in changes {
            self.charge(&name, change.spent);
            self.set_aside(process, &name, Amount::default().minus(change.released));
            let row = self.row(&name);
            row.requests += change.requests;
            row.overrun.0 += change.overrun.money.0;
            row.overrun_tokens += change.overrun.tokens;
            rows.push(row.clone());
        }
        budgets.written(&rows);
    }

    fn held(&mut self, process: usize) -> Vec<Held> {
        let own: Vec<_> = self.grants.iter().filter(|it| it.0.0 == process).collect();
        let own: Vec<_> = own.into_iter().map(|it| (it.0.1.clone(), *it.1)).collect();
        let held = own.into_iter().map(|(name, amount)| Held {
            account: self.row(&name).clone(),
            own: amount.money,
            own_tokens: amount.tokens,
        });
        held.collect()
    }

    /// A process is dead: all that it had may be spent.
    fn lapse(&mut self, process: usize) {
        for held in self.held(process) {
            let (name, amount) =
                (held.account.name(), Amount { money: held.own, tokens: held.own_tokens });
            self.charge(&name, amount);
            self.set_aside(process, &name, Amount::default().minus(amount));
        }
    }
}

fn empty(name: &AccountName) -> AccountRow {
    AccountRow {
        budget: name.budget.clone(),
        account: name.account.clone(),
        began_at: name.began_at,
        spent: UsdNanos(0),
        spent_tokens: 0,
        lost: UsdNanos(0),
        lost_tokens: 0,
        requests: 0,
        overrun: UsdNanos(0),
        overrun_tokens: 0,
        granted: UsdNanos(0),
        granted_tokens: 0,
        max_money: None,
        max_tokens: None,
        alerted: 0,
        short_at: Timestamp(0),
        used_at: Timestamp(0),
    }
}

fn amount(money: i64, tokens: i64) -> Amount {
    Amount { money: UsdNanos(money), tokens }
}

fn budget(id: &str, scope: Scope, window: Window, limit: Limit) -> Budget {
    Budget { id: id.to_owned(), scope, window, limit, mode: Mode::Hard }
}

fn money(limit: i64) -> Limit {
    Limit { money: Some(UsdNanos(limit)), ..Limit::default() }
}

fn budgets() -> Vec<Budget> {
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

fn call(number: u128, estimate: Amount, team: &str, run: &str) -> Reservation {
    let subject = Subject::default().with(Kind::Team, team).with(Kind::Run, run);
    let id = CallId { request: number, attempt: 1 };
    Reservation { id, subject, estimate, deadline: Timestamp(i64::MAX), requests: 1 }
}

/// Asks and reserves as the ledger does.
fn reserve(budgets: &mut Budgets, shelf: &mut Shelf, process: usize, call: &Reservation) -> bool {
    let now = Timestamp(0);
    for _ in 0..3 {
        let needs = budgets.needs(call, now);
        if needs.is_empty() {
            budgets.reserve(call, now).unwrap();
            return true;
        }
        budgets.want(call, &needs, true);
        let (grant, rows) = shelf.grant(process, &needs);
        let short = budgets.take_grant(&needs, (&grant, &rows)).is_some();
        budgets.want(call, &needs, false);
        if short {
            return false;
        }
    }
    panic!("what was granted is never enough");
}

#[test]
fn a_process_asks_once_for_many_small_calls() {
    let mut shelf = Shelf::default();
    let mut one =
        Budgets::shared(vec![budget("all", Scope::default(), Window::Whole, money(100_000))]);
    let mut asked = 0;
    for number in 0..40 {
        let call = call(number, amount(100, 1), "a", "r");
        asked += u32::from(!one.needs(&call, Timestamp(0)).is_empty());
        assert!(reserve(&mut one, &mut shelf, 0, &call));
        one.settle(call.id, amount(10, 1));
    }
    assert!(asked <= 5, "{asked}");
    shelf.write(0, &mut one);
    let row = shelf.accounts.values().next().unwrap();
    assert_eq!((row.spent.0, row.requests), (400, 40));
}

#[test]
fn what_is_not_used_goes_back_after_a_while_and_at_once_when_others_are_short() {
    let mut shelf = Shelf::default();
    let all = || vec![budget("all", Scope::default(), Window::Whole, money(1000))];
    let (mut one, mut two) = (Budgets::shared(all()), Budgets::shared(all()));
    let large = call(1, amount(700, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &large));
    one.settle(large.id, amount(100, 1));
    shelf.write(0, &mut one);
    assert_eq!(shelf.accounts.values().next().unwrap().granted.0, 600);
    // Another process is refused, though it would fit.
    let other = call(2, amount(500, 1), "a", "r");
    let needs = two.needs(&other, Timestamp(20_000));
    let (grant, mut rows) = shelf.grant(1, &needs);
    assert_eq!(two.take_grant(&needs, (&grant, &rows)), Some((&needs[0], true)));
    rows[0].short_at = Timestamp(20_000);
    let name = rows[0].name();
    *shelf.row(&name) = rows.remove(0);
    one.take_standing(&shelf.held(0));
    one.give_back(Timestamp(20_000));
    shelf.write(0, &mut one);
    assert_eq!(shelf.row(&name).granted.0, 0);
    assert!(reserve(&mut two, &mut shelf, 1, &other));
    // Nobody is short: what is idle goes back bit by bit.
    two.settle(other.id, amount(0, 1));
    for second in 40..90 {
        two.give_back(Timestamp(second * 1000));
        shelf.write(1, &mut two);
    }
    let row = shelf.row(&name);
    assert_eq!((row.granted.0, row.spent.0), (0, 100));
    assert!(two.standing().iter().all(|it| it.2.held == Amount::default()));
}

#[test]
fn a_lower_limit_calls_back_what_was_granted() {
    let mut shelf = Shelf::default();
    let mut one =
        Budgets::shared(vec![budget("all", Scope::default(), Window::Whole, money(100_000))]);
    let first = call(1, amount(100, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &first));
    one.set(budget("all", Scope::default(), Window::Whole, money(150)));
    assert!(!one.needs(&call(2, amount(40, 1), "a", "r"), Timestamp(0)).is_empty());
    shelf.write(0, &mut one);
    assert!(reserve(&mut one, &mut shelf, 0, &call(2, amount(40, 1), "a", "r")));
    assert!(!reserve(&mut one, &mut shelf, 0, &call(3, amount(40, 1), "a", "r")));
    one.set(Budget {
        mode: Mode::Soft,
        ..budget("all", Scope::default(), Window::Whole, money(1))
    });
    assert!(reserve(&mut one, &mut shelf, 0, &call(4, amount(4000, 1), "a", "r")));
}

#[test]
fn what_calls_cost_beyond_their_reservations_counts_before_it_is_written() {
    let mut shelf = Shelf::default();
    let run = Scope::default().with(Kind::Run, "*");
    let mut one = Budgets::shared(vec![budget("run", run, Window::Whole, money(300))]);
    let first = call(1, amount(102, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &first));
    one.settle(first.id, amount(200, 1));
    // The store is asked, and knows nothing of the 98 yet.
    assert!(!reserve(&mut one, &mut shelf, 0, &call(2, amount(102, 1), "a", "r")));
    assert!(reserve(&mut one, &mut shelf, 0, &call(3, amount(100, 1), "a", "r")));
    shelf.write(0, &mut one);
    let row = shelf.accounts.values().next().unwrap();
    assert_eq!((row.spent.0, row.granted.0, row.overrun.0), (200, 100, 98));
    assert!(!reserve(&mut one, &mut shelf, 0, &call(4, amount(1, 1), "a", "r")));
}

#[test]
fn what_was_granted_is_not_spent_once_an_account_is_over_its_limit() {
    let mut shelf = Shelf::default();
    let all = || vec![budget("all", Scope::default(), Window::Whole, money(100_000))];
    let (mut one, mut two) = (Budgets::shared(all()), Budgets::shared(all()));
    let first = call(1, amount(100, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &first));
    assert_eq!(shelf.accounts.values().next().unwrap().granted.0, 500, "some more");
    one.settle(first.id, amount(99_900, 1));
    let second = call(2, amount(101, 1), "a", "r");
    assert!(!reserve(&mut one, &mut shelf, 0, &second), "400 are free, and 100 are left");
    let free = call(3, amount(0, 1), "a", "r");
    assert!(one.needs(&free, Timestamp(0)).is_empty());
    assert!(one.needs(&call(4, amount(100, 1), "a", "r"), Timestamp(0)).is_empty());
    // Another process hears of it when it asks, or looks.
    shelf.write(0, &mut one);
    assert!(!reserve(&mut two, &mut shelf, 1, &second));
    // A correction makes room again.
    let row = shelf.accounts.values_mut().next().unwrap();
    row.spent = UsdNanos(50_000);
    one.take_standing(&shelf.held(0));
    assert!(one.needs(&second, Timestamp(0)).is_empty());
}

#[test]
fn a_budget_that_is_removed_and_set_again_begins_at_what_the_store_says() {
    let mut shelf = Shelf::default();
    let all = || budget("all", Scope::default(), Window::Whole, money(100));
    let mut one = Budgets::shared(vec![all()]);
    let first = call(1, amount(90, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &first));
    one.settle(first.id, amount(90, 1));
    shelf.write(0, &mut one);
    one.unset("all");
    assert!(one.standing().is_empty());
    shelf.accounts.values_mut().next().unwrap().spent = UsdNanos(0);
    one.set(all());
    assert_eq!(one.headroom(&first.subject, Timestamp(0)), (Some(UsdNanos(100)), None));
    assert!(reserve(&mut one, &mut shelf, 0, &call(2, amount(95, 1), "a", "r")));
    // Who heard of neither asks before it refuses.
    let mut two = Budgets::shared(vec![all()]);
    let third = call(3, amount(5, 1), "a", "r");
    assert!(reserve(&mut two, &mut shelf, 1, &third));
    two.cancel(third.id);
    two.give_back_all();
    shelf.write(1, &mut two);
    shelf.accounts.values_mut().next().unwrap().granted = UsdNanos(0);
    assert!(reserve(&mut two, &mut shelf, 1, &call(4, amount(95, 1), "a", "r")));
}

#[test]
fn a_refusal_says_what_is_used_by_all() {
    let mut shelf = Shelf::default();
    let all = || vec![budget("all", Scope::default(), Window::Whole, money(1000))];
    let (mut one, mut two) = (Budgets::shared(all()), Budgets::shared(all()));
    assert!(reserve(&mut one, &mut shelf, 0, &call(1, amount(900, 1), "a", "r")));
    let other = call(2, amount(200, 1), "a", "r");
    let needs = two.needs(&other, Timestamp(0));
    let (grant, rows) = shelf.grant(1, &needs);
    let (need, _) = two.take_grant(&needs, (&grant, &rows)).unwrap();
    two.note_refused(need, Timestamp(0));
    let refused = two.refusal(need, &other);
    assert!(refused.used.money.0 >= 900 && refused.limit == money(1000), "{refused}");
    assert!(two.just_refused(&needs, Timestamp(100)).is_some());
    assert!(two.just_refused(&needs, Timestamp(300)).is_none());
}

#[test]
fn what_others_may_spend_and_have_not_spent_is_no_reason_to_warn() {
    let mut shelf = Shelf::default();
    let all = || vec![budget("all", Scope::default(), Window::Whole, money(1000))];
    let (mut one, mut two) = (Budgets::shared(all()), Budgets::shared(all()));
    let large = call(1, amount(850, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &large));
    let nearly_used = |two: &mut Budgets, shelf: &mut Shelf, number: u128| {
        let call = call(number, amount(10, 1), "a", "r");
        let needs = two.needs(&call, Timestamp(0));
        let (grant, rows) = shelf.grant(1, &needs);
        assert_eq!(two.take_grant(&needs, (&grant, &rows)), None);
        two.reserve(&call, Timestamp(0)).unwrap().nearly_used
    };
    assert!(nearly_used(&mut two, &mut shelf, 2).is_empty(), "others hold 85 %");
    one.settle(large.id, amount(820, 1));
    shelf.write(0, &mut one);
    two.take_standing(&shelf.held(1));
    assert_eq!(nearly_used(&mut two, &mut shelf, 3), ["all"], "they have spent 82 %");
}

#[test]
fn a_call_of_a_team_hears_no_amounts_of_a_budget_that_all_teams_spend_of() {
    let team = Scope::default().with(Kind::Team, "*");
    let mut heard = BTreeMap::new();
    for (name, scope) in [("all", Scope::default()), ("each", team)] {
        let mut shelf = Shelf::default();
        let mut one = Budgets::shared(vec![budget(name, scope, Window::Day, money(1000))]);
        let subject = Subject::default().with(Kind::Team, "bank");
        let small = Reservation { subject: subject.clone(), ..call(1, amount(100, 1), "a", "r") };
        let needs = one.needs(&small, Timestamp(0));
        let (grant, rows) = shelf.grant(0, &needs);
        assert!(one.take_grant(&needs, (&grant, &rows)).is_none());
        let left = one.reserve(&small, Timestamp(0)).unwrap().remaining;
        let large = Reservation { subject, ..call(2, amount(5000, 1), "a", "r") };
        let needs = one.needs(&large, Timestamp(0));
        let said = one.refusal(&needs[0], &large).to_string();
        let by_row = one.refusal_by(&needs[0], &rows[0], &large).to_string();
        for said in [&said, &by_row] {
            assert!(said.contains("1970-01-02") && said.contains(&format!("`{name}`")), "{said}");
        }
        heard.insert(name, (left, said.contains("0.000001 USD"), by_row.contains("reserved")));
    }
    let all = || vec![budget("all", Scope::default(), Window::Day, money(1000))];
    let left = |mut budgets: Budgets, subject: Subject| {
        let call = Reservation { subject, ..call(1, amount(0, 0), "a", "r") };
        budgets.reserve(&call, Timestamp(0)).unwrap().remaining
    };
    let bank = || Subject::default().with(Kind::Team, "bank");
    assert_eq!(left(Budgets::new(all()), bank()), Some(UsdNanos(1000)), "one owner");
    assert_eq!(left(Budgets::shared(all()), bank()), None);
    let at_home = bank().with(Kind::Run, "r1");
    assert_eq!(left(Budgets::shared(all()), at_home.clone()), Some(UsdNanos(1000)), "`run`");
    let of_project = at_home.with(Kind::Project, "bank/x");
    assert_eq!(left(Budgets::shared(all()), of_project), None);
    assert_eq!(heard["all"], (None, false, false));
    assert_eq!(heard["each"], (Some(UsdNanos(900)), true, true));
}

#[test]
fn what_was_spent_of_a_budget_of_one_run_is_known_until_the_budget_goes() {
    let mut shelf = Shelf::default();
    let scope = Scope::default().with(Kind::Run, "r");
    let soft = Budget { mode: Mode::Soft, ..budget("run r", scope, Window::Whole, money(10)) };
    let mut one = Budgets::shared(vec![soft]);
    let call = call(1, amount(20, 1), "a", "r");
    assert!(reserve(&mut one, &mut shelf, 0, &call));
    one.settle(call.id, amount(15, 1));
    for second in 0..90 {
        shelf.write(0, &mut one);
        one.give_back(Timestamp(second * 1000));
        one.forget(Timestamp(second * 1000));
    }
    assert_eq!(one.standing()[0].2.spent.money, UsdNanos(15));
    one.unset("run r");
    one.give_back(Timestamp(90_000));
    one.forget(Timestamp(90_000));
    assert!(one.standing().is_empty());
}

/// What can happen to two processes.
#[derive(Debug, Clone)]
enum Step {
    Reserve { money: i64, tokens: i64, team: usize, run: usize },
    Settle { which: usize, percent: i64 },
    Cancel { which: usize },
    Write,
    GiveBack,
    Look,
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
        4 => Just(Step::Write),
        2 => Just(Step::GiveBack),
        2 => Just(Step::Look),
        1 => Just(Step::Die),
        1 => Just(Step::End),
    ];
    prop::collection::vec((0_usize..2, step), 0..150)
}

struct Process {
    id: usize,
    budgets: Budgets,
    open: Vec<Reservation>,
}

struct World {
    shelf: Shelf,
    processes: Vec<Process>,
    /// Accounts by what providers have charged, whoever died since.
    charged: BTreeMap<(String, String), Amount>,
    overrun: BTreeMap<(String, String), Amount>,
    next: usize,
}

impl World {
    fn new() -> Self {
        let processes =
            (0..2).map(|id| Process { id, budgets: Budgets::shared(budgets()), open: Vec::new() });
        Self {
            shelf: Shelf::default(),
            processes: processes.collect(),
            charged: BTreeMap::new(),
            overrun: BTreeMap::new(),
            next: 2,
        }
    }

    fn step(&mut self, who: usize, step: &Step) {
        self.next += 1;
        let process = &mut self.processes[who];
        match *step {
            Step::Reserve { money, tokens, team, run } => {
                let (team, run) = (["a", "b"][team], ["1", "2", "3"][run]);
                let call = call(self.next as u128, amount(money, tokens), team, run);
                if reserve(&mut process.budgets, &mut self.shelf, process.id, &call) {
                    process.open.push(call);
                }
            }
            Step::Settle { which, percent } if !process.open.is_empty() => {
                let call = process.open.remove(which % process.open.len());
                let part = |of: i64| of * percent / 100;
                let cost = amount(part(call.estimate.money.0), part(call.estimate.tokens));
                process.budgets.settle(call.id, cost);
                self.charge(&call, cost);
            }
            Step::Cancel { which } if !process.open.is_empty() => {
                let call = process.open.remove(which % process.open.len());
                process.budgets.cancel(call.id);
            }
            Step::Write => self.shelf.write(process.id, &mut process.budgets),
            Step::GiveBack => process.budgets.give_back(Timestamp(0)),
            Step::Look => process.budgets.take_standing(&self.shelf.held(process.id)),
            Step::Die => {
                // Calls that were under way cost what they may at most.
                let open = std::mem::take(&mut process.open);
                self.shelf.lapse(process.id);
                self.restart(who);
                for it in &open {
                    self.charge(it, it.estimate);
                }
            }
            Step::End => {
                let open = std::mem::take(&mut process.open);
                for it in &open {
                    drop(process.budgets.cancel(it.id));
                }
                process.budgets.give_back_all();
                self.shelf.write(process.id, &mut process.budgets);
                let rests = self.shelf.held(process.id).into_iter();
                assert!(rests.map(|it| (it.own.0, it.own_tokens)).all(|it| it == (0, 0)));
                self.restart(who);
            }
            Step::Settle { .. } | Step::Cancel { .. } => {}
        }
    }

    fn restart(&mut self, who: usize) {
        self.processes[who] =
            Process { id: self.next, budgets: Budgets::shared(budgets()), open: Vec::new() };
    }

    fn charge(&mut self, call: &Reservation, cost: Amount) {
        for budget in budgets() {
            let Some(account) = budget.scope.account_of(&call.subject) else { continue };
            let key = (budget.id, account);
            let charged = self.charged.entry(key.clone()).or_default();
            *charged = charged.plus(cost);
            let overrun = self.overrun.entry(key).or_default();
            *overrun = overrun.plus(cost.beyond(call.estimate));
        }
    }

    /// Nothing exceeds a hard budget, and the store never says less than what is or may be spent.
    fn check(&self) {
        for (key, charged) in &self.charged {
            let budget = budgets().into_iter().find(|it| it.id == key.0).unwrap();
            let name = AccountName {
                budget: key.0.clone(),
                account: key.1.clone(),
                began_at: Timestamp(0),
            };
            let Some(row) = self.shelf.accounts.get(&name) else { continue };
            let requests = u64::try_from(row.requests).unwrap() + 150;
            let overrun = self.overrun[key];
            if budget.mode == Mode::Soft {
                continue;
            }
            let set_aside = row.spent().plus(row.granted());
            let left = left(&budget.limit, charged.minus(overrun), requests);
            assert!(left.money.0 >= 0 && left.tokens >= 0, "{key:?}: {charged:?}, {row:?}");
            let room = limited(&budget.limit, charged.minus(overrun).beyond(set_aside));
            assert_eq!(room, Amount::default(), "{key:?}: {charged:?}, {row:?}");
            if budget.limit.per_thousand.is_none() {
                let own = Amount { money: row.overrun, tokens: row.overrun_tokens };
                let left = super::left(&budget.limit, set_aside.minus(own), 0);
                assert!(left.money.0 >= 0 && left.tokens >= 0, "{key:?}: {row:?}");
            }
        }
        for process in &self.processes {
            for (name, _, account) in process.budgets.standing() {
                assert!(account.held.money.0 >= 0, "{name:?}: {account:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_two_processes_do_no_hard_budget_is_exceeded_by_more_than_overruns(steps in steps()) {
        let mut world = World::new();
        for (who, step) in &steps {
            world.step(*who, step);
            world.check();
        }
    }
}
