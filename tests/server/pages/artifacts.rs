//! The browser of artifacts: what is kept, what is in it, what can be seen of that, and what is gone.

use reqwest::StatusCode;
use serde_json::json;
use trunkline::model::Milliseconds;

use super::{Browser, check_page};
use crate::deliveries::Scene;
use crate::manual::driven;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  make:
    image: none
    run: |
      mkdir -p 'dist/a b' && printf '<script>alert(1)</script>\\n' >'dist/a b/<i>.html' && printf '\\000\\001' >dist/x.bin
      printf '\\211PNG\\r\\n\\032\\nrest' >dist/pixel.png && printf '<svg onload=\"x\"/>' >dist/evil.svg
      ln -s /etc/passwd dist/link && echo '<ok/>' >report.xml
    artifacts: [dist/, report.xml]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_are_looked_into_and_what_is_in_them_can_do_nothing() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let ada = Browser::of(&scene.server, "ada").await;
    let path = format!("/runs/{id}/artifacts");
    let page = ada.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    check_page(&page);
    assert!(
        page.text.contains("?stage=make&amp;path=dist%2F#files")
            || page.text.contains("?stage=make&#38;path=dist%2F#files"),
        "{}",
        page.text
    );

    let inside = ada.get(&format!("{path}?stage=make&path=dist%2F")).await;
    check_page(&inside);
    assert!(
        inside.text.contains("dist/x.bin") && inside.text.contains(">link<"),
        "{}",
        inside.text
    );
    assert!(!inside.text.contains("<i>"), "{}", inside.text);
    let list = format!("/api/v1/runs/{id}/artifacts/make/dist/?format=list");
    let list = scene.server.get(&scene.token, &list).await.json();
    assert_eq!(list["is_whole"], true, "{list}");
    let is_there = |path: &str, kind: &str| {
        let all = list["items"].as_array().unwrap();
        all.iter().any(|it| it["path"] == path && it["kind"] == kind)
    };
    assert!(is_there("dist/x.bin", "file") && is_there("dist/link", "link"), "{list}");

    let text = ada.get(&format!("{path}/file?stage=make&file=dist%2Fa%20b%2F%3Ci%3E.html")).await;
    check_page(&text);
    assert!(
        text.text.contains("alert(1)") && !text.text.contains("<script>alert"),
        "{}",
        text.text
    );
    let svg = ada.get(&format!("{path}/file?stage=make&file=dist%2Fevil.svg")).await.text;
    assert!(
        svg.contains("onload=") && !svg.contains("<svg onload") && !svg.contains("<img"),
        "{svg}"
    );
    let binary = ada.get(&format!("{path}/file?stage=make&file=dist%2Fx.bin")).await.text;
    assert!(binary.contains("neither text nor a picture"), "{binary}");
    let link = ada.get(&format!("{path}/file?stage=make&file=dist%2Flink")).await;
    assert_eq!(link.status, StatusCode::UNPROCESSABLE_ENTITY);

    let picture = ada.get(&format!("{path}/file?stage=make&file=dist%2Fpixel.png")).await.text;
    assert!(picture.contains("<img class=\"preview-image\""), "{picture}");
    let picture = ada.get(&format!("{path}/image?stage=make&file=dist%2Fpixel.png")).await;
    assert_eq!(picture.header("content-type"), "image/png");
    assert_eq!(picture.header("x-content-type-options"), "nosniff");
    assert!(picture.header("content-security-policy").contains("sandbox"), "{picture:?}");
    for other in ["dist%2Fevil.svg", "dist%2Fa%20b%2F%3Ci%3E.html", "report.xml"] {
        let answer = ada.get(&format!("{path}/image?stage=make&file={other}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_removed_says_so() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let later = scene.server.app.now().plus(Milliseconds::from_seconds(4000 * 86_400));
    scene.server.app.store.delete_expired_artifacts(later).await.unwrap();
    let ada = Browser::of(&scene.server, "ada").await;
    let page = ada.get(&format!("/runs/{id}/artifacts")).await;
    check_page(&page);
    assert!(
        page.text.contains("No longer kept") && page.text.contains("report.xml"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("as tar"), "{}", page.text);
}
