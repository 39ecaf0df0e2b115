//! `/account`: tokens are shown once, sessions end.

use super::{Browser, check_page};
use crate::support::{PASSWORD, Server};
use trunkline::model::Role;

async fn bob() -> Server {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("bob", false).await;
    let shop = server.team("shop").await;
    server.member(&shop, "bob", Role::Developer).await;
    server
}

#[tokio::test]
async fn people_see_who_they_are() {
    let server = bob().await;
    let bob = Browser::of(&server, "bob").await;
    let page = bob.get("/account").await;
    check_page(&page);
    for wanted in ["Account of bob", "href=\"/teams/shop\"", "developer"] {
        assert!(page.text.contains(wanted), "{page:?}");
    }
    assert!(!page.text.contains("You own this server"));
}

#[tokio::test]
async fn people_see_the_teams_that_they_are_in() {
    let server = bob().await;
    server.team("hidden").await;
    server.person("eve", false).await;
    let page = Browser::of(&server, "bob").await.get("/teams").await;
    check_page(&page);
    for wanted in ["href=\"/teams/shop\"", "0 projects", ">developer</span>"] {
        assert!(page.text.contains(wanted), "{page:?}");
    }
    assert!(!page.text.contains("teams/hidden") && !page.text.contains("New team"), "{page:?}");
    let page = Browser::of(&server, "ada").await.get("/teams").await;
    assert!(page.text.contains("teams/hidden") && page.text.contains("New team"), "{page:?}");
    let page = Browser::of(&server, "eve").await.get("/teams").await;
    assert!(page.text.contains("You are in no team."), "{page:?}");
}

#[tokio::test]
async fn a_token_is_shown_once_and_is_good_until_it_is_revoked() {
    let server = bob().await;
    let bob = Browser::of(&server, "bob").await;
    let path = "/account/tokens";
    for (fields, sentence) in [
        (vec![("name", "x"), ("days", "9")], "good for nothing"),
        (vec![("name", "x"), ("days", "9000"), ("scopes", "viewer")], "1 to 366"),
        (vec![("name", ""), ("days", "9"), ("scopes", "viewer")], "A token has a name"),
        (vec![("name", "<b>"), ("days", "9"), ("scopes", "<i>")], "is no scope"),
    ] {
        let answer = bob.post(path, &fields).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        check_page(&answer);
        assert!(answer.text.contains(sentence), "`{sentence}` is not in {answer:?}");
        assert!(!answer.text.contains("<b>") || !fields.contains(&("name", "<b>")), "{answer:?}");
    }
    // The form does not offer it.
    let forged = bob.post(path, &[("name", "x"), ("days", "9"), ("scopes", "owner")]).await;
    assert!(forged.status == 403 && forged.text.contains("is for owners"), "{forged:?}");
    let fields = [("name", "deploys"), ("days", "30"), ("scopes", "developer"), ("scopes", "")];
    let made = bob.post(path, &fields).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.header("cache-control"), "no-store");
    check_page(&made);
    let (_, rest) = made.text.split_once("id=\"once\" class=\"copy\" value=\"").unwrap();
    let token = rest.split_once('"').unwrap().0.to_owned();
    assert_eq!(server.get(&token, "/api/v1/me").await.json()["login"], "bob");
    let page = bob.get(path).await;
    assert!(page.text.contains("deploys") && !page.text.contains(&token), "{page:?}");
    let (_, rest) = page.text.split_once("action=\"/account/tokens/").unwrap();
    let id = rest.split_once('/').unwrap().0;
    // Nobody ends the tokens of others.
    let ada = Browser::of(&server, "ada").await;
    assert_eq!(ada.post(&format!("{path}/{id}/revoke"), &[]).await.status, 404);
    let revoked = bob.post(&format!("{path}/{id}/revoke"), &[]).await;
    assert_eq!(revoked.header("location"), "/account/tokens?done=revoked");
    assert_eq!(server.get(&token, "/api/v1/me").await.status, 401);
    let page = bob.get("/account/tokens?done=revoked").await;
    assert!(page.text.contains("Revoked.") && page.text.contains("revoked</span>"), "{page:?}");
}

