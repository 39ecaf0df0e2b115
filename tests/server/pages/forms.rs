//! Forms of pages that have been open for long, and what is left of them in the address bar.

use reqwest::Method;

use super::{Browser, check_page, reads_pages, send_form};
use crate::support::{Answer, PASSWORD, Server};

const FIELDS: [(&str, &str); 3] = [("name", "deploys"), ("days", "30"), ("scopes", "viewer")];
const TOKENS: &str = "/account/tokens";

/// What a browser keeps, and to which paths it sends it.
struct Jar<'a> {
    server: &'a Server,
    access: String,
    refresh: String,
    origin: String,
}

impl<'a> Jar<'a> {
    fn of(server: &'a Server, signed_in: &Answer) -> Self {
        let (access, refresh) =
            (signed_in.cookie("trunkline"), signed_in.cookie("trunkline-refresh"));
        Self { server, access, refresh, origin: server.url.clone() }
    }

    /// Sends a form and follows answers of 307 with it, as browsers do (RFC 9110, section 15.4.8).
    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut path = path.to_owned();
        for _ in 0..20 {
            let mut cookies = vec![format!("trunkline-theme=dark")];
            if !self.access.is_empty() {
                cookies.push(format!("trunkline={}", self.access));
            }
            if path.starts_with("/api/v1/session") {
                cookies.push(format!("trunkline-refresh={}", self.refresh));
            }
            let request = reads_pages(self.server, Method::POST, &path);
            let request =
                request.header("origin", &self.origin).header("cookie", cookies.join("; "));
            let answer = send_form(request, fields).await;
            if answer.headers.contains_key("set-cookie") {
                self.access = answer.cookie("trunkline");
                self.refresh = answer.cookie("trunkline-refresh");
            }
            if answer.status != 307 {
                return answer;
            }
            answer.header("location").clone_into(&mut path);
        }
        panic!("led around in a circle");
    }

    /// The form of new tokens with what proves that it is ours.
    async fn make(&mut self, csrf: &str) -> Answer {
        let mut fields = FIELDS.to_vec();
        fields.push(("csrf", csrf));
        self.send(TOKENS, &fields).await
    }
}

async fn ada() -> Server {
    let server = Server::start().await;
    server.person("ada", true).await;
    server
}

async fn made(server: &Server) -> usize {
    let ada = Browser::of(server, "ada").await;
    ada.get(TOKENS).await.text.matches("/revoke\"").count()
}

#[tokio::test]
async fn a_form_of_a_page_that_was_open_for_long_goes_through() {
    let server = ada().await;
    let signed_in = server.sign_in("ada", PASSWORD).await;
    let csrf = signed_in.cookie("trunkline-csrf");
    let mut jar = Jar::of(&server, &signed_in);
    // Without a script nothing has been refreshed; twice, as a form may wait for long.
    for count in 1..=2 {
        server.clock.by_seconds(700);
        jar.access = String::new();
        let answer = jar.make(&csrf).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        check_page(&answer);
        assert_eq!(made(&server).await, count);
    }
    // A cookie that a browser has kept for too long is as good as none.
    server.clock.by_seconds(700);
    assert_eq!(jar.make(&csrf).await.status, 200);
    // A script has refreshed meanwhile, in this tab or in another: the old page's proof is good.
    let request = server.request(Method::POST, "/api/v1/session/refresh");
    let request = request.header("cookie", format!("trunkline-refresh={}", jar.refresh));
    let answer = Answer::of(request.header("origin", &server.url).send().await.unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.cookie("trunkline-csrf")), (200, csrf.clone()));
    let mut jar = Jar::of(&server, &answer);
    assert_eq!(jar.make(&csrf).await.status, 200);
    assert_eq!(made(&server).await, 4);
}

#[tokio::test]
async fn forms_of_two_tabs_at_once_both_go_through() {
    let server = ada().await;
    let signed_in = server.sign_in("ada", PASSWORD).await;
    let csrf = signed_in.cookie("trunkline-csrf");
    server.clock.by_seconds(700);
    let mut first = Jar::of(&server, &signed_in);
    assert_eq!(first.make(&csrf).await.status, 200);
    // The other tab asked before it had the cookies of the first: it waits, and has them.
    let mut second = Jar::of(&server, &signed_in);
    let request = reads_pages(&server, Method::POST, "/api/v1/session/resume?return_to=%2Fruns");
    let request = request.header("cookie", format!("trunkline-refresh={}", second.refresh));
    let led = send_form(request.header("origin", &server.url), &[]).await;
    let again = "/api/v1/session/resume?return_to=%2Fruns&tries=1";
    assert_eq!((led.status.as_u16(), led.header("location")), (307, again), "{led:?}");
    assert!(!led.headers.contains_key("set-cookie"), "{led:?}");
    (second.access, second.refresh) = (first.access.clone(), first.refresh.clone());
    assert_eq!(second.make(&csrf).await.status, 200);
    assert_eq!(made(&server).await, 2);
    // Later the same refresh token is a thief's.
    server.clock.by_seconds(700);
    let mut thief = Jar::of(&server, &signed_in);
    assert_eq!(thief.make(&csrf).await.status, 401);
    assert_eq!(first.make(&csrf).await.status, 401, "the session has ended");
    assert_eq!(made(&server).await, 2);
}

