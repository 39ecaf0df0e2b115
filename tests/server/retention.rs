//! What a server removes after a while, with the files that belong to it.

use std::sync::Arc;

use trunkline::blobs::Hold;
use trunkline::config::RetentionSettings;
use trunkline::engine::Event;
use trunkline::model::{AttemptName, ProjectId, RunId, RunStatus, StageIndex, StageStatus};
use trunkline::retention::{Mode, Retention, RetentionError};
use trunkline::secrets::new_id;
use trunkline::store::artifacts::ArtifactRow;
use trunkline::store::runs::{Append, NewRun};

use crate::support::Server;
use crate::{spans, traced};

const DAY_SECONDS: i64 = 24 * 3600;

fn retention(server: &Server, settings: RetentionSettings) -> Retention {
    Retention {
        store: server.app.store.clone(),
        blobs: server.app.blobs.clone(),
        logs: server.app.logs.clone(),
        clock: Arc::clone(&server.clock) as _,
        settings,
        all_runs_days: None,
        folder: server.folder.path().to_owned(),
    }
}

/// A run with a log and an artifact, which has ended with this status, or goes on; its stage has passed where it has.
async fn run(server: &Server, status: Option<RunStatus>) -> RunId {
    let passed = Event::StageFinished {
        stage: StageIndex(0),
        status: StageStatus::Passed,
        allowed: false,
        failure: None,
    };
    let is_passed = status == Some(RunStatus::Passed);
    run_of(server, status, is_passed.then_some(passed)).await
}

async fn run_of(server: &Server, status: Option<RunStatus>, stage: Option<Event>) -> RunId {
    let (store, now) = (&server.app.store, server.app.now());
    let id = RunId(new_id(now));
    let text = String::new;
    let new = NewRun {
        id: id.clone(),
        pipeline: "ci".to_owned(),
        repository: "/srv/shop".to_owned(),
        event: "push".to_owned(),
        branch: "main".to_owned(),
        revision: text(),
        tree: text(),
        title: text(),
        project: ProjectId(text()),
        cause: text(),
        height: 0,
        wants: text(),
        plan: r#"{"pipeline":"ci","stages":[]}"#.to_owned(),
        context: "{}".to_owned(),
        created_at: now,
    };
    store.insert_run(&new).await.unwrap();
    let attempt = AttemptName { run: id.clone(), stage: StageIndex(0), attempt: 1 };
    drop(server.app.logs.writer(&attempt).await.unwrap());
    let blob = server.app.blobs.put(id.0.as_bytes(), 1 << 20).await.unwrap();
    let row = ArtifactRow {
        attempt,
        stage_key: "unit".to_owned(),
        path: "out".to_owned(),
        digest: blob.digest,
        size_bytes: 1,
        files: 1,
        expires_at: now.plus(trunkline::model::Milliseconds::from_seconds(400 * 86_400)),
    };
    store.insert_artifacts(&[row]).await.unwrap();
    if let Some(status) = status {
        let events: Vec<_> = stage.into_iter().chain([Event::RunFinished { status }]).collect();
        let append = Append {
            run: &id,
            seq: 0,
            events: &events,
            at: now,
            status,
            finished_at: Some(now),
            failed_stages: 0,
            notes: &[],
        };
        store.append_events(&append).await.unwrap();
    }
    server.clock.by_seconds(1);
    id
}

async fn there(server: &Server, runs: &[&RunId]) -> Vec<(bool, bool, bool)> {
    let mut found = Vec::new();
    let logs = server.app.logs.list_runs().await.unwrap();
    for run in runs {
        let is_there = server.app.store.find_run(run).await.unwrap().is_some();
        let artifacts = server.app.store.list_artifacts(run).await.unwrap();
        found.push((is_there, logs.contains(run), !artifacts.is_empty()));
    }
    found
}

const ALL: (bool, bool, bool) = (true, true, true);
const NOTHING: (bool, bool, bool) = (false, false, false);

