//! Projects: shown, changed without overwriting what somebody else has changed, and archived.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::model::Role;

use crate::support::{Answer, Server};

const PATH: &str = "/api/v1/projects/shop/web";

async fn server() -> (Server, String) {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.team("shop").await;
    let token = server.token("ada", &["owner"]).await;
    let new =
        json!({ "team": "shop", "name": "web", "address": "https://git.example.org/web.git" });
    let made = server.post(&token, "/api/v1/projects", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    (server, token)
}

async fn change(server: &Server, token: &str, (body, seen): (Value, &str)) -> Answer {
    let request = server.request(Method::PATCH, PATH).bearer_auth(token).json(&body);
    Answer::of(request.header("if-match", seen).send().await.unwrap()).await
}

#[tokio::test]
async fn a_change_of_what_was_not_seen_is_refused() {
    let (server, token) = server().await;
    let seen = server.get(&token, PATH).await;
    let etag = seen.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() == 34, "{etag}");
    let mine = change(&server, &token, (json!({ "priority": 5 }), &etag)).await;
    assert_eq!((mine.status, mine.json()["priority"].clone()), (StatusCode::OK, json!(5)));
    let theirs = change(&server, &token, (json!({ "default_branch": "trunk" }), &etag)).await;
    assert_eq!(theirs.status, StatusCode::PRECONDITION_FAILED, "{theirs:?}");
    assert_eq!(theirs.json()["type"], "/problems/precondition-failed");
    let fresh = server.get(&token, PATH).await;
    assert_eq!(fresh.json()["default_branch"], "main");
    let again =
        change(&server, &token, (json!({ "default_branch": "trunk" }), fresh.header("etag"))).await;
    assert_eq!(again.json()["default_branch"], "trunk");
    let any = change(&server, &token, (json!({ "poll_seconds": 60 }), "*")).await;
    assert_eq!((any.status, any.json()["priority"].clone()), (StatusCode::OK, json!(5)));
    let stale = server.request(Method::DELETE, PATH).bearer_auth(&token).header("if-match", &etag);
    assert_eq!(stale.send().await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn only_admins_change_a_project_and_only_to_what_makes_sense() {
    let (server, token) = server().await;
    let team = server.app.store.find_team("shop").await.unwrap().unwrap().id;
    server.person("bob", false).await;
    server.member(&team, "bob", Role::Developer).await;
    let bob = server.token("bob", &["admin"]).await;
    assert_eq!(
        change(&server, &bob, (json!({ "priority": 1 }), "*")).await.status,
        StatusCode::FORBIDDEN
    );
    for body in [
        json!({ "forge": "svn" }),
        json!({ "address": "ftp://x" }),
        json!({ "name": "other" }),
        json!({ "priority": "high" }),
    ] {
        let answer = change(&server, &token, (body.clone(), "*")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
    let unchanged = server.get(&token, PATH).await.json();
    assert_eq!((&unchanged["priority"], &unchanged["forge"]), (&json!(0), &json!("git")));
}
