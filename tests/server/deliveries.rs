//! A real `git push`, the webhook that a forge would send for it, the run that it starts, and the statuses
//! that go back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::forge::Forge;
use crate::pages::{Browser, check_page};
use crate::remote::{Remote, TOKEN};
use crate::support::{Answer, Server};

pub(crate) const PIPELINE: &str = "\
version: 1
name: ci
on: { push: { branches: [main], paths: ['src/**'] }, pull_request: { forks: approval } }
stages:
  unit: { image: alpine, run: 'true', secrets: [TOKEN] }
  always: { image: alpine, run: 'true', if: always() }
";

/// A server with one project, its remote and its forge.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) remote: Remote,
    pub(crate) forge: Forge,
    pub(crate) token: String,
    pub(crate) project: String,
    pub(crate) secret: String,
}

impl Scene {
    pub(crate) async fn start(kind: &str, files: &[(&str, &str)]) -> Self {
        Self::start_on(Server::start().await, (kind, Some(TOKEN)), files).await
    }

    /// On a server, with this token or none.
    pub(crate) async fn start_on(
        server: Server,
        (kind, credential): (&str, Option<&str>),
        files: &[(&str, &str)],
    ) -> Self {
        let forge = Forge::start().await;
        forge.speaks(kind);
        let remote = Remote::start(files).await;
        server.person("ada", true).await;
        server.team("shop").await;
        let token = server.token("ada", &["owner"]).await;
        let new = json!({
            "team": "shop", "name": "web", "address": remote.address, "forge": kind,
            "forge_url": forge.url, "forge_path": "shop/web", "poll_seconds": 0,
        });
        let made = server.post(&token, "/api/v1/projects", new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let credential = json!({ "token": credential });
        let path = "/api/v1/projects/shop/web/credential";
        let set = server.call(&token, Method::PUT, (path, Some(credential))).await;
        assert_eq!(set.status, StatusCode::NO_CONTENT, "{set:?}");
        let path = "/api/v1/projects/shop/web/hook-secret";
        let hook = server.post(&token, path, json!({})).await.json();
        let project = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(hook["path"], format!("/api/v1/hooks/{project}"));
        let secret = hook["secret"].as_str().unwrap().to_owned();
        Self { server, remote, forge, token, project, secret }
    }

    /// Sends a delivery as GitHub does.
    pub(crate) async fn github(&self, event: &str, id: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        self.send(
            &[
                ("x-github-event", event),
                ("x-github-delivery", id),
                ("x-hub-signature-256", &signature),
            ],
            body,
        )
        .await
    }

    /// Sends a delivery as GitLab does when it signs.
    pub(crate) async fn gitlab(&self, id: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let moment = (self.server.app.now().0 / 1000).to_string();
        let key = STANDARD.decode(self.secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{moment}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.send(
            &[
                ("webhook-id", id),
                ("webhook-timestamp", &moment),
                ("webhook-signature", &signature),
            ],
            body,
        )
        .await
    }

    /// Sends a delivery as Gitea does.
    pub(crate) async fn gitea(&self, event: &str, id: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let headers =
            [("x-gitea-event", event), ("x-gitea-delivery", id), ("x-gitea-signature", &signature)];
        self.send(&headers, body).await
    }

    pub(crate) async fn send(&self, headers: &[(&str, &str)], body: String) -> Answer {
        let path = format!("/api/v1/hooks/{}", self.project);
        let mut request = self.server.request(Method::POST, &path).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Waits until a delivery is done; gives `status: outcome`.
    pub(crate) async fn outcome(&self, id: &str) -> String {
        for _ in 0..600 {
            let path = "/api/v1/projects/shop/web/deliveries";
            let list = self.server.get(&self.token, path).await.json();
            let all = list["items"].as_array().unwrap();
            let found = all.iter().find(|it| it["id"] == id).unwrap();
            if found["status"] != "received" {
                let text = |name: &str| found[name].as_str().unwrap().to_owned();
                return format!("{}: {}", text("status"), text("outcome"));
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("delivery `{id}` is not processed");
    }

    /// Waits until a delivery was tried so often in vain; gives what it says.
    async fn told_of_try(&self, id: &str, attempt: u32) -> String {
        let begins = format!("try {attempt} of ");
        for _ in 0..600 {
            let row = self.server.app.store.find_delivery(id).await.unwrap().unwrap();
            if row.outcome.starts_with(&begins) {
                return row.outcome;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("delivery `{id}` was not tried {attempt} times");
    }

    /// Waits until the only delivery of the project is done; gives `status: outcome`.
    pub(crate) async fn only_outcome(&self) -> String {
        let path = "/api/v1/projects/shop/web/deliveries";
        for _ in 0..600 {
            let list = self.server.get(&self.token, path).await.json();
            if let Some(id) = list["items"][0]["id"].as_str() {
                return self.outcome(id).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("there is no delivery");
    }

    pub(crate) async fn runs(&self) -> Vec<Value> {
        let list = self.server.get(&self.token, "/api/v1/runs?project=shop/web").await.json();
        list["items"].as_array().unwrap().clone()
    }
}

pub(crate) fn push_body(before: &str, after: &str) -> Value {
    json!({
        "ref": "refs/heads/main", "before": before, "after": after, "forced": false,
        "repository": { "full_name": "shop/web" }, "sender": { "id": 7, "login": "ada-at-forge" },
    })
}

fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_deliveries_says_what_each_is_about() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell umbrellas", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    let mut body = push_body(&before, &after);
    body["head_commit"] = json!({ "id": after, "message": "Sell <b>umbrellas</b>\n\nAnd coats." });
    let id = id_of(&scene.github("push", "d-1", &body).await);
    scene.outcome(&id).await;
    scene.github("ping", "d-2", &json!({ "zen": "Keep it simple." })).await;

    let path = "/api/v1/projects/shop/web/deliveries";
    let list = scene.server.get(&scene.token, path).await.json();
    let told = json!({ "branch": "main", "revision": after, "subject": "Sell <b>umbrellas</b>" });
    assert_eq!(list["items"][1]["about"], told, "{list}");
    assert!(list["items"][0]["about"].is_null(), "{list}");
    let browser = Browser::of(&scene.server, "ada").await;
    let list = "/projects/shop/web/settings/webhooks";
    for path in [list.to_owned(), format!("{list}/{id}")] {
        let page = browser.get(&path).await;
        check_page(&page);
        let subject = "Sell &#60;b&#62;umbrellas&#60;/b&#62;";
        assert!(page.text.contains(subject), "{path}: {}", page.text);
        assert!(page.text.contains(&format!("<code title=\"{after}\">")), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_and_githubs_delivery_start_a_run_whose_statuses_go_back() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell umbrellas", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    let answer = scene.github("push", "d-1", &push_body(&before, &after)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(scene.outcome(&id_of(&answer)).await, "processed: run #1 of `ci` was started");

    let runs = scene.runs().await;
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!(
        (&run["revision"], &run["branch"], &run["event"]),
        (&json!(after), &json!("main"), &json!("push"))
    );
    let row = &scene.server.app.store.find_run_by_number(1).await.unwrap().unwrap();
    assert_eq!((row.height, row.title.as_str()), (2, "Sell umbrellas"));

    let path = format!("/repos/shop/web/statuses/{after}");
    let status = scene.forge.wait_for(|it| it.path == path).await;
    assert_eq!(status.line(), format!("POST {path} pending: queued"));
    assert_eq!(status.body["context"], "trunkline/ci");
    assert_eq!(status.body["target_url"], format!("https://ci.example/runs/{}", row.id));
    assert_eq!(status.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(status.header("content-type"), "application/json");
    assert_eq!(status.header("x-github-api-version"), "2022-11-28");

    let cancel = format!("/api/v1/runs/{}/cancel", row.id);
    scene.server.post(&scene.token, &cancel, json!({})).await;
    let status = scene.forge.wait_for(|it| it.body["state"] == "error").await;
    assert_eq!(status.body["description"], "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitlabs_signed_delivery_starts_a_run_and_its_status_is_in_gitlabs_words() {
    let scene = Scene::start("gitlab", &[("pipelines/ci.yml", PIPELINE)]).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell umbrellas", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    let body = json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": before, "after": after,
        "user_id": 7, "user_username": "ada", "project": { "path_with_namespace": "shop/web" },
    });
    let answer = scene.gitlab("msg_1", &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(scene.outcome(&id_of(&answer)).await, "processed: run #1 of `ci` was started");

    let status = scene.forge.wait_for(|it| it.method == Method::POST).await;
    assert_eq!(
        status.line(),
        format!("POST /projects/shop%2Fweb/statuses/{after} pending: queued")
    );
    assert_eq!(status.body["name"], "trunkline/ci");
    assert_eq!(status.header("private-token"), TOKEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_taken_once_and_only_from_who_knows_the_secret() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let ping = json!({ "zen": "Keep it logically awesome." });
    let first = scene.github("ping", "d-1", &ping).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let again = scene.github("ping", "d-1", &json!({ "zen": "other" })).await;
    assert_eq!((again.status, id_of(&again)), (StatusCode::OK, id_of(&first)));
    // The id is not signed: what was overheard is not taken again under another one.
    let replayed = scene.github("ping", "d-2", &ping).await;
    assert_eq!((replayed.status, id_of(&replayed)), (StatusCode::OK, id_of(&first)));

    let forged = [("x-github-event", "ping"), ("x-hub-signature-256", "sha256=00")];
    let refused = scene.send(&forged, ping.to_string()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.send(&[], ping.to_string()).await.status, StatusCode::UNAUTHORIZED);
    // Those who set it up are told on its page, and once a minute in the audit log.
    let ada = Browser::of(&scene.server, "ada").await;
    let hooks = "/projects/shop/web/settings/webhooks";
    let told = "A delivery was refused";
    scene.server.clock.by_seconds(61);
    for _ in 0..2 {
        assert_eq!(scene.send(&forged, "{}".to_owned()).await.status, StatusCode::UNAUTHORIZED);
    }
    let page = ada.get(hooks).await;
    check_page(&page);
    assert!(page.text.contains(told), "{page:?}");
    assert!(page.text.contains("the <code>x-hub-signature-256</code> does not fit"), "{page:?}");
    let audit = "/api/v1/audit?team=shop&action=delivery.refuse";
    let audit = scene.server.get(&scene.token, audit).await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
    assert_eq!(audit["items"][0]["subject"], "shop/web");
    // One that fits ends it.
    scene.server.clock.by_seconds(1);
    assert!(scene.github("ping", "d-3", &json!({ "zen": "Mended" })).await.status.is_success());
    assert!(!ada.get(hooks).await.text.contains(told));
    let unknown = scene.server.request(Method::POST, "/api/v1/hooks/nobody").body("{}");
    let unknown = Answer::of(unknown.send().await.unwrap()).await;
    assert_eq!((unknown.status, &unknown.text), (StatusCode::UNAUTHORIZED, &refused.text));

    let large = scene.send(&forged, " ".repeat((25 << 20) + 1)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(scene.runs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_push_does_not_concern_is_told_and_nothing_starts() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let first = scene.remote.head();
    let second = scene.remote.commit("docs: typo", &[("README.md", "Shop")]);
    let third = scene.remote.commit("wip [skip ci]", &[("src/shop.py", "x = 2")]);
    scene.remote.push("main").await;
    let zeros = "0".repeat(40);
    let deliver = async |id: &str, before: &str, after: &str| {
        let answer = scene.github("push", id, &push_body(before, after)).await;
        scene.outcome(&id_of(&answer)).await
    };
    let skipped = "processed: `ci` is skipped: nothing has changed in `src/**`";
    assert_eq!(deliver("d-1", &first, &second).await, skipped);
    let status = scene.forge.wait_for(|it| it.path.ends_with(&second)).await;
    assert_eq!(status.body["state"], "success");
    assert_eq!(status.body["description"], "skipped: nothing has changed in `src/**`");
    let word = "ignored: the commit's message says `[skip ci]`";
    assert_eq!(deliver("d-2", &second, &third).await, word);
    let deleted = "ignored: `refs/heads/main` was deleted: nothing is left to build";
    assert_eq!(deliver("d-3", &third, &zeros).await, deleted);
    assert!(scene.runs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pipeline_is_a_failed_status_and_its_problems_are_kept() {
    let scene = Scene::start("github", &[("README.md", "Shop")]).await;
    let before = scene.remote.head();
    let broken = PIPELINE.replace("run: 'true', secrets", "rum: 'true', secrets");
    let after = scene.remote.commit("Break", &[("pipelines/ci.yml", &broken)]);
    scene.remote.push("main").await;
    let answer = scene.github("push", "d-1", &push_body(&before, &after)).await;
    let outcome = scene.outcome(&id_of(&answer)).await;
    assert!(outcome.starts_with("failed: `ci` cannot be read:"), "{outcome}");
    assert!(outcome.contains("did you mean `run`?"), "{outcome}");
    let status = scene.forge.wait_for(|it| it.path.ends_with(&after)).await;
    assert_eq!(status.body["state"], "failure");
    let description = status.body["description"].as_str().unwrap();
    assert!(description.starts_with("pipelines/ci.yml:5:"), "{description}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forge_that_is_ill_or_busy_gets_the_newest_state_later() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let headers = vec![("retry-after", "30".to_owned())];
    scene.forge.answer_once(StatusCode::TOO_MANY_REQUESTS, headers);
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell", &[("src/shop.py", "x = 1")]);
    scene.remote.push("main").await;
    scene.github("push", "d-1", &push_body(&before, &after)).await;
    scene.forge.wait_for(|it| it.body["state"] == "pending").await;
    let run = scene.runs().await[0]["id"].as_str().unwrap().to_owned();
    scene.server.post(&scene.token, &format!("/api/v1/runs/{run}/cancel"), json!({})).await;
    // It is left alone until it may be asked again, and then hears only of the end.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(scene.forge.posted(), 1, "{:?}", scene.forge.asked());
    scene.server.clock.by_seconds(31);
    scene.forge.wait_for(|it| it.body["state"] == "error").await;
    assert_eq!(scene.forge.posted(), 2, "{:?}", scene.forge.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_not_there_yet_is_waited_for_with_growing_pauses() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell", &[("src/shop.py", "x = 1")]);
    let answer = scene.github("push", "d-1", &push_body(&before, &after)).await;
    let id = id_of(&answer);
    let told = scene.told_of_try(&id, 1).await;
    assert_eq!(
        told,
        format!("try 1 of 7 failed, the next is in 5 s: the repository has no `{after}`")
    );
    scene.server.clock.by_seconds(6);
    let told = scene.told_of_try(&id, 2).await;
    assert!(told.starts_with("try 2 of 7 failed, the next is in 10 s:"), "{told}");
    scene.remote.push("main").await;
    scene.server.clock.by_seconds(11);
    assert_eq!(scene.outcome(&id).await, "processed: run #1 of `ci` was started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_comes_is_given_up_and_the_delivery_says_so() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (before, never) = (scene.remote.head(), "1".repeat(40));
    let id = id_of(&scene.github("push", "d-1", &push_body(&before, &never)).await);
    for attempt in 1..=6 {
        scene.told_of_try(&id, attempt).await;
        scene.server.clock.by_seconds(6 << (attempt - 1));
    }
    let outcome = scene.outcome(&id).await;
    assert_eq!(outcome, format!("failed: given up after 7 tries: the repository has no `{never}`"));
}
