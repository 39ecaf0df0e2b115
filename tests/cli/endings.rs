//! Runs that were stopped or left behind, and what goes on with them.

use std::process::Child;

use trunkline::engine::GRACE;

use crate::{PIPELINE, World, ended, signal, started};

/// A stage that fails.
const FAILS: &str =
    "version: 1\nname: demo\non: { push: {} }\nstages:\n  a: { image: x, run: 'false' }\n";

/// A stage that prints `one`, and `two` once there is a file.
fn waiting() -> World {
    let world = World::new(PIPELINE);
    let go = world.folder.path().join("go").display().to_string();
    world.write(
        ".trunkline.yml",
        &format!(
            "version: 1\nname: demo\non: {{ push: {{}} }}\nstages:\n  \
             a: {{ image: x, run: 'echo one; while [ ! -e {go} ]; do sleep 0.1; done; echo two' }}\n"
        ),
    );
    world
}

fn kill(mut run: Child) {
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn a_run_whose_process_is_dead_is_shown_as_interrupted_until_it_is_resumed() {
    let world = waiting();
    let run = started(&world, "one");
    assert!(world.says(0, &["runs"]).contains("#1  running"));
    assert_eq!(world.json(0, &["show", "--json"])["interrupted"], false);
    kill(run);

    let runs = world.says(0, &["runs"]);
    assert!(runs.contains("#1  interrupted  demo"), "{runs}");
    assert!(runs.ends_with("run #1 was interrupted: `trunkline resume 1` goes on\n"), "{runs}");
    let shown = world.says(0, &["show"]);
    assert!(shown.contains("■ demo #1 was interrupted\n"), "{shown}");
    assert!(shown.contains("  trunkline resume 1  go on with it"), "{shown}");
    for json in [world.json(0, &["runs", "--json"])[0].clone(), world.json(0, &["show", "--json"])]
    {
        assert_eq!((&json["status"], &json["interrupted"]), (&"running".into(), &true.into()));
    }

    std::fs::write(world.folder.path().join("go"), "").unwrap();
    let resumed = world.says(0, &["resume"]);
    assert!(resumed.contains("a   | two"), "{resumed}");
    assert_eq!(world.json(0, &["show", "--json"])["interrupted"], false);
}

#[test]
fn a_run_goes_on_with_the_gateways_file_that_it_was_started_with() {
    let world = World::new(FAILS);
    world.write("other.toml", "");
    let options = ["--gateway", "other.toml", "--model-calls", "live", "--secret", "KEY=hidden"];
    let ended = world.says(1, &[&["run"][..], &options[..]].concat());
    let file = world.repository().join("other.toml").display().to_string();
    let given = format!("--secret KEY --gateway {file} --model-calls live");
    let rerun = format!("  trunkline rerun --failed 1 {given}  try again");
    for told in [ended, world.says(0, &["show"])] {
        assert!(told.contains(&rerun) && !told.contains("hidden"), "{told}");
    }
    world.write("other.toml", "unknown = 1\n");
    let told = world.complains(2, &["rerun"]);
    assert!(told.contains("`<folder>/repository/other.toml` is wrong"), "{told}");
    world.write("third.toml", "");
    world.says(1, &["rerun", "--gateway", "third.toml"]);
    let told = world.says(0, &["show"]);
    assert!(told.contains("/third.toml --model-calls live"), "{told}");
}

/// A gateway's file with a provider whose key is in a variable.
const GATEWAY: &str = "[[provider]]\nname = \"openai\"\ndialect = \"openai\"\n\
                       url = \"http://127.0.0.1:9\"\nkey_variables = [\"MODEL_KEY\"]\n\
                       [stages]\ncassettes = \"cassettes\"\n";

#[test]
fn what_a_run_was_started_with_stands_in_every_command_that_goes_on_with_it() {
    let world = waiting();
    world.write("other.toml", GATEWAY);
    let options = ["--gateway", "other.toml", "--model-calls", "live", "--secret", "KEY=hidden"];
    let mut run = world
        .command(&[&["run"][..], &options[..]].concat())
        .env("MODEL_KEY", "of the provider")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    read_until(&mut run, "one");
    kill(run);
    let file = world.repository().join("other.toml").display().to_string();
    let command = format!("trunkline resume 1 --secret KEY --gateway {file} --model-calls live");
    let runs = world.says(0, &["runs"]);
    assert!(runs.ends_with(&format!("run #1 was interrupted: `{command}` goes on\n")), "{runs}");

    std::fs::write(world.folder.path().join("go"), "").unwrap();
    let told = world.complains(2, &["resume", "1"]);
    let missing = "error: the run was started with a key that is missing now for the LLM gateway: \
                   `MODEL_KEY` (for `openai`)\nhelp: set what is missing in the environment; ";
    assert!(told.starts_with(missing), "{told}");
    assert_eq!(world.json(0, &["show", "--json"])["status"], "running", "nothing went on");
    let resumed = world.command(&["resume", "1"]).env("MODEL_KEY", "again").output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
}

#[test]
fn an_approval_of_a_run_that_nobody_drives_names_the_whole_command_that_goes_on() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  ok: { approval: { count: 1 } }\n  \
         go: { needs: [ok], image: x, run: echo went }\n",
    );
    let mut run = world
        .command(&["run", "--secret", "KEY=hidden"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    world.wait_until("waiting");
    run.kill().unwrap();
    run.wait().unwrap();
    let told = world.says(0, &["approve", "last", "ok"]);
    let hint = "nobody drives the run: `trunkline resume 1 --secret KEY` goes on\n";
    assert!(told.ends_with(hint), "{told}");
}

#[test]
fn a_run_that_begins_again_asks_for_the_key_of_the_gateway_that_it_was_given_as_a_secret() {
    let world = World::new(FAILS);
    world.write("trunkline.gateway.toml", GATEWAY);
    let warned = world.complains(1, &["run"]);
    let said = "no key for the provider `openai`: `MODEL_KEY` is not set, and its calls are refused; give it with `--secret`";
    assert!(warned.contains(said), "{warned}");
    world.says(1, &["rerun"]);
    world.says(1, &["rerun", "--secret", "MODEL_KEY=hidden"]);
    let told = world.complains(2, &["rerun"]);
    let help = "help: give what is missing: `--secret MODEL_KEY` takes it from the environment";
    assert!(told.contains("`MODEL_KEY` (for `openai`)\n") && told.contains(help), "{told}");
    world.says(1, &["rerun", "--model-calls", "replay"]);
    let absent = world.complains(2, &["rerun", "--secret", "MODEL_KEY", "--secret", "OTHER"]);
    let both = "error: the environment has no variables `MODEL_KEY`, `OTHER` for the secrets";
    assert!(absent.starts_with(both), "{absent}");
}

#[test]
fn a_run_whose_gateways_file_is_wrong_is_not_made_and_does_not_begin_again() {
    let world = World::new(FAILS);
    world.write("unknown.toml", "providers = 1\n");
    for file in ["none.toml", "unknown.toml"] {
        let told = world.complains(2, &["run", "--gateway", file]);
        assert!(told.starts_with("error: the gateway's file `<folder>/repository/"), "{told}");
    }
    assert_eq!(world.json(0, &["runs", "--json"]), serde_json::json!([]));
    assert_eq!(world.says(0, &["resume"]), "nothing to resume\n");

    world.says(1, &["run"]);
    world.complains(2, &["rerun", "--gateway", "none.toml"]);
    let run = world.json(0, &["show", "--json"]);
    assert_eq!((&run["status"], &run["interrupted"]), (&"failed".into(), &false.into()));
    assert_eq!(world.says(0, &["resume"]), "nothing to resume\n");
}

#[test]
fn resume_says_why_there_is_nothing_to_do() {
    let world = waiting();
    assert_eq!(world.says(0, &["resume"]), "nothing to resume\n");
    let run = started(&world, "one");
    let driver = format!("run #1 is driven by process {} of ada", run.id());
    assert_eq!(
        world.complains(2, &["resume", "1"]),
        format!(
            "error: {driver}\n\
             help: `trunkline logs 1 --follow` follows it, `trunkline cancel 1` stops it\n"
        )
    );
    assert_eq!(world.says(0, &["resume"]), format!("nothing to resume; {driver}\n"));
    signal(&run, "INT");
    assert_eq!(ended(run), Some(1));
    assert_eq!(world.says(1, &["resume", "1"]), "nothing to resume: run #1 was cancelled\n");
    assert_eq!(world.says(0, &["resume"]), "nothing to resume\n", "that one has ended");
    std::fs::write(world.folder.path().join("go"), "").unwrap();
    world.says(0, &["run"]);
    assert_eq!(world.says(0, &["resume", "last"]), "nothing to resume: run #2 has passed\n");
}

#[test]
fn a_cancel_stops_what_a_dead_process_left_although_the_gateways_file_is_wrong_by_now() {
    let world = waiting();
    world.write("trunkline.gateway.toml", "");
    kill(started(&world, "one"));
    world.write("trunkline.gateway.toml", "unknown = 1\n");
    world.complains(2, &["resume"]);
    world.says(0, &["cancel", "last"]);
    assert_eq!(world.json(0, &["show", "--json"])["status"], "cancelled");
}

#[test]
fn a_cancel_by_force_waits_for_nothing() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         a: { image: x, run: 'trap \"\" TERM; echo one; while :; do sleep 0.1; done' }\n",
    );
    let told = |force: &[&str]| world.says(0, &[&["cancel", "last"], force].concat());
    for polite in [&[][..], &["asked politely before"]] {
        let run = started(&world, "one");
        for _ in polite {
            let answer = "run #2 is cancelling; `trunkline cancel 2 --force` ends it at once\n";
            assert_eq!([told(&[]), told(&[])], [answer; 2], "asking again does not force it");
        }
        told(&["--force"]);
        assert_eq!(ended(run), Some(1));
        let shown = world.json(0, &["show", "--json"]);
        assert_eq!(shown["status"], "cancelled");
        assert!(shown["duration_ms"].as_u64().unwrap() < GRACE.0, "{shown}");
    }
}

