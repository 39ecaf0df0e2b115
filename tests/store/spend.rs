//! Budgets, what is granted of them, and the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use trunkline::gateway::budget::scope::{Kind, Subject};
use trunkline::gateway::ledger::stored::{BookParts, keep};
use trunkline::gateway::ledger::trail::Trail;
use trunkline::gateway::ledger::{Ledger, Origin, Row, What};
use trunkline::model::{Amount, ProjectId, RunId, TeamId, Timestamp, Usage, UsdNanos};
use trunkline::store::audit::{AuditFilter, AuditRow};
use trunkline::store::spend::accounts::{AccountName, AccountRow, Ceiling};
use trunkline::store::spend::batches::{AccountChange, Batch, Written};
use trunkline::store::spend::budgets::BudgetRow;
use trunkline::store::spend::calls::{CallRow, Owner};
use trunkline::store::spend::points::{SpendPoint, SpendStep};
use trunkline::store::spend::requests::usage::{Claim, Claimed};
use trunkline::store::spend::spenders::{Ask, Grant, Spender};
use trunkline::store::spend::sums::{SpendBy, SpendFilter};
use trunkline::store::{Store, StoreError};
use trunkline::worker::SystemClock;

use crate::databases::{Database, on_each_database};

on_each_database!(
    a_budget_is_changed_by_who_knows_its_version_and_every_change_is_counted,
    a_budget_that_is_removed_and_made_again_begins_at_nothing,
    grants_are_all_or_none_and_said_of_in_accounts,
    a_batch_counts_once_and_moves_money_from_granted_to_spent,
    what_a_database_does_not_take_holds_up_nothing_else,
    a_ledger_goes_on_after_a_call_that_the_database_does_not_take,
    a_threshold_is_told_of_once,
    what_a_dead_process_had_is_spent_and_comes_back_with_it,
    what_is_lost_is_the_least_of_several_budgets_of_the_same_calls,
    sums_are_made_for_whom_one_asks,
    days_are_summed_in_their_order,
    sums_are_made_by_spans_of_time,
    calls_that_were_answered_say_how_large_a_load_is,
    sums_are_the_same_when_hours_are_summed_up,
    what_is_summed_up_is_read_from_there,
    two_that_sum_up_hours_at_the_same_time_count_nothing_twice,
    a_call_counts_for_each_of_its_tags,
    a_call_that_is_tried_again_counts_as_an_attempt_each_time,
    a_report_is_no_call_and_its_money_counts,
    a_report_is_charged_by_one_process_and_by_another_when_that_one_is_dead,
    a_report_that_is_written_is_known_until_it_is_old,
    calls_of_a_run_come_page_by_page_and_old_ones_go,
    two_stores_that_grant_at_the_same_time_never_grant_too_much,
);

fn amount(money: i64, tokens: i64) -> Amount {
    Amount { money: UsdNanos(money), tokens }
}

fn name(budget: &str, account: &str) -> AccountName {
    let (budget, account) = (budget.to_owned(), account.to_owned());
    AccountName { budget, account, began_at: Timestamp(0) }
}

fn ask(budget: &str, account: &str) -> Ask {
    let ceiling = Ceiling { money: Some(UsdNanos(100)), tokens: None };
    Ask { name: name(budget, account), ceiling }
}

fn spender(id: &str, now: i64) -> Spender<'_> {
    Spender { id, name: "server", now: Timestamp(now), expires_at: Timestamp(now + 60) }
}

fn call(request: &str, run: &str, cost: i64) -> CallRow {
    CallRow {
        request: request.to_owned(),
        attempt: 1,
        at: Timestamp(10),
        spender: "p1".to_owned(),
        key_name: "ci".to_owned(),
        owner: Owner {
            team: "shop".to_owned(),
            project: "shop/web".to_owned(),
            run: run.to_owned(),
            stage: "eval".to_owned(),
            ..Owner::default()
        },
        operation: "messages".to_owned(),
        provider: "anthropic".to_owned(),
        model: "claude".to_owned(),
        origin: "live".to_owned(),
        status: Some(200),
        usage: "{\"input\":7}".to_owned(),
        input_tokens: 7,
        output_tokens: 3,
        tokens: 10,
        cost: UsdNanos(cost),
        flags: "estimated".to_owned(),
        total_ms: 5,
        ..CallRow::default()
    }
}

fn batch(number: i64, calls: &[CallRow], changes: &[(AccountName, AccountChange)]) -> Batch {
    let changes: BTreeMap<_, _> = changes.iter().cloned().collect();
    Batch { number, calls: calls.to_vec(), changes }
}

fn spent(money: i64, released: i64) -> AccountChange {
    AccountChange {
        ceiling: Ceiling { money: Some(UsdNanos(100)), tokens: None },
        spent: amount(money, 1),
        requests: 1,
        overrun: amount((money - released).max(0), 0),
        released: amount(released, 0),
    }
}

fn event(id: &str) -> AuditRow {
    AuditRow {
        id: id.to_owned(),
        at: Timestamp(5),
        actor: "person:ada".to_owned(),
        address: String::new(),
        action: "budget.set".to_owned(),
        team: TeamId(String::new()),
        project: ProjectId(String::new()),
        subject: "budget:shop/month".to_owned(),
        detail: "{}".to_owned(),
    }
}

async fn account(store: &Store, budget: &str) -> AccountRow {
    store.list_accounts(budget, 1).await.unwrap().remove(0)
}

