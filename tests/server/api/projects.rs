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
async fn settings_that_somebody_else_has_changed_are_not_overwritten() {
    let (server, token) = server().await;
    for (end, theirs, ours) in [
        ("retention", json!({ "runs_days": 30 }), json!({ "runs_days": 90 })),
        ("badge", json!({ "public": true }), json!({ "public": false, "token": "rotate" })),
    ] {
        let path = format!("{PATH}/{end}");
        let put = async |body: &Value, seen: &str| {
            let request = server.request(Method::PUT, &path).bearer_auth(&token).json(body);
            request.header("if-match", seen).send().await.unwrap().status()
        };
        let seen = server.get(&token, &path).await.header("etag").to_owned();
        assert!(put(&theirs, &seen).await.is_success(), "{end}");
        assert_eq!(put(&ours, &seen).await, StatusCode::PRECONDITION_FAILED, "{end}");
        let now = server.get(&token, &path).await;
        let (name, value) = theirs.as_object().unwrap().iter().next().unwrap();
        assert_eq!(&now.json()[name], value, "{end}");
        assert!(put(&ours, now.header("etag")).await.is_success(), "{end}");
    }
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
        json!({ "priority": -3_000_000_000_i64 }),
        json!({ "poll_seconds": 99_999_999_999_i64 }),
        json!({ "poll_seconds": -1 }),
    ] {
        let answer = change(&server, &token, (body.clone(), "*")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
    let unchanged = server.get(&token, PATH).await.json();
    assert_eq!((&unchanged["priority"], &unchanged["forge"]), (&json!(0), &json!("git")));
}

#[tokio::test]
async fn an_address_with_a_credential_is_refused_and_never_shown() {
    let (server, token) = server().await;
    for address in
        ["https://ada:pa55@git.example.org/web.git", "https://pa55@git.example.org/a.git"]
    {
        let new = json!({ "team": "shop", "name": "two", "address": address });
        let made = server.post(&token, "/api/v1/projects", new).await;
        assert_eq!(made.status, StatusCode::BAD_REQUEST, "{made:?}");
        assert!(made.text.contains("trunkline project credential"), "{made:?}");
        assert!(!made.text.contains("pa55"), "{made:?}");
        let changed = change(&server, &token, (json!({ "address": address }), "*")).await;
        assert_eq!(changed.status, StatusCode::BAD_REQUEST, "{changed:?}");
    }
    let ssh = json!({ "team": "shop", "name": "ssh", "address": "git@git.example.org:a/b.git" });
    let made = server.post(&token, "/api/v1/projects", ssh).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");

    // One of an earlier version is masked, and stays when what was shown is sent back.
    let store = &server.app.store;
    let before = store.find_project_by_name("shop", "web").await.unwrap().unwrap();
    let secret = "https://ada:pa55@git.example.org/web.git".to_owned();
    let after =
        trunkline::store::access::projects::ProjectRow { address: secret, ..before.clone() };
    store.change_project(&before, &after).await.unwrap();
    let shown = server.get(&token, PATH).await;
    assert_eq!(shown.json()["address"], "https://***@git.example.org/web.git");
    let same = json!({ "address": shown.json()["address"], "priority": 3 });
    assert_eq!(change(&server, &token, (same, "*")).await.status, StatusCode::OK);
    let kept = store.find_project_by_name("shop", "web").await.unwrap().unwrap();
    assert_eq!(kept.address, after.address);
    let browser = crate::pages::Browser::of(&server, "ada").await;
    for path in ["/projects/shop/web", "/projects/shop/web/settings"] {
        let page = browser.get(path).await;
        assert!(!page.text.contains("pa55"), "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn names_of_teams_and_people_are_bounded_and_no_team_is_a_page() {
    let (server, token) = server().await;
    let long = "x".repeat(201);
    let bad = [
        ("teams", json!({ "name": "new", "title": "New" }), "cannot"),
        ("teams", json!({ "name": "web", "title": long }), "1 to 100"),
        ("people", json!({ "login": "bob", "name": long }), "200"),
    ];
    for (path, body, wanted) in bad {
        let answer = server.post(&token, &format!("/api/v1/{path}"), body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        assert!(
            answer.text.contains(wanted) || answer.text.contains("can be called"),
            "{answer:?}"
        );
    }
}
