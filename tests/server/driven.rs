//! From a push to a green status: a worker takes the code from this machine's mirror.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trunkline::executor::{HostExecutor, HostSettings};
use trunkline::model::Clock as _;
use trunkline::secrets::{Given, SecretSource};
use trunkline::worker::{Worker, WorkerParts, WorkerSettings};

use crate::deliveries::{Scene, push_body};

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  unit: { image: none, run: 'test \"$(cat shop.txt)\" = umbrellas' }
  docs: { image: none, run: 'true', if: changed('docs/**') }
";

pub(crate) fn worker(scene: &Scene) -> Worker<HostExecutor> {
    let (app, folder) = (&scene.server.app, scene.server.folder.path().to_owned());
    let clock = Arc::clone(&scene.server.clock);
    let settings = HostSettings {
        state_folder: folder.clone(),
        env: Vec::new(),
        now: Arc::new(move || clock.now()),
    };
    let parts = WorkerParts {
        runs: app.runs.clone(),
        blobs: app.blobs.clone(),
        logs: app.logs.clone(),
        executor: HostExecutor::new(settings).unwrap(),
        clock: app.clock.clone(),
        secrets: SecretSource::Given(Given::default()),
        projects: Some(app.triggers.projects().clone()),
    };
    let settings = WorkerSettings {
        instance: "test".to_owned(),
        owner: "test".to_owned(),
        state_folder: folder,
        slots: 2,
        look_ahead: 0,
        log_limit_bytes: 1 << 20,
        keep_failed: false,
        reuse: false,
        is_shared: false,
        lease: trunkline::worker::LEASE,
        place: None,
    };
    Worker::new(parts, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_becomes_a_green_status_by_a_worker_on_the_mirror() {
    let files = [("pipelines/ci.yml", PIPELINE), ("shop.txt", "chairs\n")];
    let scene = Scene::start("github", &files).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell umbrellas", &[("shop.txt", "umbrellas\n")]);
    scene.remote.push("main").await;
    let answer = scene.github("push", "d-1", &push_body(&before, &after)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;

    let run = scene.server.app.store.find_run_by_number(1).await.unwrap().unwrap();
    let status = worker(&scene).drive(&run.id, &CancellationToken::new()).await.unwrap();
    assert_eq!(status, Some(trunkline::model::RunStatus::Passed), "{:?}", scene.forge.asked());
    let status = scene.forge.wait_for(|it| it.body["state"] == "success").await;
    assert_eq!(status.body["description"], json!("1 passed, 1 skipped"));
}