#[tokio::test]
async fn what_others_send_or_without_a_session_does_nothing_however_old_the_page_is() {
    let server = ada().await;
    let signed_in = server.sign_in("ada", PASSWORD).await;
    let csrf = signed_in.cookie("trunkline-csrf");
    server.clock.by_seconds(700);
    let mut jar = Jar::of(&server, &signed_in);
    jar.origin = "https://evil.example".to_owned();
    assert_eq!(jar.make(&csrf).await.status, 403);
    jar.access = String::new();
    assert_eq!(jar.make(&csrf).await.status, 401);
    let path = "/api/v1/session/resume?return_to=%2Faccount%2Ftokens";
    let refused = jar.send(path, &[("csrf", &csrf)]).await;
    assert_eq!(refused.status, 403);
    // Nothing of the session was used up.
    jar.origin = server.url.clone();
    for wrong in ["", "wrong", &server.sign_in("ada", PASSWORD).await.cookie("trunkline-csrf")] {
        jar.access = String::new();
        assert_eq!(jar.make(wrong).await.status, 403, "{wrong}");
        server.clock.by_seconds(700);
    }
    let out = jar.send("/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(out.header("location"), "/sign-in", "{out:?}");
    let mut jar = Jar::of(&server, &signed_in);
    jar.access = String::new();
    assert_eq!(jar.make(&csrf).await.status, 401);
    assert_eq!(made(&server).await, 0);
}

#[tokio::test]
async fn who_is_signed_out_comes_back_to_the_page_of_the_form() {
    let server = ada().await;
    let mut nobody = Jar {
        server: &server,
        access: String::new(),
        refresh: "none.none".to_owned(),
        origin: server.url.clone(),
    };
    let path = "/teams/shop/settings/members";
    let page = nobody.send(path, &[("csrf", "x")]).await;
    assert_eq!(page.status, 401);
    check_page(&page);
    let link = "href=\"/sign-in?return_to=%2Fteams%2Fshop%2Fsettings%2Fmembers\"";
    assert!(page.text.contains(link), "{page:?}");
    assert!(page.text.contains("Nothing was done."), "{page:?}");
    let ada = Browser::of(&server, "ada").await;
    let led = ada.get(path).await;
    assert_eq!((led.status.as_u16(), led.header("location")), (303, "/teams/shop/settings"));
    // Programs are told.
    let token = server.token("ada", &["owner"]).await;
    assert_eq!(server.get(&token, path).await.status, 405);
}

/// What stands in the field `once` of the form that is sent to this address.
fn once_in(page: &Answer, action: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("action=\"{action}\"")).unwrap();
    let (_, rest) = rest.split_once("name=\"once\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn an_answer_with_a_secret_that_is_loaded_again_makes_no_second_one() {
    let server = ada().await;
    server.team("shop").await;
    let ada = Browser::of(&server, "ada").await;
    let keys = "/teams/shop/settings/keys";
    let token = [("days", "30"), ("scopes", "viewer")].as_slice();
    for (path, action, fields) in [
        (TOKENS, TOKENS.to_owned(), token),
        (keys, keys.to_owned(), &[]),
        (keys, format!("{keys}/app/rotate"), &[("hours", "1")]),
    ] {
        let once = once_in(&ada.get(path).await, &action);
        assert_ne!(once, once_in(&ada.get(path).await, &action));
        let fields = |name| [&[("once", once.as_str()), ("name", name)], fields].concat();
        // A mistake uses nothing up.
        if !action.ends_with("/rotate") {
            assert_eq!(ada.post(&action, &fields("")).await.status, 422);
        }
        let made = ada.post(&action, &fields("app")).await;
        assert_eq!(made.status, 200, "{action}: {made:?}");
        assert!(made.text.contains("id=\"once\""), "{made:?}");
        let count = ada.get(path).await.text.matches("/revoke\"").count();
        for name in ["app", "other"] {
            let again = ada.post(&action, &fields(name)).await;
            assert_eq!(again.status, 422, "{action}: {again:?}");
            check_page(&again);
            assert!(again.text.contains("This form was sent before"), "{again:?}");
            assert!(!again.text.contains("id=\"once\""), "{again:?}");
        }
        assert_eq!(ada.get(path).await.text.matches("/revoke\"").count(), count, "{action}");
    }
}
