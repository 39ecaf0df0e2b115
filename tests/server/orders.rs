//! Commands in comments at each forge, requests that close or whose delivery is lost, and a GitHub App.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::config::SignInSettings;
use trunkline::engine::Command;
use trunkline::forge::GithubApp;
use trunkline::model::{Role, RunId, RunStatus, StageStatus};

use crate::deliveries::{PIPELINE, Scene, push_body};
use crate::remote::TOKEN;
use crate::support::{Answer, Extras, Server};

/// A key of an App: the private one as GitHub gives it, and what verifies it.
fn app_key() -> (String, jsonwebtoken::DecodingKey) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|it| str::from_utf8(it).unwrap()).collect();
    let [begin, end] = ["BEGIN", "END"].map(|it| format!("-----{it} PRIVATE KEY-----"));
    let pem = format!("{begin}\n{}\n{end}\n", lines.join("\n"));
    (pem, jsonwebtoken::DecodingKey::from_rsa_der(pair.public_key().as_ref()))
}

/// Sends a delivery as the forge of the scene does, and says what came of it.
async fn deliver(scene: &Scene, kind: &str, event: &str, id: &str, body: &Value) -> String {
    let answer: Answer = match kind {
        "github" => scene.github(event, id, body).await,
        "gitlab" => scene.gitlab(id, body).await,
        _ => scene.gitea(event, id, body).await,
    };
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    scene.outcome(answer.json()["id"].as_str().unwrap()).await
}

fn request(kind: &str, action: &str, commit: &str) -> Value {
    if kind == "gitlab" {
        let word = match action {
            "opened" => "open",
            _ => "close",
        };
        return json!({
            "object_kind": "merge_request", "user": { "id": 9, "username": "eve" },
            "project": { "path_with_namespace": "shop/web" },
            "object_attributes": {
                "action": word, "iid": 1, "title": "Sell more", "author_id": 9,
                "source_branch": "topic", "target_branch": "main",
                "source_project_id": 2, "target_project_id": 1, "last_commit": { "id": commit },
            },
        });
    }
    json!({
        "action": action, "number": 1, "repository": { "full_name": "shop/web" },
        "pull_request": {
            "title": "Sell more", "user": { "id": 9, "login": "eve" }, "draft": false,
            "head": { "ref": "topic", "sha": commit, "repo": { "full_name": "eve/web" } },
            "base": { "ref": "main", "repo": { "full_name": "shop/web" } },
        },
        "sender": { "id": 9, "login": "eve" },
    })
}

fn comment(kind: &str, (id, text): (u64, &str), (commit, at): (&str, &str)) -> Value {
    if kind == "gitlab" {
        return json!({
            "object_kind": "note", "user": { "id": id, "username": format!("login-{id}") },
            "project": { "path_with_namespace": "shop/web" },
            "object_attributes": {
                "id": 77, "note": text, "noteable_type": "MergeRequest", "action": "create",
                "created_at": at,
            },
            "merge_request": { "iid": 1, "last_commit": { "id": commit } },
        });
    }
    json!({
        "action": "created", "issue": { "number": 1, "pull_request": {} }, "is_pull": true,
        "comment": { "id": 77, "body": text, "created_at": at },
        "repository": { "full_name": "shop/web" },
        "sender": { "id": id, "login": format!("login-{id}") },
    })
}

