//! Badges: who may see them, what they say, and how they are kept.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::deliveries::{Scene, push_body};
use crate::driven::worker;
use crate::support::Answer;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages: { unit: { image: none, run: 'test -e green' } }
";

async fn picture(scene: &Scene, query: &str, known: Option<&str>) -> Answer {
    let mut request = scene.server.request(Method::GET, &format!("/badges/shop/web/ci.svg{query}"));
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn run(scene: &Scene, id: &str, files: &[(&str, &str)]) {
    let before = scene.remote.head();
    let after = scene.remote.commit("Work", files);
    scene.remote.push("main").await;
    let answer = scene.github("push", id, &push_body(&before, &after)).await;
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    let run = scene.runs().await[0]["id"].as_str().unwrap().to_owned();
    let run = trunkline::model::RunId(run);
    worker(scene).drive(&run, &CancellationToken::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_badge_is_for_members_for_who_has_the_token_or_for_everybody() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let hidden = picture(&scene, "", None).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let nowhere = scene.server.request(Method::GET, "/badges/shop/other/ci.svg");
    let nowhere = Answer::of(nowhere.send().await.unwrap()).await;
    assert_eq!((nowhere.status, &nowhere.text), (hidden.status, &hidden.text));
    let member = scene.server.get(&scene.token, "/badges/shop/web/ci.svg").await;
    assert_eq!(member.status, StatusCode::OK);
    assert!(member.text.contains("ci: unknown"), "{member:?}");

    let path = "/api/v1/projects/shop/web/badge";
    let save = async |body| scene.server.call(&scene.token, Method::PUT, (path, Some(body))).await;
    let saved = save(json!({ "public": false, "token": "rotate" })).await.json();
    let token = saved["token"].as_str().unwrap().to_owned();
    assert_eq!(saved["example"], format!("/badges/shop/web/ci.svg?token={token}"));
    assert_eq!(token.len(), 32);
    let with = format!("?token={token}");
    assert_eq!(picture(&scene, &with, None).await.status, StatusCode::OK);
    assert_eq!(picture(&scene, "?token=", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(picture(&scene, "?token=guess", None).await.status, StatusCode::NOT_FOUND);
    save(json!({ "public": false, "token": "rotate" })).await;
    assert_eq!(picture(&scene, &with, None).await.status, StatusCode::NOT_FOUND);
    save(json!({ "public": true, "token": "remove" })).await;
    assert_eq!(picture(&scene, "", None).await.status, StatusCode::OK);
    let shown = scene.server.get(&scene.token, path).await.json();
    assert_eq!(shown, json!({ "public": true, "example": "/badges/shop/web/ci.svg" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_badge_follows_the_branch_and_is_kept_by_its_tag() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let path = "/api/v1/projects/shop/web/badge";
    let public = json!({ "public": true });
    scene.server.call(&scene.token, Method::PUT, (path, Some(public))).await;
    run(&scene, "d-1", &[("README.md", "Shop")]).await;
    let failing = picture(&scene, "", None).await;
    assert!(failing.text.contains("ci: failing"), "{failing:?}");
    assert_eq!(failing.header("content-type"), "image/svg+xml");
    assert_eq!(failing.header("cache-control"), "max-age=60, must-revalidate");
    assert_eq!(failing.header("cross-origin-resource-policy"), "cross-origin");
    let tag = failing.header("etag").to_owned();
    let same = picture(&scene, "", Some(&tag)).await;
    assert_eq!((same.status, same.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    run(&scene, "d-2", &[("green", "")]).await;
    let passing = picture(&scene, "", Some(&tag)).await;
    assert_eq!(passing.status, StatusCode::OK);
    assert!(passing.text.contains("ci: passing"), "{passing:?}");
    let other = picture(&scene, "?branch=topic", None).await;
    assert!(other.text.contains("ci: unknown"), "{other:?}");
}
