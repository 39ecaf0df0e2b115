//! Calls that are made later: who takes which, and when; how they end; who is told.

use trunkline::model::{TeamId, Timestamp};
use trunkline::store::Store;
use trunkline::store::access::teams::TeamRow;
use trunkline::store::spend::requests::queue::{
    Cancelled, EndedItem, KnownRemote, Postponed, QueueBatchRow, QueueBounds, QueueItemRow,
    QueueScope, Submitted, Swept,
};

use crate::databases::{Database, on_each_database};

on_each_database![
    a_submission_is_stored_once_and_within_bounds,
    lines_take_turns_by_weight_and_priority_counts_within_one,
    an_item_is_taken_by_one_and_what_an_earlier_try_says_counts_no_more,
    an_item_of_a_process_that_gave_no_sign_waits_again_until_it_was_lost_too_often,
    an_item_that_is_too_late_has_failed,
    an_item_is_cancelled_at_once_or_by_its_process,
    an_item_is_seen_by_its_line_and_project_alone,
    an_end_is_told_once_and_then_kept_for_a_while,
    items_of_a_batch_are_taken_with_it_and_by_nobody_else,
    an_item_leaves_its_batch_to_be_called_or_to_wait_for_another,
    a_batch_is_looked_after_by_one_process_at_a_time,
    a_batch_that_was_guessed_may_be_another_s_until_it_ends,
    a_batch_that_nobody_wants_is_looked_at_at_once,
];

const NOW: Timestamp = Timestamp(1000);
const LATER: Timestamp = Timestamp(100_000);
const BOUNDS: QueueBounds = QueueBounds { items_of_line: 100, bytes: 10_000 };

fn item(id: &str, team: &str, priority: i64) -> QueueItemRow {
    let text = str::to_owned;
    QueueItemRow {
        id: text(id),
        line: format!("team/{team}"),
        team: text(team),
        project: format!("{team}/web"),
        key_name: text("app"),
        key_digest: text("d1"),
        path: text("/v1/messages"),
        model: text("m1"),
        endpoint: text("search"),
        priority,
        on_budget: text("wait"),
        state: text("queued"),
        request: text("sealed"),
        request_bytes: 100,
        request_digest: text("r1"),
        created_at: NOW,
        next_at: NOW,
        deadline_at: LATER,
        ..QueueItemRow::default()
    }
}

fn scope(team: &str) -> QueueScope {
    QueueScope { line: format!("team/{team}"), project: String::new() }
}

async fn submit(store: &Store, row: &QueueItemRow) {
    assert_eq!(store.submit_queue_item(row, BOUNDS).await.unwrap(), Submitted::New);
}

async fn find(store: &Store, id: &str) -> QueueItemRow {
    store.find_queue_item(&scope("shop"), id).await.unwrap().unwrap()
}

/// Takes the next item, as this process would.
async fn take(store: &Store, owner: &str, now: Timestamp) -> Option<QueueItemRow> {
    let since = Timestamp(now.0 - 500);
    let next = store.list_takeable_queue_items(now, since, 1).await.unwrap();
    let until = Timestamp(now.0 + 30);
    store.claim_queue_item(next.first()?, owner, (now, until)).await.unwrap()
}

async fn a_submission_is_stored_once_and_within_bounds(store: Store, _: &Database) {
    let row = QueueItemRow { idempotency: "i1".to_owned(), ..item("q1", "shop", 3) };
    submit(&store, &row).await;
    assert_eq!(find(&store, "q1").await, row);
    let again =
        QueueItemRow { id: "q2".to_owned(), request_digest: "r2".to_owned(), ..row.clone() };
    let before = store.submit_queue_item(&again, BOUNDS).await.unwrap();
    assert_eq!(before, Submitted::Before(Box::new(row)));
    let few = QueueBounds { items_of_line: 1, ..BOUNDS };
    let full = store.submit_queue_item(&item("q3", "shop", 0), few).await.unwrap();
    assert_eq!(full, Submitted::LineFull);
    submit(&store, &item("q4", "other", 0)).await;
    let small = QueueBounds { bytes: 299, ..BOUNDS };
    let full = store.submit_queue_item(&item("q5", "other", 0), small).await.unwrap();
    assert_eq!(full, Submitted::BytesFull);
    assert_eq!(store.count_queue_items_of("team/shop").await.unwrap(), 1);
    let counts = store.count_queue_items().await.unwrap();
    assert_eq!(counts, [("queued".to_owned(), 2)]);
}

