//! Sign-in of people: sessions, their cookies, what other sites cannot do, and lock-out.

use reqwest::{Method, RequestBuilder};
use trunkline::config::SignInSettings;

use crate::support::{Answer, PASSWORD, Server};

const WRONG: &str = "wrong horse battery";

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

/// A request as a browser sends it that has signed in.
fn with_cookie(server: &Server, method: Method, path: &str, session: &str) -> RequestBuilder {
    server.request(method, path).header("cookie", format!("trunkline={session}"))
}

fn refresh(server: &Server, token: &str) -> RequestBuilder {
    let request = server.request(Method::POST, "/api/v1/session/refresh");
    request.header("cookie", format!("trunkline-refresh={token}")).header("origin", &server.url)
}

#[tokio::test]
async fn a_session_is_a_strict_cookie_that_ends_after_ten_minutes() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let answer = server.sign_in("Ada", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.set_cookie("trunkline");
    assert!(set.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Strict"), "{set}");
    let set = answer.set_cookie("trunkline-refresh");
    assert!(
        set.contains("; Path=/api/v1/session; ") && set.contains("; HttpOnly; SameSite=Strict")
    );
    assert!(!answer.set_cookie("trunkline-csrf").contains("HttpOnly"));
    assert_eq!(answer.json()["csrf"], answer.cookie("trunkline-csrf"));
    assert!(!answer.text.contains(&answer.cookie("trunkline")));

    let session = answer.cookie("trunkline");
    let me = || with_cookie(&server, Method::GET, "/api/v1/me", &session);
    assert_eq!(send(me()).await.json()["proof"], "session");
    // The clock goes on meanwhile: a busy machine takes seconds.
    server.clock.by_seconds(540);
    assert_eq!(send(me()).await.status, 200);
    server.clock.by_seconds(61);
    assert_eq!(send(me()).await.status, 401);
}

#[tokio::test]
async fn behind_tls_cookies_are_bound_to_the_host_and_browsers_told_to_stay_on_tls() {
    let settings = SignInSettings {
        public_url: Some("https://ci.example.org".to_owned()),
        ..SignInSettings::default()
    };
    let server = Server::start_with(|_| settings).await;
    server.person("ada", false).await;
    let answer = server.sign_in("ada", PASSWORD).await;
    for name in ["__Host-trunkline", "__Host-trunkline-csrf", "__Secure-trunkline-refresh"] {
        let set = answer.set_cookie(name);
        assert!(set.ends_with("; Secure") && set.contains("SameSite=Strict"), "{set}");
    }
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn a_cookie_changes_nothing_unless_our_own_page_sends_it() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let answer = server.sign_in("ada", PASSWORD).await;
    let (session, csrf) = (answer.cookie("trunkline"), answer.cookie("trunkline-csrf"));
    let ours = server.url.as_str();
    let host = ours.strip_prefix("http://").unwrap();
    for (origin, site, token, status) in [
        (Some(ours), None, Some(csrf.as_str()), 201),
        (None, Some("same-origin"), Some(csrf.as_str()), 201),
        (Some(ours), None, None, 403),
        (Some(ours), None, Some("wrong"), 403),
        (Some(ours), None, Some(""), 403),
        (None, None, Some(csrf.as_str()), 403),
        (Some("https://evil.example"), None, Some(csrf.as_str()), 403),
        (Some("null"), None, Some(csrf.as_str()), 403),
        (Some(ours), Some("cross-site"), Some(csrf.as_str()), 403),
        (Some(ours), Some("same-site"), Some(csrf.as_str()), 403),
    ] {
        let name = format!("team-{}", trunkline::secrets::new_id(trunkline::model::Timestamp(0)));
        let body = serde_json::json!({ "name": name });
        let mut request = with_cookie(&server, Method::POST, "/api/v1/teams", &session).json(&body);
        for (header, value) in
            [("origin", origin), ("sec-fetch-site", site), ("x-csrf-token", token)]
        {
            if let Some(value) = value {
                request = request.header(header, value);
            }
        }
        let answer = send(request.header("host", host)).await;
        assert_eq!(answer.status, status, "{origin:?} {site:?} {token:?}: {answer:?}");
    }
    let read = with_cookie(&server, Method::GET, "/api/v1/teams", &session);
    assert_eq!(send(read.header("origin", "https://evil.example")).await.status, 200);
}

#[tokio::test]
async fn the_csrf_token_of_one_session_is_no_good_for_another() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let (mine, other) =
        (server.sign_in("ada", PASSWORD).await, server.sign_in("ada", PASSWORD).await);
    let end = with_cookie(&server, Method::DELETE, "/api/v1/session", &mine.cookie("trunkline"));
    let end =
        end.header("origin", &server.url).header("x-csrf-token", other.cookie("trunkline-csrf"));
    assert_eq!(send(end).await.status, 403);
}