/// A moment as forges write it, so many seconds from now.
fn moment(scene: &Scene, seconds: i64) -> String {
    let at = scene.server.app.now().0 + seconds * 1000;
    let moment = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(at).unwrap();
    moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Opens a request of a fork; its commit and its run, which waits for somebody.
async fn open(scene: &Scene, kind: &str) -> (String, RunId) {
    scene.remote.git(&["checkout", "-q", "-b", "topic"]);
    let commit = scene.remote.commit("Sell", &[("src/x.py", "1")]);
    let head = if kind == "gitlab" { "refs/merge-requests/1/head" } else { "refs/pull/1/head" };
    scene.remote.push(head).await;
    let event = "pull_request";
    let outcome = deliver(scene, kind, event, "d-1", &request(kind, "opened", &commit)).await;
    assert_eq!(outcome, "processed: run #1 of `ci` was started");
    let run = RunId(scene.runs().await[0]["id"].as_str().unwrap().to_owned());
    ask(scene, &run).await;
    (commit, run)
}

/// Has the approvals of a run asked for, as a driver would.
async fn ask(scene: &Scene, run: &RunId) {
    let app = &scene.server.app;
    let mut loaded = app.runs.load(run).await.unwrap();
    let epoch = loaded.run.epoch() + 1;
    for command in [
        Command::TakeLease { epoch, owner: "test".to_owned(), instance: String::new() },
        Command::Tick,
    ] {
        app.runs.execute(&mut loaded, &command, app.now()).await.unwrap();
    }
}

async fn link(scene: &Scene, kind: &str, people: &[(&str, &str, Role)]) {
    let app = &scene.server.app;
    let team = app.store.find_team("shop").await.unwrap().unwrap().id;
    for (login, id, role) in people {
        scene.server.person(login, false).await;
        scene.server.member(&team, login, *role).await;
        let person = app.store.find_person(login).await.unwrap().unwrap();
        let provider = format!("{kind}:127.0.0.1");
        app.store.save_identity(&person.id, &provider, id).await.unwrap();
    }
}

async fn status(scene: &Scene, run: &RunId) -> RunStatus {
    scene.server.app.runs.load(run).await.unwrap().run.status()
}

async fn each_command_at(kind: &str) {
    let scene = Scene::start(kind, &[("pipelines/ci.yml", PIPELINE)]).await;
    let (commit, run) = open(&scene, kind).await;
    link(&scene, kind, &[("dev", "21", Role::Developer), ("boss", "22", Role::Approver)]).await;
    let at = moment(&scene, 1);
    let say = async |id: &str, who: u64, text: &str| {
        let body = comment(kind, (who, text), (&commit, &at));
        deliver(&scene, kind, "issue_comment", id, &body).await
    };
    let stranger = say("c-1", 666, "/approve").await;
    assert_eq!(stranger, "ignored: `login-666` is nobody who may give commands here");
    let weak = say("c-2", 21, "/approve").await;
    assert_eq!(weak, "processed: `/approve` by `dev` takes the role `approver`");
    assert_eq!(say("c-3", 22, "/approve fine").await, "processed: `/approve` by `boss` on run #1");
    assert_eq!(say("c-4", 21, "/cancel").await, "processed: `/cancel` by `dev` on run #1");
    // A stage with `always()` may still run; a second time it does not.
    assert_eq!(status(&scene, &run).await, RunStatus::Cancelling);
    let at_once = say("c-4b", 21, "/cancel at once").await;
    assert_eq!(at_once, "processed: `/cancel` by `dev` on run #1");
    assert_eq!(status(&scene, &run).await, RunStatus::Cancelled);
    assert_eq!(say("c-5", 21, "/rerun failed").await, "processed: `/rerun` by `dev` on run #1");
    let nothing = say("c-6", 21, "/rerun").await;
    assert_eq!(nothing, "processed: `/rerun`: no run of the request waits for that");
    assert_reactions(&scene, kind);
}

/// Each command is answered, those of strangers are not.
fn assert_reactions(scene: &Scene, kind: &str) {
    let reactions: Vec<_> = scene
        .forge
        .asked()
        .into_iter()
        .filter(|it| it.path.ends_with("reactions") || it.path.ends_with("award_emoji"))
        .collect();
    let (path, field, done) = match kind {
        "gitlab" => {
            ("/projects/shop%2Fweb/merge_requests/1/notes/77/award_emoji", "name", "thumbsup")
        }
        _ => ("/repos/shop/web/issues/comments/77/reactions", "content", "+1"),
    };
    let words: Vec<_> = reactions.iter().map(|it| it.body[field].as_str().unwrap()).collect();
    assert_eq!(words, ["confused", done, done, done, done, "confused"], "not to strangers");
    assert!(reactions.iter().all(|it| it.method == Method::POST && it.path == path));
    let (header, wanted) = match kind {
        "gitlab" => ("private-token", TOKEN.to_owned()),
        "gitea" => ("authorization", format!("token {TOKEN}")),
        _ => ("authorization", format!("Bearer {TOKEN}")),
    };
    assert_eq!(reactions[0].header(header), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_at_github() {
    each_command_at("github").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_at_gitlab() {
    each_command_at("gitlab").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_at_gitea() {
    each_command_at("gitea").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejecting_fails_the_run_with_the_reason() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (commit, run) = open(&scene, "github").await;
    link(&scene, "github", &[("boss", "22", Role::Approver)]).await;
    let at = moment(&scene, 1);
    let body = comment("github", (22, "/reject it mines coins"), (&commit, &at));
    let outcome = deliver(&scene, "github", "issue_comment", "c-1", &body).await;
    assert_eq!(outcome, "processed: `/reject` by `boss` on run #1");
    let loaded = scene.server.app.runs.load(&run).await.unwrap();
    let (_, gate) = loaded.run.stages().last().unwrap();
    assert_eq!(gate.status, StageStatus::Failed);
    assert!(gate.failure.as_ref().unwrap().message.contains("it mines coins"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_request_stops_its_runs() {
    for kind in ["github", "gitlab"] {
        let scene = Scene::start(kind, &[("pipelines/ci.yml", PIPELINE)]).await;
        let (commit, run) = open(&scene, kind).await;
        let closed = request(kind, "closed", &commit);
        let outcome = deliver(&scene, kind, "pull_request", "d-2", &closed).await;
        assert_eq!(outcome, "processed: run #1 is stopped");
        assert_eq!(status(&scene, &run).await, RunStatus::Cancelled);
    }
}

/// Waits for a delivery that nobody has sent.
async fn made_up(scene: &Scene, count: usize) {
    let path = "/api/v1/projects/shop/web/deliveries";
    for _ in 0..600 {
        let list = scene.server.get(&scene.token, path).await.json();
        if list["items"].as_array().unwrap().len() >= count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no delivery was made up");
}

async fn known_refs(scene: &Scene) -> usize {
    let project = trunkline::model::ProjectId(scene.project.clone());
    scene.server.app.store.list_known_refs(&project).await.unwrap().len()
}

async fn wait_for_runs(scene: &Scene, count: usize) -> Vec<Value> {
    for _ in 0..600 {
        let runs = scene.runs().await;
        if runs.len() >= count {
            return runs;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("there are no {count} runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_delivery_was_lost_is_found_in_the_forges_list_once() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    for _ in 0..600 {
        if known_refs(&scene).await > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    scene.remote.git(&["checkout", "-q", "-b", "topic"]);
    let commit = scene.remote.commit("Sell", &[("src/x.py", "1")]);
    scene.remote.push("refs/pull/1/head").await;
    let mut listed = request("github", "opened", &commit)["pull_request"].clone();
    listed["number"] = json!(1);
    scene.forge.serve("/repos/shop/web/pulls", json!([listed]));
    let look = "/api/v1/projects/shop/web/notify";
    scene.server.post(&scene.token, look, json!({})).await;
    made_up(&scene, 1).await;
    assert!(scene.runs().await.is_empty(), "the forge has a minute to tell");
    let asked = scene.forge.wait_for(|it| it.path == "/repos/shop/web/pulls").await;
    assert_eq!(asked.query, "state=open&sort=updated&direction=desc&per_page=100");
    scene.server.clock.by_seconds(61);
    let run = wait_for_runs(&scene, 1).await[0].clone();
    assert_eq!((&run["revision"], &run["event"]), (&json!(commit), &json!("pull_request")));
    let id = RunId(run["id"].as_str().unwrap().to_owned());
    let loaded = scene.server.app.runs.load(&id).await.unwrap();
    assert!(loaded.run.context().pull_request.as_ref().unwrap().fork);

    // The delivery comes after all, late.
    let late = request("github", "opened", &commit);
    let outcome = deliver(&scene, "github", "pull_request", "d-9", &late).await;
    assert_eq!(outcome, "ignored: request 1 was known to be at that commit already");
    assert_eq!(scene.runs().await.len(), 1);

    // It closes, and that delivery is lost too.
    scene.forge.serve("/repos/shop/web/pulls", json!([]));
    scene.server.post(&scene.token, look, json!({})).await;
    made_up(&scene, 3).await;
    scene.server.clock.by_seconds(61);
    for _ in 0..600 {
        if status(&scene, &id).await == RunStatus::Cancelled {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the run of the closed request goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_github_app_fetches_and_posts_with_tokens_of_its_installation() {
    let (pem, key) = app_key();
    let app = GithubApp::new("4711".to_owned(), pem.as_bytes()).unwrap();
    let extras = Extras { app: Some(app), ..Extras::default() };
    let server = Server::start_with_extras(|_| SignInSettings::default(), extras).await;
    let scene = Scene::start_on(server, ("github", None), &[("pipelines/ci.yml", PIPELINE)]).await;
    scene.forge.serve("/repos/shop/web/installation", json!({ "id": 42 }));
    // The token of the installation is what the remote wants to see.
    let token = json!({ "token": TOKEN, "expires_at": moment(&scene, 3600) });
    scene.forge.serve("/app/installations/42/access_tokens", token);
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    let body = push_body(&before, &after);
    let outcome = deliver(&scene, "github", "push", "d-1", &body).await;
    assert_eq!(outcome, "processed: run #1 of `ci` was started");

    let asked = scene.forge.wait_for(|it| it.path.ends_with("/access_tokens")).await;
    assert_eq!(asked.method, Method::POST);
    let jwt = asked.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_issuer(&["4711"]);
    let claims = jsonwebtoken::decode::<Value>(&jwt, &key, &validation).unwrap().claims;
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!(life <= 600, "GitHub takes ten minutes: {life}");

    let run = scene.runs().await[0]["id"].as_str().unwrap().to_owned();
    scene.server.post(&scene.token, &format!("/api/v1/runs/{run}/cancel"), json!({})).await;
    let check = scene.forge.wait_for(|it| it.path == "/repos/shop/web/check-runs").await;
    assert_eq!(check.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(
        (&check.body["name"], &check.body["head_sha"], &check.body["status"]),
        (&json!("trunkline/ci"), &json!(after), &json!("completed"))
    );
    assert_eq!(check.body["conclusion"], "cancelled");
    let summary = check.body["output"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("| stage | |\n| --- | --- |\n| `unit` |"), "{summary}");
    let tokens = scene.forge.asked().into_iter().filter(|it| it.path.ends_with("/access_tokens"));
    assert_eq!(tokens.count(), 1, "a token that is still good is used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitea_gets_statuses_with_its_own_kind_of_token() {
    let scene = Scene::start("gitea", &[("pipelines/ci.yml", PIPELINE)]).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    let outcome = deliver(&scene, "gitea", "push", "d-1", &push_body(&before, &after)).await;
    assert_eq!(outcome, "processed: run #1 of `ci` was started");
    let path = format!("/repos/shop/web/statuses/{after}");
    let status = scene.forge.wait_for(|it| it.path == path).await;
    assert_eq!(status.line(), format!("POST {path} pending: queued"));
    assert_eq!(status.header("authorization"), format!("token {TOKEN}"));
    assert_eq!(status.body["context"], "trunkline/ci");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stage_has_a_status_where_that_is_wanted_and_a_skipped_one_says_why() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let project = trunkline::model::ProjectId(scene.project.clone());
    let store = &scene.server.app.store;
    let access = store.find_project_access(&project).await.unwrap().unwrap();
    let access = trunkline::store::intake::access::ProjectAccess { stage_statuses: true, ..access };
    store.save_project_access(&project, &access).await.unwrap();
    let before = scene.remote.head();
    let text = PIPELINE.replace("if: always()", "if: \"false\"");
    let files = [("pipelines/ci.yml", text.as_str()), ("src/shop.py", "x = 1")];
    let after = scene.remote.commit("Sell", &files);
    scene.remote.push("main").await;
    deliver(&scene, "github", "push", "d-1", &push_body(&before, &after)).await;
    let run = RunId(scene.runs().await[0]["id"].as_str().unwrap().to_owned());
    ask(&scene, &run).await;
    let skipped = |it: &crate::forge::Asked| {
        it.body["context"] == "trunkline/ci/always" && it.body["state"] == "success"
    };
    let status = scene.forge.wait_for(skipped).await;
    let description = status.body["description"].as_str().unwrap();
    assert!(description.starts_with("skipped: "), "{description}");
    scene.forge.wait_for(|it| it.body["context"] == "trunkline/ci/unit").await;
}