async fn lines_take_turns_by_weight_and_priority_counts_within_one(store: Store, _: &Database) {
    for (name, weight) in [("shop", 2), ("small", 1)] {
        let (id, title) = (TeamId(format!("t-{name}")), name.to_owned());
        let row = TeamRow { id, name: name.to_owned(), title, weight, created_at: NOW };
        store.insert_team(&row).await.unwrap();
    }
    for number in 0..6 {
        submit(&store, &item(&format!("a{number}"), "shop", i64::from(number == 4))).await;
    }
    for number in 0..3 {
        submit(&store, &item(&format!("b{number}"), "small", 100)).await;
    }
    assert_eq!(store.count_queue_items_before(&item("a4", "shop", 1)).await.unwrap(), 0);
    assert_eq!(store.count_queue_items_before(&item("a1", "shop", 0)).await.unwrap(), 2);
    let many = store.list_takeable_queue_items(NOW, Timestamp(0), 9).await.unwrap();
    let many: Vec<_> = many.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(many, ["a4", "a0", "b0", "a1", "a2", "b1", "a3", "a5", "b2"]);
    let mut one_by_one = Vec::new();
    while let Some(row) = take(&store, "p1", NOW).await {
        one_by_one.push(row.id);
    }
    assert_eq!(one_by_one, many, "what was taken counts");
}

async fn an_item_is_taken_by_one_and_what_an_earlier_try_says_counts_no_more(
    store: Store,
    _: &Database,
) {
    submit(&store, &item("q1", "shop", 0)).await;
    let next = store.list_takeable_queue_items(NOW, NOW, 5).await.unwrap().remove(0);
    let claim = |owner| store.claim_queue_item(&next, owner, (NOW, Timestamp(1030)));
    let first = claim("p1").await.unwrap().unwrap();
    assert_eq!((first.attempts, first.lease_epoch, first.started_at), (1, 1, Some(NOW)));
    assert_eq!(claim("p2").await.unwrap(), None);
    assert!(store.renew_queue_item(("q1", 1), Timestamp(1060)).await.unwrap());
    let held = store.list_held_queue_items("p1").await.unwrap();
    assert_eq!((held.len(), held[0].lease_epoch, held[0].cancelled_at), (1, 1, None));
    let (reason, error) = ("rate".to_owned(), "later".to_owned());
    let next_at = Timestamp(1100);
    let postponed = Postponed { next_at, waits: 1, reason, error, ..Postponed::default() };
    assert!(store.postpone_queue_item(("q1", 1), &postponed).await.unwrap());
    assert_eq!(take(&store, "p2", Timestamp(1099)).await, None, "not before its time");
    let second = take(&store, "p2", next_at).await.unwrap();
    assert_eq!((second.attempts, second.lease_epoch, second.waits), (2, 2, 1));
    assert_eq!(second.reason, "");
    expect_only_second_try_ends(&store).await;
}

async fn expect_only_second_try_ends(store: &Store) {
    let done = EndedItem {
        state: "done".to_owned(),
        answer: "sealed".to_owned(),
        answer_bytes: 7,
        at: Timestamp(1200),
        ..EndedItem::default()
    };
    assert!(!store.renew_queue_item(("q1", 1), LATER).await.unwrap());
    let mut ended = Vec::new();
    for epoch in [1, 2, 2] {
        ended.push(store.end_queue_item(("q1", epoch), &done).await.unwrap());
    }
    assert_eq!(ended, [false, true, false], "the first try is over, and it ends once");
    let row = find(store, "q1").await;
    assert_eq!((row.state.as_str(), row.answer.as_str(), row.answer_bytes), ("done", "sealed", 7));
    assert_eq!((row.request.as_str(), row.request_bytes), ("", 0), "what was asked is gone");
    assert_eq!(row.webhook_state, "", "nobody wants to know");
}

async fn an_item_of_a_process_that_gave_no_sign_waits_again_until_it_was_lost_too_often(
    store: Store,
    _: &Database,
) {
    submit(&store, &item("q1", "shop", 0)).await;
    let mut now = NOW;
    take(&store, "p1", now).await.unwrap();
    assert_eq!(store.sweep_queue_items(Timestamp(1029), 2).await.unwrap(), Swept::default());
    now = Timestamp(1030);
    let swept = store.sweep_queue_items(now, 2).await.unwrap();
    assert_eq!(swept, Swept { waiting: 1, ended: 0 });
    let row = find(&store, "q1").await;
    assert_eq!((row.state.as_str(), row.failures, row.reason.as_str()), ("queued", 1, "lost"));
    take(&store, "p2", now).await.unwrap();
    let swept = store.sweep_queue_items(Timestamp(1060), 2).await.unwrap();
    assert_eq!(swept, Swept { waiting: 0, ended: 1 });
    let row = find(&store, "q1").await;
    assert_eq!((row.state.as_str(), row.failures, row.reason.as_str()), ("failed", 2, "lost"));
    assert_eq!(row.ended_at, Some(Timestamp(1060)));
}