async fn a_budget_is_changed_by_who_knows_its_version_and_every_change_is_counted(
    store: Store,
    _: &Database,
) {
    let row = BudgetRow {
        id: "shop/month".to_owned(),
        team: "shop".to_owned(),
        scope: "{\"team\":\"shop\"}".to_owned(),
        span: "month".to_owned(),
        money: Some(UsdNanos(5_000_000_000)),
        at_least_requests: 100,
        mode: "hard".to_owned(),
        set_by: "person:ada".to_owned(),
        changed_at: Timestamp(5),
        ..BudgetRow::default()
    };
    let conflict = |it: Result<BudgetRow, StoreError>| {
        assert!(matches!(it, Err(StoreError::Conflict { .. })), "{it:?}");
    };
    conflict(store.save_budget(&row, 3, &event("0")).await);
    let saved = store.save_budget(&row, 0, &event("1")).await.unwrap();
    assert_eq!((saved.version, saved.created_at, saved.money), (1, Timestamp(5), row.money));
    assert_eq!(store.find_budgets_version().await.unwrap(), 1);
    conflict(store.save_budget(&row, 0, &event("2")).await);
    let soft = BudgetRow { mode: "soft".to_owned(), changed_at: Timestamp(6), ..row.clone() };
    let saved = store.save_budget(&soft, 1, &event("3")).await.unwrap();
    assert_eq!(
        (saved.version, saved.created_at, saved.changed_at),
        (2, Timestamp(5), Timestamp(6))
    );
    assert_eq!(store.find_budget("shop/month").await.unwrap(), Some(saved));
    assert!(store.archive_budget("shop/month", 1, &event("4")).await.is_err());
    store.archive_budget("shop/month", 2, &event("5")).await.unwrap();
    assert_eq!(store.find_budget("shop/month").await.unwrap(), None);
    assert!(store.list_budgets().await.unwrap().is_empty());
    assert_eq!(store.find_budgets_version().await.unwrap(), 3);
    let saved = store.save_budget(&row, 0, &event("6")).await.unwrap();
    assert_eq!((saved.version, saved.archived_at), (4, None));
    let filter = AuditFilter { limit: 9, ..AuditFilter::default() };
    assert_eq!(store.list_audit_events(&filter).await.unwrap().len(), 4);
}

async fn tell_all_alerts(store: &Store) {
    for alert in &store.list_alerts_to_tell(9).await.unwrap() {
        store.save_alert_told(alert, Timestamp(9)).await.unwrap();
    }
}

async fn a_budget_that_is_removed_and_made_again_begins_at_nothing(store: Store, _: &Database) {
    let row = BudgetRow {
        id: "team".to_owned(),
        span: "month".to_owned(),
        mode: "hard".to_owned(),
        ..BudgetRow::default()
    };
    store.save_budget(&row, 0, &event("1")).await.unwrap();
    let asks = [ask("all", ""), ask("team", "team=shop")];
    for (process, now) in [("long dead", 1), ("silent", 2_000_000), ("alive", 3_000_000)] {
        let given = Grant::Given(vec![amount(30, 3), amount(20, 2)]);
        store.grant(&spender(process, now), &asks, |_| given).await.unwrap();
    }
    let changes = [(name("all", ""), spent(30, 30)), (name("team", "team=shop"), spent(15, 15))];
    store.write_batch(&spender("alive", 3_000_000), &batch(1, &[], &changes)).await.unwrap();
    store.lapse_spender(Timestamp(2_500_000)).await.unwrap().unwrap();
    store.lapse_spender(Timestamp(2_500_000)).await.unwrap().unwrap();
    tell_all_alerts(&store).await;
    let before = account(&store, "team").await;
    assert_eq!((before.spent.0, before.lost.0, before.granted.0), (55, 40, 5));
    // One that is there is left alone.
    store.empty_removed_budget("team", Timestamp(2_500_000)).await.unwrap();
    assert_eq!(account(&store, "team").await, before);
    let all = account(&store, "all").await;
    store.archive_budget("team", 1, &event("2")).await.unwrap();
    store.empty_removed_budget("team", Timestamp(2_500_000)).await.unwrap();
    let team = account(&store, "team").await;
    assert_eq!((team.spent.0, team.lost.0, team.granted.0), (20, 20, 5), "one may come back");
    assert_eq!((team.spent_tokens, team.requests, team.alerted), (2, 0, 0));
    assert_eq!(account(&store, "all").await, all);
    store.empty_removed_budget("team", Timestamp(3_000_000)).await.unwrap();
    let team = account(&store, "team").await;
    assert_eq!((team.spent.0, team.lost.0, team.granted.0), (0, 0, 5));
}

async fn grants_are_all_or_none_and_said_of_in_accounts(store: Store, _: &Database) {
    let asks = [ask("all", ""), ask("team", "team=shop")];
    let given = Grant::Given(vec![amount(40, 2), amount(30, 0)]);
    let (grant, rows) = store.grant(&spender("p1", 1), &asks, |_| given.clone()).await.unwrap();
    assert_eq!(grant, given);
    assert_eq!((rows[0].granted.0, rows[1].granted.0), (0, 0));
    let decide = |rows: &[AccountRow]| {
        assert_eq!((rows[0].granted(), rows[1].granted()), (amount(40, 2), amount(30, 0)));
        Grant::Short(1)
    };
    store.grant(&spender("p2", 7), &asks, decide).await.unwrap();
    let team = account(&store, "team").await;
    assert_eq!((team.granted.0, team.short_at), (30, Timestamp(7)));
    assert_eq!(account(&store, "all").await.short_at, Timestamp(0));
    assert_eq!(team.max_money, Some(UsdNanos(100)));
    let mut held = store.beat_spender(&spender("p1", 9)).await.unwrap();
    held.sort_by_key(|it| it.account.name());
    assert_eq!((held.len(), held[0].own.0, held[0].own_tokens, held[1].own.0), (2, 40, 2, 30));
    assert_eq!(store.list_held("p2").await.unwrap(), []);
    // One that has something cannot just go.
    store.delete_spender("p1").await.unwrap();
    assert_eq!(store.list_held("p1").await.unwrap().len(), 2);
}

