//! Deliveries, refs, schedules and statuses: each is stored once, and taken by one.

use std::collections::BTreeMap;

use trunkline::model::{ForgeKind, ProjectId, RunId, RunStatus, Timestamp};
use trunkline::store::Store;
use trunkline::store::intake::access::ProjectAccess;
use trunkline::store::intake::deliveries::{DeliveryStatus, NewDelivery};
use trunkline::store::intake::looks::TrunkReading;
use trunkline::store::intake::schedules::ScheduleRow;
use trunkline::store::intake::statuses::WantedStatus;

use crate::databases::{Database, on_each_database};
use crate::samples::{insert_shop, new_run, run_id, set_status};

on_each_database![
    a_delivery_is_stored_once_by_its_id_and_by_its_body,
    a_delivery_is_taken_by_one_and_can_be_replayed,
    a_project_with_many_deliveries_keeps_no_other_waiting,
    deliveries_come_in_pages_newest_first,
    bodies_of_some_deliveries_are_read_unless_they_are_long,
    refs_are_known_until_they_are_gone,
    a_ref_that_is_gone_is_remembered_until_it_comes_again,
    a_look_at_a_remote_is_taken_by_one,
    how_a_look_ended_and_what_the_trunk_has_is_kept,
    a_schedule_stays_due_unless_its_words_change,
    a_schedule_is_moved_on_by_one,
    only_the_newest_state_of_a_status_waits,
    an_older_run_does_not_overwrite_a_newer_ones_status,
    a_run_is_told_of_until_its_statuses_have_all_events,
    access_of_a_project_is_kept_apart,
];

const NOW: Timestamp = Timestamp(1000);

fn project() -> ProjectId {
    ProjectId("p-web".to_owned())
}

fn delivery(n: u32, name: &str, digest: &str) -> NewDelivery {
    NewDelivery {
        id: format!("01d{n:023}"),
        project: project(),
        forge: ForgeKind::Github,
        delivery: name.to_owned(),
        digest: digest.to_owned(),
        event: "push".to_owned(),
        body: "{}".to_owned(),
        next_at: NOW,
        received_at: NOW,
    }
}

async fn a_delivery_is_stored_once_by_its_id_and_by_its_body(store: Store, _: &Database) {
    let first = delivery(1, "a", "x");
    assert_eq!(store.insert_delivery(&first).await.unwrap(), None);
    for again in [delivery(2, "a", "y"), delivery(3, "b", "x")] {
        assert_eq!(store.insert_delivery(&again).await.unwrap(), Some(first.id.clone()));
    }
    let other = NewDelivery { project: ProjectId("p2".to_owned()), ..delivery(4, "a", "x") };
    assert_eq!(store.insert_delivery(&other).await.unwrap(), None);
    assert_eq!(store.find_delivery_body(&first.id).await.unwrap().unwrap(), "{}");
}

async fn a_delivery_is_taken_by_one_and_can_be_replayed(store: Store, _: &Database) {
    let new = delivery(1, "a", "x");
    store.insert_delivery(&new).await.unwrap();
    assert!(store.list_due_deliveries(Timestamp(999), 9).await.unwrap().is_empty());
    let row = store.list_due_deliveries(NOW, 9).await.unwrap().remove(0);
    assert!(store.claim_delivery(&row, Timestamp(5000)).await.unwrap());
    assert!(!store.claim_delivery(&row, Timestamp(5000)).await.unwrap());
    let keep = async |from, until| {
        store.keep_delivery(&new.id, Timestamp(from), Timestamp(until)).await.unwrap()
    };
    assert!(keep(5000, 9000).await);
    assert!(!keep(5000, 9000).await, "somebody else has taken it since");
    assert!(store.list_due_deliveries(NOW, 9).await.unwrap().is_empty());

    let outcome = (DeliveryStatus::Failed, "given up");
    store.save_outcome(&new.id, outcome, NOW, Timestamp(2000)).await.unwrap();
    let row = store.find_delivery(&new.id).await.unwrap().unwrap();
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Failed, 1));
    assert_eq!((row.outcome.as_str(), row.processed_at), ("given up", Some(Timestamp(2000))));
    store.replay_delivery(&new.id, Timestamp(3000)).await.unwrap();
    let row = store.list_due_deliveries(Timestamp(3000), 9).await.unwrap().remove(0);
    assert_eq!((row.attempts, row.processed_at), (0, None));
}