async fn an_item_that_is_too_late_has_failed(store: Store, _: &Database) {
    let row = QueueItemRow { webhook: "sealed".to_owned(), ..item("q1", "shop", 0) };
    submit(&store, &row).await;
    assert_eq!(take(&store, "p1", LATER).await, None);
    assert_eq!(store.sweep_queue_items(LATER, 2).await.unwrap(), Swept { waiting: 0, ended: 1 });
    let row = find(&store, "q1").await;
    assert_eq!((row.state.as_str(), row.reason.as_str()), ("failed", "expired"));
    assert_eq!(row.error, "it was not done by its deadline");
    assert_eq!(row.webhook_state, "waiting");
}

async fn an_item_is_cancelled_at_once_or_by_its_process(store: Store, _: &Database) {
    submit(&store, &item("q1", "shop", 0)).await;
    submit(&store, &item("q2", "shop", -1)).await;
    let cancel = async |id: &str, of: &str| {
        store.cancel_queue_item(&scope(of), id, Timestamp(1010)).await.unwrap()
    };
    take(&store, "p1", NOW).await.unwrap();
    assert_eq!(cancel("q1", "other").await, Cancelled::Nowhere);
    let Cancelled::Asked(row) = cancel("q1", "shop").await else { panic!("it is carried out") };
    assert_eq!((row.state.as_str(), row.cancelled_at), ("running", Some(Timestamp(1010))));
    let held = store.list_held_queue_items("p1").await.unwrap();
    assert_eq!(held[0].cancelled_at, Some(Timestamp(1010)));
    let postponed = Postponed { next_at: NOW, ..Postponed::default() };
    assert!(!store.postpone_queue_item(("q1", 1), &postponed).await.unwrap());
    // Its process dies before it obeys.
    let swept = store.sweep_queue_items(Timestamp(1030), 5).await.unwrap();
    assert_eq!(swept, Swept { waiting: 0, ended: 1 });
    assert_eq!(find(&store, "q1").await.state, "cancelled");
    let Cancelled::AtOnce(row) = cancel("q2", "shop").await else { panic!("it waits") };
    assert_eq!((row.state.as_str(), row.ended_at), ("cancelled", Some(Timestamp(1010))));
    let Cancelled::TooLate(row) = cancel("q2", "shop").await else { panic!("it has ended") };
    assert_eq!(row.state, "cancelled");
}

