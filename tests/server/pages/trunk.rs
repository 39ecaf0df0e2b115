//! How a trunk stands where pipelines come, go and break, and where its remote cannot be read.

use reqwest::Method;
use serde_json::json;
use trunkline::model::ProjectId;

use super::{Browser, check_page};
use crate::deliveries::Scene;
use crate::remote::TOKEN;
use crate::streams::Stream;
use crate::support::Server;

const CI: &str =
    "version: 1\nname: ci\non: { push: {} }\nstages: { a: { image: alpine, run: 'true' } }\n";
const PROJECT: &str = "/projects/shop/web";
const HOOKS: &str = "/projects/shop/web/settings/webhooks";
const MISTAKE: &str = "did you mean `run`?";

/// Asks for pages until one of them is as it should be.
async fn wait_for(browser: &Browser<'_>, path: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    for _ in 0..600 {
        let page = browser.get(path).await;
        check_page(&page);
        last = page.text;
        if is_wanted(&last) {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("`{path}` does not become what it should be: {last}");
}

async fn look(scene: &Scene) {
    scene.server.post(&scene.token, "/api/v1/projects/shop/web/notify", json!({})).await;
}

/// Pushes the trunk once its remote has been looked at.
async fn push(scene: &Scene, files: &[(&str, &str)]) {
    let project = ProjectId(scene.project.clone());
    for _ in 0..600 {
        if !scene.server.app.store.list_known_refs(&project).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    scene.remote.commit("Change", files);
    scene.remote.push("main").await;
    look(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_cannot_be_read_is_told_of_until_one_can() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", CI)]).await;
    let browser = Browser::of(&scene.server, "ada").await;
    let broken = CI.replace("name: ci", "name: gate").replace("run:", "rum:");
    let mut open = Vec::new();
    for path in [
        "/live/home",
        "/live/runs",
        "/live/projects/shop/web",
        "/live/projects/shop/web/settings/schedules",
        "/live/projects/shop/web/settings/webhooks",
    ] {
        open.push(Stream::open(&scene.server, &scene.token, (path, "")).await);
    }
    push(&scene, &[("pipelines/gate.yml", &broken)]).await;
    let head = scene.remote.head();
    let page = wait_for(&browser, PROJECT, |it| it.contains("could not be read")).await;
    for wanted in [&head[..7], "pipelines/gate.yml", MISTAKE, "<pre tabindex=\"0\"", HOOKS] {
        assert!(page.contains(wanted), "`{wanted}` is not in {page}");
    }
    assert!(browser.get("/").await.text.contains("the newest push could not be read"));
    assert!(browser.get("/teams/shop").await.text.contains("the newest push could not be read"));
    // Pages that were open are told, though no run has begun.
    for stream in &mut open {
        let is_told = |it: &str| {
            let told = ["could not be read", "it starts nothing until", MISTAKE];
            told.iter().any(|told| it.contains(told))
        };
        while !is_told(stream.next().await.unwrap().data["html"].as_str().unwrap()) {}
    }
    for path in ["/projects/shop/web/start", "/projects/shop/web/settings/schedules"] {
        let page = browser.get(path).await;
        check_page(&page);
        assert!(page.text.contains("The newest push could not be read"), "{path}: {page:?}");
    }
    let started_nothing = "it starts nothing until that is mended";
    for (list, is_told) in [
        ("/runs", true),
        ("/runs?project=shop/web&team=shop", true),
        ("/runs?status=passed", false),
        ("/runs?cursor=zz", false),
    ] {
        let page = browser.get(list).await.text;
        assert_eq!(page.contains(started_nothing), is_told, "{list}: {page}");
    }

    let is_red = |it: &str| it.contains("s-failed") && it.contains(MISTAKE);
    let page = wait_for(&browser, HOOKS, is_red).await;
    assert!(!page.contains("s-passed") && page.contains("What came of it\">"), "{page}");
    let run = scene.runs().await.remove(0);
    assert!(page.contains(&format!("href=\"/runs/{}\"", run["number"])), "{page}");
    let (_, rest) = page.split_once(&format!("{HOOKS}/")).unwrap();
    let delivery = browser.get(&format!("{HOOKS}/{}", &rest[..26])).await.text;
    assert!(
        delivery.contains("What came of it\">") && delivery.contains("<dt>Runs</dt>"),
        "{delivery}"
    );

    let repaired = broken.replace("rum:", "run:");
    push(&scene, &[("pipelines/gate.yml", &repaired)]).await;
    let is_over = |it: &str| !it.contains("could not be read") && it.contains("<b>gate</b>");
    wait_for(&browser, PROJECT, is_over).await;
    assert!(!browser.get("/").await.text.contains("could not be read"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_was_mended_unheard_is_noticed_by_who_starts_a_run() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", CI)]).await;
    let browser = Browser::of(&scene.server, "ada").await;
    push(&scene, &[("pipelines/ci.yml", &CI.replace("run:", "rum:"))]).await;
    wait_for(&browser, PROJECT, |it| it.contains("could not be read")).await;

    // Nothing tells of this push, and the next look is a quarter of an hour away.
    scene.remote.commit("Mend", &[("pipelines/ci.yml", CI)]);
    scene.remote.push("main").await;
    let order = json!({ "pipeline": "ci" });
    let started = scene.server.post(&scene.token, "/api/v1/projects/shop/web/runs", order).await;
    assert_eq!(started.status, 201, "{started:?}");
    for path in [PROJECT, "/", "/teams/shop"] {
        wait_for(&browser, path, |it| !it.contains("could not be read")).await;
    }
    wait_for(&browser, "/runs", |it| !it.contains("it starts nothing until")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_trunk_starts_no_more_does_not_count() {
    let other = CI.replace("name: ci", "name: gate");
    let third = CI.replace("name: ci", "name: pull");
    let files =
        [("pipelines/ci.yml", CI), ("pipelines/gate.yml", &other), ("pipelines/pull.yml", &third)];
    let scene = Scene::start("git", &files).await;
    let browser = Browser::of(&scene.server, "ada").await;
    push(&scene, &[("README.md", "Shop")]).await;
    let page = wait_for(&browser, "/", |it| it.contains(" pull</a>")).await;
    assert!(page.contains(" gate</a>") && page.contains(" ci</a>"), "{page}");

    scene.remote.git(&["rm", "-q", "pipelines/gate.yml"]);
    let by_hand = third.replace("push: {}", "manual: {}");
    push(&scene, &[("pipelines/pull.yml", &by_hand)]).await;
    let is_gone = |it: &str| !it.contains(" gate</a>") && !it.contains(" pull</a>");
    let page = wait_for(&browser, "/", is_gone).await;
    assert!(page.contains(" ci</a>"), "{page}");
    let page = browser.get(PROJECT).await.text;
    assert!(page.contains("<b>ci</b>") && !page.contains("<b>gate</b>"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_remote_is_said() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", CI)]).await;
    let (server, token) = (&scene.server, &scene.token);
    let browser = Browser::of(server, "ada").await;
    let bare = scene.remote.bare_folder();
    let bare = bare.to_str().unwrap();
    let start = async |name: &str| {
        let path = format!("/api/v1/projects/shop/{name}/runs");
        server.post(token, &path, json!({ "pipeline": "ci" })).await.text
    };
    let make = async |name: &str, address: &str| {
        let new = json!({ "team": "shop", "name": name, "address": address, "forge": "git" });
        assert_eq!(server.post(token, "/api/v1/projects", new).await.status, 201);
        let path = format!("/api/v1/projects/shop/{name}/credential");
        let credential = Some(json!({ "token": TOKEN }));
        assert_eq!(server.call(token, Method::PUT, (&path, credential)).await.status, 204);
        server.post(token, &format!("/api/v1/projects/shop/{name}/notify"), json!({})).await;
    };

    make("away", "http://127.0.0.1:9/away.git").await;
    let page =
        wait_for(&browser, "/projects/shop/away", |it| it.contains("could not be read:")).await;
    for path in ["/", "/teams/shop"] {
        let page = browser.get(path).await.text;
        assert!(page.contains("the repository could not be read"), "{path}: {page}");
    }
    assert!(page.contains("Looked at") && !page.contains("Nothing has run on"), "{page}");
    let settings = browser.get("/projects/shop/away/settings").await.text;
    assert!(settings.contains("could not be read:"), "{settings}");
    let hooks = browser.get("/projects/shop/away/settings/webhooks").await.text;
    assert!(
        hooks.contains("could not be read:") && !hooks.contains("at the forge, and"),
        "{hooks}"
    );
    let answer = start("away").await;
    assert!(
        answer.contains("cannot be read: ") && !answer.contains("log of the server"),
        "{answer}"
    );

    scene.remote.git(&["-C", bare, "branch", "-m", "main", "master"]);
    make("named", &scene.remote.address).await;
    let is_told = |it: &str| it.contains("has no branch <code>main</code>");
    let page = wait_for(&browser, "/projects/shop/named", is_told).await;
    assert!(page.contains("<code>master</code>"), "{page}");
    assert!(start("named").await.contains("Its branches: `master`."));

    scene.remote.git(&["-C", bare, "update-ref", "-d", "refs/heads/master"]);
    make("empty", &scene.remote.address).await;
    wait_for(&browser, "/projects/shop/empty", |it| it.contains("The repository is empty")).await;
    assert!(start("empty").await.contains("has no branch at all"));
}

#[tokio::test]
async fn a_plain_remote_is_not_told_of_a_forge() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.team("shop").await;
    let token = server.token("ada", &["owner"]).await;
    let new = json!({
        "team": "shop", "name": "web", "address": "http://127.0.0.1:9/x.git", "forge": "git",
        "poll_seconds": 30,
    });
    assert_eq!(server.post(&token, "/api/v1/projects", new).await.status, 201);
    let page = Browser::of(&server, "ada").await.get(HOOKS).await.text;
    assert!(page.contains("A plain remote sends nothing: push"), "{page}");
    assert!(page.contains("every 30 s") && !page.contains("Enter address and secret"), "{page}");
}
