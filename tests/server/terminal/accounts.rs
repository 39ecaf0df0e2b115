//! People, teams and tokens from elsewhere: what is shown has the shape that the server's own machine shows.

use serde_json::{Value, json};
use trunkline::model::Role;

use super::Terminal;
use crate::support::{PASSWORD, Server};

/// An owner at a terminal.
async fn owner() -> (Server, Terminal) {
    let server = Server::start().await;
    server.person("ada", true).await;
    let mut terminal = Terminal::new();
    let token = server.token("ada", &["owner"]).await;
    terminal.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", token)];
    (server, terminal)
}

/// The same person on the server's machine.
fn here(server: &Server, terminal: &Terminal, arguments: &[&str]) -> Value {
    let mut command = terminal.command(arguments);
    command.arg("--json").env_remove("TRUNKLINE_SERVER");
    command.env("TRUNKLINE_STATE", server.folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_change_people_and_teams_from_elsewhere() {
    let (server, terminal) = owner().await;
    let password = format!("{PASSWORD}\n");
    assert_eq!(
        terminal.types(&password, &["person", "add", "grace", "--name", "Grace"]),
        "added `grace`\n"
    );
    assert_eq!(terminal.says(&["team", "add", "search", "--title", "Search"]), "added `search`\n");
    let member = ["team", "member", "search", "grace", "approver"];
    assert_eq!(terminal.says(&member), "`grace` is `approver` in `search`\n");
    for arguments in [["person", "list"], ["team", "list"]] {
        assert_eq!(
            terminal.json(&arguments),
            here(&server, &terminal, &arguments),
            "{arguments:?}"
        );
    }
    assert_eq!(
        terminal.json(&["team", "list"])[0]["members"][1],
        json!({ "login": "grace", "role": "approver" })
    );
    assert!(terminal.says(&["team", "list"]).contains("ada (admin), grace (approver)"));
    terminal.says(&["team", "remove", "search", "grace"]);
    assert!(!terminal.says(&["team", "list"]).contains("grace"));

    assert_eq!(server.sign_in("grace", PASSWORD).await.status, 200);
    terminal.says(&["person", "disable", "grace"]);
    assert!(terminal.says(&["person", "list"]).contains("Grace, disabled"));
    assert_eq!(server.sign_in("grace", PASSWORD).await.status, 401);
    terminal.says(&["person", "enable", "grace"]);
    terminal.types("another long password\n", &["person", "password", "grace"]);
    assert_eq!(server.sign_in("grace", "another long password").await.status, 200);
    let taken = terminal.complains(2, &["team", "add", "search"]);
    assert!(taken.contains("there is a team `search` already"), "{taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_has_tokens_of_their_own() {
    let (server, terminal) = owner().await;
    let made =
        terminal.json(&["token", "create", "--name", "bot", "--scope", "developer", "--days", "1"]);
    let token = made["token"].as_str().unwrap();
    assert_eq!(server.get(token, "/api/v1/me").await.json()["scopes"], json!(["developer"]));
    let arguments = ["token", "list", "ada"];
    let (remote, mut local) = (terminal.json(&arguments), here(&server, &terminal, &arguments));
    // Looking was a use.
    local[0]["used_at"] = remote[0]["used_at"].clone();
    local[1]["used_at"] = remote[1]["used_at"].clone();
    assert_eq!(remote, local);
    let id = made["id"].as_str().unwrap();
    terminal.says(&["token", "revoke", id]);
    assert!(terminal.says(&["token", "list"]).contains("revoked"));
    assert_eq!(server.get(token, "/api/v1/me").await.status, 401);
    let other = terminal.complains(2, &["token", "list", "eve"]);
    assert!(other.contains("`eve` is somebody else: you are `ada` there"), "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_what_it_takes() {
    let (server, mut terminal) = owner().await;
    let team = server.team("shop").await;
    server.team("other").await;
    server.person("grace", false).await;
    server.member(&team, "grace", Role::Viewer).await;
    terminal.env[1].1 = server.token("grace", &["admin"]).await;
    let refused = terminal.complains(2, &["person", "list"]);
    assert!(refused.contains("this takes an owner of the installation"), "{refused}");
    let refused = terminal.complains(2, &["secret", "set", "shop", "A", "--value", "x"]);
    assert!(
        refused.contains("this takes the role `admin` in the team\nhelp: Ask an admin"),
        "{refused}"
    );
    let hidden = terminal.complains(2, &["secret", "list", "other"]);
    assert!(
        hidden.contains("this team does not exist\nhelp: `trunkline whoami` shows your teams"),
        "{hidden}"
    );
    assert_eq!(
        terminal.says(&["secret", "list", "shop"]),
        "no secrets; `trunkline secret set` makes one\n"
    );
}
