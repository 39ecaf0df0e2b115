//! Money that is held for a call of a batch: charged once, whoever settles it, and however often.

use super::*;

const NAME: &str = "batch item x/1";

async fn settle(ledger: &Ledger, held: &Reservation) {
    let cost = amount(100, 1);
    let mut row = row(held, cost, Timestamp(HOUR));
    ledger.settle_held((NAME, held), cost, (&mut row, Timestamp(HOUR))).await.unwrap();
}

#[tokio::test]
async fn what_is_settled_again_after_a_restart_is_charged_once_in_a_file() {
    let held = call(7, amount(300, 1), "a", "r");
    let first = Ledger::new(budgets(), true);
    first.hold(NAME, &held, Timestamp(HOUR)).await.unwrap();
    settle(&first, &held).await;
    let lines = first.take_lines(String::new());
    assert_eq!(lines.lines().filter(|it| it.starts_with("{\"call\"")).count(), 1);

    let second = Ledger::new(budgets(), true);
    for line in lines.lines() {
        second.take_up(line.as_bytes()).unwrap();
    }
    settle(&second, &held).await;
    assert_eq!(second.take_lines(String::new()), "");
    assert!(second.accounts().iter().all(|it| it.2.spent.money.0 == 100));
}

#[tokio::test]
async fn what_is_settled_again_when_its_name_is_forgotten_is_charged_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let ledger = ledger(&store, &clock, budgets()).await;
    let held = call(7, amount(300, 1), "a", "r");
    ledger.hold(NAME, &held, clock.now()).await.unwrap();
    settle(&ledger, &held).await;
    ledger.forget_held(NAME).await.unwrap();
    settle(&ledger, &held).await;
    let account = &store.list_accounts("all", 1).await.unwrap()[0];
    assert_eq!((account.spent.0, account.granted.0, total(&store).await), (100, 0, 100));
}

#[tokio::test]
async fn what_is_held_again_after_it_was_let_go_is_charged() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = (open(folder.path()).await, TestClock::new());
    let ledger = ledger(&store, &clock, budgets()).await;
    let held = call(7, amount(300, 1), "a", "r");
    // Whoever let it go died before the name was forgotten.
    let spender = Spender { id: NAME, name: NAME, now: clock.now(), expires_at: held.deadline };
    store.write_batch(&spender, &Batch { number: 1, ..Batch::default() }).await.unwrap();
    ledger.hold(NAME, &held, clock.now()).await.unwrap();
    settle(&ledger, &held).await;
    let account = &store.list_accounts("all", 1).await.unwrap()[0];
    assert_eq!((account.spent.0, account.granted.0, total(&store).await), (100, 0, 100));
}
