//! Whatever people and programs may name is full of markup; every page shows it as text.

use reqwest::Method;
use serde_json::{Value, json};

use crate::installation::{Installation, PASSWORD, Rows};
use crate::node::{asks_nothing, travel};

/// What must be seen as text on some page; a page that would run it tells so.
const FIELDS: [&str; 24] = [
    "team", "person", "email", "token", "browser", "commit", "author", "branch", "step", "matrix",
    "path", "log", "ansi", "link", "quote", "folder", "artifact", "test", "class", "rule",
    "finding", "comment", "reject", "cancel",
];

fn mark(field: &str) -> String {
    format!("<img src=x onerror=__fired('{field}')>")
}

/// People and their things.
fn name_all(installation: &Installation) {
    let send = |method: Method, path: &str, body: Value| installation.send(method, path, &body);
    let title = mark("team");
    send(Method::POST, "/teams", json!({ "name": "odd", "title": title }));
    let person = json!({
        "login": "eve", "name": mark("person"), "email": mark("email"), "password": PASSWORD,
    });
    send(Method::POST, "/people", person);
    let token = json!({ "name": mark("token"), "scopes": ["viewer"] });
    send(Method::POST, "/tokens", token);
}

#[test]
fn markup_is_shown_as_text_wherever_it_comes_from() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    name_all(&installation);
    let web = installation.project("web", &[("README.md", "Shop\n")]);
    let files = [
        ("pipelines/markup.yml", include_str!("markup/markup.yml")),
        ("talk.sh", include_str!("markup/talk.sh")),
    ];
    // A branch's name has no spaces.
    let branch = "<svg/onload=__fired('branch')>";
    // Git leaves no angle bracket in an author's name.
    web.push_of(
        "&lt;b onclick=__fired('author')&gt; <a@example.org>",
        (branch, &mark("commit")),
        &files,
    );
    let run = installation.wait_until("last", |it| it["status"] == "waiting");
    let run = run["id"].as_str().unwrap();
    let again = |end: &dyn Fn(&str)| {
        let start = json!({ "pipeline": "markup", "ref": branch });
        let made = installation.send(Method::POST, "/projects/shop/web/runs", &start);
        end(made["id"].as_str().unwrap());
        made["id"].clone()
    };
    let rejected = again(&|id| {
        installation.wait_until(id, |it| it["status"] == "waiting");
        installation.says(&["reject", id, "approve", "-m", &mark("reject")]);
    });
    let cancelled = again(&|id| {
        installation.says(&["cancel", id, "--reason", &mark("cancel")]);
    });
    let facts = json!({
        "url": installation.url, "password": PASSWORD, "fields": FIELDS, "agent": mark("browser"),
        "run": run, "rejected": rejected, "cancelled": cancelled, "comment": mark("comment"),
    });
    travel("markup", &facts, asks_nothing);
}
