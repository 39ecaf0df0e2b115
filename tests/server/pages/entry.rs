//! The ways in and out.

use reqwest::Method;

use super::{Browser, check_page, reads_pages, send_form};
use crate::support::{Answer, PASSWORD, Server};

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = reads_pages(server, Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn post(server: &Server, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = reads_pages(server, Method::POST, path).header("origin", &server.url);
    send_form(request, fields).await
}

#[tokio::test]
async fn the_first_person_sets_up_and_is_signed_in() {
    let server = Server::start().await;
    let token = server.app.auth.begin_setup().await.unwrap().unwrap().0;
    assert_eq!(get(&server, "/sign-in", &[]).await.header("location"), "/set-up");
    check_page(&get(&server, "/set-up", &[]).await);
    let fields = |token| [("token", token), ("login", "ada"), ("password", PASSWORD)];
    let refused = post(&server, "/set-up", &fields("tls_wrong")).await;
    check_page(&refused);
    assert!(refused.text.contains("this is no set-up token of this installation"), "{refused:?}");
    assert!(!refused.text.contains(PASSWORD));
    let done = post(&server, "/set-up", &fields(token.as_str())).await;
    assert_eq!(done.header("location"), "/?done=set-up", "{done:?}");
    assert!(!done.cookie("trunkline").is_empty());
    assert_eq!(get(&server, "/set-up", &[]).await.header("location"), "/sign-in");
}

#[tokio::test]
async fn who_signs_in_goes_on_where_they_wanted_to() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let led = get(&server, "/approvals?cursor=x", &[]).await;
    let resume = "/api/v1/session/resume?return_to=%2Fapprovals%3Fcursor%3Dx";
    assert_eq!((led.status.as_u16(), led.header("location")), (303, resume));
    let led = get(&server, resume, &[]).await;
    assert_eq!(led.header("location"), "/sign-in?return_to=%2Fapprovals%3Fcursor%3Dx");
    let page = get(&server, led.header("location"), &[]).await;
    check_page(&page);
    assert!(page.text.contains(r#"name="return_to" value="/approvals?cursor=x""#), "{page:?}");
    let fields = |password, to| [("login", "ada"), ("password", password), ("return_to", to)];
    let wrong = post(&server, "/sign-in", &fields("wrong horse battery", "/approvals")).await;
    assert!(wrong.text.contains("The login or the password is wrong."), "{wrong:?}");
    for (to, location) in
        [("/approvals?cursor=x", "/approvals?cursor=x"), ("//evil.example", "/"), ("", "/")]
    {
        let done = post(&server, "/sign-in", &fields(PASSWORD, to)).await;
        assert_eq!((done.status.as_u16(), done.header("location")), (303, location));
    }
}

#[tokio::test]
async fn who_is_wrong_too_often_is_told_when_to_try_again() {
    let server = Server::start().await;
    server.person("ada", true).await;
    for _ in 0..5 {
        let fields = [("login", "ada"), ("password", "wrong horse battery")];
        post(&server, "/sign-in", &fields).await;
    }
    let fields = [("login", "ada"), ("password", PASSWORD)];
    let locked = post(&server, "/sign-in", &fields).await;
    check_page(&locked);
    assert_eq!((locked.status.as_u16(), locked.header("retry-after")), (429, "1"));
    for wanted in ["Too many wrong tries: try again in 1.0 s.", "name=\"login\" value=\"ada\""] {
        assert!(locked.text.contains(wanted), "`{wanted}` is not in {locked:?}");
    }
    server.clock.by_seconds(2);
    assert_eq!(post(&server, "/sign-in", &fields).await.status, 303);
}

#[tokio::test]
async fn a_session_goes_on_behind_a_link_and_after_ten_minutes() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let signed_in = server.sign_in("ada", PASSWORD).await;
    // A link on another site: no strict cookie comes with it, so a page of ours asks again.
    let led = get(&server, "/approvals", &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(led.status, 200);
    assert!(led.text.contains(r#"content="0;url=/approvals""#), "{led:?}");
    server.clock.by_seconds(601);
    let refresh = format!("trunkline-refresh={}", signed_in.cookie("trunkline-refresh"));
    let resume = "/api/v1/session/resume?return_to=%2Fapprovals";
    let led = get(&server, resume, &[("cookie", &refresh)]).await;
    assert_eq!(led.header("location"), "/approvals");
    let cookies = format!("trunkline={}", led.cookie("trunkline"));
    check_page(&get(&server, "/approvals", &[("cookie", &cookies)]).await);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_takes_our_own_form() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let browser = Browser::of(&server, "ada").await;
    for fields in [&[][..], &[("csrf", "wrong")]] {
        let refused = browser.post_as_is("/sign-out", fields).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        check_page(&refused);
    }
    let elsewhere = browser.request(Method::POST, "/sign-out").header("origin", "https://evil");
    let refused = send_form(elsewhere, &[("csrf", &browser.csrf)]).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(browser.post("/sign-out", &[]).await.header("location"), "/sign-in");
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test]
async fn a_page_looks_as_one_likes() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let fields = [("theme", "dark"), ("return_to", "/sign-in")];
    let set = post(&server, "/look", &fields).await;
    assert_eq!(
        (set.cookie("trunkline-theme").as_str(), set.header("location")),
        ("dark", "/sign-in")
    );
    let browser = Browser::of(&server, "ada").await;
    let request = browser.request(Method::GET, "/").header("cookie", "trunkline-theme=dark");
    let page = Answer::of(request.send().await.unwrap()).await;
    assert!(page.text.contains(r#"data-theme="dark""#), "{page:?}");
    let set = post(&server, "/look", &[("theme", "<b>")]).await;
    assert_eq!(set.cookie("trunkline-theme"), "");
}

#[tokio::test]
async fn programs_get_problems_and_people_get_pages() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let browser = Browser::of(&server, "ada").await;
    let page = browser.get("/nothing/here").await;
    assert_eq!(page.status, 404);
    check_page(&page);
    assert!(page.text.contains("this address does not exist"), "{page:?}");
    for wanted in ["aria-label=\"Main\"", "Account of ada", "value=\"/nothing/here\""] {
        assert!(page.text.contains(wanted), "{page:?}");
    }
    let nobody = get(&server, "/assets/old/nothing.js", &[]).await;
    assert_eq!(nobody.status, 404);
    assert!(!nobody.text.contains("aria-label=\"Main\""), "{nobody:?}");
    // Where a form was sent to, nobody can come back to.
    let bad = browser.post_as_is("/account/tokens", &[("csrf", "wrong")]).await;
    assert_eq!(bad.status, 403);
    for wanted in
        ["aria-label=\"Main\"", "name=\"return_to\" value=\"/\"", "<code>X-CSRF-Token</code>"]
    {
        assert!(bad.text.contains(wanted), "{bad:?}");
    }
    let token = server.token("ada", &["owner"]).await;
    for path in ["/nothing/here", "/api/v1/nothing"] {
        assert_eq!(server.get(&token, path).await.json()["status"], 404);
    }
    let asset = page.text.split("href=\"").find(|it| it.contains("trunkline.css")).unwrap();
    let asset = browser.get(asset.split('"').next().unwrap()).await;
    assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(browser.get("/assets/old/trunkline.js").await.header("cache-control"), "no-cache");
}
