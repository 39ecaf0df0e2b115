//! `Idempotency-Key`: what is asked for twice is done once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::api;

use crate::deliveries::Scene;
use crate::manual::PATH;
use crate::support::{Answer, Server};

const TOKENS: &str = "/api/v1/tokens";

async fn post(server: &Server, (token, key): (&str, &str), (path, body): (&str, &Value)) -> Answer {
    let request = server.request(Method::POST, path).bearer_auth(token).json(body);
    Answer::of(request.header("idempotency-key", key).send().await.unwrap()).await
}

async fn server() -> (Server, String) {
    let server = Server::start().await;
    server.person("ada", true).await;
    let token = server.token("ada", &["owner"]).await;
    (server, token)
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_time() {
    let (server, token) = server().await;
    let body = json!({ "name": "laptop", "scopes": ["viewer"] });
    let first = post(&server, (&token, "k-1"), (TOKENS, &body)).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    let again = post(&server, (&token, "k-1"), (TOKENS, &body)).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!((&again.text, again.header("content-type")), (&first.text, "application/json"));
    let made = server.get(&token, TOKENS).await.json()["items"].as_array().unwrap().len();
    assert_eq!(made, 2, "that of the test, and one");

    let other =
        post(&server, (&token, "k-1"), (TOKENS, &json!({ "name": "b", "scopes": ["viewer"] })))
            .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    assert!(other.text.contains("was used for another request"), "{other:?}");
    let elsewhere = post(&server, (&token, "k-1"), ("/api/v1/teams", &body)).await;
    assert_eq!(elsewhere.status, StatusCode::UNPROCESSABLE_ENTITY);
    let theirs = server.token("ada", &["owner"]).await;
    let new = post(&server, (&theirs, "k-1"), (TOKENS, &body)).await;
    assert_eq!((new.status, new.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    for key in ["", &"k".repeat(256)] {
        assert_eq!(
            post(&server, (&token, key), (TOKENS, &body)).await.status,
            StatusCode::BAD_REQUEST
        );
    }
}

#[tokio::test]
async fn what_was_refused_stays_refused() {
    let (server, token) = server().await;
    let team = json!({ "name": "shop" });
    server.team("shop").await;
    let taken = post(&server, (&token, "k-2"), ("/api/v1/teams", &team)).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{taken:?}");
    let again = post(&server, (&token, "k-2"), ("/api/v1/teams", &team)).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (StatusCode::CONFLICT, "true")
    );
    assert_eq!(again.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn answers_are_sealed_and_known_to_another_process() {
    let (server, token) = server().await;
    let body = json!({ "name": "laptop", "scopes": ["viewer"] });
    let first = post(&server, (&token, "k-3"), (TOKENS, &body)).await;
    let secret = first.json()["token"].as_str().unwrap().to_owned();
    let file = std::fs::read(server.folder.path().join("state.db")).unwrap();
    let wal = std::fs::read(server.folder.path().join("state.db-wal")).unwrap_or_default();
    let stored = String::from_utf8_lossy(&[file, wal].concat()).into_owned();
    assert!(!stored.contains(&secret), "a new token is not stored in the open");

    // Another process on the same database.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{TOKENS}", listener.local_addr().unwrap());
    let service = api::service(server.app.clone());
    let service = service.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
    let request = server.client.post(url).bearer_auth(&token).json(&body);
    let again = request.header("idempotency-key", "k-3").send().await.unwrap();
    assert_eq!(Answer::of(again).await.text, first.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_started_once_however_often_it_is_asked_for() {
    let pipeline = "version: 1\nname: ci\non: push\nstages: { a: { image: none, run: 'true' } }\n";
    let scene = Scene::start("git", &[("pipelines/ci.yml", pipeline)]).await;
    let body = json!({ "pipeline": "ci" });
    let ask = || post(&scene.server, (&scene.token, "k-4"), (PATH, &body));
    let answers = futures_util::future::join_all([ask(), ask(), ask(), ask()]).await;
    let statuses: Vec<_> = answers.iter().map(|it| it.status.as_u16()).collect();
    assert!(
        statuses.contains(&201) && statuses.iter().all(|it| [201, 409].contains(it)),
        "{answers:?}"
    );
    assert_eq!(ask().await.status, StatusCode::CREATED);
    assert_eq!(scene.runs().await.len(), 1);
}
