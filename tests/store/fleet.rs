//! Several processes on one database: what may be taken, who works, who is woken.

use std::collections::BTreeMap;

use trunkline::model::{
    ForgeKind, Milliseconds, ProjectId, RunId, RunStatus, StageIndex, TeamId, Timestamp,
};
use trunkline::runs::{News, Runs};
use trunkline::store::Store;
use trunkline::store::access::projects::ProjectRow;
use trunkline::store::access::teams::TeamRow;
use trunkline::store::fleet::LeaseClaim;
use trunkline::store::fleet::workers::WorkerRow;
use trunkline::store::groups::{SlotAnswer, SlotRequest};
use trunkline::store::runs::NewRun;

use crate::databases::{Database, on_each_database};
use crate::samples::{insert, new_run, run_id, set_status};

on_each_database![
    new_runs_are_listed_for_each_team_by_priority_and_age,
    labels_decide_who_is_offered_a_new_run,
    a_run_whose_lease_is_over_is_an_orphan,
    a_run_is_handed_over_to_somebody_with_its_labels,
    a_name_belongs_to_one_living_worker,
    a_worker_learns_that_it_is_to_be_drained,
    runs_of_trunk_are_served_in_the_order_of_trunk,
    what_trunk_has_overtaken_is_outdated,
];

async fn team(store: &Store, name: &str, weight: i64) {
    let (id, title) = (TeamId(name.to_owned()), name.to_owned());
    let row = TeamRow { id, name: name.to_owned(), title, weight, created_at: Timestamp(0) };
    store.insert_team(&row).await.unwrap();
}

async fn project(store: &Store, team: &str, name: &str, priority: i64) {
    let row = ProjectRow {
        id: ProjectId(name.to_owned()),
        team: TeamId(team.to_owned()),
        team_name: team.to_owned(),
        name: name.to_owned(),
        address: String::new(),
        forge: ForgeKind::Git,
        forge_url: String::new(),
        forge_path: String::new(),
        default_branch: "main".to_owned(),
        priority,
        poll_seconds: 0,
        created_at: Timestamp(0),
        archived_at: None,
    };
    store.insert_project(&row).await.unwrap();
}

async fn run_of(store: &Store, n: u32, project: &str) {
    let run = NewRun { project: ProjectId(project.to_owned()), ..new_run(n) };
    store.insert_run(&run).await.unwrap();
}

async fn new_runs_are_listed_for_each_team_by_priority_and_age(store: Store, _: &Database) {
    team(&store, "big", 1).await;
    team(&store, "small", 3).await;
    project(&store, "big", "web", 0).await;
    project(&store, "big", "urgent", 5).await;
    project(&store, "small", "docs", 0).await;
    for n in 1..=5 {
        run_of(&store, n, "web").await;
    }
    run_of(&store, 6, "urgent").await;
    run_of(&store, 7, "docs").await;
    insert(&store, 8).await;
    let wants = store.list_wants_of_new_runs().await.unwrap();
    assert_eq!(wants, [""]);
    let listed = store.list_new_runs(&wants, 2).await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|it| (it.number, it.team.0.as_str(), it.weight, it.priority)).collect();
    assert_eq!(told, [(1, "big", 1, 0), (6, "big", 1, 5), (7, "small", 3, 0), (8, "", 1, 0)]);

    claim(&store, 1, "a", 0).await;
    set_status(&store, &run_id(7), RunStatus::Running).await;
    let listed = store.list_new_runs(&wants, 9).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.number).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 8]);
    let share = store.find_share(&ProjectId("docs".to_owned())).await.unwrap().unwrap();
    assert_eq!((share.weight, share.default_branch.as_str()), (3, "main"));
}

async fn labels_decide_who_is_offered_a_new_run(store: Store, _: &Database) {
    let gpu = r#"{"gpu":"true"}"#.to_owned();
    store.insert_run(&NewRun { wants: gpu.clone(), ..new_run(1) }).await.unwrap();
    insert(&store, 2).await;
    let mut wants = store.list_wants_of_new_runs().await.unwrap();
    wants.sort();
    assert_eq!(wants, [String::new(), gpu.clone()]);
    let ids = async |wants: &[String]| {
        let listed = store.list_new_runs(wants, 9).await.unwrap();
        listed.into_iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[String::new()]).await, [2]);
    assert_eq!(ids(&[gpu]).await, [1]);
    assert!(ids(&[]).await.is_empty());
}

async fn claim(store: &Store, n: u32, owner: &str, now: i64) -> Option<i64> {
    let run = run_id(n);
    let claim = LeaseClaim {
        run: &run,
        owner,
        instance: owner,
        now: Timestamp(now),
        until: Timestamp(now + 10),
        steal: false,
    };
    store.claim_lease(&claim).await.unwrap()
}