async fn a_project_with_many_deliveries_keeps_no_other_waiting(store: Store, _: &Database) {
    for n in 1..=5 {
        store.insert_delivery(&delivery(n, &n.to_string(), &n.to_string())).await.unwrap();
    }
    for (n, project) in [(6, "p-zoo"), (7, "p-api"), (8, "p-zoo")] {
        let project = ProjectId(project.to_owned());
        let other = NewDelivery { project, ..delivery(n, &n.to_string(), &n.to_string()) };
        store.insert_delivery(&other).await.unwrap();
    }
    let names = async || -> Vec<String> {
        let due = store.list_due_deliveries(NOW, 9).await.unwrap();
        due.into_iter().map(|it| it.delivery).collect()
    };
    assert_eq!(names().await, ["1", "6", "7"]);
    let first = store.list_due_deliveries(NOW, 9).await.unwrap().remove(0);
    assert!(store.claim_delivery(&first, Timestamp(5000)).await.unwrap());
    assert_eq!(names().await, ["2", "6", "7"]);
}

async fn deliveries_come_in_pages_newest_first(store: Store, _: &Database) {
    for n in 1..=3 {
        store.insert_delivery(&delivery(n, &n.to_string(), &n.to_string())).await.unwrap();
    }
    let first = store.list_deliveries(&project(), None, 2).await.unwrap();
    let names: Vec<_> = first.iter().map(|it| it.delivery.as_str()).collect();
    assert_eq!(names, ["3", "2"]);
    let rest = store.list_deliveries(&project(), Some(&first[1].id), 2).await.unwrap();
    assert_eq!(rest.len(), 1);
}

async fn bodies_of_some_deliveries_are_read_unless_they_are_long(store: Store, _: &Database) {
    for n in 1..=4 {
        let body = if n == 2 { "☂".repeat(9) } else { "☂".repeat(8) };
        let new = delivery(n, &n.to_string(), &n.to_string());
        store.insert_delivery(&NewDelivery { body, ..new }).await.unwrap();
    }
    let other = ProjectId("p2".to_owned());
    let (first, third) = (delivery(1, "", "").id, delivery(3, "", "").id);
    let read = async |project: &ProjectId| {
        let mut all = store.list_delivery_bodies(project, (&first, &third), 8).await.unwrap();
        all.sort();
        all
    };
    let body = "☂".repeat(8);
    assert_eq!(read(&project()).await, [(first.clone(), body.clone()), (third.clone(), body)]);
    assert!(read(&other).await.is_empty());
}

async fn refs_are_known_until_they_are_gone(store: Store, _: &Database) {
    insert_shop(&store).await;
    let (main, topic) = ("refs/heads/main", "refs/heads/topic");
    let refs: BTreeMap<_, _> = [main, topic].map(|it| (it.to_owned(), "c1".to_owned())).into();
    store.save_first_refs(&project(), &refs, NOW).await.unwrap();
    store.save_known_ref(&project(), (main, Some("c2")), "d1", Timestamp(2)).await.unwrap();
    store.save_known_ref(&project(), (topic, None), "d2", Timestamp(2)).await.unwrap();
    let known = store.list_known_refs(&project()).await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].revision.as_str(), known[0].delivery.as_str()), ("c2", "d1"));
    assert!(store.find_known_ref(&project(), topic).await.unwrap().is_none());
    assert_eq!(store.find_known_ref(&project(), main).await.unwrap().as_ref(), known.first());
}

async fn a_ref_that_is_gone_is_remembered_until_it_comes_again(store: Store, _: &Database) {
    insert_shop(&store).await;
    let topic = "refs/heads/topic";
    let gone = || async { store.list_gone_refs(&project()).await.unwrap() };
    let save = async |revision: Option<&str>, at| {
        let place = (topic, revision);
        store.save_known_ref(&project(), place, "d1", Timestamp(at)).await.unwrap();
    };
    save(Some("c1"), 1).await;
    assert!(gone().await.is_empty());
    save(None, 2).await;
    assert_eq!(gone().await, BTreeMap::from([(topic.to_owned(), Timestamp(2))]));
    assert_eq!(store.forget_gone_refs(Timestamp(2)).await.unwrap(), 0);
    assert_eq!(store.forget_gone_refs(Timestamp(3)).await.unwrap(), 1);
    assert!(gone().await.is_empty());
    save(None, 4).await;
    save(Some("c3"), 5).await;
    assert!(gone().await.is_empty(), "it is there again");
    assert_eq!(store.list_known_refs(&project()).await.unwrap().len(), 1);
}

