//! What all of the API shares: problems, pages, tags, packing, and its description.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Server};

async fn server() -> (Server, String) {
    let server = Server::start().await;
    server.person("ada", true).await;
    let token = server.token("ada", &["owner"]).await;
    (server, token)
}

#[tokio::test]
async fn whatever_is_refused_is_a_problem() {
    let (server, token) = server().await;
    let long = "x".repeat((1 << 20) + 1);
    let request = |method: Method, path: &str| server.request(method, path).bearer_auth(&token);
    let json = |path: &str, body: &str| {
        request(Method::POST, path).header("content-type", "application/json").body(body.to_owned())
    };
    for (request, status, kind) in [
        (request(Method::GET, "/api/v1/nowhere"), 404, "not-found"),
        (request(Method::GET, "/nowhere"), 404, "not-found"),
        (request(Method::DELETE, "/api/v1/runs"), 405, "method-not-allowed"),
        (request(Method::GET, "/api/v1/runs?limit=many"), 400, "bad-request"),
        (request(Method::GET, "/api/v1/runs?status=odd"), 400, "bad-request"),
        (request(Method::GET, "/api/v1/runs/%00"), 400, "bad-request"),
        (request(Method::GET, "/api/v1/runs/%ff"), 400, "bad-request"),
        (request(Method::GET, "/api/v1/runs?branch=%00"), 400, "bad-request"),
        (json("/api/v1/teams", "{"), 400, "bad-request"),
        (json("/api/v1/teams", "[]"), 400, "bad-request"),
        (json("/api/v1/teams", ""), 400, "bad-request"),
        (json("/api/v1/teams", r#"{"name": "a", "title": "\u0000"}"#), 400, "bad-request"),
        (json("/api/v1/teams", &long), 413, "too-large"),
        (request(Method::POST, "/api/v1/teams").body("name=a"), 415, "unsupported-media-type"),
        (
            request(Method::POST, "/api/v1/teams")
                .header("content-type", "application/x-www-form-urlencoded")
                .body("name=a"),
            415,
            "unsupported-media-type",
        ),
        (server.request(Method::GET, "/api/v1/me"), 401, "unauthenticated"),
    ] {
        let answer = Answer::of(request.send().await.unwrap()).await;
        let problem = answer.json();
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{answer:?}");
        assert_eq!((answer.status.as_u16(), &problem["status"]), (status, &json!(status)));
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(!answer.text.contains("trunkline::"), "{answer:?}");
    }
    for (body, what) in [("[]", "a list"), ("null", "`null`"), (" 7", "a number")] {
        let answer = Answer::of(json("/api/v1/projects", body).send().await.unwrap()).await;
        let title = format!("the body is {what}, and must be an object");
        assert_eq!(answer.json()["title"], title, "{answer:?}");
    }
    let refused = Answer::of(request(Method::DELETE, "/api/v1/runs").send().await.unwrap()).await;
    assert_eq!(refused.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn lists_come_in_pages_of_one_shape() {
    let (server, token) = server().await;
    for name in ["b", "a", "d", "c", "e"] {
        server.team(name).await;
    }
    let (mut names, mut path) = (Vec::new(), "/api/v1/teams?limit=2".to_owned());
    let pages = loop {
        let page = server.get(&token, &path).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break names.len().div_ceil(2) };
        path = format!("/api/v1/teams?limit=2&cursor={next}");
    };
    assert_eq!((names.join(""), pages), ("abcde".to_owned(), 3));
    for path in [
        "people",
        "tokens",
        "sessions",
        "projects",
        "runs",
        "approvals",
        "teams/a/members",
        "teams/a/secrets",
    ] {
        let page = server.get(&token, &format!("/api/v1/{path}?limit=1")).await;
        assert!(page.json()["items"].is_array(), "{path}: {page:?}");
    }
}

#[tokio::test]
async fn who_has_an_answer_is_not_sent_it_again() {
    let (server, token) = server().await;
    let get = async |headers: &[(&str, &str)]| {
        let mut request = server.request(Method::GET, "/api/v1/openapi.json").bearer_auth(&token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = |name: &str| headers.get(name).map_or("", |it| it.to_str().unwrap()).to_owned();
        (status, text("etag"), text("content-encoding"), response.bytes().await.unwrap())
    };
    let (status, plain, encoding, bytes) = get(&[]).await;
    assert_eq!((status, encoding.as_str()), (StatusCode::OK, ""));
    let (_, packed, encoding, fewer) = get(&[("accept-encoding", "gzip")]).await;
    assert_eq!(encoding, "gzip");
    assert!(fewer.len() * 4 < bytes.len() && fewer.starts_with(&[0x1f, 0x8b]));
    assert_eq!(packed, format!("\"{}-gzip\"", plain.trim_matches('"')));
    for known in [plain.as_str(), packed.as_str(), "*", "\"other\""] {
        let (status, _, _, bytes) = get(&[("if-none-match", known)]).await;
        let wanted = if known == "\"other\"" { StatusCode::OK } else { StatusCode::NOT_MODIFIED };
        assert_eq!(
            (status, bytes.is_empty()),
            (wanted, wanted == StatusCode::NOT_MODIFIED),
            "{known}"
        );
    }
}

#[tokio::test]
async fn the_description_is_served_and_says_how_things_go_wrong() {
    let (server, _) = server().await;
    let request = server.request(Method::GET, "/api/v1/openapi.json");
    let document = Answer::of(request.send().await.unwrap()).await.json();
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(!path.contains('*'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(
                problem["schema"]["$ref"], "#/components/schemas/Problem",
                "{method} {path}"
            );
            let named = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named: Vec<Value> = named.into_iter().filter(|it| it["in"] == "path").collect();
            assert_eq!(named.len(), path.matches('{').count(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_a_query_asks_in_vain_is_named() {
    let (server, token) = server().await;
    server.team("a").await;
    let title = async |path: &str| {
        let answer = server.get(&token, &format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        let problem = answer.json();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        (text("title"), text("help"))
    };
    for (path, named, known) in [
        ("runs?stat=passed", "`stat`", "`status`"),
        ("runs?status=odd", "`status`", "`passed`"),
        ("runs?event=pushed", "`event`", "`pull_request`"),
        ("traces?status=nonsense", "`status`", "`guardrail`"),
        ("runs/1?verbose=1", "`verbose`", "takes none"),
        ("projects?team=a", "`team`", "`cursor`"),
        ("audit?actors=a", "`actors`", "`actor`"),
        ("runs?limit=0", "`limit`", ""),
        ("runs?limit=201", "`limit`", ""),
        ("runs?limit=many", "`limit` cannot be read: it is a number from 1 to 200", ""),
        ("audit?since=today", "`since`", ""),
    ] {
        let (title, help) = title(path).await;
        assert!(title.contains(named) && help.contains(known), "{path}: {title} {help}");
    }
    let lists = "runs people tokens sessions projects approvals teams workers queue audit \
        teams/a/members teams/a/secrets teams/a/subscriptions";
    for list in lists.split_whitespace() {
        for bad in ["limit=0", "cursor=!", "odd=1"] {
            let (title, _) = title(&format!("{list}?{bad}")).await;
            let name = bad.split_once('=').unwrap().0;
            assert!(title.contains(&format!("`{name}`")), "{list}?{bad}: {title}");
        }
    }
}