async fn a_batch_counts_once_and_moves_money_from_granted_to_spent(store: Store, _: &Database) {
    let given = Grant::Given(vec![amount(60, 0)]);
    store.grant(&spender("p1", 1), &[ask("all", "")], |_| given).await.unwrap();
    let first = batch(1, &[call("req_1", "7", 25)], &[(name("all", ""), spent(25, 20))]);
    let written = store.write_batch(&spender("p1", 2), &first).await.unwrap();
    assert_eq!(written.accounts[0].spent(), amount(25, 1));
    assert_eq!(store.write_batch(&spender("p1", 3), &first).await.unwrap(), Written::default());
    let row = account(&store, "all").await;
    assert_eq!((row.spent.0, row.granted.0, row.requests, row.overrun.0), (25, 40, 1, 5));
    assert_eq!(store.list_held("p1").await.unwrap()[0].own.0, 40);
    // A later word on the same call replaces the first.
    let correction = AccountChange { spent: amount(-5, 0), ..AccountChange::default() };
    let second = batch(2, &[call("req_1", "7", 20)], &[(name("all", ""), correction)]);
    store.write_batch(&spender("p1", 4), &second).await.unwrap();
    let rows = store.list_calls_of_run(&RunId("7".to_owned()), Default::default(), 9).await;
    assert_eq!(rows.unwrap(), [call("req_1", "7", 20)]);
    let back = AccountChange { released: amount(40, 0), ..AccountChange::default() };
    let third = batch(3, &[], &[(name("all", ""), back)]);
    store.write_batch(&spender("p1", 5), &third).await.unwrap();
    let row = account(&store, "all").await;
    assert_eq!((row.spent.0, row.granted.0), (20, 0));
    store.delete_spender("p1").await.unwrap();
    assert!(store.lapse_spender(Timestamp(1_000_000)).await.unwrap().is_none());
}

/// Rows that Postgres does not take among others that it does: a text that is none, and one that fits into no index.
fn odd_calls() -> Vec<CallRow> {
    let large: String = (0..6_000).map(|_| format!("{:02x}", fastrand::u8(..))).collect();
    let mut calls: Vec<_> = (0..7).map(|it| call(&format!("req_{it}"), "7", 10)).collect();
    "m-a\u{0}b".clone_into(&mut calls[2].model);
    calls[5] = CallRow { model: large, tags: "a".to_owned(), ..calls[5].clone() };
    "\u{0}".clone_into(&mut calls[6].answered_by);
    calls
}

async fn what_a_database_does_not_take_holds_up_nothing_else(store: Store, database: &Database) {
    let odd = AccountChange { released: Amount::default(), ..spent(5, 0) };
    let accounts = [(name("all", ""), spent(70, 0)), (name("all", "model=m\u{0}"), odd)];
    let mut batch = batch(1, &odd_calls(), &accounts);
    let refused = store.take_refused(&mut batch, Timestamp(2)).await.unwrap();
    let is_sqlite = database.url.starts_with("sqlite:");
    let written = store.write_batch(&spender("p1", 2), &batch).await;
    written.unwrap();
    let rows = store.list_calls_of_run(&RunId("7".to_owned()), Default::default(), 99).await;
    let rows = rows.unwrap();
    assert_eq!((rows.len(), rows.iter().map(|it| it.cost.0).sum::<i64>()), (7, 70));
    if is_sqlite {
        assert!(refused.calls.is_empty() && refused.accounts.is_empty(), "it takes them all");
        return;
    }
    let mut names: Vec<_> = refused.calls.iter().map(|it| it.row.request.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["req_2", "req_5", "req_6"]);
    assert!(refused.calls.iter().all(|it| !it.is_left_out && it.why.is_about_content()));
    assert_eq!((refused.accounts.len(), account(&store, "all").await.spent.0), (1, 70));
    assert_eq!((rows[2].model.as_str(), rows[2].flags.as_str()), ("m-ab", "estimated set_aside"));
    assert_eq!((rows[5].model.len(), rows[5].tags.as_str()), (200, ""));
    assert_eq!((&rows[3], rows[6].answered_by.as_str()), (&call("req_3", "7", 10), ""));
}

async fn a_ledger_goes_on_after_a_call_that_the_database_does_not_take(store: Store, _: &Database) {
    let clock = Arc::new(SystemClock);
    let parts = BookParts { store: store.clone(), name: "server".to_owned(), clock };
    let ledger = Arc::new(Ledger::stored(parts, Vec::new()).await.unwrap());
    for model in ["m-1", "m-a\u{0}b", "m-2"] {
        ledger.record(&ledger_row(model));
    }
    let over = CancellationToken::new();
    let mut kept = tokio::task::JoinSet::new();
    kept.spawn(keep(ledger.clone(), over.clone()));
    let run = RunId("7".to_owned());
    let written = async || store.list_calls_of_run(&run, Default::default(), 9).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        while written().await.len() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the ledger stands still");
    assert_eq!(ledger.waiting_rows(), 0);
    over.cancel();
    kept.join_next().await.unwrap().unwrap();
}

