//! How long runs took and waited.

use trunkline::engine::Event;
use trunkline::model::{ProjectId, RunId, RunStatus, Timestamp};
use trunkline::store::Store;
use trunkline::store::runs::{Append, NewRun, TimesFilter};

use crate::databases::{Database, on_each_database};
use crate::samples::{insert_shop, new_run, run_id};

on_each_database![the_first_start_and_the_last_are_kept, the_newest_runs_of_each_span_are_listed,];

async fn insert(store: &Store, n: u32, change: impl FnOnce(&mut NewRun)) -> RunId {
    let mut run = NewRun { project: ProjectId("p-web".to_owned()), ..new_run(n) };
    change(&mut run);
    store.insert_run(&run).await.unwrap();
    run.id
}

async fn append(store: &Store, run: &RunId, event: Event, (at, status): (i64, RunStatus)) {
    let row = store.find_run(run).await.unwrap().unwrap();
    let finished_at = status.is_finished().then_some(Timestamp(at));
    let events = [event];
    let (seq, at) = (row.events, Timestamp(at));
    let append =
        Append { run, seq, events: &events, at, status, finished_at, failed_stages: 0, notes: &[] };
    store.append_events(&append).await.unwrap();
}

fn filter(limit: u32) -> TimesFilter {
    TimesFilter {
        project: ProjectId("p-web".to_owned()),
        pipeline: None,
        branch: None,
        with_requests: true,
        cost_metric: "cost_usd".to_owned(),
        limit,
    }
}

async fn the_first_start_and_the_last_are_kept(store: Store, _: &Database) {
    insert_shop(&store).await;
    let run = insert(&store, 1, |_| ()).await;
    let passed = Event::RunFinished { status: RunStatus::Passed };
    append(&store, &run, Event::Admitted, (1900, RunStatus::Queued)).await;
    append(&store, &run, Event::RunStarted, (2000, RunStatus::Running)).await;
    append(&store, &run, passed.clone(), (3000, RunStatus::Passed)).await;
    append(&store, &run, Event::RunStarted, (7000, RunStatus::Running)).await;
    append(&store, &run, passed, (7500, RunStatus::Passed)).await;
    let costs = [("cost_usd".to_owned(), 0.25)].into();
    store.save_metrics(&run, "eval", &costs, Timestamp(1)).await.unwrap();
    store.save_metrics(&run, "load", &costs, Timestamp(1)).await.unwrap();

    let rows = store.list_run_times(&filter(9), &[(run_id(0), run_id(9))]).await.unwrap();

    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let moments = [row.first_started_at, row.started_at, row.finished_at];
    assert_eq!(moments.map(|it| it.map(|it| it.0)), [Some(2000), Some(7000), Some(7500)]);
    assert_eq!((row.cost, row.status.as_str()), (Some(0.5), "passed"));
}

async fn the_newest_runs_of_each_span_are_listed(store: Store, _: &Database) {
    insert_shop(&store).await;
    for n in 1..=9 {
        insert(&store, n, |it| match n {
            2 => "nightly".clone_into(&mut it.pipeline),
            5 => "pull_request".clone_into(&mut it.event),
            6 => "idea".clone_into(&mut it.branch),
            8 => it.project = ProjectId(String::new()),
            _ => (),
        })
        .await;
    }
    let list = async |filter: TimesFilter| -> Vec<i64> {
        let spans = [(run_id(1), run_id(4)), (run_id(4), run_id(9))];
        let rows = store.list_run_times(&filter, &spans).await.unwrap();
        rows.into_iter().map(|it| it.number).collect()
    };

    assert_eq!(list(filter(9)).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(list(filter(2)).await, [7, 6, 3, 2]);
    let only = TimesFilter { pipeline: Some("nightly".to_owned()), ..filter(9) };
    assert_eq!(list(only).await, [2]);
    let branch = Some("main".to_owned());
    let only = TimesFilter { branch, with_requests: false, ..filter(9) };
    assert_eq!(list(only).await, [7, 4, 3, 2, 1]);
    assert!(store.list_run_times(&filter(9), &[]).await.unwrap().is_empty());
}