async fn orphans(store: &Store, now: i64) -> Vec<RunId> {
    let listed = store.list_orphaned_runs(Timestamp(now), 9).await.unwrap();
    listed.into_iter().map(|it| it.id).collect()
}

async fn a_run_whose_lease_is_over_is_an_orphan(store: Store, _: &Database) {
    for n in 1..=3 {
        insert(&store, n).await;
    }
    assert!(orphans(&store, 99).await.is_empty(), "nobody had them yet");
    claim(&store, 1, "a", 0).await;
    claim(&store, 2, "b", 5).await;
    assert!(orphans(&store, 9).await.is_empty());
    assert_eq!(orphans(&store, 10).await, [run_id(1)]);
    assert_eq!(store.list_runs_held_by("b", 9).await.unwrap(), [run_id(2)]);
    store.release_lease(&run_id(2), 1).await.unwrap();
    assert_eq!(orphans(&store, 10).await, [run_id(2), run_id(1)]);
    assert!(store.list_runs_held_by("b", 9).await.unwrap().is_empty());
    set_status(&store, &run_id(1), RunStatus::Passed).await;
    assert_eq!(orphans(&store, 10).await, [run_id(2)]);
}

async fn a_run_is_handed_over_to_somebody_with_its_labels(store: Store, _: &Database) {
    insert(&store, 1).await;
    claim(&store, 1, "a", 0).await;
    store.hand_over_lease(&run_id(1), 9, "{}", Timestamp(3)).await.unwrap();
    assert!(orphans(&store, 3).await.is_empty(), "another epoch's word says nothing");
    store.hand_over_lease(&run_id(1), 1, r#"{"gpu":"true"}"#, Timestamp(3)).await.unwrap();
    let orphan = store.list_orphaned_runs(Timestamp(3), 9).await.unwrap().remove(0);
    assert_eq!((orphan.wants.as_str(), orphan.lease_until), (r#"{"gpu":"true"}"#, Timestamp(3)));
    assert_eq!(claim(&store, 1, "b", 3).await, Some(2));
}

fn worker(name: &str, instance: &str, session: &str, at: i64) -> WorkerRow {
    WorkerRow {
        name: name.to_owned(),
        instance: instance.to_owned(),
        session: session.to_owned(),
        kind: "worker".to_owned(),
        labels: [("gpu".to_owned(), "true".to_owned())].into(),
        slots: 4,
        version: "0.1.0".to_owned(),
        running: BTreeMap::new(),
        started_at: Timestamp(at),
        seen_at: Timestamp(at),
        draining: false,
    }
}

async fn a_name_belongs_to_one_living_worker(store: Store, _: &Database) {
    let first = worker("w", "here", "1", 100_000);
    assert!(store.register_worker(&first).await.unwrap());
    assert_eq!(store.list_workers().await.unwrap(), std::slice::from_ref(&first));
    let other = worker("w", "there", "2", 110_000);
    assert!(!store.register_worker(&other).await.unwrap(), "the first one may live");
    assert!(store.register_worker(&worker("w", "here", "3", 110_000)).await.unwrap());
    let none = BTreeMap::new();
    let beat = async |session: &str, at: i64| {
        store.beat_worker(("w", session), &none, Timestamp(at)).await.unwrap()
    };
    assert_eq!(beat("1", 111_000).await, None, "it was replaced");
    assert_eq!(beat("3", 111_000).await, Some(false));
    assert!(store.register_worker(&worker("w", "there", "4", 141_000)).await.unwrap());
    store.delete_worker("w", "3").await.unwrap();
    assert_eq!(store.list_workers().await.unwrap().len(), 1);
    assert!(store.register_worker(&worker("v", "x", "5", 800_000_000)).await.unwrap());
    let names: Vec<_> = store.list_workers().await.unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["v"], "one that is silent for a week is forgotten");
}

async fn a_worker_learns_that_it_is_to_be_drained(store: Store, _: &Database) {
    assert!(!store.save_draining("w", true).await.unwrap());
    store.register_worker(&worker("w", "here", "1", 0)).await.unwrap();
    assert!(store.save_draining("w", true).await.unwrap());
    let running = [("t".to_owned(), 2)].into();
    let beat = store.beat_worker(("w", "1"), &running, Timestamp(5)).await.unwrap();
    assert_eq!(beat, Some(true));
    let row = store.list_workers().await.unwrap().remove(0);
    let later = |seconds| row.seen_at.plus(Milliseconds::from_seconds(seconds));
    assert!(row.is_alive(later(29)) && !row.is_alive(later(31)));
    assert_eq!((row.running, row.seen_at, row.draining), (running, Timestamp(5), true));
    store.register_worker(&worker("w", "here", "2", 6)).await.unwrap();
    assert!(!store.list_workers().await.unwrap()[0].draining, "a new start is a new start");
}

fn ask(run: &RunId, n: u32, height: i64) -> SlotRequest<'_> {
    SlotRequest {
        group: "stage:shop:deploy",
        run,
        stage: Some(StageIndex(0)),
        limit: 1,
        order: i64::from(n),
        height,
        skip_outdated: true,
        now: Timestamp(0),
    }
}

async fn slot(store: &Store, n: u32, height: i64) -> SlotAnswer {
    store.request_slot(&ask(&run_id(n), n, height)).await.unwrap()
}

fn behind(runs: &[u32]) -> SlotAnswer {
    SlotAnswer::Waiting { behind: runs.iter().copied().map(run_id).collect() }
}

async fn give_back(store: &Store, n: u32) {
    store.release_slot("stage:shop:deploy", &run_id(n), Some(StageIndex(0))).await.unwrap();
}

async fn runs_of_trunk_are_served_in_the_order_of_trunk(store: Store, _: &Database) {
    for n in 1..=4 {
        insert(&store, n).await;
    }
    // Of four runs, 3 was pushed before 2, and 4 is of no trunk.
    assert_eq!(slot(&store, 1, 10).await, SlotAnswer::Granted);
    assert_eq!(slot(&store, 2, 12).await, behind(&[1]));
    assert_eq!(slot(&store, 3, 11).await, behind(&[1]));
    assert_eq!(slot(&store, 2, 12).await, behind(&[1, 3]));
    assert_eq!(slot(&store, 4, 0).await, behind(&[1, 3, 2]));
    give_back(&store, 1).await;
    assert_eq!(slot(&store, 2, 12).await, behind(&[3]));
    assert_eq!(slot(&store, 3, 11).await, SlotAnswer::Granted);
}

async fn what_trunk_has_overtaken_is_outdated(store: Store, _: &Database) {
    for n in 1..=4 {
        insert(&store, n).await;
    }
    assert_eq!(slot(&store, 1, 12).await, SlotAnswer::Granted);
    let outdated = SlotAnswer::Outdated { newer: run_id(1) };
    assert_eq!(slot(&store, 2, 11).await, outdated, "also while the newer one has its slot");
    give_back(&store, 1).await;
    assert_eq!(slot(&store, 2, 11).await, outdated, "and after");
    assert_eq!(slot(&store, 3, 12).await, SlotAnswer::Granted, "the same commit is not older");
    give_back(&store, 3).await;
    assert_eq!(slot(&store, 4, 0).await, SlotAnswer::Granted, "not of trunk");
    give_back(&store, 4).await;
    let run = run_id(2);
    let patient = SlotRequest { skip_outdated: false, ..ask(&run, 2, 11) };
    assert_eq!(store.request_slot(&patient).await.unwrap(), SlotAnswer::Granted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_hear_of_a_run_at_once() {
    let Some(database) = Database::postgres("other_processes_hear_of_a_run_at_once").await else {
        return;
    };
    let (ours, theirs) = (Runs::new(database.open().await), Runs::new(database.open().await));
    let stop = tokio_util::sync::CancellationToken::new();
    let (mut here, mut there) = (ours.subscribe(), theirs.subscribe());
    let mut tasks = tokio::task::JoinSet::new();
    for runs in [ours.clone(), theirs.clone()] {
        let stop = stop.clone();
        tasks.spawn(async move { runs.share_news(&stop).await });
    }
    // Both listen when they have told themselves to look at everything.
    for changes in [&mut here, &mut there] {
        assert_eq!(*changes.recv().await.unwrap().news(), News::Everything);
    }
    assert!(ours.poll_pause() > std::time::Duration::from_secs(1));
    let news = [News::Run(run_id(1), 3), News::Freed("stage:a b".to_owned()), News::Takeable];
    for news in news.clone() {
        ours.announce(news);
    }
    let mut heard = Vec::new();
    while heard.len() < news.len() {
        heard.push(there.recv().await.unwrap().news().clone());
    }
    heard.sort();
    let mut told = news.to_vec();
    told.sort();
    assert_eq!(heard, told);
    for news in news {
        assert_eq!(*here.recv().await.unwrap().news(), news, "our own news come once, at once");
    }
    ours.announce_elsewhere(News::Delivery);
    assert_eq!(*there.recv().await.unwrap().news(), News::Delivery);
    assert!(here.try_recv().is_err());
    stop.cancel();
    tasks.join_all().await;
    ours.store().close().await;
    theirs.store().close().await;
    database.remove().await;
}
