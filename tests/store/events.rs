//! The table `run_events`.

use trunkline::engine::Event;
use trunkline::model::{FailureClass, ProjectId, RunId, RunStatus, StageIndex, TeamId, Timestamp};
use trunkline::store::audit::{AuditFilter, AuditRow};
use trunkline::store::runs::{Append, StoredEvent};
use trunkline::store::{Store, StoreError};

use crate::databases::{Database, on_each_database};
use crate::samples::{insert, outcome_with, run_id, set_status};

on_each_database![
    events_are_read_back_in_order,
    an_append_moves_the_row_along,
    an_append_at_the_wrong_place_changes_nothing,
    an_append_to_a_run_that_is_not_there_is_a_conflict,
    what_the_audit_log_says_of_events_is_stored_with_them_or_not_at_all,
    thousands_of_events_fit_in_one_append,
    one_of_many_writers_wins_each_place,
    a_metric_that_is_not_a_number_does_not_spoil_the_run,
    an_event_of_a_newer_version_is_reported,
    an_event_of_an_unknown_type_is_reported,
];

async fn events_are_read_back_in_order(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let outcome = trunkline::engine::AttemptOutcome {
        message: "line\nwith \u{0} and \"quotes\" ☂".into(),
        ..trunkline::engine::AttemptOutcome::failed(FailureClass::User, "")
    };
    let events = [
        Event::LeaseTaken { epoch: 1, owner: "host-1".into(), instance: "01k".into() },
        Event::AttemptFinished { stage: StageIndex(3), attempt: 2, outcome },
        Event::RunTimedOut,
    ];
    append(&store, &run, 0, &events[..2]).await.unwrap();
    append(&store, &run, 2, &events[2..]).await.unwrap();

    let stored = |seq: usize| StoredEvent {
        seq: i64::try_from(seq).unwrap(),
        at: Timestamp(2000),
        event: events[seq].clone(),
    };
    let all = store.list_events(&run, 0).await.unwrap();
    assert_eq!(all, [stored(0), stored(1), stored(2)]);
    assert_eq!(store.list_events(&run, 2).await.unwrap(), [stored(2)]);
    assert_eq!(store.list_some_events(&run, 1, 1).await.unwrap(), [stored(1)]);
    assert!(store.list_events(&run, 3).await.unwrap().is_empty());
    assert!(store.list_events(&run_id(2), 0).await.unwrap().is_empty());
}

async fn an_append_moves_the_row_along(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    append(&store, &run, 0, &[Event::Admitted, Event::RunStarted]).await.unwrap();

    let row = store.find_run(&run).await.unwrap().unwrap();
    assert_eq!((row.status, row.events, row.finished_at), (RunStatus::Running, 2, None));

    set_status(&store, &run, RunStatus::Passed).await;
    let row = store.find_run(&run).await.unwrap().unwrap();
    assert_eq!(row.status, RunStatus::Passed);
    assert_eq!((row.events, row.finished_at), (3, Some(Timestamp(5000))));

    append(&store, &run, 3, &[Event::RunStarted]).await.unwrap();
    let row = store.find_run(&run).await.unwrap().unwrap();
    assert_eq!((row.status, row.events, row.finished_at), (RunStatus::Running, 4, None));
}

async fn an_append_at_the_wrong_place_changes_nothing(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    append(&store, &run, 0, &[Event::Admitted]).await.unwrap();

    for seq in [0, 2] {
        let refused = append(&store, &run, seq, &[Event::RunStarted]).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    }

    let row = store.find_run(&run).await.unwrap().unwrap();
    assert_eq!(row.events, 1);
    assert_eq!(store.list_events(&run, 0).await.unwrap().len(), 1);
}

async fn an_append_to_a_run_that_is_not_there_is_a_conflict(store: Store, _: &Database) {
    let refused = append(&store, &run_id(1), 0, &[Event::Admitted]).await;

    let message = refused.unwrap_err().to_string();
    assert_eq!(message, "`run 01k00000000000000000000001` was changed by someone else");
}

async fn thousands_of_events_fit_in_one_append(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let events: Vec<_> =
        (0..12_345).map(|stage| Event::StageReady { stage: StageIndex(stage) }).collect();
    append(&store, &run, 0, &events).await.unwrap();

    let stored = store.list_events(&run, 0).await.unwrap();

    assert!(stored.iter().map(|it| &it.event).eq(&events));
    assert_eq!(store.find_run(&run).await.unwrap().unwrap().events, 12_345);
}