#[tokio::test]
async fn signing_out_works_at_once() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let answer = server.sign_in("ada", PASSWORD).await;
    let session = answer.cookie("trunkline");
    let end = with_cookie(&server, Method::DELETE, "/api/v1/session", &session);
    let end =
        end.header("origin", &server.url).header("x-csrf-token", answer.cookie("trunkline-csrf"));
    let ended = send(end).await;
    assert_eq!((ended.status.as_u16(), &*ended.cookie("trunkline")), (204, ""));
    assert_eq!(send(with_cookie(&server, Method::GET, "/api/v1/me", &session)).await.status, 401);
    assert_eq!(send(refresh(&server, &answer.cookie("trunkline-refresh"))).await.status, 401);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_session() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let first = server.sign_in("ada", PASSWORD).await.cookie("trunkline-refresh");
    server.clock.by_seconds(700);
    let answer = send(refresh(&server, &first)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let (second, session) = (answer.cookie("trunkline-refresh"), answer.cookie("trunkline"));
    let me = || with_cookie(&server, Method::GET, "/api/v1/me", &session);
    assert_eq!(send(me()).await.status, 200);

    // A second tab, at the same moment: refused, and nothing else.
    assert_eq!(send(refresh(&server, &first)).await.status, 401);
    assert_eq!(send(me()).await.status, 200);
    // Later it is a thief, or the thief was first.
    server.clock.by_seconds(11);
    assert_eq!(send(refresh(&server, &first)).await.status, 401);
    assert_eq!(send(me()).await.status, 401);
    assert_eq!(send(refresh(&server, &second)).await.status, 401);
}

#[tokio::test]
async fn a_refresh_that_another_site_sends_is_refused() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let token = server.sign_in("ada", PASSWORD).await.cookie("trunkline-refresh");
    let request = server.request(Method::POST, "/api/v1/session/refresh");
    let request = request.header("cookie", format!("trunkline-refresh={token}"));
    assert_eq!(send(request.header("origin", "https://evil.example")).await.status, 403);
}

#[tokio::test]
async fn sessions_end_after_two_idle_weeks_and_after_a_month_in_any_case() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let idle = server.sign_in("ada", PASSWORD).await.cookie("trunkline-refresh");
    let mut used = server.sign_in("ada", PASSWORD).await.cookie("trunkline-refresh");
    let week = 7 * 24 * 3600;
    for _ in 0..4 {
        server.clock.by_seconds(week);
        let answer = send(refresh(&server, &used)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        used = answer.cookie("trunkline-refresh");
    }
    assert_eq!(send(refresh(&server, &idle)).await.status, 401);
    server.clock.by_seconds(week);
    assert_eq!(send(refresh(&server, &used)).await.status, 401);
}

#[tokio::test]
async fn a_person_sees_and_ends_their_own_sessions_only() {
    let server = Server::start().await;
    server.person("ada", false).await;
    server.person("eve", false).await;
    let session = server.sign_in("ada", PASSWORD).await.cookie("trunkline");
    let (ada, eve) = (server.token("ada", &["admin"]).await, server.token("eve", &["admin"]).await);
    let list = server.get(&ada, "/api/v1/sessions").await.json();
    let id = list["items"][0]["id"].as_str().unwrap();
    assert_eq!(list["items"][0]["address"], "127.0.0.1");
    let path = format!("/api/v1/sessions/{id}");
    assert_eq!(server.call(&eve, Method::DELETE, (&path, None)).await.status, 404);
    assert_eq!(server.call(&ada, Method::DELETE, (&path, None)).await.status, 204);
    assert_eq!(send(with_cookie(&server, Method::GET, "/api/v1/me", &session)).await.status, 401);

    let viewer = server.token("ada", &["viewer"]).await;
    assert_eq!(server.get(&viewer, "/api/v1/sessions").await.status, 403);
}

#[tokio::test]
async fn wrong_passwords_lock_the_login_for_a_growing_time() {
    let server = Server::start().await;
    server.person("ada", false).await;
    for _ in 0..5 {
        assert_eq!(server.sign_in("ada", WRONG).await.status, 401);
    }
    let locked = server.sign_in("ada", PASSWORD).await;
    assert_eq!((locked.status.as_u16(), locked.header("retry-after")), (429, "1"));
    server.clock.by_seconds(2);
    assert_eq!(server.sign_in("ada", WRONG).await.status, 401);
    assert_eq!(server.sign_in("ada", PASSWORD).await.header("retry-after"), "2");
    server.clock.by_seconds(3);
    assert_eq!(server.sign_in("ada", PASSWORD).await.status, 200);
    // All is forgiven.
    assert_eq!(server.sign_in("ada", WRONG).await.status, 401);
    assert_eq!(server.sign_in("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn nobody_looks_like_somebody_with_a_wrong_password() {
    let server = Server::start().await;
    server.person("ada", false).await;
    let mut somebody = server.sign_in("ada", WRONG).await;
    let mut nobody = server.sign_in("nobody", WRONG).await;
    for answer in [&mut somebody, &mut nobody] {
        answer.headers.remove("x-request-id");
        answer.headers.remove("date");
    }
    assert_eq!((somebody.status, somebody.text), (nobody.status, nobody.text));
    assert_eq!(somebody.headers, nobody.headers);
    for _ in 0..4 {
        server.sign_in("nobody", WRONG).await;
    }
    assert_eq!(server.sign_in("nobody", WRONG).await.status, 429);
}

#[tokio::test]
async fn an_address_that_knocks_too_often_waits() {
    let server = Server::start().await;
    let mut statuses = Vec::new();
    for number in 0..40 {
        statuses.push(server.sign_in(&format!("guess-{number}"), WRONG).await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|it| **it == 401).count() / 10, 3, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
}
