//! Projects, their deliveries, secrets and the audit log from a terminal.

use serde_json::json;
use trunkline::model::Role;

use super::{Terminal, parts};
use crate::deliveries::{PIPELINE, Scene};
use crate::support::Server;

/// An admin of the team `shop`.
async fn admin() -> (Server, Terminal) {
    let server = Server::start().await;
    server.person("ada", false).await;
    let team = server.team("shop").await;
    server.member(&team, "ada", Role::Admin).await;
    let mut terminal = Terminal::new();
    let token = server.token("ada", &["admin"]).await;
    terminal.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", token)];
    (server, terminal)
}

fn make_project(terminal: &Terminal) {
    let address = "https://forge.invalid/shop/web.git";
    let create = ["project", "create", "shop/web", "--address", address, "--forge", "github"];
    let said = terminal.says(&[&create[..], &["--forge-path", "shop/web"]].concat());
    assert_eq!(said, "made `shop/web`\nnext: `trunkline project hook-secret shop/web`\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_made_and_set_up() {
    let (server, terminal) = admin().await;
    assert_eq!(
        terminal.says(&["project", "list"]),
        "no projects; `trunkline project create` makes one\n"
    );
    make_project(&terminal);
    let listed = "shop/web  github  https://forge.invalid/shop/web.git (main)\n";
    assert_eq!(terminal.says(&["project", "list"]), listed);
    let project = &terminal.json(&["project", "list"])[0];
    assert_eq!((&project["name"], &project["forge_path"]), (&json!("web"), &json!("shop/web")));

    let hook = terminal.json(&["project", "hook-secret", "shop/web"]);
    let path = format!("/api/v1/hooks/{}", project["id"].as_str().unwrap());
    assert_eq!(hook["url"], json!(format!("{}{path}", server.url)));
    assert!(terminal.says(&["project", "hook-secret", "shop/web"]).contains("secret: "));
    let given = terminal
        .types("a secret of the forge\n", &["project", "hook-secret", "shop/web", "--given"]);
    assert!(!given.contains("a secret of the forge"), "{given}");

    let said = terminal.types("ghp_1\n", &["project", "credential", "shop/web", "--token"]);
    assert_eq!(said, "`shop/web` has a new credential\n");
    let key = terminal.write("key", "not really a key");
    terminal.says(&["project", "credential", "shop/web", "--ssh-key", key.to_str().unwrap()]);
    terminal.says(&["project", "credential", "shop/web", "--remove"]);
    let nothing = parts(&terminal.output("", &["project", "credential", "shop/web"]));
    assert_eq!(nothing.2, Some(2), "{nothing:?}");
    assert_eq!(
        terminal.says(&["project", "notify", "shop/web"]),
        "the remote of `shop/web` is looked at\n"
    );
    terminal.says(&["project", "archive", "shop/web"]);
    assert!(terminal.says(&["project", "list"]).contains("(main, archived)"));
    let gone = terminal.complains(2, &["project", "notify", "shop/other"]);
    assert!(gone.contains("error: this project does not exist"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_listed_and_replayed() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let mut terminal = Terminal::new();
    let (url, token) = (scene.server.url.clone(), scene.token.clone());
    terminal.env = vec![("TRUNKLINE_SERVER", url), ("TRUNKLINE_TOKEN", token)];
    assert_eq!(terminal.says(&["deliveries", "list", "shop/web"]), "nothing came in\n");
    let answer = scene.github("ping", "d-1", &json!({ "zen": "Keep it simple." })).await;
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;

    let rows = terminal.json(&["deliveries", "list", "shop/web"]);
    assert_eq!((&rows[0]["event"], &rows[0]["delivery"]), (&json!("ping"), &json!("d-1")));
    let id = rows[0]["id"].as_str().unwrap();
    assert!(terminal.says(&["deliveries", "list", "shop/web"]).contains(id));
    let said = terminal.says(&["deliveries", "replay", "shop/web", id]);
    assert_eq!(said, format!("`{id}` waits for its turn\n"));
    let gone = terminal.complains(2, &["deliveries", "replay", "shop/web", "01k"]);
    assert!(gone.contains("this delivery does not exist"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_set_from_standard_input_and_never_shown() {
    let (server, terminal) = admin().await;
    make_project(&terminal);
    let set = ["secret", "set", "shop/web", "prod/api-key", "--environment", "live"];
    let set = [&set[..], &["--event", "push", "--branch", "main"]].concat();
    assert_eq!(terminal.types("line one\nline two\n", &set), "`prod/api-key` is set, version 1\n");
    assert_eq!(terminal.types("other", &set), "`prod/api-key` is set, version 2\n");
    let file = terminal.write("value", "from a file\n");
    terminal.says(&["secret", "set", "shop", "TEAM_KEY", "--from-file", file.to_str().unwrap()]);
    let warned = terminal.output("", &["secret", "set", "shop", "TEAM_KEY", "--value", "-x"]);
    assert!(parts(&warned).1.contains("can be seen by others of this machine"));

    let listed = terminal.says(&["secret", "list", "shop/web"]);
    let wanted = "environment live, events push, branches main";
    assert!(
        listed.starts_with("prod/api-key  version 2 by ada") && listed.contains(wanted),
        "{listed}"
    );
    let json = terminal.json(&["secret", "list", "shop/web"]);
    assert_eq!((&json[0]["rules"]["events"], &json[0]["value"]), (&json!(["push"]), &json!(null)));
    assert_eq!(terminal.json(&["secret", "list", "shop"]).as_array().unwrap().len(), 1);
    let wrong = ["secret", "remove", "shop/web", "prod/api-key"];
    assert!(terminal.complains(2, &wrong).contains("this secret does not exist"));
    terminal.says(&[&wrong[..], &["--environment", "live"]].concat());
    assert_eq!(terminal.json(&["secret", "list", "shop/web"]), json!([]));

    let log = ["audit", "--team", "shop", "--action", "secret.", "--since", "1h", "--json"];
    let log = terminal.says(&log);
    assert_eq!(log.lines().count(), 5, "{log}");
    let last: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(last["actor"], "person:ada");
    assert!(terminal.says(&["audit", "--team", "shop"]).contains("person:ada"));
    let refused = terminal.complains(2, &["audit"]);
    assert!(refused.contains("help: Name one of your teams with `team`."), "{refused}");
    assert!(server.folder.path().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_changed_shown_kept_and_taken_back() {
    let (server, terminal) = admin().await;
    make_project(&terminal);
    terminal.says(&["project", "change", "shop/web", "--branch", "trunk", "--poll", "60"]);
    let project = &terminal.json(&["project", "list"])[0];
    assert_eq!(
        (&project["default_branch"], &project["poll_seconds"], &project["forge"]),
        (&json!("trunk"), &json!(60), &json!("github"))
    );
    let nothing = terminal.complains(2, &["project", "change", "shop/web"]);
    assert!(nothing.contains("nothing is to be changed"), "{nothing}");

    terminal.says(&["project", "archive", "shop/web"]);
    assert_eq!(
        terminal.says(&["project", "unarchive", "shop/web"]),
        "`shop/web` starts runs again\n"
    );
    assert!(!terminal.says(&["project", "list"]).contains("archived"));

    let kept = terminal.says(&["project", "retention", "shop/web", "--days", "30", "--runs", "9"]);
    assert_eq!(kept, "runs of `shop/web` are kept for 30 days, and the newest 9 always\n");
    terminal.says(&["project", "retention", "shop/web", "--server-settings"]);
    terminal.complains(2, &["project", "retention", "shop/web"]);

    let badge = terminal.says(&["project", "badge", "shop/web"]);
    assert!(badge.starts_with("seen by: members of the team\n"), "{badge}");
    let token = terminal.json(&["project", "badge", "shop/web", "--new-token"]);
    assert!(token["example"].as_str().unwrap().contains("?token="), "{token}");
    let public = terminal.says(&["project", "badge", "shop/web", "--public", "--remove-token"]);
    let address = format!("{}/badges/shop/web/ci.svg", server.url);
    assert!(public.starts_with("seen by: everybody\n") && public.contains(&address), "{public}");
    let private = terminal.json(&["project", "badge", "shop/web", "--private"]);
    assert_eq!(private["public"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_made_switched_and_removed() {
    let (_server, terminal) = admin().await;
    let none = terminal.says(&["subscription", "list", "shop"]);
    assert!(none.starts_with("nobody is told"), "{none}");
    let add = ["subscription", "add", "shop", "--form", "webhook", "--event", "run.failed"];
    let made = terminal.types("https://example.org/hook\n", &add);
    let id = made.lines().next().unwrap().strip_prefix("made `").unwrap().trim_end_matches('`');
    assert!(made.contains("\nsecret: whsec_"), "{made}");
    let listed = terminal.says(&["subscription", "list", "shop"]);
    assert_eq!(listed, format!("{id}  webhook example.org; run.failed\n"));
    terminal.says(&["subscription", "disable", "shop", id]);
    assert!(terminal.says(&["subscription", "list", "shop"]).contains("disabled"));
    terminal.says(&["subscription", "enable", "shop", id]);
    assert_eq!(terminal.json(&["subscription", "sent", "shop", id]), json!([]));
    assert_eq!(
        terminal.says(&["subscription", "remove", "shop", id]),
        format!("`{id}` is removed\n")
    );
    let odd = ["subscription", "add", "shop", "--form", "pigeon", "--event", "run.failed"];
    let refused = terminal.complains(2, &[&odd[..], &["--target", "x"]].concat());
    assert!(refused.contains("`form` is `webhook`, `slack` or `mail`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_sees_how_the_keys_of_a_server_stand() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let mut terminal = Terminal::new();
    let token = server.token("ada", &["owner"]).await;
    terminal.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", token)];
    let shown = terminal.says(&["key", "status"]);
    assert!(shown.starts_with("new data keys are wrapped by: file\n"), "{shown}");
    assert!(terminal.json(&["key", "status"])["data_keys"].is_array());
    let refused = terminal.complains(2, &["key", "rotate"]);
    assert!(refused.contains("keys are rotated where they are"), "{refused}");
}