async fn one_of_many_writers_wins_each_place(store: Store, database: &Database) {
    let run = insert(&store, 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u32 {
        let store = if task % 2 == 0 { store.clone() } else { database.open().await };
        let run = run.clone();
        tasks.spawn(async move {
            let mut wins = Vec::new();
            for seq in 0..40 {
                let event = Event::StageReady { stage: StageIndex(task) };
                match append(&store, &run, seq, &[event]).await {
                    Ok(()) => wins.push((seq, task)),
                    Err(StoreError::Conflict { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error:?}"),
                }
            }
            wins
        });
    }
    let mut wins = tasks.join_all().await.concat();
    wins.sort_unstable();

    let stored = store.list_events(&run, 0).await.unwrap();
    let written = |task| Event::StageReady { stage: StageIndex(task) };
    let won: Vec<_> = wins.into_iter().map(|(seq, task)| (seq, written(task))).collect();
    let stored: Vec<_> = stored.into_iter().map(|it| (it.seq, it.event)).collect();
    assert_eq!(stored, won);
    assert_eq!(stored.len(), 40);
}

async fn a_metric_that_is_not_a_number_does_not_spoil_the_run(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let mut outcome = outcome_with("loss", f64::NAN);
    outcome.metrics.insert("f1".into(), 0.5);
    let event = Event::AttemptFinished { stage: StageIndex(0), attempt: 1, outcome };
    append(&store, &run, 0, &[event]).await.unwrap();

    let stored = store.list_events(&run, 0).await.unwrap();

    let outcome = outcome_with("f1", 0.5);
    assert_eq!(
        stored[0].event,
        Event::AttemptFinished { stage: StageIndex(0), attempt: 1, outcome }
    );
}

async fn an_event_of_a_newer_version_is_reported(store: Store, database: &Database) {
    let run = insert(&store, 1).await;
    append(&store, &run, 0, &[Event::Admitted]).await.unwrap();
    database.execute("UPDATE run_events SET version = 2").await;

    let error = anyhow::Error::from(store.list_events(&run, 0).await.unwrap_err());

    assert_eq!(
        format!("{error:#}"),
        "`event 0 of run 01k00000000000000000000001` in the database cannot be read: \
         its version is `2`; this program knows versions up to `1`"
    );
}

async fn an_event_of_an_unknown_type_is_reported(store: Store, database: &Database) {
    let run = insert(&store, 1).await;
    append(&store, &run, 0, &[Event::Admitted]).await.unwrap();
    database.execute(r#"UPDATE run_events SET body = '{"type":"teleported"}'"#).await;

    let error = store.list_events(&run, 0).await;

    assert!(matches!(error, Err(StoreError::Unreadable { .. })), "{error:?}");
}

async fn what_the_audit_log_says_of_events_is_stored_with_them_or_not_at_all(
    store: Store,
    _: &Database,
) {
    let run = insert(&store, 1).await;
    let note = AuditRow {
        id: "01".to_owned(),
        at: Timestamp(2000),
        actor: "system".to_owned(),
        address: String::new(),
        action: "stage.approve".to_owned(),
        team: TeamId(String::new()),
        project: ProjectId(String::new()),
        subject: format!("{run}/gate"),
        detail: "{}".to_owned(),
    };
    let events = [Event::Admitted];
    let append = |seq| Append {
        run: &run,
        seq,
        events: &events,
        at: Timestamp(2000),
        status: RunStatus::Running,
        finished_at: None,
        failed_stages: 0,
        notes: std::slice::from_ref(&note),
    };
    let all = AuditFilter { limit: 10, ..AuditFilter::default() };

    assert!(store.append_events(&append(1)).await.is_err());
    assert!(store.list_audit_events(&all).await.unwrap().is_empty());
    store.append_events(&append(0)).await.unwrap();
    assert!(store.append_events(&append(0)).await.is_err());
    assert_eq!(store.list_audit_events(&all).await.unwrap(), std::slice::from_ref(&note));
}

async fn append(store: &Store, run: &RunId, seq: i64, events: &[Event]) -> Result<(), StoreError> {
    let (at, status) = (Timestamp(2000), RunStatus::Running);
    let append =
        Append { run, seq, events, at, status, finished_at: None, failed_stages: 0, notes: &[] };
    store.append_events(&append).await
}
