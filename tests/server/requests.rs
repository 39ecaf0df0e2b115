//! Pull requests, those of forks, and commands in comments below them.

use serde_json::{Value, json};
use trunkline::model::{Role, RunId, StageStatus};

use crate::deliveries::{PIPELINE, Scene};

fn request(scene: &Scene, from: &str, commit: &str) -> Value {
    json!({
        "action": "opened", "number": 1, "repository": { "full_name": "shop/web" },
        "pull_request": {
            "title": "Sell more", "user": { "id": 9, "login": "eve" }, "draft": false,
            "head": { "ref": "topic", "sha": commit, "repo": { "full_name": from } },
            "base": { "ref": "main", "repo": { "full_name": "shop/web" } },
        },
        "sender": { "id": 9, "login": "eve" }, "installation": { "id": scene.project.len() },
    })
}

pub(crate) async fn deliver(scene: &Scene, event: &str, id: &str, body: &Value) -> String {
    let answer = scene.github(event, id, body).await;
    scene.outcome(answer.json()["id"].as_str().unwrap()).await
}

async fn open_fork_request(scene: &Scene) -> RunId {
    scene.remote.git(&["checkout", "-q", "-b", "topic"]);
    // The fork wants to change what may happen to it.
    let bold = PIPELINE.replace("forks: approval", "forks: allow");
    let commit = scene.remote.commit("Sell", &[("pipelines/ci.yml", &bold), ("src/x.py", "1")]);
    scene.remote.push("refs/pull/1/head").await;
    let body = request(scene, "eve/web", &commit);
    let outcome = deliver(scene, "pull_request", "d-1", &body).await;
    assert_eq!(outcome, "processed: run #1 of `ci` was started");
    RunId(scene.runs().await[0]["id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_of_a_fork_waits_for_a_person() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let run = open_fork_request(&scene).await;
    let loaded = scene.server.app.runs.load(&run).await.unwrap();
    let plan = loaded.run.plan();
    let keys: Vec<_> = plan.stages.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["unit", "always", "fork approval"]);
    for stage in &plan.stages[..2] {
        assert!(stage.identity.is_empty(), "{}", stage.key);
        assert_eq!(stage.needs.len(), 1, "{}", stage.key);
    }
    let condition = plan.stages[1].condition.as_ref().unwrap().source();
    assert_eq!(condition, "needs['fork approval'].status == 'passed' && (always())");
    assert!(loaded.run.context().pull_request.as_ref().unwrap().fork);
    assert_eq!(loaded.row.branch, "topic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_in_a_comment_counts_by_the_role_of_the_linked_person() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let run = open_fork_request(&scene).await;
    // A driver would ask for the approval.
    let app = &scene.server.app;
    let mut loaded = app.runs.load(&run).await.unwrap();
    for command in [
        trunkline::engine::Command::TakeLease {
            epoch: 1,
            owner: "test".to_owned(),
            instance: String::new(),
        },
        trunkline::engine::Command::Tick,
    ] {
        app.runs.execute(&mut loaded, &command, app.now()).await.unwrap();
    }
    let comment = |id: u64, text: &str| {
        json!({
            "action": "created", "issue": { "number": 1, "pull_request": {} },
            "comment": { "body": text, "user": { "id": id } },
            "repository": { "full_name": "shop/web" },
            "sender": { "id": id, "login": format!("login-{id}") },
        })
    };
    let stranger = deliver(&scene, "issue_comment", "d-2", &comment(666, "/approve")).await;
    assert_eq!(stranger, "ignored: `login-666` is nobody who may give commands here");
    let chat = deliver(&scene, "issue_comment", "d-3", &comment(7, "Do not /approve")).await;
    assert_eq!(chat, "ignored: the comment has no command");

    let team = app.store.find_team("shop").await.unwrap().unwrap().id;
    for (login, id, role) in [("dev", "21", Role::Developer), ("boss", "22", Role::Approver)] {
        scene.server.person(login, false).await;
        scene.server.member(&team, login, role).await;
        let person = app.store.find_person(login).await.unwrap().unwrap();
        let provider = "github:127.0.0.1";
        app.store.save_identity(&person.id, provider, id).await.unwrap();
    }
    let developer = deliver(&scene, "issue_comment", "d-4", &comment(21, "/approve")).await;
    assert_eq!(developer, "processed: `/approve` by `dev` takes the role `approver`");
    let text = "Looks good.\n/approve it reads well";
    let approver = deliver(&scene, "issue_comment", "d-5", &comment(22, text)).await;
    assert_eq!(approver, "processed: `/approve` by `boss` on run #1");
    let loaded = app.runs.load(&run).await.unwrap();
    let (_, gate) = loaded.run.stages().last().unwrap();
    assert_eq!(
        (gate.status, gate.approvals.as_slice()),
        (StageStatus::Passed, &["boss".to_owned()][..])
    );
}