async fn an_item_is_seen_by_its_line_and_project_alone(store: Store, _: &Database) {
    for number in 1..=3 {
        submit(&store, &item(&format!("q{number}"), "shop", 0)).await;
    }
    let of = |line: &str, project: &str| QueueScope {
        line: line.to_owned(),
        project: project.to_owned(),
    };
    let find = async |scope: QueueScope| store.find_queue_item(&scope, "q1").await.unwrap();
    assert!(find(of("team/shop", "")).await.is_some());
    assert!(find(of("team/shop", "shop/web")).await.is_some());
    assert_eq!(find(of("team/shop", "shop/other")).await, None);
    assert_eq!(find(of("key/shop", "")).await, None);
    let list = async |state: &str, before: &str, limit| {
        let rows = store.list_queue_items(&scope("shop"), (state, before), limit).await.unwrap();
        assert!(rows.iter().all(|it| it.request.is_empty()), "lists are light");
        rows.into_iter().map(|it| it.id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("", "", 2).await, "q3 q2");
    assert_eq!(list("queued", "q2", 9).await, "q1");
    assert_eq!(list("done", "", 9).await, "");
}

async fn an_end_is_told_once_and_then_kept_for_a_while(store: Store, _: &Database) {
    let row = QueueItemRow { webhook: "sealed".to_owned(), ..item("q1", "shop", 0) };
    submit(&store, &row).await;
    take(&store, "p1", NOW).await.unwrap();
    let failed = EndedItem {
        state: "failed".to_owned(),
        reason: "upstream".to_owned(),
        error: "broken".to_owned(),
        failures: 1,
        request_id: "req_1".to_owned(),
        at: Timestamp(1100),
        ..EndedItem::default()
    };
    assert!(store.end_queue_item(("q1", 1), &failed).await.unwrap());
    let due = async |at| store.list_queue_webhooks(Timestamp(at), 10).await.unwrap();
    assert!(due(1099).await.is_empty());
    let told = due(1100).await.remove(0);
    assert_eq!((told.state.as_str(), told.reason.as_str()), ("failed", "upstream"));
    assert_eq!((told.ended_at, told.webhook.as_str()), (Timestamp(1100), "sealed"));
    let claim = async || store.claim_queue_webhook(&told, Timestamp(1200)).await.unwrap();
    assert_eq!((claim().await, claim().await), (true, false), "it is taken");
    assert!(due(1199).await.is_empty());
    let delete = async |at| store.delete_queue_items(Timestamp(at), 10).await.unwrap();
    assert_eq!(delete(2000).await, 0, "not told yet");
    store.save_queue_webhook("q1", ("sent", ""), Timestamp(1150)).await.unwrap();
    assert!(due(5000).await.is_empty());
    let row = find(&store, "q1").await;
    assert_eq!((row.webhook_state.as_str(), row.webhook_attempts), ("sent", 1));
    assert_eq!((delete(1100).await, delete(1101).await), (0, 1));
}

fn batched(id: &str) -> QueueItemRow {
    QueueItemRow { batch: "live".to_owned(), ..item(id, "shop", 0) }
}

fn batch(id: &str) -> QueueBatchRow {
    QueueBatchRow {
        id: id.to_owned(),
        provider: "openai".to_owned(),
        path: "/v1/messages".to_owned(),
        model: "m1".to_owned(),
        created_at: NOW,
        ..QueueBatchRow::default()
    }
}

async fn items_of_a_batch_are_taken_with_it_and_by_nobody_else(store: Store, _: &Database) {
    for row in [batched("a"), batched("b"), batched("c"), item("d", "shop", 0)] {
        submit(&store, &row).await;
    }
    let takeable = store.list_takeable_queue_items(NOW, NOW, 9).await.unwrap();
    assert_eq!(takeable.len(), 1, "those for batches are called by nobody: {takeable:?}");
    let waiting = store.list_batchable_queue_items(NOW, 9).await.unwrap();
    assert_eq!(waiting.len(), 3);
    assert!(matches!(
        store.cancel_queue_item(&scope("shop"), "c", NOW).await.unwrap(),
        Cancelled::AtOnce(_)
    ));
    assert_eq!(store.begin_queue_batch(&batch("b1"), &waiting, LATER).await.unwrap(), 2);
    // Nothing is left for another one.
    assert_eq!(store.begin_queue_batch(&batch("b2"), &waiting, LATER).await.unwrap(), 0);
    let items = store.list_queue_items_of_batch("b1").await.unwrap();
    let told: Vec<_> = items.iter().map(|it| (it.id.as_str(), it.lease_epoch)).collect();
    assert_eq!(told, [("a", 1), ("b", 1)]);
    assert_eq!(items[0].batch_id, "b1");
    assert!(store.save_queue_item_terms(("a", 1), ("{}", "req_1")).await.unwrap());
    assert!(!store.save_queue_item_terms(("a", 0), ("{}", "req_2")).await.unwrap());
    assert_eq!(find(&store, "a").await.terms, "{}");
}

async fn an_item_leaves_its_batch_to_be_called_or_to_wait_for_another(store: Store, _: &Database) {
    for row in [batched("a"), batched("b")] {
        submit(&store, &row).await;
    }
    let waiting = store.list_batchable_queue_items(NOW, 9).await.unwrap();
    store.begin_queue_batch(&batch("b1"), &waiting, LATER).await.unwrap();
    store.save_queue_item_terms(("a", 1), ("{}", "req_1")).await.unwrap();
    let live = Postponed { next_at: NOW, is_live: true, ..Postponed::default() };
    assert!(store.postpone_queue_item(("a", 1), &live).await.unwrap());
    let row = find(&store, "a").await;
    assert_eq!((row.batch.as_str(), row.terms.as_str(), row.state.as_str()), ("", "", "queued"));
    let takeable = store.list_takeable_queue_items(NOW, NOW, 9).await.unwrap();
    assert_eq!(takeable.len(), 1, "it is called now");
    store.claim_queue_item(&takeable[0], "p1", (NOW, LATER)).await.unwrap().unwrap();
    let items = store.list_queue_items_of_batch("b1").await.unwrap();
    assert_eq!(items.len(), 1, "what is called is in no batch");
    let later = Postponed { next_at: NOW, ..Postponed::default() };
    assert!(store.postpone_queue_item(("b", 1), &later).await.unwrap());
    let waiting = store.list_batchable_queue_items(NOW, 9).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].lease_epoch), (1, 1), "it waits for the next batch");
    assert!(store.unbatch_queue_item(&waiting[0]).await.unwrap());
    assert_eq!(store.list_batchable_queue_items(NOW, 9).await.unwrap(), []);
}