fn ledger_row(model: &str) -> Row {
    Row {
        request: format!("req_{}", model.len() + usize::from(model.ends_with('2'))),
        attempt: 1,
        at: Timestamp(10),
        key: "ci".to_owned(),
        subject: Subject::default().with(Kind::Run, "7"),
        operation: What::Usage,
        provider: "p".to_owned(),
        model: model.to_owned(),
        answered_by: None,
        origin: Origin::Live,
        status: Some(200),
        usage: Usage::default(),
        cost: UsdNanos(5),
        avoided: UsdNanos(0),
        reserved: UsdNanos(0),
        overrun: UsdNanos(0),
        price: None,
        flags: Vec::new(),
        first_token_ms: None,
        total_ms: 2,
        tags: String::new(),
        notes: None,
        similar: None,
        trail: Trail::default(),
    }
}

async fn a_threshold_is_told_of_once(store: Store, _: &Database) {
    let mut told = Vec::new();
    for (number, money) in [(1, 49), (2, 32), (3, 5), (4, 14), (5, 90)] {
        let batch = batch(number, &[], &[(name("all", "team=shop"), spent(money, 0))]);
        let written = store.write_batch(&spender("p1", number), &batch).await.unwrap();
        told.extend(written.alerts.into_iter().map(|it| (it.percent, it.spent.0)));
    }
    assert_eq!(told, [(80, 81), (100, 100)]);
    let alerts = store.list_alerts_to_tell(9).await.unwrap();
    assert_eq!(alerts.len(), 2);
    assert_eq!(
        (alerts[0].account.as_str(), alerts[0].max_money),
        ("team=shop", Some(UsdNanos(100)))
    );
    store.save_alert_told(&alerts[0], Timestamp(9)).await.unwrap();
    assert_eq!(store.list_alerts_to_tell(9).await.unwrap(), alerts[1..]);
    assert_eq!(store.delete_alerts(Timestamp(1_000_000)).await.unwrap(), 2);
}

#[expect(clippy::cognitive_complexity, reason = "one history, step by step")]
async fn what_a_dead_process_had_is_spent_and_comes_back_with_it(store: Store, _: &Database) {
    let asks = [ask("all", ""), ask("team", "team=shop")];
    let given = Grant::Given(vec![amount(60, 0), amount(50, 0)]);
    store.grant(&spender("p1", 1), &asks, |_| given).await.unwrap();
    assert_eq!(store.lapse_spender(Timestamp(61)).await.unwrap(), None);
    let lapsed = store.lapse_spender(Timestamp(62)).await.unwrap().unwrap();
    assert_eq!((lapsed.id.as_str(), lapsed.charged, lapsed.alerts.len()), ("p1", amount(60, 0), 2));
    assert_eq!(store.lapse_spender(Timestamp(62)).await.unwrap(), None);
    let (all, team) = (account(&store, "all").await, account(&store, "team").await);
    assert_eq!((all.spent.0, all.granted.0, team.spent.0, team.granted.0), (60, 0, 50, 0));
    assert_eq!((all.lost.0, team.lost.0), (60, 50));
    let filter = SpendFilter { to: Timestamp(1000), limit: 9, ..SpendFilter::default() };
    let sums = store.sum_spend(SpendBy::Day, &filter).await.unwrap();
    assert_eq!((sums[0].cost.0, sums[0].lost.0, sums[0].attempts), (60, 60, 0));
    // It was only slow, and has spent 10 meanwhile.
    let changes = [(name("all", ""), spent(10, 10)), (name("team", "team=shop"), spent(10, 10))];
    let batch = batch(1, &[call("req_1", "7", 10)], &changes);
    store.write_batch(&spender("p1", 70), &batch).await.unwrap();
    let (all, team) = (account(&store, "all").await, account(&store, "team").await);
    assert_eq!((all.spent.0, all.granted.0, team.spent.0, team.granted.0), (10, 50, 10, 40));
    assert_eq!((all.lost.0, team.lost.0), (0, 0));
    let sums = store.sum_spend(SpendBy::Day, &filter).await.unwrap();
    assert_eq!((sums[0].cost.0, sums[0].lost.0, sums[0].attempts), (10, 0, 1));
    // Dead for long: forgotten, and still spent.
    store.lapse_spender(Timestamp(500)).await.unwrap().unwrap();
    assert_eq!(store.delete_lapsed_spenders(Timestamp(1000)).await.unwrap(), 1);
    assert_eq!(account(&store, "all").await.spent.0, 60);
    assert_eq!(store.delete_accounts(Timestamp(1000), 9).await.unwrap(), 0);
}

async fn what_is_lost_is_the_least_of_several_budgets_of_the_same_calls(
    store: Store,
    _: &Database,
) {
    for (process, names, at) in [("p1", ["month", "tiny"], 1), ("p2", ["a-month", "b-tiny"], 2)] {
        let asks = names.map(|it| ask(it, "team=shop"));
        let given = Grant::Given(vec![amount(50, 0), amount(5, 0)]);
        store.grant(&spender(process, at), &asks, |_| given).await.unwrap();
    }
    let asks = [ask("big", "team=shop"), ask("y-small", "team=shop")];
    // This one is so young that calls may have begun before it.
    let row = BudgetRow {
        id: "y-small".to_owned(),
        span: "month".to_owned(),
        mode: "hard".to_owned(),
        changed_at: Timestamp(3),
        ..BudgetRow::default()
    };
    store.save_budget(&row, 0, &event("1")).await.unwrap();
    let given = Grant::Given(vec![amount(50, 0), amount(5, 0)]);
    store.grant(&spender("p3", 3), &asks, |_| given).await.unwrap();
    for lost in [5, 5, 50] {
        let lapsed = store.lapse_spender(Timestamp(100)).await.unwrap().unwrap();
        assert_eq!(lapsed.charged, amount(lost, 0), "{}", lapsed.id);
    }
    assert_eq!(
        (account(&store, "month").await.lost.0, account(&store, "tiny").await.lost.0),
        (50, 5)
    );
}

