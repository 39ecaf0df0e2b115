//! A process of its own that spends, killed with `kill -9`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;
use crate::gateway::budget::scope::{Kind, Scope, Window};
use crate::gateway::call::headers::request_id;
use crate::model::RunId;

/// Where the other process finds its database; only it has the variable.
const PLACE: &str = "TRUNKLINE_TEST_SPENDS_AT";
const LIMIT: i64 = 1_000_000;
const ESTIMATE: i64 = 300;
const CALLS_AT_ONCE: i64 = 8;

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(i64::try_from(since.unwrap().as_millis()).unwrap())
    }
}

fn budgets() -> Vec<Budget> {
    let team = Scope::default().with(Kind::Team, "a");
    vec![
        budget("all", Scope::default(), Window::Whole, money(LIMIT)),
        budget("team", team, Window::Month, money(LIMIT / 2)),
    ]
}

/// What the other process does: calls, each told of when the provider has charged it, and then settled.
async fn spend(url: &str) {
    let store = Store::open(url).await.unwrap();
    let (clock, name) = (Arc::new(RealClock), "killed".to_owned());
    let parts = BookParts { store, name, clock: clock.clone() };
    let ledger = Arc::new(Ledger::stored(parts, budgets()).await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(keep(ledger.clone(), CancellationToken::new()));
    for task in 0..CALLS_AT_ONCE {
        let (ledger, clock) = (ledger.clone(), clock.clone());
        tasks.spawn(async move {
            for number in 0.. {
                let id = u128::try_from(task).unwrap() * 1_000_000 + number;
                let call = call(id, amount(ESTIMATE, 1), "a", "r");
                ledger.reserve(call.clone(), clock.now()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..30))).await;
                let cost = amount(fastrand::i64(100..=ESTIMATE), 1);
                println!("charged {} {}", request_id(id), cost.money.0);
                ledger.settle(call.id, cost, &mut row(&call, cost, clock.now()));
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

#[test]
fn what_a_killed_process_has_spent_is_charged_and_at_most_its_last_rows_are_lost() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how this process is told that it is the other one"
    )]
    let place = std::env::var(PLACE);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Ok(url) = place {
        return runtime.block_on(spend(&url));
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("state.db").display());
    let test = concat!(
        module_path!(),
        "::what_a_killed_process_has_spent_is_charged_and_at_most_its_last_rows_are_lost"
    );
    let test = test.split_once("::").unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PLACE, &url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut charged = BTreeMap::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut killed_at = None;
    for line in lines.map_while(Result::ok) {
        let Some(rest) = line.split_once("charged ") else { continue };
        let (request, cost) = rest.1.split_once(' ').unwrap();
        charged.insert(request.to_owned(), (cost.parse::<i64>().unwrap(), Instant::now()));
        if charged.len() == 1500 {
            child.kill().unwrap();
            killed_at = Some(Instant::now());
        }
    }
    child.wait().unwrap();
    runtime.block_on(check(&url, &charged, killed_at.unwrap()));
}

async fn check(url: &str, charged: &BTreeMap<String, (i64, Instant)>, killed_at: Instant) {
    let store = Store::open(url).await.unwrap();
    let rows = store.list_calls_of_run(&RunId("r".to_owned()), Default::default(), 9999).await;
    let rows: BTreeMap<_, _> =
        rows.unwrap().into_iter().map(|it| (it.request, it.cost.0)).collect();
    for (request, (cost, told_at)) in charged {
        match rows.get(request) {
            Some(written) => assert_eq!(written, cost, "{request}"),
            // Of the last batch; the machine may be slow.
            None => assert!(*told_at + Duration::from_secs(2) > killed_at, "{request} is lost"),
        }
    }
    let now = RealClock.now().plus(EXPIRES_AFTER).plus(Milliseconds(1));
    assert!(store.lapse_spender(now).await.unwrap().is_some());
    let spent: i64 = charged.values().map(|it| it.0).sum();
    let told = total(&store).await;
    let kept = LIMIT / 200 * 3 + CALLS_AT_ONCE * ESTIMATE * 2;
    assert!((spent..=spent + kept).contains(&told), "{told} for {spent}");
    for (id, limit) in [("all", LIMIT), ("team", LIMIT / 2)] {
        let account = &store.list_accounts(id, 1).await.unwrap()[0];
        assert!((spent..=limit).contains(&account.spent.0), "{account:?}");
        assert_eq!(account.granted.0, 0);
    }
    eprintln!(
        "{} calls, {} rows lost; {spent} spent, {told} charged",
        charged.len(),
        charged.len() - rows.len()
    );
}
