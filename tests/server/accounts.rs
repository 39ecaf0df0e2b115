//! The first owner, people, teams and tokens.

use reqwest::Method;
use serde_json::json;
use trunkline::model::Role;

use crate::support::{Answer, PASSWORD, Server};

async fn set_up(server: &Server, token: &str, login: &str) -> Answer {
    let body = json!({ "token": token, "login": login, "password": PASSWORD });
    let request = server.request(Method::POST, "/api/v1/setup").json(&body);
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn the_first_owner_shows_the_set_up_token_once() {
    let server = Server::start().await;
    let first = server.app.auth.begin_setup().await.unwrap().unwrap().0;
    // A second process on the same database prints its own.
    let second = server.app.auth.begin_setup().await.unwrap().unwrap().0;
    assert_ne!(first, second);

    assert_eq!(set_up(&server, "tls_wrong", "ada").await.status, 403);
    let answer = set_up(&server, &second, "Ada").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&token, "/api/v1/me").await.json()["is_owner"], true);

    for used in [first, second] {
        assert_eq!(set_up(&server, &used, "eve").await.status, 409);
    }
    assert!(server.app.auth.begin_setup().await.unwrap().is_none());
    assert_eq!(server.sign_in("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_set_up_token_ends_after_a_day() {
    let server = Server::start().await;
    let token = server.app.auth.begin_setup().await.unwrap().unwrap().0;
    server.clock.by_seconds(24 * 3600 + 1);
    assert_eq!(set_up(&server, &token, "ada").await.status, 403);
}

#[tokio::test]
async fn of_two_who_set_up_at_the_same_moment_one_becomes_the_owner() {
    let server = Server::start().await;
    let token = server.app.auth.begin_setup().await.unwrap().unwrap().0;
    let (left, right) =
        tokio::join!(set_up(&server, &token, "ada"), set_up(&server, &token, "eve"));
    let mut statuses = [left.status.as_u16(), right.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(server.app.store.list_people().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_disabled_person_is_out_at_once_with_sessions_and_tokens() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("grace", false).await;
    let (owner, grace) =
        (server.token("ada", &["owner"]).await, server.token("grace", &["admin"]).await);
    assert_eq!(server.get(&grace, "/api/v1/me").await.status, 200);

    let body = Some(json!({ "is_disabled": true }));
    let answer = server.call(&owner, Method::PATCH, ("/api/v1/people/grace", body)).await;
    assert_eq!(answer.json()["is_disabled"], true);
    assert_eq!(server.get(&grace, "/api/v1/me").await.status, 401);
    assert_eq!(server.sign_in("grace", PASSWORD).await.status, 401);

    let body = Some(json!({ "is_disabled": true }));
    let answer = server.call(&owner, Method::PATCH, ("/api/v1/people/ada", body)).await;
    assert_eq!(answer.status, 422, "the last owner stays: {answer:?}");
}

#[tokio::test]
async fn an_admin_of_a_team_makes_members_and_changes_their_role() {
    let server = Server::start().await;
    server.person("ada", false).await;
    server.person("grace", false).await;
    let team = server.team("search").await;
    server.member(&team, "ada", Role::Admin).await;
    let (ada, grace) =
        (server.token("ada", &["admin"]).await, server.token("grace", &["admin"]).await);
    assert_eq!(server.get(&grace, "/api/v1/teams/search").await.status, 404);

    let path = "/api/v1/teams/search/members/grace";
    let put = |role: &str| Some(json!({ "role": role }));
    assert_eq!(server.call(&ada, Method::PUT, (path, put("viewer"))).await.status, 200);
    assert_eq!(server.get(&grace, "/api/v1/teams/search").await.status, 200);
    assert_eq!(server.call(&grace, Method::PUT, (path, put("admin"))).await.status, 403);
    assert_eq!(server.call(&ada, Method::PUT, (path, put("king"))).await.status, 400);
    assert_eq!(server.call(&ada, Method::DELETE, (path, None)).await.status, 204);
    assert_eq!(server.get(&grace, "/api/v1/teams/search").await.status, 404);
}

#[tokio::test]
async fn a_token_makes_no_token_that_can_do_more() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let team = server.team("search").await;
    let developer = server.token("ada", &["developer"]).await;
    let make = |scope: String| json!({ "name": "more", "scopes": [scope] });
    for (scope, status) in [
        ("viewer".to_owned(), 201),
        ("developer".to_owned(), 201),
        (format!("developer:{team}"), 201),
        ("approver".to_owned(), 403),
        (format!("admin:{team}"), 403),
        ("owner".to_owned(), 403),
        ("king".to_owned(), 400),
    ] {
        let answer = server.post(&developer, "/api/v1/tokens", make(scope.clone())).await;
        assert_eq!(answer.status, status, "{scope}: {answer:?}");
    }
    for body in [
        json!({ "name": "x", "scopes": ["viewer"], "days": 367 }),
        json!({ "name": "x", "scopes": ["viewer"], "days": 0 }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "", "scopes": ["viewer"] }),
    ] {
        let answer = server.post(&developer, "/api/v1/tokens", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_ends_when_it_is_revoked_or_too_old() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let admin = server.token("ada", &["admin"]).await;
    let make = json!({ "name": "laptop", "scopes": ["viewer"], "days": 1 });
    let made = server.post(&admin, "/api/v1/tokens", make).await.json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(token.starts_with("tlt_") && token.len() == 47, "{token}");
    assert_eq!(server.get(token, "/api/v1/me").await.status, 200);
    let list = server.get(&admin, "/api/v1/tokens").await;
    assert!(list.text.contains(id) && !list.text.contains(token) && !list.text.contains("hash"));

    let other = server.get(token, "/api/v1/tokens").await.json();
    let other = other["items"].as_array().unwrap().iter().find(|it| it["id"] != id).unwrap();
    let path = format!("/api/v1/tokens/{}", other["id"].as_str().unwrap());
    assert_eq!(server.call(token, Method::DELETE, (&path, None)).await.status, 403);
    let path = format!("/api/v1/tokens/{id}");
    assert_eq!(server.call(token, Method::DELETE, (&path, None)).await.status, 204);
    assert_eq!(server.get(token, "/api/v1/me").await.status, 401);

    server.clock.by_seconds(3601);
    assert_eq!(server.get(&admin, "/api/v1/me").await.status, 401);
}
