//! The API: secrets can be set, listed and removed, and their values are in no answer.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::model::{ForgeKind, ProjectId, Timestamp};
use trunkline::store::access::projects::ProjectRow;

use crate::support::Server;

const TEAM: &str = "/api/v1/teams/shop/secrets";
const PROJECT: &str = "/api/v1/projects/shop/web/secrets";

struct Place {
    server: Server,
    token: String,
}

/// A server with the teams `shop` and `bank`, and ada, who owns it.
async fn place() -> Place {
    let server = Server::start().await;
    server.person("ada", true).await;
    let team = server.team("shop").await;
    server.team("bank").await;
    let row = ProjectRow {
        id: ProjectId("p-web".to_owned()),
        team,
        team_name: "shop".to_owned(),
        name: "web".to_owned(),
        address: "https://example.com/x.git".to_owned(),
        forge: ForgeKind::Git,
        forge_url: String::new(),
        forge_path: String::new(),
        default_branch: "main".to_owned(),
        priority: 0,
        poll_seconds: 0,
        created_at: Timestamp(1),
        archived_at: None,
    };
    server.app.store.insert_project(&row).await.unwrap();
    let token = server.token("ada", &["owner"]).await;
    Place { server, token }
}

impl Place {
    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, String) {
        self.call_as(&self.token, method, (path, body)).await
    }

    async fn call_as(
        &self,
        token: &str,
        method: Method,
        (path, body): (&str, Value),
    ) -> (StatusCode, String) {
        let body = (!body.is_null()).then_some(body);
        let answer = self.server.call(token, method, (path, body)).await;
        (answer.status, answer.text)
    }
}

fn secret(value: &str) -> Value {
    json!({ "name": "prod/key", "value": value, "rules": { "branches": ["main"] } })
}

#[tokio::test]
async fn a_secret_is_set_listed_and_removed_and_its_value_is_never_shown() {
    let place = place().await;
    for path in [TEAM, PROJECT] {
        for version in 1..=2 {
            let (status, text) = place.call(Method::PUT, path, secret("hunter22")).await;
            assert_eq!((status, text), (StatusCode::OK, json!({ "version": version }).to_string()));
        }
        let (status, text) = place.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK);
        let listed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(listed["items"][0]["name"], "prod/key");
        assert_eq!(listed["items"][0]["rules"]["branches"], json!(["main"]));
        assert!(!text.contains("hunter22") && !text.contains("sealed"), "{text}");
        let named = format!("{path}?name=prod/key");
        assert_eq!(place.call(Method::DELETE, &named, Value::Null).await.0, 204);
        assert_eq!(place.call(Method::DELETE, &named, Value::Null).await.0, 404);
    }
}

#[tokio::test]
async fn what_is_refused_does_not_show_the_value_either() {
    let place = place().await;
    for body in [
        json!({ "name": "a b", "value": "hunter22" }),
        json!({ "name": "../a", "value": "hunter22" }),
        json!({ "name": "a//b", "value": "hunter22" }),
        json!({ "name": "a", "value": "hunter22", "rules": { "events": ["hum"] } }),
        json!({ "name": "a", "value": "hunter22", "environment": "A/B" }),
        json!({ "name": "a", "value": "" }),
    ] {
        let (status, text) = place.call(Method::PUT, TEAM, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(!text.contains("hunter22"), "{text}");
    }
}

#[tokio::test]
async fn only_admins_set_secrets_and_other_teams_do_not_know_of_them() {
    let place = place().await;
    let developer = place.server.token("ada", &["developer"]).await;
    let call = (TEAM, secret("hunter22"));
    assert_eq!(place.call_as(&developer, Method::PUT, call).await.0, StatusCode::FORBIDDEN);
    let bank = place.server.app.store.find_team("bank").await.unwrap().unwrap().id;
    let stranger = place.server.token("ada", &[&format!("admin:{bank}")]).await;
    for path in [TEAM, PROJECT, "/api/v1/audit?team=shop"] {
        let answer = place.call_as(&stranger, Method::GET, (path, Value::Null)).await;
        assert_eq!(answer.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_audit_log_comes_in_pages_and_as_lines() {
    let place = place().await;
    for _ in 0..3 {
        place.call(Method::PUT, TEAM, secret("hunter22")).await;
    }
    let path = "/api/v1/audit?team=shop&action=secret.&limit=2";
    let (status, text) = place.call(Method::GET, path, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = format!("{path}&format=ndjson&cursor={}", page["next"].as_str().unwrap());
    let (_, lines) = place.call(Method::GET, &next, Value::Null).await;
    assert_eq!(lines.lines().count(), 1);
    assert!(lines.contains("person:ada") && !lines.contains("hunter22"), "{lines}");

    let admin = place.server.token("ada", &["admin"]).await;
    let call = ("/api/v1/audit", Value::Null);
    assert_eq!(place.call_as(&admin, Method::GET, call).await.0, StatusCode::FORBIDDEN);
}
