//! The API: secrets can be set, listed and removed, and their values are in no answer.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::api;
use trunkline::auth::{Auth, NewOwner, NewToken, Scope};
use trunkline::blobs::{Blobs, Logs};
use trunkline::http::App;
use trunkline::model::{Milliseconds, PersonId, Role, TeamId};
use trunkline::runs::Runs;

use crate::place::Place;

const TEAM: &str = "/api/v1/teams/shop/secrets";
const PROJECT: &str = "/api/v1/projects/shop/web/secrets";

struct Server {
    url: String,
    token: String,
    app: App,
    place: Place,
    _tasks: tokio::task::JoinSet<()>,
}

async fn server() -> Server {
    let place = Place::new().await;
    let folder = place.folder.path();
    let app = App {
        store: place.store.clone(),
        runs: Runs::new(place.store.clone()),
        blobs: Blobs::open(&folder.join("blobs")).unwrap(),
        logs: Logs::open(&folder.join("logs")).unwrap(),
        auth: Auth::new(place.store.clone(), place.clock.clone()),
        clock: place.clock.clone(),
        secrets: place.secrets.clone(),
    };
    let owner = NewOwner {
        id: PersonId("ada".into()),
        login: "ada".into(),
        password: "correct horse battery".into(),
    };
    app.auth.set_up(owner).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (router, _) = api::router();
    let router = router.with_state(app.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let token = token(&app, Scope::Owner).await;
    Server { url, token, app, place, _tasks: tasks }
}

async fn token(app: &App, scope: Scope) -> String {
    let new = NewToken {
        id: app.new_id(),
        person: PersonId("ada".into()),
        name: "test".into(),
        scopes: vec![scope],
        expires_at: app.clock.now().plus(Milliseconds::from_seconds(3600)),
    };
    app.auth.create_token(new).await.unwrap().0
}

impl Server {
    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, String) {
        self.call_as(&self.token, method, (path, body)).await
    }

    async fn call_as(
        &self,
        token: &str,
        method: Method,
        (path, body): (&str, Value),
    ) -> (StatusCode, String) {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

fn secret(value: &str) -> Value {
    json!({ "name": "prod/key", "value": value, "rules": { "branches": ["main"] } })
}

#[tokio::test]
async fn a_secret_is_set_listed_and_removed_and_its_value_is_never_shown() {
    let server = server().await;
    for path in [TEAM, PROJECT] {
        for version in 1..=2 {
            let (status, text) = server.call(Method::PUT, path, secret("hunter22")).await;
            assert_eq!((status, text), (StatusCode::OK, json!({ "version": version }).to_string()));
        }
        let (status, text) = server.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK);
        let listed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(listed["items"][0]["name"], "prod/key");
        assert_eq!(listed["items"][0]["rules"]["branches"], json!(["main"]));
        assert!(!text.contains("hunter22") && !text.contains("sealed"), "{text}");
        let named = format!("{path}?name=prod/key");
        assert_eq!(server.call(Method::DELETE, &named, Value::Null).await.0, 204);
        assert_eq!(server.call(Method::DELETE, &named, Value::Null).await.0, 404);
    }
}

#[tokio::test]
async fn what_is_refused_does_not_show_the_value_either() {
    let server = server().await;
    for body in [
        json!({ "name": "a b", "value": "hunter22" }),
        json!({ "name": "a", "value": "hunter22", "rules": { "events": ["hum"] } }),
        json!({ "name": "a", "value": "hunter22", "environment": "A/B" }),
        json!({ "name": "a", "value": "" }),
    ] {
        let (status, text) = server.call(Method::PUT, TEAM, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(!text.contains("hunter22"), "{text}");
    }
}

#[tokio::test]
async fn only_admins_set_secrets_and_other_teams_do_not_know_of_them() {
    let server = server().await;
    let developer = token(&server.app, Scope::Every(Role::Developer)).await;
    let call = (TEAM, secret("hunter22"));
    assert_eq!(server.call_as(&developer, Method::PUT, call).await.0, StatusCode::FORBIDDEN);
    let bank = TeamId("t-bank".into());
    let stranger = token(&server.app, Scope::Team(Role::Admin, bank)).await;
    for path in [TEAM, PROJECT, "/api/v1/audit?team=shop"] {
        let answer = server.call_as(&stranger, Method::GET, (path, Value::Null)).await;
        assert_eq!(answer.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_audit_log_comes_in_pages_and_as_lines() {
    let server = server().await;
    for _ in 0..3 {
        server.place.set(("", ""), "hunter22").await;
    }
    let path = "/api/v1/audit?team=shop&action=secret.&limit=2";
    let (status, text) = server.call(Method::GET, path, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = format!("{path}&format=ndjson&cursor={}", page["next"].as_str().unwrap());
    let (_, lines) = server.call(Method::GET, &next, Value::Null).await;
    assert_eq!(lines.lines().count(), 1);
    assert!(lines.contains("person:ada") && !lines.contains("hunter22"), "{lines}");

    let admin = token(&server.app, Scope::Every(Role::Admin)).await;
    let call = ("/api/v1/audit", Value::Null);
    assert_eq!(server.call_as(&admin, Method::GET, call).await.0, StatusCode::FORBIDDEN);
}