async fn a_look_at_a_remote_is_taken_by_one(store: Store, _: &Database) {
    insert_shop(&store).await;
    let due = store.list_projects_to_look_at(NOW).await.unwrap();
    assert_eq!(due, [(project(), Timestamp(0))]);
    assert!(store.claim_look(&project(), Timestamp(0), Timestamp(9000)).await.unwrap());
    assert!(!store.claim_look(&project(), Timestamp(0), Timestamp(9000)).await.unwrap());
    assert!(store.list_projects_to_look_at(NOW).await.unwrap().is_empty());
    store.request_look(&project()).await.unwrap();
    assert_eq!(store.list_projects_to_look_at(NOW).await.unwrap().len(), 1);
}

fn schedule(name: &str, cron: &str, next_at: i64) -> ScheduleRow {
    ScheduleRow {
        project: project(),
        pipeline: "ci".to_owned(),
        name: name.to_owned(),
        cron: cron.to_owned(),
        timezone: "UTC".to_owned(),
        missed: "skip".to_owned(),
        branch: String::new(),
        next_at: Timestamp(next_at),
        last_at: Timestamp(0),
        is_paused: false,
    }
}

async fn how_a_look_ended_and_what_the_trunk_has_is_kept(store: Store, _: &Database) {
    let project = insert_shop(&store).await;
    let look = async || store.list_looks(std::slice::from_ref(&project)).await.unwrap().remove(0);
    let before = look().await;
    assert_eq!((before.looked_at, before.error.as_str(), before.trunk), (None, "", None));
    assert_eq!((before.revision.as_str(), before.failure), ("", None));
    assert!(store.list_looks(&[]).await.unwrap().is_empty());

    store.save_look(&project, "no such host", NOW).await.unwrap();
    let new = NewDelivery { project: project.clone(), ..delivery(1, "a", "x") };
    store.insert_delivery(&new).await.unwrap();
    let place = ("refs/heads/main", Some("c1"));
    store.save_known_ref(&project, place, &new.id, NOW).await.unwrap();
    let reading = TrunkReading {
        branch: "main".to_owned(),
        commit: "c1".to_owned(),
        pushed: vec!["ci".to_owned()],
        others: vec!["nightly".to_owned()],
        ..TrunkReading::default()
    };
    store.save_trunk_reading(&project, &reading).await.unwrap();
    let after = look().await;
    assert_eq!((after.looked_at, after.error.as_str()), (Some(NOW), "no such host"));
    assert_eq!((after.revision.as_str(), &after.delivery), ("c1", &new.id));
    assert_eq!((after.trunk.as_ref(), after.failure), (Some(&reading), None));
    assert!(reading.counts("ci", true) && reading.counts("nightly", false));
    assert!(!reading.counts("nightly", true) && !reading.counts("gone", false));

    let outcome = (DeliveryStatus::Failed, "`ci` cannot be read");
    store.save_outcome(&new.id, outcome, NOW, NOW).await.unwrap();
    assert_eq!(look().await.failure.as_deref(), Some("`ci` cannot be read"));
    let other = TrunkReading { branch: "trunk".to_owned(), ..reading };
    store.save_trunk_reading(&project, &other).await.unwrap();
    assert_eq!(look().await.trunk, None, "it is of another branch");
}

async fn a_schedule_stays_due_unless_its_words_change(store: Store, _: &Database) {
    insert_shop(&store).await;
    let rows = [schedule("a", "0 1 * * *", 10), schedule("b", "0 2 * * *", 20)];
    store.save_schedules(&project(), &rows).await.unwrap();
    let rows = [schedule("a", "0 1 * * *", 99), schedule("c", "0 3 * * *", 30)];
    store.save_schedules(&project(), &rows).await.unwrap();
    let listed = store.list_schedules(&project()).await.unwrap();
    assert_eq!(listed, [schedule("a", "0 1 * * *", 10), schedule("c", "0 3 * * *", 30)]);
    let rows = [schedule("a", "5 1 * * *", 99)];
    store.save_schedules(&project(), &rows).await.unwrap();
    assert_eq!(store.list_schedules(&project()).await.unwrap(), rows);
}