#[tokio::test]
async fn people_change_their_password_and_show_the_old_one() {
    let server = bob().await;
    let elsewhere = Browser::of(&server, "bob").await;
    let bob = Browser::of(&server, "bob").await;
    let new = "a much longer sentence";
    for (old, new, sentence) in [
        ("wrong horse battery", new, "The old password is wrong."),
        (PASSWORD, "short", "15 to 256 characters"),
    ] {
        let refused = bob.post("/account/password", &[("old", old), ("new", new)]).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        check_page(&refused);
        assert!(refused.text.contains(sentence), "{refused:?}");
        assert!(!refused.text.contains(old) && !refused.text.contains(new), "{refused:?}");
    }
    assert_eq!(elsewhere.get("/account").await.status, 200);
    let changed = bob.post("/account/password", &[("old", PASSWORD), ("new", new)]).await;
    assert_eq!(changed.header("location"), "/account?done=password", "{changed:?}");
    let page = bob.get("/account?done=password").await;
    assert!(page.text.contains("Your password is changed."), "{page:?}");
    assert_eq!(elsewhere.get("/account").await.status, 303, "other sessions end");
    assert_eq!(server.sign_in("bob", PASSWORD).await.status, 401);
    assert_eq!(server.sign_in("bob", new).await.status, 200);
    let token = server.token("ada", &["owner"]).await;
    let log = server.get(&token, "/api/v1/audit?action=password.change").await.json();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    assert_eq!(log["items"][0]["actor"], "person:bob");
}

#[tokio::test]
async fn wrong_old_passwords_make_the_next_try_wait() {
    let server = bob().await;
    let token = server.token("bob", &["admin"]).await;
    let body = |old: &str| serde_json::json!({ "old_password": old, "new_password": "a much longer sentence" });
    let mut tries = 0;
    // A slow machine needs more of them, since each takes its time.
    loop {
        let answer = server.post(&token, "/api/v1/me/password", body("wrong horse battery")).await;
        if answer.status == 429 {
            break;
        }
        assert_eq!(answer.status, 422, "{answer:?}");
        tries += 1;
        assert!(tries < 15, "nobody has to wait");
    }
    assert!(tries >= 5, "{tries}");
    assert_eq!(server.sign_in("bob", PASSWORD).await.status, 200, "the sign-in counts its own");
    server.clock.by_seconds(1000);
    let answer = server.post(&token, "/api/v1/me/password", body(PASSWORD)).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let weak = server.token("bob", &["viewer"]).await;
    let answer = server.post(&weak, "/api/v1/me/password", body(PASSWORD)).await;
    assert_eq!(answer.status, 403, "{answer:?}");
}

#[tokio::test]
async fn sessions_are_marked_and_end() {
    let server = bob().await;
    let other = Browser::of(&server, "bob").await;
    let bob = Browser::of(&server, "bob").await;
    let page = bob.get("/account/sessions").await;
    check_page(&page);
    assert_eq!(page.text.matches(">this one<").count(), 1, "{page:?}");
    let ids = page.text.split("action=\"/account/sessions/").skip(1);
    let ids: Vec<_> = ids.map(|it| it.split_once('/').unwrap().0.to_owned()).collect();
    assert_eq!(ids.len(), 2);
    // The newest is first, and looks.
    let ended = bob.post(&format!("/account/sessions/{}/end", ids[1]), &[]).await;
    assert_eq!(ended.header("location"), "/account/sessions?done=revoked");
    assert_eq!(other.get("/account").await.status, 303);
    assert_eq!(bob.get("/account").await.status, 200);
    assert_eq!(bob.post_as_is(&format!("/account/sessions/{}/end", ids[0]), &[]).await.status, 403);
}