/// A batch of one item.
async fn small_batch(store: &Store) {
    submit(store, &batched("a")).await;
    let waiting = store.list_batchable_queue_items(NOW, 9).await.unwrap();
    store.begin_queue_batch(&batch("b1"), &waiting, LATER).await.unwrap();
}

async fn claim_batch(store: &Store, owner: &str, now: i64) -> Option<QueueBatchRow> {
    let times = (Timestamp(now), Timestamp(now + 30));
    store.claim_queue_batch(owner, times).await.unwrap()
}

async fn a_batch_is_looked_after_by_one_process_at_a_time(store: Store, _: &Database) {
    small_batch(&store).await;
    let claim = async |owner: &str, now: i64| claim_batch(&store, owner, now).await;
    let first = claim("p1", 1000).await.unwrap();
    assert_eq!((first.state.as_str(), first.items, first.lease_epoch), ("gathered", 1, 1));
    assert_eq!(claim("p2", 1000).await, None);
    store.renew_queue_batch(("b1", 1), Timestamp(1100)).await.unwrap();
    assert_eq!(claim("p2", 1050).await, None);
    let second = claim("p2", 1101).await.unwrap();
    let state = "running".to_owned();
    assert!(
        !store.save_queue_batch(&QueueBatchRow { state: state.clone(), ..first }).await.unwrap()
    );
    let remote = "r1".to_owned();
    let running = QueueBatchRow { state, remote, lease_until: Timestamp(0), ..second };
    assert!(store.save_queue_batch(&running).await.unwrap());
}

async fn a_batch_that_was_guessed_may_be_another_s_until_it_ends(store: Store, _: &Database) {
    small_batch(&store).await;
    let first = claim_batch(&store, "p1", 1000).await.unwrap();
    let (state, remote, lease_until) = ("running".to_owned(), "r1".to_owned(), Timestamp(0));
    let running = QueueBatchRow { state, remote, lease_until, ..first };
    assert!(store.save_queue_batch(&running).await.unwrap());
    let known = async |but: &str| store.list_known_remotes(("openai", but)).await.unwrap();
    let told = |is_guessed| [KnownRemote { remote: "r1".to_owned(), is_guessed }];
    assert_eq!(known("b2").await, told(false));
    assert_eq!(known("b1").await, [], "it knows its own");
    let guessed = QueueBatchRow { is_guessed: true, ..running };
    assert!(store.save_queue_batch(&guessed).await.unwrap());
    assert_eq!(known("b2").await, told(true));
    let ended = QueueBatchRow { ended_at: Some(NOW), ..guessed };
    assert!(store.save_queue_batch(&ended).await.unwrap());
    assert_eq!(known("b2").await, told(false), "nobody else will get it");
}

async fn a_batch_that_nobody_wants_is_looked_at_at_once(store: Store, _: &Database) {
    small_batch(&store).await;
    let claim = async |owner: &str, now: i64| claim_batch(&store, owner, now).await;
    let first = claim("p1", 1000).await.unwrap();
    let (next_at, lease_until) = (Timestamp(5000), Timestamp(0));
    store.save_queue_batch(&QueueBatchRow { next_at, lease_until, ..first }).await.unwrap();
    assert_eq!(claim("p1", 2000).await, None, "not yet");
    assert_eq!(store.hurry_queue_batches(Timestamp(2000)).await.unwrap(), 0);
    let asked = store.cancel_queue_item(&scope("shop"), "a", Timestamp(2000)).await.unwrap();
    assert!(matches!(asked, Cancelled::Asked(_)));
    assert_eq!(store.hurry_queue_batches(Timestamp(2000)).await.unwrap(), 1);
    let third = claim("p1", 2000).await.unwrap();
    let ended =
        QueueBatchRow { ended_at: Some(Timestamp(2001)), lease_until: Timestamp(0), ..third };
    assert!(store.save_queue_batch(&ended).await.unwrap());
    assert_eq!(claim("p1", 9000).await, None);
    assert_eq!(store.delete_queue_batches(Timestamp(2001)).await.unwrap(), 0);
    assert_eq!(store.delete_queue_batches(Timestamp(2002)).await.unwrap(), 1);
}
