//! An installation keeps an owner, and a team an admin.

use reqwest::Method;
use serde_json::json;

use super::Browser;
use crate::started::{says, trunkline};
use crate::support::{Answer, Server};

fn check_refused(answer: &Answer) {
    assert_eq!(answer.status, 422, "{answer:?}");
    for told in ["is the last admin of the team", "shop", "Make somebody else one first."] {
        assert!(answer.text.contains(told), "`{told}` is not in {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_of_a_team_is_neither_removed_nor_made_less() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("ben", false).await;
    let token = server.token("ada", &["owner"]).await;
    let team = json!({ "name": "shop", "title": "Shop" });
    assert_eq!(server.post(&token, "/api/v1/teams", team).await.status, 201);
    let ada = Browser::of(&server, "ada").await;
    let path = "/api/v1/teams/shop/members/ada";
    let viewer = Some(json!({ "role": "viewer" }));
    check_refused(&server.call(&token, Method::DELETE, (path, None)).await);
    check_refused(&server.call(&token, Method::PUT, (path, viewer)).await);
    let refused = ada.post("/teams/shop/settings/members/ada/remove", &[]).await;
    check_refused(&refused);
    // A login stands as it is, and gets no capital at the beginning of a sentence.
    let told = "<h1 class=\"sentence named\"><code>ada</code> is the last admin";
    assert!(refused.text.contains(told), "{refused:?}");
    let form = [("login", "ada"), ("role", "viewer")];
    check_refused(&ada.post("/teams/shop/settings/members", &form).await);
    let members = server.get(&token, "/api/v1/teams/shop/members").await.json();
    assert_eq!(members["items"], json!([{ "login": "ada", "role": "admin" }]));

    // Who is shut out stays the last one: that is said to the owner who does it.
    server.person("kim", true).await;
    let is_warned = async || {
        let page = Browser::of(&server, "kim").await.get("/admin/people/ada").await;
        page.text.contains("Nobody else is an admin of <a href=\"/teams/shop/settings\">shop</a>")
    };
    assert!(is_warned().await);
    let form = [("login", "ben"), ("role", "admin")];
    assert_eq!(ada.post("/teams/shop/settings/members", &form).await.status, 303);
    assert!(!is_warned().await);
    let log = server.get(&token, "/api/v1/audit?action=member.save").await.json();
    assert_eq!(log["items"][0]["detail"]["role"], "admin", "{log}");
    let gone = server.call(&token, Method::DELETE, (path, None)).await;
    assert_eq!(gone.status, 204, "{gone:?}");
}

#[test]
fn the_last_owner_is_not_shut_out_at_the_machine_either() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    says(trunkline(&state, &["person", "add", "ada", "--owner", "--no-password"]));
    let output = trunkline(&state, &["person", "disable", "ada"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("`ada` is the last owner of this installation who may sign in"),
        "{said}"
    );
    assert!(said.contains("help: Make somebody else one first."), "{said}");
    says(trunkline(&state, &["person", "add", "ben", "--owner", "--no-password"]));
    says(trunkline(&state, &["person", "disable", "ada"]));
}
