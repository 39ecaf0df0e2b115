//! A remote without a forge: what is pushed to it is seen when somebody says so, or by looking.

use serde_json::json;
use trunkline::model::ProjectId;

use crate::deliveries::{PIPELINE, Scene, push_body};

async fn runs_of(scene: &Scene, count: usize) -> Vec<serde_json::Value> {
    for _ in 0..600 {
        let runs = scene.runs().await;
        if runs.len() >= count {
            return runs;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("there are no {count} runs");
}

/// Waits until the remote has been looked at for the first time.
async fn first_look(scene: &Scene) {
    let project = ProjectId(scene.project.clone());
    for _ in 0..600 {
        if !scene.server.app.store.list_known_refs(&project).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the remote was not looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_to_a_plain_remote_starts_a_run_when_the_hook_says_so() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    first_look(&scene).await;
    let after = scene.remote.commit("Sell", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    let path = "/api/v1/projects/shop/web/notify";
    scene.server.post(&scene.token, path, json!({})).await;
    let runs = runs_of(&scene, 1).await;
    assert_eq!(runs[0]["revision"], json!(after));
    assert!(scene.forge.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_push_to_an_empty_repository_starts_a_run() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (server, token) = (&scene.server, &scene.token);
    let root = scene.remote.bare_folder();
    let root = root.parent().unwrap();
    let bare = root.join("new.git");
    scene.remote.git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
    let address = scene.remote.address.replace("web.git", "new.git");
    let new = json!({ "team": "shop", "name": "new", "address": address, "forge": "git" });
    let made = server.post(token, "/api/v1/projects", new).await;
    assert_eq!(made.status, 201, "{made:?}");
    let project = ProjectId(made.json()["id"].as_str().unwrap().to_owned());
    let credential =
        ("/api/v1/projects/shop/new/credential", Some(json!({ "token": crate::remote::TOKEN })));
    server.call(token, reqwest::Method::PUT, credential).await;
    let notify = "/api/v1/projects/shop/new/notify";
    let looked = async || {
        server.post(token, notify, json!({})).await;
        let looks = server.app.store.list_looks(std::slice::from_ref(&project)).await.unwrap();
        looks.iter().any(|it| it.looked_at.is_some() && it.error.is_empty())
    };
    for _ in 0..600 {
        if looked().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    scene.remote.git(&["push", "-q", bare.to_str().unwrap(), "HEAD:refs/heads/main"]);
    server.post(token, notify, json!({})).await;
    for _ in 0..600 {
        let list = server.get(token, "/api/v1/runs?project=shop/new").await.json();
        if let Some(run) = list["items"].as_array().unwrap().first() {
            assert_eq!(run["revision"], json!(scene.remote.head()));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the first push started nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_statuses_where_there_is_no_forge() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    first_look(&scene).await;
    scene.remote.commit("docs: typo", &[("README.md", "Shop")]);
    scene.remote.push("main").await;
    let notify = "/api/v1/projects/shop/web/notify";
    scene.server.post(&scene.token, notify, json!({})).await;
    let skipped = scene.only_outcome().await;
    assert_eq!(skipped, "processed: `ci` is skipped: nothing has changed in `src/**`");
    scene.remote.commit("Sell", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    scene.server.post(&scene.token, notify, json!({})).await;
    runs_of(&scene, 1).await;
    let store = &scene.server.app.store;
    for _ in 0..600 {
        if store.list_runs_to_tell(1).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let ever = trunkline::model::Timestamp(i64::MAX);
    assert_eq!(store.list_statuses_to_post(ever, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_was_lost_is_made_up_for_once() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    first_look(&scene).await;
    let before = scene.remote.head();
    let lost = scene.remote.commit("Lost", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    scene.server.post(&scene.token, "/api/v1/projects/shop/web/notify", json!({})).await;
    let path = "/api/v1/projects/shop/web/deliveries";
    for _ in 0..600 {
        let list = scene.server.get(&scene.token, path).await.json();
        if !list["items"].as_array().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(scene.runs().await.is_empty(), "the forge has a minute to tell");
    scene.server.clock.by_seconds(61);
    assert_eq!(runs_of(&scene, 1).await[0]["revision"], json!(lost));

    let late = scene.github("push", "d-1", &push_body(&before, &lost)).await;
    let outcome = scene.outcome(late.json()["id"].as_str().unwrap()).await;
    assert_eq!(outcome, "ignored: `refs/heads/main` was known to be at that commit already");
    assert_eq!(scene.runs().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_of_the_trunk_starts_once_for_each_moment() {
    let nightly =
        PIPELINE.replace("on: {", "on: { schedule: [{ name: nightly, cron: '0 2 * * *' }],");
    let mut scene = Scene::start("git", &[("pipelines/ci.yml", &nightly)]).await;
    first_look(&scene).await;
    let project = ProjectId(scene.project.clone());
    let schedules = scene.server.app.store.list_schedules(&project).await.unwrap();
    assert_eq!((schedules.len(), schedules[0].name.as_str()), (1, "nightly"));
    scene.server.clock.by_seconds(24 * 60 * 60);
    scene.token = scene.server.token("ada", &["owner"]).await;
    let runs = runs_of(&scene, 1).await;
    assert_eq!(runs[0]["event"], "schedule");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(scene.runs().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_starts_a_schedule() {
    let nightly =
        PIPELINE.replace("on: {", "on: { schedule: [{ name: nightly, cron: '0 2 * * *' }],");
    let mut scene = Scene::start("git", &[("pipelines/ci.yml", &nightly)]).await;
    first_look(&scene).await;
    let machine = tempfile::tempdir().unwrap();
    let elsewhere = scene.server.triggers_elsewhere(&machine).await;
    let mut tasks = tokio::task::JoinSet::new();
    let stop = tokio_util::sync::CancellationToken::new();
    let until = stop.clone();
    tasks.spawn(async move { elsewhere.serve(&until).await });
    for day in 1..=3 {
        scene.server.clock.by_seconds(24 * 60 * 60);
        scene.token = scene.server.token("ada", &["owner"]).await;
        runs_of(&scene, day).await;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_eq!(scene.runs().await.len(), day, "once for each moment");
    }
    stop.cancel();
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_branch_is_news_once_and_again_when_it_comes_back() {
    let any = PIPELINE.replace("branches: [main], paths: ['src/**']", "branches: ['**']");
    let scene = Scene::start("git", &[("pipelines/ci.yml", &any)]).await;
    first_look(&scene).await;
    let look = || async {
        scene.server.post(&scene.token, "/api/v1/projects/shop/web/notify", json!({})).await;
    };
    let deliveries = || async {
        let path = "/api/v1/projects/shop/web/deliveries";
        scene.server.get(&scene.token, path).await.json()["items"].as_array().unwrap().len()
    };
    scene.remote.push("refs/heads/topic").await;
    for _ in 0..10 {
        look().await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    runs_of(&scene, 1).await;
    let bare = scene.remote.bare_folder();
    let remove = ["-C", bare.to_str().unwrap(), "update-ref", "-d", "refs/heads/topic"];
    scene.remote.git(&remove);
    for _ in 0..600 {
        look().await;
        if deliveries().await == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    scene.remote.push("refs/heads/topic").await;
    for _ in 0..600 {
        look().await;
        if scene.runs().await.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    look().await;
    assert_eq!((deliveries().await, scene.runs().await.len()), (3, 2));
}
