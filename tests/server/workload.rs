//! A stage proves to a cloud which stage it is, with the token that it was given.

use reqwest::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trunkline::config::SignInSettings;
use trunkline::model::{RunStatus, StageIndex};
use trunkline::runs::LoadedRun;

use crate::deliveries::{Scene, push_body};
use crate::driven::worker;
use crate::forge::Forge;
use crate::identity::verify;
use crate::remote::TOKEN;
use crate::support::Server;

fn pipeline(cloud: &str) -> String {
    format!(
        "\
version: 1
name: ci
on: push
stages:
  deploy:
    image: none
    environment: production
    identity: {{ audience: cloud.example, env: ID_TOKEN, file: ID_FILE, lifetime: 5m }}
    run: |
      echo \"token $ID_TOKEN\"
      part=$(printf %s \"$ID_TOKEN\" | cut -d. -f2 | tr '_-' '/+')
      echo \"$part==\" | base64 -d 2>/dev/null | tr ',' '\\n' || true
      test \"$(cat \"$ID_FILE\")\" = \"$ID_TOKEN\"
      curl -fsS -H \"x-identity: $(cat \"$ID_FILE\")\" {cloud}/exchange
  other:
    image: none
    run: test -z \"$ID_TOKEN\"
"
    )
}

async fn pushed(scene: &Scene) -> LoadedRun {
    let before = scene.remote.head();
    let after = scene.remote.commit("Deploy", &[("shop.txt", "umbrellas\n")]);
    scene.remote.push("main").await;
    let answer = scene.github("push", "d-1", &push_body(&before, &after)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    let app = &scene.server.app;
    let row = app.store.find_run_by_number(1).await.unwrap().unwrap();
    app.runs.load(&row.id).await.unwrap()
}

async fn server_with_address() -> Server {
    let settings = |url: &str| SignInSettings {
        public_url: Some(url.to_owned()),
        ..SignInSettings::default()
    };
    Server::start_with(settings).await
}

/// Everything that the first attempt of a stage has printed.
fn log_of(scene: &Scene, run: &LoadedRun, stage: u32) -> String {
    let name = trunkline::model::AttemptName {
        run: run.row.id.clone(),
        stage: StageIndex(stage),
        attempt: 1,
    };
    let folder = scene.server.folder.path().join("logs");
    let mut text = String::new();
    let mut todo = vec![folder];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.display().to_string().contains(&name.run.0)
                || path.display().to_string().contains(&name.slug())
            {
                text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_believes_the_token_that_a_stage_shows() {
    let cloud = Forge::start().await;
    let text = pipeline(&cloud.url);
    let files = [("pipelines/ci.yml", text.as_str())];
    let server = server_with_address().await;
    let scene = Scene::start_on(server, ("github", Some(TOKEN)), &files).await;
    let run = pushed(&scene).await;
    let worker = worker(&scene).with_identity(scene.server.app.auth.clone());
    let status = worker.drive(&run.row.id, &CancellationToken::new()).await.unwrap();
    let log = log_of(&scene, &run, 0);
    assert_eq!(status, Some(RunStatus::Passed), "{log}");

    let shown = cloud.wait_for(|it| it.path == "/exchange").await;
    let token = shown.header("x-identity");
    let claims = verify(&scene.server, token, "cloud.example").await.unwrap();
    let subject = "project:shop/web:ref:refs/heads/main:environment:production:stage:deploy";
    assert_eq!(claims["sub"], subject);
    for (name, value) in [
        ("team", json!("shop")),
        ("project", json!("web")),
        ("ref", json!("refs/heads/main")),
        ("environment", json!("production")),
        ("stage", json!("deploy")),
        ("run", json!(run.row.id)),
        ("event", json!("push")),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 300);
    assert!(verify(&scene.server, token, "another.example").await.is_err());

    // What the stage has printed shows the claims, and not the token.
    assert!(log.contains("token ***"), "{log}");
    assert!(log.contains("\"stage\":\"deploy\""), "{log}");
    assert!(!log.contains(token), "{log}");
    let left = std::fs::read_dir(scene.server.folder.path().join("tokens")).unwrap().count();
    assert_eq!(left, 0, "the note of the token goes with the attempt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_that_signs_the_stage_fails_and_says_so() {
    let text = pipeline("http://127.0.0.1:1");
    let files = [("pipelines/ci.yml", text.as_str())];
    let scene = Scene::start("github", &files).await;
    let run = pushed(&scene).await;
    let app = &scene.server.app;
    // As a run of a terminal has it.
    let driven = worker(&scene).drive(&run.row.id, &CancellationToken::new()).await.unwrap();
    assert_eq!(driven, Some(RunStatus::Failed));
    let loaded = app.runs.load(&run.row.id).await.unwrap();
    let outcome = loaded.run.stage(StageIndex(0)).unwrap().outcome().unwrap();
    assert!(outcome.message.contains("a local run has none"), "{}", outcome.message);
    assert!(outcome.message.contains("help:"), "{}", outcome.message);
}