/// A run whose first line this is, read until `text`; gives all lines up to there.
fn read_until(run: &mut Child, text: &str) -> String {
    use std::io::{BufRead as _, BufReader};
    let mut seen = String::new();
    for line in BufReader::new(run.stdout.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        seen.push_str(&line);
        seen.push('\n');
        if line.contains(text) {
            return seen;
        }
    }
    panic!("`{text}` is never printed:\n{seen}");
}

#[test]
fn a_run_that_waits_for_a_group_says_so_and_goes_on_when_it_is_free() {
    let world = waiting();
    let path = world.repository().join(".trunkline.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    world.write(
        ".trunkline.yml",
        &text.replace("stages:\n", "concurrency: { group: ci }\nstages:\n"),
    );
    let first = started(&world, "one");
    let mut second = world.command(&["run"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let told = read_until(&mut second, "waits for");
    assert!(told.contains("waits for ") && told.contains("`ci`"), "{told}");
    assert!(told.contains("`trunkline runs --all` shows them"), "{told}");
    std::fs::write(world.folder.path().join("go"), "").unwrap();
    assert_eq!(ended(first), Some(0));
    assert_eq!(ended(second), Some(0));
}

#[test]
fn resume_asks_for_missing_secrets_before_anything_goes_on() {
    let world = waiting();
    let path = world.repository().join(".trunkline.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let later = "  b: { needs: [a], image: x, secrets: [TOKEN], run: 'test \"$TOKEN\" = hush && echo three' }\n";
    world.write(".trunkline.yml", &format!("{text}{later}"));
    let mut run = world
        .command(&["run", "--secret", "TOKEN=hush"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    read_until(&mut run, "one");
    kill(run);
    std::fs::write(world.folder.path().join("go"), "").unwrap();
    let told = world.complains(2, &["resume"]);
    assert!(told.contains("a secret is missing: `TOKEN`"), "{told}");
    assert_eq!(world.json(0, &["show", "--json"])["status"], "running", "nothing went on");
    let resumed = world.says(0, &["resume", "--secret", "TOKEN=hush"]);
    assert!(resumed.contains("b   | three"), "{resumed}");
}
