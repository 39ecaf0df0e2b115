//! `trunkline person`, `team` and `token`, on the database of a server that is not running.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::PASSWORD;

/// Standard output of a command that ends with this exit code.
fn says(state: &Path, code: i32, arguments: &[&str]) -> String {
    let (text, errors, found) = output(state, arguments);
    assert_eq!(found, Some(code), "{arguments:?}\n{text}\n{errors}");
    if code == 0 { text } else { errors }
}

fn output(state: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.env_clear().env("TRUNKLINE_STATE", state).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever asks for no password has closed it.
    let _is_read = writeln!(stdin, "{PASSWORD}");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn whoever_runs_the_server_makes_people_teams_and_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    says(state, 0, &["person", "add", "Ada", "--owner"]);
    says(state, 0, &["person", "add", "grace", "--no-password", "--email", "grace@example.org"]);
    says(state, 0, &["team", "add", "search"]);
    says(state, 0, &["team", "member", "search", "grace", "approver"]);
    let teams: Value = serde_json::from_str(&says(state, 0, &["team", "list", "--json"])).unwrap();
    assert_eq!(teams[0]["members"], serde_json::json!([{ "login": "grace", "role": "approver" }]));

    let make = ["token", "create", "grace", "--name", "laptop", "--scope", "developer", "--json"];
    let made: Value = serde_json::from_str(&says(state, 0, &make)).unwrap();
    assert!(made["token"].as_str().unwrap().starts_with("tlt_"));
    let id = made["id"].as_str().unwrap();
    assert!(says(state, 0, &["token", "list", "grace"]).contains(id));
    says(state, 0, &["token", "revoke", "grace", id]);
    assert!(says(state, 0, &["token", "list", "grace"]).contains("revoked"));

    says(state, 0, &["person", "disable", "grace"]);
    let people = says(state, 0, &["person", "list"]);
    assert!(people.contains("owner") && people.contains("grace@example.org, disabled"), "{people}");
    says(state, 0, &["person", "enable", "grace"]);
    says(state, 0, &["person", "password", "ada"]);
}

#[test]
fn a_mistake_is_named_with_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    says(state, 0, &["person", "add", "ada"]);
    says(state, 0, &["team", "add", "search"]);
    for (arguments, wanted) in [
        (&["person", "add", "ada"][..], "there is a person `ada` already"),
        (&["person", "add", "a b"], "a login has 1 to 63 of"),
        (&["person", "password", "eve"], "there is no person `eve`"),
        (&["team", "add", "search"], "there is a team `search` already"),
        (&["team", "add", "a/b"], "`a/b` cannot be the name of a team"),
        (&["team", "member", "other", "ada", "admin"], "there are `search`"),
        (&["team", "member", "search", "ada", "king"], "viewer, developer, approver, admin"),
        (&["token", "create", "eve", "--name", "x", "--scope", "viewer"], "no person `eve`"),
        (&["token", "create", "ada", "--name", "x", "--scope", "king"], "must be viewer"),
        (&["token", "create", "ada", "--name", "x", "--scope", "viewer", "--days", "367"], "367"),
        (&["token", "revoke", "ada", "01k"], "`ada` has no token `01k`"),
    ] {
        let errors = says(state, 2, arguments);
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
    }
}
