//! Approvals over the API: who may, who has, and what becomes of the run.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunkline::engine::Command;
use trunkline::model::{Role, RunId};

use crate::deliveries::Scene;
use crate::manual::PATH;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  two: { approval: { count: 2, by: [team/ops, cleo], not_author: true } }
  one: { approval: {} }
";

struct Asked {
    scene: Scene,
    run: String,
}

impl Asked {
    /// A run whose approvals wait, as they do when a driver has it. Its author is called `Ada`.
    async fn new() -> Self {
        let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
        let started = scene.server.post(&scene.token, PATH, json!({ "pipeline": "ci" })).await;
        assert_eq!(started.status, StatusCode::CREATED, "{started:?}");
        let run = started.json()["id"].as_str().unwrap().to_owned();
        let app = &scene.server.app;
        let mut loaded = app.runs.load(&RunId(run.clone())).await.unwrap();
        let lease =
            Command::TakeLease { epoch: 1, owner: "test".to_owned(), instance: String::new() };
        for command in [lease, Command::Tick] {
            app.runs.execute(&mut loaded, &command, app.now()).await.unwrap();
        }
        let (shop, ops) = (
            app.store.find_team("shop").await.unwrap().unwrap().id,
            scene.server.team("ops").await,
        );
        for (login, role) in
            [("bob", Role::Approver), ("cleo", Role::Admin), ("dan", Role::Developer)]
        {
            scene.server.person(login, false).await;
            scene.server.member(&shop, login, role).await;
        }
        scene.server.member(&ops, "bob", Role::Viewer).await;
        Self { scene, run }
    }

    async fn token(&self, login: &str) -> String {
        let scope = if login == "ada" { "owner" } else { "admin" };
        self.scene.server.token(login, &[scope]).await
    }

    async fn waiting(&self, login: &str) -> Vec<String> {
        let list =
            self.scene.server.get(&self.token(login).await, "/api/v1/approvals").await.json();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|it| it["stage"].as_str().unwrap().to_owned()).collect()
    }

    async fn say(
        &self,
        login: &str,
        (stage, word): (&str, &str),
        comment: &str,
    ) -> (StatusCode, Value) {
        let path = format!("/api/v1/runs/{}/stages/{stage}/{word}", self.run);
        let body = json!({ "comment": comment });
        let answer = self.scene.server.post(&self.token(login).await, &path, body).await;
        (answer.status, answer.json())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_what_waits_for_them_and_answer() {
    let asked = Asked::new().await;
    assert_eq!(asked.waiting("bob").await, ["two", "one"]);
    assert_eq!(asked.waiting("cleo").await, ["two", "one"]);
    assert_eq!(asked.waiting("dan").await, [""; 0], "a developer approves nothing");
    assert_eq!(asked.waiting("ada").await, ["one"], "she made the change");

    let (status, run) = asked.say("bob", ("two", "approve"), "reads well").await;
    assert_eq!(status, StatusCode::OK, "{run}");
    let two = &run["stages"][0];
    assert_eq!((&two["status"], &two["approvals"]), (&json!("waiting"), &json!(["bob"])));
    let wanted =
        json!({ "by": ["team/ops", "cleo"], "count": 2, "missing": 1, "not_author": true });
    assert_eq!(two["approval"], wanted);
    assert_eq!(
        (&two["waits_for"]["kind"], &two["waits_for"]["missing"]),
        (&json!("people"), &json!(1))
    );
    assert_eq!(asked.waiting("bob").await, ["one"], "once is enough of one person");

    let (status, problem) = asked.say("bob", ("two", "approve"), "").await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/problems/refused"))
    );
    let (status, problem) = asked.say("ada", ("two", "approve"), "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["title"].as_str().unwrap().contains("`ada`"), "{problem}");
    assert_eq!(asked.say("dan", ("one", "approve"), "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(asked.say("bob", ("three", "approve"), "").await.0, StatusCode::NOT_FOUND);

    let (_, run) = asked.say("cleo", ("two", "approve"), "").await;
    assert_eq!(run["stages"][0]["status"], "passed");
    let (_, run) = asked.say("cleo", ("one", "reject"), "not on a Friday").await;
    assert_eq!(
        (&run["status"], &run["stages"][1]["failure"]["class"]),
        (&json!("failed"), &json!("approval"))
    );
    assert!(run["stages"][1]["failure_message"].as_str().unwrap().contains("not on a Friday"));
    assert_eq!(asked.waiting("cleo").await, [""; 0]);
    let events = format!("/api/v1/runs/{}/events", asked.run);
    let events = asked.scene.server.get(&asked.scene.token, &events).await.json();
    let said =
        events["items"].as_array().unwrap().iter().find(|it| it["type"] == "approved").unwrap();
    assert_eq!(
        (&said["by"], &said["comment"], &said["stage_key"]),
        (&json!("bob"), &json!("reads well"), &json!("two"))
    );
}
