//! What those see who watch the server: health, metrics, and the audit log.

use std::io::Write as _;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::store::audit::AuditFilter;

use crate::support::{Answer, PASSWORD, Server, skip};

async fn get(server: &Server, path: &str) -> Answer {
    Answer::of(server.request(Method::GET, path).send().await.unwrap()).await
}

#[tokio::test]
async fn a_server_lives_is_ready_and_says_so_when_it_is_about_to_stop() {
    let server = Server::start().await;
    assert_eq!(get(&server, "/healthz").await.text, "ok\n");
    assert_eq!(get(&server, "/readyz").await.status, StatusCode::OK);
    server.app.lifecycle.note_executor(Some("Docker does not answer".to_owned()));
    let sick = get(&server, "/readyz").await;
    assert_eq!(
        (sick.status, &*sick.text),
        (StatusCode::SERVICE_UNAVAILABLE, "Docker does not answer\n")
    );
    server.app.lifecycle.note_executor(None);
    server.app.lifecycle.begin_drain();
    let draining = get(&server, "/readyz").await;
    assert_eq!(
        (draining.status, &*draining.text),
        (StatusCode::SERVICE_UNAVAILABLE, "it is about to stop\n")
    );
    assert_eq!(get(&server, "/healthz").await.status, StatusCode::OK);
    server.app.store.close().await;
    let away = get(&server, "/readyz").await;
    assert!(away.text.contains("the database is not ready"), "{away:?}");
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads_and_have_a_bound() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let token = server.token("ada", &["owner"]).await;
    server.get(&token, "/api/v1/teams").await;
    server.team("shop").await;
    server.get(&token, "/api/v1/teams/shop").await;
    for number in 0..30 {
        get(&server, &format!("/nowhere/{number}")).await;
    }
    let odd = Method::from_bytes(b"BREW").unwrap();
    server.request(odd, "/api/v1/teams").send().await.unwrap();
    let scraped = get(&server, "/metrics").await;
    assert_eq!(scraped.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = &scraped.text;
    let has = |line: &str| assert!(text.contains(line), "no `{line}` in\n{text}");
    has(r#"trunkline_http_requests_total{method="GET",route="/api/v1/teams/{team}",status="200"}"#);
    has(r#"trunkline_http_requests_total{method="GET",route="unmatched",status="404"}"#);
    has(r#"trunkline_http_request_seconds_bucket{method="GET",route="/api/v1/teams",le="0.1"}"#);
    has(r#"trunkline_store_seconds_count{access="write"}"#);
    has(r#"trunkline_runs{status="queued"} 0"#);
    has("process_open_fds ");
    assert!(
        !text.contains("nowhere") && !text.contains("BREW") && !text.contains("shop"),
        "{text}"
    );
    check_with_promtool(text);
}

/// `promtool` of Debian's `prometheus`, where it is there.
fn check_with_promtool(text: &str) {
    let program = std::env::var_os("TEST_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let spawned = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        return skip("`promtool` (`deploy/setup tools`)");
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

async fn audit(server: &Server) -> Vec<(String, String, String)> {
    let filter = AuditFilter { limit: 200, ..AuditFilter::default() };
    let mut rows = server.app.store.list_audit_events(&filter).await.unwrap();
    rows.reverse();
    rows.into_iter().map(|it| (it.actor, it.action, it.subject)).collect()
}

#[tokio::test]
async fn who_changes_something_stands_in_the_audit_log() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("grace", false).await;
    let token = server.token("ada", &["owner"]).await;
    let team = json!({ "name": "shop", "title": "Shop" });
    let made = server.post(&token, "/api/v1/teams", team.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(server.post(&token, "/api/v1/teams", team).await.status, StatusCode::CONFLICT);
    let role = Some(json!({ "role": "approver" }));
    let saved = server.call(&token, Method::PUT, ("/api/v1/teams/shop/members/grace", role)).await;
    assert!(saved.status.is_success(), "{saved:?}");
    server.get(&token, "/api/v1/teams").await;
    let new = json!({ "name": "laptop", "scopes": ["viewer"] });
    let secret = server.post(&token, "/api/v1/tokens", new).await;
    assert_eq!(secret.status, StatusCode::CREATED, "{secret:?}");

    let found = audit(&server).await;
    let expected = [
        ("person:ada", "team.create", "shop"),
        ("person:ada", "member.save", "shop/grace"),
        ("person:ada", "token.create", "laptop"),
    ];
    let found: Vec<_> = found.iter().map(|(a, b, c)| (&**a, &**b, &**c)).collect();
    assert_eq!(found, expected, "what is refused or only read is not in it");

    let page = server.get(&token, "/api/v1/audit?action=member.").await.json();
    let item = &page["items"][0];
    assert_eq!(item["address"], "127.0.0.1");
    let shop = server.get(&token, "/api/v1/teams/shop").await.json();
    assert_eq!(item["team"], shop["id"]);
    assert!(item["detail"]["proof"].as_str().unwrap().starts_with("token "), "{item}");
    let page = server.get(&token, "/api/v1/audit?action=token.create").await.json();
    assert_eq!(page["items"][0]["detail"]["scopes"], json!(["viewer"]), "{page}");
    let whole = server.get(&token, "/api/v1/audit?format=jsonl").await.text;
    let made = secret.json();
    assert!(!whole.contains(made["token"].as_str().unwrap()), "{whole}");
}

#[tokio::test]
async fn a_change_of_a_secret_is_one_entry_without_its_value() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.team("shop").await;
    let token = server.token("ada", &["owner"]).await;
    let secret = Some(json!({ "name": "TOKEN", "value": "hunter2-is-long" }));
    let path = "/api/v1/teams/shop/secrets";
    assert!(server.call(&token, Method::PUT, (path, secret)).await.status.is_success());
    let actions: Vec<_> = audit(&server).await.into_iter().map(|it| it.1).collect();
    assert_eq!(actions, ["secret.save"]);
    let page = server.get(&token, "/api/v1/audit?action=secret.save").await.json();
    assert_eq!(page["items"][0]["detail"]["of"], "team shop", "{page}");
    let whole = server.get(&token, "/api/v1/audit?format=jsonl").await.text;
    assert!(!whole.contains("hunter2"), "{whole}");
}

#[tokio::test]
async fn a_sign_in_stands_in_the_audit_log_whether_it_succeeds_or_not() {
    let server = Server::start().await;
    server.person("ada", true).await;
    assert_eq!(server.sign_in("ada", PASSWORD).await.status, StatusCode::OK);
    for _ in 0..5 {
        let refused = server.sign_in("ada", "wrong horse battery").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(server.sign_in("ada", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    server.sign_in("hunter2-my-password", "x").await;
    let mut found = audit(&server).await;
    // The fifth wrong try is refused and locks the login, in one millisecond.
    if found[5].1 == "session.lock" {
        found.swap(5, 6);
    }
    let actions: Vec<_> = found.iter().map(|it| it.1.as_str()).collect();
    let mut expected = vec!["session.begin"];
    expected.extend(["session.refuse"; 5]);
    expected.extend(["session.lock", "session.refuse"]);
    assert_eq!(actions, expected);
    assert_eq!(found[0].0, "person:ada");
    assert_eq!(found[6], ("nobody".to_owned(), "session.lock".to_owned(), "login ada".to_owned()));
    assert_eq!(found[7].2, "an unknown login", "people type passwords there");
}

#[tokio::test]
async fn the_audit_log_is_exported_as_lines_and_as_a_table() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let token = server.token("ada", &["owner"]).await;
    for name in ["one", "two", "three"] {
        server.post(&token, "/api/v1/teams", json!({ "name": name, "title": name })).await;
    }
    let lines = server.get(&token, "/api/v1/audit?format=jsonl&limit=2").await;
    let parsed: Vec<Value> =
        lines.text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(parsed.iter().map(|it| &it["subject"]).collect::<Vec<_>>(), ["three", "two"]);
    let next = lines.header("x-next-cursor").to_owned();
    let rest = server.get(&token, &format!("/api/v1/audit?format=csv&cursor={next}")).await;
    assert!(rest.header("content-type").starts_with("text/csv"), "{rest:?}");
    let rows: Vec<_> = rest.text.split("\r\n").collect();
    assert_eq!(rows[0], "id,at,actor,address,action,team,project,subject,detail");
    assert!(rows[1].contains(",person:ada,127.0.0.1,team.create,,,one,"), "{rows:?}");
    assert_eq!(rows.len(), 3, "{rows:?}");
    let wrong = server.get(&token, "/api/v1/audit?format=xml").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}
