//! Runs a client's script, twice: with calls that go well, and with calls that do not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::World;

/// What a script is run by, in the folder that `deploy/setup sdks` makes.
struct Client {
    program: &'static str,
    script: &'static str,
}

/// Where the clients are. What is not there is skipped aloud on a laptop and fails in CI.
#[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
pub(crate) fn sdks() -> Option<PathBuf> {
    let folder = std::env::var("TEST_SDKS").ok().map(PathBuf::from);
    if let Some(folder) = folder.filter(|it| it.join("installed").exists()) {
        return Some(folder);
    }
    let is_ci = std::env::var("CI").is_ok_and(|it| it == "true");
    assert!(!is_ci, "`TEST_SDKS` is not set; run `deploy/setup sdks`");
    eprintln!("SKIPPED: `TEST_SDKS` is not set; `deploy/setup sdks` installs the clients");
    None
}

fn play(client: &Client, sdks: &Path, group: &str) -> (Vec<Value>, i64) {
    let world = World::new();
    let mut command = Command::new(sdks.join(client.program));
    command.arg(Path::new("tests/gateway/sdks").join(client.script)).arg(group);
    command.env("GATEWAY", &world.url).env("TEST_SDKS", sdks).env("PYTHONDONTWRITEBYTECODE", "1");
    let status = command.status().unwrap();
    assert!(status.success(), "{}: what went wrong is told above", client.script);
    world.end()
}

#[track_caller]
fn check(program: &'static str, script: &'static str) {
    let Some(sdks) = sdks() else { return };
    let client = Client { program, script };
    let (calls, charged) = play(&client, &sdks, "answers");
    assert!(calls.len() > 10, "only {} calls", calls.len());
    let cost: i64 = calls.iter().map(|it| it["cost"].as_i64().unwrap()).sum();
    assert_eq!(cost, charged, "the ledger is what the provider charged");
    let (calls, _) = play(&client, &sdks, "errors");
    let flags = calls.iter().flat_map(|it| it["flags"].as_array().unwrap());
    let flags: BTreeSet<_> = flags.filter_map(Value::as_str).collect();
    assert_eq!(Vec::from_iter(flags), ["client_gone", "counted_by_rule", "cut", "estimated"]);
    let poor = calls.iter().find(|it| it["key"] == "poor");
    assert_eq!(poor, None, "a call that was refused costs nothing");
}

#[test]
fn openai_for_python_works_unchanged() {
    check("bin/python", "with_openai.py");
}

#[test]
fn anthropic_for_python_works_unchanged() {
    check("bin/python", "with_anthropic.py");
}

#[test]
fn openai_for_node_works_unchanged() {
    check("bin/node", "with_openai.mjs");
}

#[test]
fn anthropic_for_node_works_unchanged() {
    check("bin/node", "with_anthropic.mjs");
}