#[tokio::test]
async fn old_runs_go_but_not_the_newest_the_last_green_and_those_under_way() {
    let server = Server::start().await;
    let open = run(&server, None).await;
    let green = run(&server, Some(RunStatus::Passed)).await;
    // All its stages were skipped.
    let skipped = run_of(&server, Some(RunStatus::Passed), None).await;
    let old = run(&server, Some(RunStatus::Failed)).await;
    let older = run(&server, Some(RunStatus::Cancelled)).await;
    let new = run(&server, Some(RunStatus::Failed)).await;
    let settings =
        RetentionSettings { runs_days: 30, runs_count: 1, ..RetentionSettings::default() };
    let retention = retention(&server, settings);
    assert_eq!(retention.sweep(Mode::Remove).await.unwrap().runs, 0, "nothing is old");

    server.clock.by_seconds(31 * DAY_SECONDS);
    let counted = retention.sweep(Mode::Count).await.unwrap();
    let blobs = server.app.blobs.list().await.unwrap().len();
    let removed = retention.sweep(Mode::Remove).await.unwrap();
    assert_eq!((counted.runs, removed.runs), (3, 3));
    let found = there(&server, &[&open, &green, &skipped, &old, &older, &new]).await;
    assert_eq!(found, [ALL, ALL, NOTHING, NOTHING, NOTHING, ALL]);
    // Their files are older than the hour that a new one is left alone.
    assert_eq!(server.app.blobs.list().await.unwrap().len(), blobs - 3, "{removed:?}");
    assert_eq!(retention.sweep(Mode::Remove).await.unwrap().runs, 0);
}

#[tokio::test]
async fn logs_and_artifacts_may_go_before_their_run() {
    let server = Server::start().await;
    let open = run(&server, None).await;
    let old = run(&server, Some(RunStatus::Failed)).await;
    let green = run(&server, Some(RunStatus::Passed)).await;
    let settings =
        RetentionSettings { logs_days: 7, artifacts_days: 7, ..RetentionSettings::default() };
    server.clock.by_seconds(8 * DAY_SECONDS);
    let removed = retention(&server, settings).sweep(Mode::Remove).await.unwrap();
    assert_eq!((removed.runs, removed.logs, removed.artifacts), (0, 1, 1));
    let found = there(&server, &[&open, &old, &green]).await;
    assert_eq!(found, [ALL, (true, false, false), ALL]);
}

#[tokio::test]
async fn traces_and_spans_of_apps_go_after_their_days_and_sooner_what_was_said() {
    let server = Server::start().await;
    let (store, now) = (&server.app.store, server.app.now());
    let call = traced::trace("req_1", "shop", now);
    store.insert_traces(&[call], &[traced::content("req_1", "Hi", now)]).await.unwrap();
    let span = spans::span(1, ("shop", spans::OWN), ("tool search", ""), now);
    let said = traced::content(&span.id, "Hi", now);
    store.insert_spans(std::slice::from_ref(&span), &[said]).await.unwrap();
    let ids = ["req_1".to_owned(), span.id.clone()];
    let there = async || {
        (
            store.find_trace("req_1").await.unwrap().is_some(),
            store.find_span(&span.id).await.unwrap().is_some(),
            store.list_trace_contents(&ids).await.unwrap().len(),
        )
    };
    let settings = RetentionSettings {
        traces_days: 30,
        trace_contents_days: 7,
        ..RetentionSettings::default()
    };
    let retention = retention(&server, settings);
    for (days, left) in [(6, (true, true, 2)), (2, (true, true, 0)), (23, (false, false, 0))] {
        server.clock.by_seconds(days * DAY_SECONDS);
        retention.sweep(Mode::Remove).await.unwrap();
        assert_eq!(there().await, left, "{days} days later");
    }
}

#[tokio::test]
async fn nothing_goes_while_a_backup_is_written() {
    let server = Server::start().await;
    let retention = retention(&server, RetentionSettings::default());
    let hold = Hold::to_read(server.folder.path()).unwrap();
    let refused = retention.sweep(Mode::Remove).await;
    assert!(matches!(refused, Err(RetentionError::Held)), "{refused:?}");
    drop(hold);
    retention.sweep(Mode::Remove).await.unwrap();
}
