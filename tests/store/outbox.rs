//! Subscriptions, what waits for them, and badges.

use trunkline::model::{ForgeKind, ProjectId, RunId, TeamId, Timestamp};
use trunkline::store::Store;
use trunkline::store::access::projects::ProjectRow;
use trunkline::store::access::teams::TeamRow;
use trunkline::store::intake::badges::BadgeAccess;
use trunkline::store::intake::outbox::NotificationRow;
use trunkline::store::intake::subscriptions::SubscriptionRow;
use trunkline::store::spend::requests::queue::{QueueBounds, QueueItemRow};

use crate::databases::{Database, on_each_database};

on_each_database![
    a_subscription_can_be_changed_counted_and_disabled,
    a_subscription_takes_its_notifications_along,
    a_notification_is_stored_once_and_only_so_many_wait,
    a_notification_is_taken_by_one_until_it_is_sent,
    what_waits_for_a_disabled_subscription_is_not_sent,
    who_may_see_badges_is_kept_apart,
    every_sealed_text_is_known_so_that_its_key_stays,
];

const NOW: Timestamp = Timestamp(1000);

async fn team(store: &Store) -> TeamId {
    let id = TeamId("t1".to_owned());
    let (name, title) = ("shop".to_owned(), "Shop".to_owned());
    let row = TeamRow { id: id.clone(), name, title, weight: 1, created_at: NOW };
    store.insert_team(&row).await.unwrap();
    id
}

async fn subscription(store: &Store) -> SubscriptionRow {
    let text = str::to_owned;
    let row = SubscriptionRow {
        id: text("s1"),
        team: team(store).await,
        project: ProjectId(String::new()),
        form: text("webhook"),
        target: text("sealed"),
        shown_target: text("example.org"),
        events: text("[\"run.failed\"]"),
        branches: text("[]"),
        secret: text("sealed too"),
        former_secret: String::new(),
        former_until: Timestamp(0),
        failures: 0,
        disabled_at: None,
        disabled_reason: String::new(),
        created_by: text("ada"),
        created_at: NOW,
    };
    store.insert_subscription(&row).await.unwrap();
    row
}

fn notification(n: i64) -> NotificationRow {
    let text = str::to_owned;
    NotificationRow {
        id: format!("n{n}"),
        subscription: text("s1"),
        cause: format!("run:r1#{n}"),
        event: text("run.failed"),
        run: RunId(text("r1")),
        notice: text("{}"),
        status: text("waiting"),
        attempts: 0,
        next_at: Timestamp(1000 + n),
        error: String::new(),
        created_at: Timestamp(1000 + n),
    }
}

async fn a_subscription_can_be_changed_counted_and_disabled(store: Store, _: &Database) {
    let row = subscription(&store).await;
    assert_eq!(store.find_subscription("s1").await.unwrap(), Some(row.clone()));
    assert_eq!(store.count_failure("s1", true).await.unwrap(), 1);
    assert_eq!(store.count_failure("s1", true).await.unwrap(), 2);
    assert_eq!(store.count_failure("s1", false).await.unwrap(), 0);
    assert!(store.disable_subscription("s1", "gone", Timestamp(5)).await.unwrap());
    assert!(!store.disable_subscription("s1", "again", Timestamp(6)).await.unwrap());
    let found = store.list_subscriptions(&row.team).await.unwrap().remove(0);
    assert_eq!((found.disabled_at, found.disabled_reason.as_str()), (Some(Timestamp(5)), "gone"));
    let changed = SubscriptionRow { secret: "new".to_owned(), events: "[]".to_owned(), ..row };
    store.save_subscription(&changed).await.unwrap();
    assert_eq!(store.find_subscription("s1").await.unwrap(), Some(changed));
}

async fn a_subscription_takes_its_notifications_along(store: Store, _: &Database) {
    subscription(&store).await;
    store.insert_notifications(&[notification(1)], 10).await.unwrap();
    assert!(store.delete_subscription("s1").await.unwrap());
    assert!(!store.delete_subscription("s1").await.unwrap());
    assert!(store.list_notifications("s1", 10).await.unwrap().is_empty());
}

