//! The commands of `docs/api.md`, word for word, against a server with a worker.

use std::process::Stdio;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use trunkline::model::Role;

use crate::deliveries::Scene;
use crate::driven::worker;
use crate::support::skip;

const PIPELINE: &str = "\
version: 1
name: ci
on: { manual: { inputs: { target: { type: choice, options: [eu, us] } } } }
stages:
  unit:
    image: none
    run: mkdir dist; echo hello >dist/index.html; echo \"built for $TARGET\"
    env: { TARGET: '${{ inputs.target }}' }
    artifacts: [dist/]
  release: { needs: [unit], approval: { count: 1 } }
";

/// The blocks that are examples, in order.
fn examples() -> String {
    let page = std::fs::read_to_string("docs/api.md").unwrap();
    let blocks = page.split("```sh example\n").skip(1).map(|it| it.split("```").next().unwrap());
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.len() > 5, "the examples are gone");
    blocks.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_work() {
    if ["curl", "jq", "tar"].iter().any(|it| !is_installed(it)) {
        return skip("`curl`, `jq` or `tar`");
    }
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let team = scene.server.app.store.find_team("shop").await.unwrap().unwrap().id;
    scene.server.person("bob", false).await;
    scene.server.member(&team, "bob", Role::Approver).await;
    let token = scene.server.token("bob", &["admin"]).await;
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -euo pipefail\n{}", examples());
    let child = tokio::process::Command::new("bash")
        .args(["-c", &script])
        .env("TRUNKLINE_URL", &scene.server.url)
        .env("TRUNKLINE_TOKEN", token)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Drives the run that the examples start.
    let (app, worker) = (scene.server.app.clone(), worker(&scene));
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(async move {
        loop {
            if let Some(row) = app.store.find_run_by_number(1).await.unwrap() {
                break worker.drive(&row.id, &CancellationToken::new()).await.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), child.wait_with_output());
    let output = output.await.expect("the examples take more than a minute").unwrap();
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    for wanted in [
        "\"login\": \"bob\"",
        "attempt_finished unit",
        "built for eu",
        "unit dist/ 1",
        "1 release",
        "\"passed\"",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is missing:\n{text}\n{errors}");
    }
    let file = std::fs::read_to_string(folder.path().join("dist/index.html")).unwrap();
    assert_eq!(file, "hello\n");
    assert_eq!(json!(scene.runs().await.len()), json!(1));
}

fn is_installed(program: &str) -> bool {
    let found = std::process::Command::new(program).arg("--version").output();
    found.is_ok_and(|it| it.status.success())
}