async fn sums_are_made_for_whom_one_asks(store: Store, _: &Database) {
    let mut calls = vec![call("req_1", "7", 10), call("req_2", "7", 20), call("req_3", "8", 5)];
    "cache".clone_into(&mut calls[1].origin);
    calls[1].avoided = UsdNanos(33);
    "other".clone_into(&mut calls[2].owner.team);
    calls[2].at = Timestamp(86_400_000 + 3);
    "gpt".clone_into(&mut calls[2].model);
    store.write_batch(&spender("p1", 1), &batch(1, &calls, &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 9, ..SpendFilter::default() };
    let sums = |by, filter: SpendFilter| {
        let store = store.clone();
        async move {
            let rows = store.sum_spend(by, &filter).await.unwrap();
            let row = |it: trunkline::store::spend::sums::SpendRow| (it.name, it.cost.0);
            rows.into_iter().map(row).collect::<Vec<_>>()
        }
    };
    let named =
        |rows: &[(&str, i64)]| rows.iter().map(|it| (it.0.to_owned(), it.1)).collect::<Vec<_>>();
    assert_eq!(sums(SpendBy::Run, all.clone()).await, named(&[("7", 30), ("8", 5)]));
    assert_eq!(sums(SpendBy::Team, all.clone()).await, named(&[("shop", 30), ("other", 5)]));
    assert_eq!(sums(SpendBy::Day, all.clone()).await, named(&[("0", 30), ("86400000", 5)]));
    let own = SpendFilter { teams: Some(vec!["shop".to_owned()]), ..all.clone() };
    assert_eq!(sums(SpendBy::Model, own).await, named(&[("claude", 30)]));
    let none = SpendFilter { teams: Some(Vec::new()), ..all.clone() };
    assert_eq!(sums(SpendBy::Model, none).await, named(&[]));
    let until = SpendFilter { to: Timestamp(1000), project: "shop/web".to_owned(), ..all.clone() };
    assert_eq!(sums(SpendBy::Project, until).await, named(&[("shop/web", 30)]));
    let stage = SpendFilter { stage: "other".to_owned(), ..all.clone() };
    assert_eq!(sums(SpendBy::Stage, stage).await, named(&[]));
    assert_eq!(sums(SpendBy::Endpoint, SpendFilter { limit: 1, ..all.clone() }).await.len(), 1);
    let rows = store.sum_spend(SpendBy::Team, &all).await.unwrap();
    let shop = &rows[0];
    assert_eq!((shop.attempts, shop.answered_here, shop.avoided.0), (2, 1, 33));
    assert_eq!((shop.input_tokens, shop.output_tokens), (14, 6));
}

/// A dear day comes in its turn, and the newest days are those that count.
async fn days_are_summed_in_their_order(store: Store, _: &Database) {
    let dear = CallRow { at: Timestamp(86_400_000 + 4), ..call("req_2", "8", 100) };
    let calls = [call("req_1", "7", 30), dear];
    store.write_batch(&spender("p1", 1), &batch(1, &calls, &[])).await.unwrap();
    for (limit, expected) in [(9, vec![("0", 30), ("86400000", 100)]), (1, vec![("86400000", 100)])]
    {
        let filter = SpendFilter { to: Timestamp(i64::MAX), limit, ..SpendFilter::default() };
        let rows = store.sum_spend(SpendBy::Day, &filter).await.unwrap();
        let days: Vec<_> = rows.iter().map(|it| (it.name.as_str(), it.cost.0)).collect();
        assert_eq!(days, expected);
    }
}

async fn sums_are_made_by_spans_of_time(store: Store, _: &Database) {
    const HOUR: i64 = 3_600_000;
    let mut calls: Vec<_> = (0..5).map(|it| call(&format!("req_{it}"), "7", 10 + it)).collect();
    for (call, at) in calls.iter_mut().zip([5, HOUR - 1, HOUR, 25 * HOUR, 25 * HOUR + 7]) {
        call.at = Timestamp(at);
    }
    "gpt".clone_into(&mut calls[1].model);
    "other".clone_into(&mut calls[4].owner.team);
    "nightly".clone_into(&mut calls[3].owner.pipeline);
    calls[0].avoided = UsdNanos(3);
    store.write_batch(&spender("p1", 1), &batch(1, &calls, &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 99, ..SpendFilter::default() };
    let told = |rows: Vec<SpendPoint>| -> Vec<(i64, String, i64, i64, i64)> {
        rows.into_iter()
            .map(|it| (it.begun_at.0, it.name, it.attempts, it.tokens, it.cost.0))
            .collect()
    };
    let row = |at, name: &str, calls, cost| (at, name.to_owned(), calls, 10 * calls, cost);
    let points = async |step, of, filter: SpendFilter| {
        told(store.list_spend_points(step, of, &filter).await.unwrap())
    };
    let by_hour = points(SpendStep::Hour, None, all.clone()).await;
    assert_eq!(by_hour, [row(0, "", 2, 21), row(HOUR, "", 1, 12), row(25 * HOUR, "", 2, 27)]);
    let by_day = points(SpendStep::Day, None, all.clone()).await;
    assert_eq!(by_day, [row(0, "", 3, 33), row(24 * HOUR, "", 2, 27)]);
    let fine = points(SpendStep::FiveMinutes, None, all.clone()).await;
    assert_eq!(fine[1], row(HOUR - 300_000, "", 1, 11));
    let names = ["claude".to_owned(), "gpt".to_owned()];
    let by_model = points(SpendStep::Day, Some((SpendBy::Model, &names)), all.clone()).await;
    assert_eq!(
        by_model,
        [row(0, "claude", 2, 22), row(0, "gpt", 1, 11), row(24 * HOUR, "claude", 2, 27)]
    );
    let gpt = points(SpendStep::Day, Some((SpendBy::Model, &names[1..])), all.clone()).await;
    assert_eq!(gpt, [row(0, "gpt", 1, 11)]);
    assert!(points(SpendStep::Day, Some((SpendBy::Model, &[])), all.clone()).await.is_empty());
    let own = SpendFilter { teams: Some(vec!["other".to_owned()]), ..all.clone() };
    assert_eq!(points(SpendStep::Day, None, own).await, [row(24 * HOUR, "", 1, 14)]);
    let none = SpendFilter { teams: Some(Vec::new()), ..all.clone() };
    assert!(points(SpendStep::Day, None, none).await.is_empty());
    let nightly = SpendFilter { pipeline: "nightly".to_owned(), ..all.clone() };
    assert_eq!(points(SpendStep::Day, None, nightly.clone()).await, [row(24 * HOUR, "", 1, 13)]);
    let sums = store.sum_spend(SpendBy::Pipeline, &nightly).await.unwrap();
    assert_eq!((sums[0].name.as_str(), sums[0].cost.0), ("nightly", 13));
    let first = SpendFilter { limit: 1, ..all };
    assert_eq!(points(SpendStep::Hour, None, first).await.len(), 1);
}

/// Two hundred calls over ten days, with a gap of three.
fn long_ledger() -> Vec<CallRow> {
    const HOUR: i64 = 3_600_000;
    let models = ["claude", "gpt", "mini"];
    let call = |number: i64| {
        let day = if number < 100 { 0 } else { 3 };
        let mut call = call(&format!("req_{number}"), &format!("run_{}", number % 7), number);
        call.at = Timestamp(day * 24 * HOUR + number * HOUR + number * 61_007);
        models[usize::try_from(number % 3).unwrap()].clone_into(&mut call.model);
        if number % 5 == 0 {
            "cache".clone_into(&mut call.origin);
            call.avoided = UsdNanos(3);
        }
        if number % 11 == 0 {
            call.attempt = 0;
        }
        call
    };
    (0..200).map(call).collect()
}

async fn sums_are_the_same_when_hours_are_summed_up(store: Store, _: &Database) {
    const HOUR: i64 = 3_600_000;
    store.write_batch(&spender("p1", 1), &batch(1, &long_ledger(), &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 999, ..SpendFilter::default() };
    let odd = SpendFilter {
        from: Timestamp(20 * HOUR + 1),
        to: Timestamp(150 * HOUR + 77),
        model: "gpt".to_owned(),
        ..all.clone()
    };
    let run = SpendFilter { run: "run_3".to_owned(), ..all.clone() };
    let names = ["claude".to_owned(), "mini".to_owned()];
    let look = async || {
        let mut seen = Vec::new();
        for filter in [&all, &odd, &run] {
            for by in [SpendBy::Model, SpendBy::Run, SpendBy::Day] {
                let mut sums = store.sum_spend(by, filter).await.unwrap();
                sums.sort_by(|a, b| a.name.cmp(&b.name));
                seen.push(format!("{sums:?}"));
            }
            for step in [SpendStep::FiveMinutes, SpendStep::Hour, SpendStep::Day] {
                for of in [None, Some((SpendBy::Model, &names[..]))] {
                    let points = store.list_spend_points(step, of, filter).await.unwrap();
                    seen.push(format!("{points:?}"));
                }
            }
        }
        seen
    };
    let before = look().await;
    assert_eq!(store.find_summed_until().await.unwrap(), Timestamp(0));
    let mut rounds = 1;
    while store.sum_up_spend(Timestamp(160 * HOUR)).await.unwrap() {
        assert_eq!(look().await, before, "after {rounds} rounds");
        rounds += 1;
    }
    assert!((16..22).contains(&rounds), "{rounds}");
    assert_eq!(store.find_summed_until().await.unwrap(), Timestamp(160 * HOUR));
    assert_eq!(look().await, before);
}

async fn what_is_summed_up_is_read_from_there(store: Store, _: &Database) {
    const HOUR: i64 = 3_600_000;
    store.write_batch(&spender("p1", 1), &batch(1, &long_ledger(), &[])).await.unwrap();
    while store.sum_up_spend(Timestamp(160 * HOUR)).await.unwrap() {}
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 999, ..SpendFilter::default() };
    // The ledger's own rows may go.
    assert!(store.delete_calls(Timestamp(24 * HOUR), 999).await.unwrap() > 10);
    let of_day = SpendFilter { to: Timestamp(24 * HOUR), ..all };
    assert!(store.sum_spend(SpendBy::Model, &of_day).await.unwrap()[0].attempts > 0);
    assert!(store.delete_spend_hours(Timestamp(24 * HOUR)).await.unwrap() > 10);
    assert!(store.sum_spend(SpendBy::Model, &of_day).await.unwrap().is_empty());
    assert!(!store.sum_up_spend(Timestamp(100 * HOUR)).await.unwrap(), "never back");
    assert_eq!(store.find_summed_until().await.unwrap(), Timestamp(160 * HOUR));
}

async fn two_that_sum_up_hours_at_the_same_time_count_nothing_twice(store: Store, _: &Database) {
    store.write_batch(&spender("p1", 1), &batch(1, &long_ledger(), &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 999, ..SpendFilter::default() };
    let before = store.sum_spend(SpendBy::Team, &all).await.unwrap();
    let until = Timestamp(400 * 3_600_000);
    let work = async || while store.sum_up_spend(until).await.unwrap() {};
    tokio::join!(work(), work(), work());
    assert_eq!(store.sum_spend(SpendBy::Team, &all).await.unwrap(), before);
}

async fn a_call_counts_for_each_of_its_tags(store: Store, _: &Database) {
    let mut calls: Vec<_> = (0..4).map(|it| call(&format!("req_{it}"), "7", 10 + it)).collect();
    "beta tenant=acme".clone_into(&mut calls[0].tags);
    "beta".clone_into(&mut calls[1].tags);
    "beta".clone_into(&mut calls[2].tags);
    "other".clone_into(&mut calls[2].owner.team);
    store.write_batch(&spender("p1", 1), &batch(1, &calls, &[])).await.unwrap();
    // Written once more, as after a lost answer.
    store.write_batch(&spender("p1", 2), &batch(2, &calls[..1], &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 9, ..SpendFilter::default() };
    let sums = async |by, filter: SpendFilter| {
        let rows = store.sum_spend(by, &filter).await.unwrap();
        rows.into_iter().map(|it| (it.name, it.attempts, it.cost.0)).collect::<Vec<_>>()
    };
    let row = |name: &str, calls, cost| (name.to_owned(), calls, cost);
    assert_eq!(
        sums(SpendBy::Tag, all.clone()).await,
        [row("beta", 3, 33), row("tenant=acme", 1, 10)]
    );
    let shop = SpendFilter { teams: Some(vec!["shop".to_owned()]), ..all.clone() };
    assert_eq!(
        sums(SpendBy::Tag, shop.clone()).await,
        [row("beta", 2, 21), row("tenant=acme", 1, 10)]
    );
    let beta = SpendFilter { tag: "beta".to_owned(), ..shop };
    assert_eq!(sums(SpendBy::Team, beta.clone()).await, [row("shop", 2, 21)]);
    let points = store.list_spend_points(SpendStep::Day, None, &beta).await.unwrap();
    assert_eq!((points.len(), points[0].cost.0), (1, 21));
    let names = ["tenant=acme".to_owned()];
    let of = Some((SpendBy::Tag, &names[..]));
    let points = store.list_spend_points(SpendStep::Day, of, &all).await.unwrap();
    assert_eq!((points[0].name.as_str(), points[0].cost.0), ("tenant=acme", 10));
    let rows = store.list_calls_of_run(&RunId("7".to_owned()), Default::default(), 9).await;
    assert_eq!(rows.unwrap()[0].tags, "beta tenant=acme");
    store.delete_calls(Timestamp(1000), 9).await.unwrap();
    assert!(sums(SpendBy::Tag, all).await.is_empty());
}

async fn a_call_that_is_tried_again_counts_as_an_attempt_each_time(store: Store, _: &Database) {
    let failed = CallRow { status: Some(503), ..call("req_1", "7", 0) };
    let again = CallRow { attempt: 2, model: "gpt".to_owned(), ..call("req_1", "7", 12) };
    store.write_batch(&spender("p1", 1), &batch(1, &[failed, again], &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 9, ..SpendFilter::default() };
    let sums = async |by| {
        let rows = store.sum_spend(by, &all).await.unwrap();
        rows.into_iter().map(|it| (it.name, it.attempts, it.cost.0)).collect::<Vec<_>>()
    };
    let row = |name: &str, attempts, cost| (name.to_owned(), attempts, cost);
    let by_model = [row("gpt", 1, 12), row("claude", 1, 0)];
    assert_eq!(sums(SpendBy::Model).await, by_model);
    assert_eq!(sums(SpendBy::Team).await, [row("shop", 2, 12)]);
    while store.sum_up_spend(Timestamp(3_600_000)).await.unwrap() {}
    assert_eq!(sums(SpendBy::Model).await, by_model, "the same where hours are summed up");
    let points = store.list_spend_points(SpendStep::Day, None, &all).await.unwrap();
    assert_eq!((points[0].attempts, points[0].cost.0), (2, 12));
}

async fn calls_that_were_answered_say_how_large_a_load_is(store: Store, _: &Database) {
    let mut calls: Vec<_> = (0..6).map(|it| call(&format!("req_{it}"), "7", 10)).collect();
    for (call, at) in calls.iter_mut().zip(1..) {
        call.at = Timestamp(at);
    }
    "cache".clone_into(&mut calls[0].origin);
    calls[1].status = Some(429);
    calls[2].status = None;
    calls[3].output_tokens = 0;
    "gpt".clone_into(&mut calls[4].model);
    store.write_batch(&spender("p1", 1), &batch(1, &calls, &[])).await.unwrap();
    let all = SpendFilter { to: Timestamp(i64::MAX), limit: 9, ..SpendFilter::default() };
    let answered = async |filter: SpendFilter| {
        let rows = store.list_answered_calls(&filter).await.unwrap();
        rows.iter().map(|it| (it.at.0, it.total_ms, it.input_tokens)).collect::<Vec<_>>()
    };
    assert_eq!(answered(all.clone()).await, [(6, 5, 7), (5, 5, 7)]);
    let gpt = SpendFilter { model: "gpt".to_owned(), ..all.clone() };
    assert_eq!(answered(gpt).await, [(5, 5, 7)]);
    assert_eq!(answered(SpendFilter { limit: 1, ..all.clone() }).await, [(6, 5, 7)]);
    assert!(answered(SpendFilter { teams: Some(Vec::new()), ..all }).await.is_empty());
}

async fn calls_of_a_run_come_page_by_page_and_old_ones_go(store: Store, _: &Database) {
    let calls: Vec<_> = (0..450).map(|it| call(&format!("req_{it:03}"), "7", it)).collect();
    store.write_batch(&spender("p1", 1), &batch(1, &calls, &[])).await.unwrap();
    let run = RunId("7".to_owned());
    let first = store.list_calls_of_run(&run, Default::default(), 200).await.unwrap();
    assert_eq!(first, calls[..200]);
    let last = (Timestamp(10), "req_199", 1);
    assert_eq!(store.list_calls_of_run(&run, last, 300).await.unwrap(), calls[200..]);
    let nobody = RunId(String::new());
    assert!(store.list_calls_of_run(&nobody, Default::default(), 9).await.unwrap().is_empty());
    assert_eq!(store.delete_calls(Timestamp(10), 100).await.unwrap(), 0);
    assert_eq!(store.delete_calls(Timestamp(11), 100).await.unwrap(), 100);
    let changes = [(name("month", "team=shop"), spent(1, 0)), (name("r", "run=7"), spent(1, 0))];
    store.write_batch(&spender("p1", 2), &batch(2, &[], &changes)).await.unwrap();
    assert_eq!(store.list_accounts_of_run("7").await.unwrap().len(), 1);
    assert!(store.list_accounts_of_run("70").await.unwrap().is_empty());
    assert_eq!(store.delete_accounts(Timestamp(1000), 9).await.unwrap(), 1);
}

async fn two_stores_that_grant_at_the_same_time_never_grant_too_much(
    store: Store,
    database: &Database,
) {
    let other = database.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        tasks.spawn(async move {
            let id = format!("p{number}");
            let asks = [ask("all", ""), ask("team", "team=shop")];
            let decide = |rows: &[AccountRow]| match rows.iter().position(|it| it.granted.0 > 90) {
                Some(short) => Grant::Short(short),
                None => Grant::Given(vec![amount(10, 0); 2]),
            };
            let (grant, _) = store.grant(&spender(&id, 1), &asks, decide).await.unwrap();
            usize::from(matches!(grant, Grant::Given(_)))
        });
    }
    let mut given = 0;
    while let Some(done) = tasks.join_next().await {
        given += done.unwrap();
    }
    assert_eq!((given, account(&store, "all").await.granted.0), (10, 100));
    other.close().await;
}

async fn a_report_is_no_call_and_its_money_counts(store: Store, _: &Database) {
    let report = CallRow { operation: "usage".to_owned(), ..call("r1", "run", 7) };
    let calls = vec![call("r0", "run", 5), CallRow { tags: "beta".to_owned(), ..report }];
    let batch = Batch { number: 1, calls, ..Batch::default() };
    store.write_batch(&spender("p1", 10), &batch).await.unwrap();
    let check = async |tag: &str, expected: (i64, i64, i64, i64)| {
        let filter = SpendFilter {
            to: Timestamp(i64::MAX),
            tag: tag.to_owned(),
            limit: 9,
            ..SpendFilter::default()
        };
        let sum = store.sum_spend(SpendBy::Run, &filter).await.unwrap().remove(0);
        assert_eq!((sum.attempts, sum.reports, sum.cost.0, sum.reported.0), expected);
    };
    check("", (1, 1, 12, 7)).await;
    check("beta", (0, 1, 7, 7)).await;
    while store.sum_up_spend(Timestamp(3_600_000)).await.unwrap() {}
    check("", (1, 1, 12, 7)).await;
}

fn claim(spender: &str, at: i64) -> Claim {
    Claim {
        owner: "shop/app".to_owned(),
        id: "q-1".to_owned(),
        digest: "d".to_owned(),
        request: "r1".to_owned(),
        spender: spender.to_owned(),
        at: Timestamp(at),
    }
}

async fn a_report_is_charged_by_one_process_and_by_another_when_that_one_is_dead(
    store: Store,
    _: &Database,
) {
    let take = async |claim: Claim| store.claim_usage(&claim).await.unwrap();
    store.beat_spender(&spender("p1", 0)).await.unwrap();
    assert_eq!(take(claim("p1", 1)).await, Claimed::Now);
    assert_eq!(take(claim("p1", 2)).await, Claimed::UnderWay);
    assert_eq!(take(claim("p2", 2)).await, Claimed::UnderWay);
    let other = Claim { digest: "e".to_owned(), ..claim("p2", 2) };
    assert_eq!(take(other).await, Claimed::Other);
    assert_eq!(take(Claim { owner: "rest/app".to_owned(), ..claim("p2", 2) }).await, Claimed::Now);
    // It gives no sign any more.
    assert_eq!(take(claim("p2", 61)).await, Claimed::Now);
}

async fn a_report_that_is_written_is_known_until_it_is_old(store: Store, _: &Database) {
    let take = async |claim: Claim| store.claim_usage(&claim).await.unwrap();
    assert_eq!(take(claim("p2", 2)).await, Claimed::Now);
    assert!(!store.has_call("r1").await.unwrap());
    let row = CallRow { overrun: UsdNanos(2), ..call("r1", "run", 7) };
    let batch = Batch { number: 1, calls: vec![row], ..Batch::default() };
    store.write_batch(&spender("p2", 62), &batch).await.unwrap();
    assert!(store.has_call("r1").await.unwrap());
    let written = Claimed::Written { cost: UsdNanos(7), overrun: UsdNanos(2) };
    assert_eq!(take(claim("p3", 63)).await, written);
    store.release_usage(&claim("p3", 63)).await.unwrap();
    assert_eq!(take(claim("p3", 64)).await, written, "it is not that one's");
    assert_eq!(store.delete_usage_reports(Timestamp(2), 9).await.unwrap(), 0);
    assert_eq!(store.delete_usage_reports(Timestamp(3), 9).await.unwrap(), 1);
}