async fn a_schedule_is_moved_on_by_one(store: Store, _: &Database) {
    insert_shop(&store).await;
    store.save_schedules(&project(), &[schedule("a", "0 1 * * *", 10)]).await.unwrap();
    assert!(store.list_due_schedules(Timestamp(9)).await.unwrap().is_empty());
    let row = store.list_due_schedules(Timestamp(10)).await.unwrap().remove(0);
    assert!(store.advance_schedule(&row, Timestamp(50), row.next_at).await.unwrap());
    assert!(!store.advance_schedule(&row, Timestamp(50), row.next_at).await.unwrap());
    let row = store.list_schedules(&project()).await.unwrap().remove(0);
    assert_eq!((row.next_at, row.last_at), (Timestamp(50), Timestamp(10)));
}

fn status(run: u32, state: &str) -> WantedStatus {
    WantedStatus {
        project: project(),
        revision: "c1".to_owned(),
        context: "trunkline/ci".to_owned(),
        run: run_id(run),
        state: state.to_owned(),
        description: String::new(),
        summary: String::new(),
    }
}

async fn only_the_newest_state_of_a_status_waits(store: Store, _: &Database) {
    store.save_statuses(&[status(1, "pending")], NOW).await.unwrap();
    let row = store.list_statuses_to_post(NOW, 9).await.unwrap().remove(0);
    assert!(store.claim_status(&row, Timestamp(9000)).await.unwrap());
    assert!(!store.claim_status(&row, Timestamp(9000)).await.unwrap());
    // While it is posted it changes twice.
    for state in ["running", "success"] {
        store.save_statuses(&[status(1, state)], NOW).await.unwrap();
    }
    let mut done = row.clone();
    (done.posted, done.next_at) = (row.version, Timestamp(3000));
    store.save_post(&done, NOW).await.unwrap();
    assert!(store.list_statuses_to_post(Timestamp(2999), 9).await.unwrap().is_empty());
    let next = store.list_statuses_to_post(Timestamp(3000), 9).await.unwrap().remove(0);
    assert_eq!((next.state.as_str(), next.version, next.attempts), ("success", 3, 0));
    // What stands so already changes nothing.
    store.save_statuses(&[status(1, "success")], NOW).await.unwrap();
    assert_eq!(store.list_statuses(&project(), "c1").await.unwrap()[0].version, 3);
}

async fn an_older_run_does_not_overwrite_a_newer_ones_status(store: Store, _: &Database) {
    store.save_statuses(&[status(2, "pending")], NOW).await.unwrap();
    store.save_statuses(&[status(1, "failure")], NOW).await.unwrap();
    let rows = store.list_statuses(&project(), "c1").await.unwrap();
    assert_eq!((rows[0].state.as_str(), &rows[0].run), ("pending", &run_id(2)));
}

async fn a_run_is_told_of_until_its_statuses_have_all_events(store: Store, _: &Database) {
    let run: RunId = run_id(1);
    store
        .insert_run(&trunkline::store::runs::NewRun { project: project(), ..new_run(1) })
        .await
        .unwrap();
    store.insert_run(&new_run(2)).await.unwrap();
    assert_eq!(store.list_runs_to_tell(9).await.unwrap().first(), Some(&run));
    store.save_told(&run, 0).await.unwrap();
    assert!(store.list_runs_to_tell(9).await.unwrap().is_empty());
    set_status(&store, &run, RunStatus::Passed).await;
    assert_eq!(store.list_runs_to_tell(9).await.unwrap(), [run]);
}

async fn access_of_a_project_is_kept_apart(store: Store, _: &Database) {
    insert_shop(&store).await;
    let access = ProjectAccess {
        hook_secret: "sealed-1".to_owned(),
        credential: "sealed-2".to_owned(),
        fetch_depth: 5,
        stage_statuses: true,
    };
    store.save_project_access(&project(), &access).await.unwrap();
    assert_eq!(store.find_project_access(&project()).await.unwrap(), Some(access));
}
