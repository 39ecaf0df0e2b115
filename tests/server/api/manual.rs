//! Runs that a person starts, from the request to the end of the run.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trunkline::model::{Role, RunId};

use crate::deliveries::Scene;
use crate::driven::worker;
use crate::support::Answer;

const PIPELINE: &str = "\
version: 1
name: ci
on:
  push: {}
  manual:
    inputs:
      target: { type: choice, options: [eu, us], required: true }
      count: { type: number, default: 2 }
stages:
  unit:
    image: none
    run: |
      echo '{\"f1\": 0.75}' >>\"$TRUNKLINE_METRICS\"
      echo \"target=$TARGET\" >>\"$TRUNKLINE_OUTPUTS\"
    env: { TARGET: '${{ inputs.target }}' }
    gate: { f1: '>= 0.5' }
  fails: { image: none, run: 'echo oh no; exit 3', allow_failure: { reason: later } }
  never: { image: none, run: 'true', if: 'event == \"push\"' }
";

pub(crate) const PATH: &str = "/api/v1/projects/shop/web/runs";

pub(crate) async fn start(scene: &Scene, body: Value) -> Answer {
    scene.server.post(&scene.token, PATH, body).await
}

/// Starts a run, and drives it to its end; gives its id.
pub(crate) async fn driven(scene: &Scene, body: Value) -> String {
    let started = start(scene, body).await;
    assert_eq!(started.status, StatusCode::CREATED, "{started:?}");
    let id = started.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), format!("/api/v1/runs/{id}"));
    worker(scene).drive(&RunId(id.clone()), &CancellationToken::new()).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_inputs_is_started_shown_and_tried_again() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (server, token) = (&scene.server, scene.token.as_str());
    let id =
        driven(&scene, json!({ "pipeline": "ci", "inputs": { "target": "eu", "count": 3 } })).await;
    let path = format!("/api/v1/runs/{id}");
    let run = server.get(token, &path).await.json();
    let of = |name: &str| run[name].clone();
    assert_eq!(
        (of("event"), of("branch"), of("status")),
        (json!("manual"), json!("main"), json!("passed"))
    );
    assert_eq!((of("repository"), of("number")), (json!("shop/web"), json!(1)));
    let [unit, fails, never] = run["stages"].as_array().unwrap().as_slice() else {
        panic!("{run}")
    };
    let outcome = &unit["attempts"][0]["outcome"];
    assert_eq!(outcome["outputs"], json!({ "target": "eu" }));
    assert_eq!(outcome["metrics"]["f1"], 0.75);
    assert_eq!(
        unit["gates"][0],
        json!({ "metric": "f1", "comparison": ">= 0.5", "value": 0.75, "passed": true })
    );
    assert_eq!(unit["attempts"][0]["steps"][0]["exit_code"], 0);
    assert_eq!((&fails["failure_class"], &fails["allowed"]), (&json!("user"), &json!(true)));
    assert!(fails["failure_message"].as_str().unwrap().contains('3'), "{fails}");
    assert_eq!(never["skip_reason"]["kind"], "condition");

    let graph = server.get(token, &format!("{path}/graph")).await;
    assert_eq!(graph.header("content-type"), "image/svg+xml");
    assert!(graph.text.starts_with("<svg") && graph.text.contains("unit"), "{}", graph.text);

    let rerun = format!("{path}/rerun");
    let both = server.post(token, &rerun, json!({ "failed": true, "stages": ["unit"] })).await;
    assert_eq!(both.status, StatusCode::BAD_REQUEST);
    let unknown = server.post(token, &rerun, json!({ "stages": ["nothing"] })).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.json()["help"].as_str().unwrap().contains("`unit`"), "{unknown:?}");
    let nothing = server.post(token, &rerun, json!({ "failed": true })).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY, "an allowed failure is none");
    let again = server.post(token, &rerun, json!({ "stages": ["unit"], "no_reuse": true })).await;
    assert_eq!((again.status, again.json()["status"].clone()), (StatusCode::OK, json!("running")));
    let events = server.get(token, &format!("{path}/events?limit=200")).await.json();
    let asked =
        events["items"].as_array().unwrap().iter().find(|it| it["type"] == "rerun_requested");
    assert_eq!(asked.unwrap()["no_reuse"], true, "{events}");
    let early = server.post(token, &rerun, json!({})).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY, "it has not ended");
    let cancelled = server.post(token, &format!("{path}/cancel"), json!({ "force": true })).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{cancelled:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_started_is_said() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    for (body, status, wanted) in [
        (json!({ "pipeline": "ci" }), 422, "target"),
        (json!({ "pipeline": "ci", "inputs": { "target": "mars" } }), 422, "`eu`"),
        (json!({ "pipeline": "ci", "inputs": { "target": "eu", "x": "y" } }), 422, "`x`"),
        (json!({ "pipeline": "cd", "inputs": {} }), 422, "no pipeline `cd`"),
        (json!({ "pipeline": "cd", "inputs": {} }), 422, "Known are `ci`"),
        (json!({ "pipeline": "ci", "ref": "topic" }), 422, "no branch, tag or commit `topic`"),
        (json!({ "pipeline": "ci", "ref": "main~0" }), 422, "no branch, tag or commit"),
        (json!({ "pipeline": "ci", "inputs": { "target": ["eu"] } }), 400, "`target` is no text"),
        (json!({ "inputs": {} }), 400, "missing field `pipeline`"),
        (json!({ "pipeline": "ci", "branch": "main" }), 400, "unknown field `branch`"),
    ] {
        let answer = start(&scene, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {answer:?}");
        assert!(answer.text.contains(wanted), "{body}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(scene.runs().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_and_a_commit_can_be_started_and_an_archived_project_cannot() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let first = scene.remote.head();
    scene.remote.push("refs/tags/v1").await;
    scene.remote.commit("second", &[("x.txt", "x")]);
    scene.remote.push("main").await;
    let inputs = json!({ "target": "us" });
    for (r#ref, branch) in [("v1", ""), (first.as_str(), "")] {
        let body = json!({ "pipeline": "ci", "ref": r#ref, "inputs": inputs });
        let run = start(&scene, body).await.json();
        assert_eq!((&run["revision"], &run["branch"]), (&json!(first), &json!(branch)), "{run}");
    }
    let project = "/api/v1/projects/shop/web";
    let call = |method, body| scene.server.call(&scene.token, method, (project, body));
    assert_eq!(call(Method::DELETE, None).await.status, StatusCode::NO_CONTENT);
    let refused = start(&scene, json!({ "pipeline": "ci", "inputs": inputs })).await;
    assert!(refused.text.contains("is archived"), "{refused:?}");
    let back = call(Method::PATCH, Some(json!({ "archived": false }))).await;
    assert_eq!(back.json()["archived_at"], Value::Null);
    let body = json!({ "pipeline": "ci", "inputs": inputs });
    assert_eq!(start(&scene, body.clone()).await.status, StatusCode::CREATED);

    let team = scene.server.app.store.find_team("shop").await.unwrap().unwrap().id;
    scene.server.person("bob", false).await;
    scene.server.member(&team, "bob", Role::Viewer).await;
    let viewer = scene.server.token("bob", &["admin"]).await;
    assert_eq!(scene.server.post(&viewer, PATH, body).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_found_by_what_they_are() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let mut ids = Vec::new();
    for target in ["eu", "us", "eu"] {
        let body = json!({ "pipeline": "ci", "inputs": { "target": target } });
        ids.insert(0, start(&scene, body).await.json()["id"].as_str().unwrap().to_owned());
    }
    let list = async |query: &str| {
        let list = scene.server.get(&scene.token, &format!("/api/v1/runs?{query}")).await;
        assert_eq!(list.status, StatusCode::OK, "{list:?}");
        list.json()
    };
    let revision = scene.remote.head();
    let everything = format!(
        "project=shop/web&team=shop&pipeline=ci&branch=main&status=queued,running&event=manual&revision={revision}"
    );
    assert_eq!(list(&everything).await["items"].as_array().unwrap().len(), 3);
    for none in ["pipeline=cd", "branch=topic", "status=passed", "event=push", "revision=00"] {
        assert_eq!(list(none).await["items"], json!([]), "{none}");
    }
    let first = list("limit=2").await;
    let next = first["next"].as_str().unwrap();
    let second = list(&format!("limit=2&cursor={next}")).await;
    let both =
        [&first["items"], &second["items"]].map(|it| it.as_array().unwrap().clone()).concat();
    let found: Vec<_> = both.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!((found, second.get("next")), (ids.iter().map(String::as_str).collect(), None));
    let unknown = scene.server.get(&scene.token, "/api/v1/runs?team=nowhere").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