async fn a_notification_is_stored_once_and_only_so_many_wait(store: Store, _: &Database) {
    subscription(&store).await;
    let twice = NotificationRow { id: "other".to_owned(), ..notification(1) };
    store.insert_notifications(&[notification(1), twice], 10).await.unwrap();
    store.insert_notifications(&[notification(2), notification(3)], 2).await.unwrap();
    let ids: Vec<_> =
        store.list_notifications("s1", 10).await.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(ids, ["n2", "n1"]);
    assert_eq!(store.delete_notifications(Timestamp(1002)).await.unwrap(), 1);
}

async fn a_notification_is_taken_by_one_until_it_is_sent(store: Store, _: &Database) {
    subscription(&store).await;
    store.insert_notifications(&[notification(1)], 10).await.unwrap();
    assert!(store.list_notifications_to_send(Timestamp(1000), 10).await.unwrap().is_empty());
    let row = store.list_notifications_to_send(Timestamp(1001), 10).await.unwrap().remove(0);
    assert!(store.claim_notification(&row, Timestamp(2000)).await.unwrap());
    assert!(!store.claim_notification(&row, Timestamp(2000)).await.unwrap());
    store.save_notification("n1", ("waiting", "busy"), Timestamp(3000)).await.unwrap();
    let row = store.list_notifications_to_send(Timestamp(3000), 10).await.unwrap().remove(0);
    assert_eq!((row.attempts, row.error.as_str()), (1, "busy"));
    store.save_notification("n1", ("sent", ""), Timestamp(3000)).await.unwrap();
    assert!(store.list_notifications_to_send(Timestamp(9000), 10).await.unwrap().is_empty());
}

async fn what_waits_for_a_disabled_subscription_is_not_sent(store: Store, _: &Database) {
    subscription(&store).await;
    store.insert_notifications(&[notification(1)], 10).await.unwrap();
    store.disable_subscription("s1", "gone", NOW).await.unwrap();
    assert!(store.list_notifications_to_send(Timestamp(9000), 10).await.unwrap().is_empty());
}

fn project(team: TeamId) -> ProjectRow {
    ProjectRow {
        id: ProjectId("p1".to_owned()),
        team,
        team_name: "shop".to_owned(),
        name: "web".to_owned(),
        address: "https://forge.example/shop/web.git".to_owned(),
        forge: ForgeKind::Git,
        forge_url: String::new(),
        forge_path: String::new(),
        default_branch: "main".to_owned(),
        priority: 0,
        poll_seconds: 0,
        created_at: NOW,
        archived_at: None,
    }
}

/// A key is deleted when no text is sealed with it: one that is not counted could not be opened any more.
async fn every_sealed_text_is_known_so_that_its_key_stays(store: Store, database: &Database) {
    let text = str::to_owned;
    let subscription = subscription(&store).await;
    store.insert_project(&project(subscription.team)).await.unwrap();
    assert_eq!(store.count_sealed("sealed").await.unwrap(), 2);
    database.execute("UPDATE projects SET hook_secret = 'sealed', credential = 'sealed'").await;
    database.execute("UPDATE subscriptions SET former_secret = 'sealed'").await;
    assert_eq!(store.count_sealed("sealed").await.unwrap(), 5);
    let item = QueueItemRow {
        request: text("sealed"),
        webhook: text("sealed"),
        ..QueueItemRow::default()
    };
    let bounds = QueueBounds { items_of_line: 1, bytes: 1 };
    store.submit_queue_item(&item, bounds).await.unwrap();
    database.execute("UPDATE queue_items SET answer = 'sealed'").await;
    assert_eq!(store.count_sealed("sealed").await.unwrap(), 8);
}

async fn who_may_see_badges_is_kept_apart(store: Store, _: &Database) {
    let row = project(team(&store).await);
    let id = row.id.clone();
    store.insert_project(&row).await.unwrap();
    assert_eq!(store.find_badge_access(&id).await.unwrap(), Some(BadgeAccess::default()));
    let access = BadgeAccess { is_public: true, token: "x".to_owned() };
    store.save_badge_access(&id, &access).await.unwrap();
    assert_eq!(store.find_badge_access(&id).await.unwrap(), Some(access));
    assert_eq!(store.find_project(&id).await.unwrap(), Some(row));
}
