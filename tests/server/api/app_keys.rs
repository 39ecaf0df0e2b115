//! Keys of deployed apps: over the API, on pages and from a terminal. Each is shown once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::gateway::keys;

use crate::budgets;
use crate::pages::{Browser, check_page};
use crate::support::{Answer, Server};
use crate::terminal::Terminal;

const KEYS: &str = "/api/v1/teams/shop/gateway-keys";
const PAGE: &str = "/teams/shop/settings/keys";

fn key_of(answer: &Answer) -> String {
    let key = answer.json()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("tl-") && key.len() == 67, "{key}");
    key
}

/// Whether a call with this key would be let through.
async fn works(server: &Server, key: &str) -> bool {
    let keys = keys::Keys::new(Some(server.app.store.clone()));
    keys.find(key, server.app.now()).await.unwrap().is_some()
}

async fn audited(server: &Server, token: &str) -> Vec<(String, String)> {
    let answer = server.get(token, "/api/v1/audit?team=shop&action=gateway_key.").await.json();
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let rows = answer["items"].as_array().unwrap().iter();
    rows.map(|it| (text(&it["action"]), text(&it["subject"]))).collect()
}

#[tokio::test]
async fn a_key_is_made_shown_once_rotated_and_revoked() {
    let (server, [_, bob, eve]) = budgets::server().await;
    let new = json!({ "name": "app", "endpoint": "search", "models": ["m-*"], "per_minute": 60, "days": 10 });
    let made = server.post(&bob, KEYS, new.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.header("cache-control"), "no-store");
    let first = key_of(&made);
    let twice = server.post(&bob, KEYS, new).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{twice:?}");
    assert_eq!(server.post(&eve, KEYS, json!({ "name": "x" })).await.status, StatusCode::FORBIDDEN);

    let list = server.get(&eve, KEYS).await;
    assert!(!list.text.contains(&first), "{list:?}");
    let row = &list.json()["items"][0];
    let said = (&row["name"], &row["state"], &row["endpoint"], &row["per_minute"]);
    assert_eq!(said, (&json!("app"), &json!("valid"), &json!("search"), &json!(60)));
    assert!(row["used_at"].is_null() && row.get("digest").is_none(), "{row}");
    assert!(works(&server, &first).await);
    assert!(server.get(&eve, KEYS).await.json()["items"][0]["used_at"].is_i64());

    let rotated =
        server.post(&bob, &format!("{KEYS}/app/rotate"), json!({ "overlap_hours": 1 })).await;
    assert_eq!(rotated.status, StatusCode::CREATED, "{rotated:?}");
    let second = key_of(&rotated);
    assert!(works(&server, &first).await && works(&server, &second).await, "both for an hour");
    let list = server.get(&eve, KEYS).await.json();
    let states: Vec<_> = list["items"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["valid", "replaced"], "the newest first");
    assert_eq!(list["items"][0]["models"], json!(["m-*"]));
    server.clock.by_seconds(3601);
    // The token was only good for an hour.
    let bob = server.token("bob", &["admin"]).await;
    assert!(!works(&server, &first).await && works(&server, &second).await);
    let gone = server.call(&bob, Method::DELETE, (&format!("{KEYS}/app"), None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{gone:?}");
    assert!(!works(&server, &second).await);
    let gone = server.call(&bob, Method::DELETE, (&format!("{KEYS}/app"), None)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND, "{gone:?}");
    let told = audited(&server, &bob).await;
    let entry = |action: &str| (format!("gateway_key.{action}"), "shop/app".to_owned());
    assert_eq!(told, ["revoke", "rotate", "create"].map(entry));
    let audit = server.get(&bob, "/api/v1/audit?team=shop").await;
    assert!(!audit.text.contains(&first) && !audit.text.contains(&second), "{audit:?}");
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused_with_why() {
    let (server, [_, bob, _]) = budgets::server().await;
    for (body, said) in [
        (json!({ "name": "No name" }), "`name`"),
        (json!({ "name": "a", "project": "other/web" }), "`project`"),
        (json!({ "name": "a", "project": "shop/gone" }), "there is no project"),
        (json!({ "name": "a", "endpoint": "*" }), "`endpoint`"),
        (json!({ "name": "a", "models": ["a b"] }), "`models`"),
        (json!({ "name": "a", "days": 0 }), "`days`"),
        (json!({ "name": "a", "sort": "x" }), "sort"),
    ] {
        let answer = server.post(&bob, KEYS, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(answer.text.contains(said), "{answer:?}");
    }
    assert_eq!(server.get(&bob, KEYS).await.json()["items"], json!([]));
    let answer =
        server.post(&bob, &format!("{KEYS}/a/rotate"), json!({ "overlap_hours": 721 })).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
}

/// The value of the field that shows something once.
fn once(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    check_page(answer);
    let (_, rest) = answer.text.split_once("class=\"copy\" value=\"").expect("shown once");
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn keys_are_looked_after_on_the_page_of_their_team() {
    let (server, [_, bob, _]) = budgets::server().await;
    let admin = Browser::of(&server, "bob").await;
    let viewer = Browser::of(&server, "eve").await;
    let empty = admin.get(PAGE).await;
    check_page(&empty);
    assert!(empty.text.contains("There is no key yet.") && empty.text.contains("Make the key"));
    assert!(!viewer.get(PAGE).await.text.contains("Make the key"));
    let wrong = [("name", "<b>x"), ("models", "\"><i>m"), ("per_minute", "many")];
    let answer = admin.post(PAGE, &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    check_page(&answer);
    for kept in ["value=\"&#60;b&#62;x\"", "&#34;&#62;&#60;i&#62;m", "value=\"many\""] {
        assert!(answer.text.contains(kept), "`{kept}` is not in {answer:?}");
    }
    let made = once(&admin.post(PAGE, &[("name", "app"), ("models", "m-*\r\ngpt-4")]).await);
    assert!(works(&server, &made).await);
    let page = admin.get(PAGE).await;
    assert!(!page.text.contains(&made) && page.text.contains("m-*, gpt-4"), "{page:?}");
    assert!(page.text.contains("Rotate app") && page.text.contains("just now"), "{page:?}");
    let rotate = format!("{PAGE}/app/rotate");
    let rotated = admin.post(&rotate, &[("hours", "2")]).await;
    let second = once(&rotated);
    assert!(second != made && rotated.text.contains("The key before works until"), "{rotated:?}");
    let answer = admin.post(&rotate, &[("hours", "9999")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    for (path, status) in [(PAGE, 403), (rotate.as_str(), 403)] {
        assert_eq!(viewer.post(path, &[("name", "n")]).await.status, status);
        assert_eq!(admin.post_as_is(path, &[("name", "n")]).await.status, 403, "without csrf");
    }
    let revoke = format!("{PAGE}/app/revoke");
    assert_eq!(viewer.post(&revoke, &[]).await.status, 403);
    let done = admin.post(&revoke, &[]).await;
    assert_eq!(done.header("location"), "/teams/shop/settings/keys?done=revoked");
    assert!(!works(&server, &made).await && !works(&server, &second).await);
    let told = audited(&server, &bob).await;
    let entry = |action: &str| (format!("gateway_key.{action}"), "shop/app".to_owned());
    assert_eq!(told, ["revoke", "rotate", "create"].map(entry));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_from_a_terminal_at_a_server_and_on_its_machine() {
    let (server, [_, bob, _]) = budgets::server().await;
    let mut elsewhere = Terminal::new();
    elsewhere.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", bob)];
    let machine = Terminal::new();
    machine.says(&["team", "add", "shop"]);
    for terminal in [&elsewhere, &machine] {
        let create = ["gateway", "key", "create", "--team", "shop", "app", "--endpoint", "search"];
        let key = terminal.says(&create);
        assert!(key.starts_with("tl-"), "{key}");
        let again = terminal.complains(2, &create);
        assert!(again.contains("the team") && again.contains("has a valid key `app`"), "{again}");
        let rotate = ["gateway", "key", "rotate", "--team", "shop", "app", "--overlap-hours", "3"];
        let rotated = terminal.json(&rotate);
        assert_ne!(rotated["key"].as_str().unwrap(), key.trim());
        assert!(rotated["replaced_until"].is_i64(), "{rotated}");
        let list = terminal.says(&["gateway", "key", "list", "--team", "shop"]);
        assert!(list.starts_with("app  endpoint=search  made "), "{list}");
        assert!(list.contains("never used, replaced, ends ") && !list.contains("tl-"), "{list}");
        let wrong = terminal.complains(2, &["gateway", "key", "create", "--team", "shop", "A b"]);
        assert!(wrong.contains("`name` has 1 to 63"), "{wrong}");
        terminal.says(&["gateway", "key", "revoke", "--team", "shop", "app"]);
        let gone = terminal.complains(2, &rotate);
        assert!(gone.contains("key"), "{gone}");
    }
}
