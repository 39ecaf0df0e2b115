//! Signing in and out: what is kept, where, and who may read it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use trunkline::model::Role;

use super::{Terminal, parts};
use crate::support::{PASSWORD, Server};

async fn server() -> Server {
    let server = Server::start().await;
    server.person("ada", true).await;
    let team = server.team("shop").await;
    server.member(&team, "ada", Role::Developer).await;
    server
}

fn stored(terminal: &Terminal) -> Value {
    serde_json::from_str(&std::fs::read_to_string(terminal.tokens()).unwrap()).unwrap()
}

async fn live_tokens(server: &Server) -> usize {
    let person = server.app.store.find_person("ada").await.unwrap().unwrap();
    let tokens = server.app.store.list_tokens(&person.id).await.unwrap();
    tokens.iter().filter(|it| it.revoked_at.is_none()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_this_machine_is_kept_and_not_the_password() {
    let server = server().await;
    let terminal = Terminal::new();
    let said = terminal.types(&format!("{PASSWORD}\n"), &["login", &server.url]);
    assert_eq!(said, format!("signed in to `{}` as `ada`\n", server.url));

    let file = terminal.tokens();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("tlt_") && !text.contains(PASSWORD), "{text}");

    let who = terminal.says(&["whoami"]);
    let wanted =
        format!("`ada` at `{}`\nthe token is good for: admin\nteam shop: developer\n", server.url);
    assert_eq!(who, wanted);
    assert_eq!(
        terminal.json(&["whoami"])["teams"],
        json!([{ "team": "shop", "role": "developer" }])
    );
    let status = terminal.json(&["login", "--status"]);
    assert_eq!((&status[0]["login"], &status[0]["is_current"]), (&json!("ada"), &json!(true)));
    assert!(
        terminal.says(&["login", "--status"]).starts_with(&format!("* {}  ada, until", server.url))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_replaced_or_signed_out_is_good_for_nothing() {
    let server = server().await;
    let terminal = Terminal::new();
    let password = format!("{PASSWORD}\n");
    terminal.types(&password, &["login", &server.url]);
    let first = stored(&terminal)["servers"][&server.url]["token"].as_str().unwrap().to_owned();
    terminal.types(&password, &["login", &server.url, "--scope", "owner"]);
    assert_eq!(live_tokens(&server).await, 1);
    assert_eq!(server.get(&first, "/api/v1/me").await.status, 401);
    assert!(terminal.says(&["whoami"]).contains(", an owner"));
    // The session that signing in takes is not left behind.
    let second = stored(&terminal)["servers"][&server.url]["token"].as_str().unwrap().to_owned();
    let sessions = server.get(&second, "/api/v1/sessions").await.json();
    assert_eq!(sessions["items"], json!([]), "{sessions}");

    assert_eq!(terminal.says(&["logout"]), format!("signed out of `{}`\n", server.url));
    assert_eq!(live_tokens(&server).await, 0);
    assert!(!std::fs::read_to_string(terminal.tokens()).unwrap().contains("tlt_"));
    assert!(terminal.complains(2, &["logout"]).contains("you are not signed in there"));
    let nobody = terminal.complains(2, &["whoami", "--server", &server.url]);
    assert!(nobody.contains(&format!("nobody is signed in to `{}`", server.url)), "{nobody}");
    assert!(nobody.contains(&format!("help: `trunkline login {}` signs in", server.url)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_token_needs_no_password() {
    let server = server().await;
    let terminal = Terminal::new();
    let token = server.token("ada", &["viewer"]).await;
    terminal.types(&format!("{token}\n"), &["login", &server.url, "--token"]);
    assert!(terminal.says(&["whoami"]).contains("good for: viewer"));
    // It was not made here, so it is not ended here.
    terminal.says(&["logout"]);
    assert_eq!(server.get(&token, "/api/v1/me").await.status, 200);

    let mut script = Terminal::new();
    script.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", token)];
    assert!(script.says(&["whoami"]).contains("good for: viewer"));
    assert!(!script.tokens().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_proof_is_refused_and_shown_nowhere() {
    let server = server().await;
    let mut terminal = Terminal::new();
    let wrong = terminal.output("not the password\n", &["login", &server.url]);
    let (text, errors, code) = parts(&wrong);
    assert_eq!((text.as_str(), code), ("", Some(2)));
    assert!(
        errors.contains("error: the login or the password is wrong\nhelp: `--login`"),
        "{errors}"
    );
    let empty = terminal.complains(2, &["login", &server.url]);
    assert!(empty.contains("no password was given"), "{empty}");

    let given = terminal.output("tlt_wrong\n", &["login", &server.url, "--token"]);
    let (_, errors, code) = parts(&given);
    assert_eq!(code, Some(2));
    assert!(errors.contains("does not accept the token"), "{errors}");
    terminal.env =
        vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", "tlt_x".to_owned())];
    let refused = terminal.complains(2, &["-vvv", "runs"]);
    assert!(refused.contains("does not accept `TRUNKLINE_TOKEN`"), "{refused}");
    assert!(!refused.contains("tlt_x") && !terminal.tokens().exists(), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_are_told_apart() {
    let (one, other) = (server().await, server().await);
    other.person("grace", false).await;
    let terminal = Terminal::new();
    let password = format!("{PASSWORD}\n");
    terminal.types(&password, &["login", &one.url]);
    terminal.types(&password, &["login", &other.url, "--login", "grace"]);
    assert!(terminal.says(&["whoami"]).starts_with("`grace`"), "the last one is meant");
    let host = one.url.strip_prefix("http://").unwrap();
    assert!(terminal.says(&["whoami", "--server", host]).starts_with("`ada`"));
    let both = terminal.complains(2, &["whoami", "--server", "127.0.0.1"]);
    assert!(both.contains("`127.0.0.1` may be several servers"), "{both}");
    terminal.says(&["logout", "--all"]);
    assert_eq!(terminal.json(&["login", "--status"]), json!([]));
}
