//! `/`: what concerns somebody now.

use serde_json::json;
use trunkline::model::Role;

use super::{Browser, check_page};
use crate::support::Server;

#[tokio::test]
async fn an_empty_server_says_what_to_do_first() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let page = Browser::of(&server, "ada").await.get("/?done=set-up").await;
    check_page(&page);
    for wanted in ["This server is yours.", "To the first green run", "pipelines/ci.yml"] {
        assert!(page.text.contains(wanted), "{page:?}");
    }
    let page = Browser::of(&server, "ada").await.get("/?done=%3Cb%3E").await;
    assert!(!page.text.contains("note good"), "{page:?}");
}

#[tokio::test]
async fn people_see_the_projects_of_their_teams() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("bob", false).await;
    let token = server.token("ada", &["owner"]).await;
    let shop = server.team("shop").await;
    server.team("other").await;
    server.member(&shop, "bob", Role::Viewer).await;
    for (team, name) in [("shop", "web"), ("other", "hidden")] {
        let body = json!({ "team": team, "name": name, "address": "https://git.example/x" });
        assert_eq!(server.post(&token, "/api/v1/projects", body).await.status, 201);
    }
    let page = Browser::of(&server, "ada").await.get("/").await;
    assert!(
        page.text.contains("/projects/shop/web") && page.text.contains("/projects/other/hidden")
    );
    let page = Browser::of(&server, "bob").await.get("/").await;
    check_page(&page);
    assert!(page.text.contains("/projects/shop/web"), "{page:?}");
    assert!(
        !page.text.contains("other/hidden") && !page.text.contains("href=\"/admin\""),
        "{page:?}"
    );
}
