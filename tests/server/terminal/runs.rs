//! Runs of a server from a terminal: start, look on, look back, answer, stop, try again.

use serde_json::{Value, json};

use super::parts;
use super::world::World;
use crate::docker;

const STAGES: &str = r#"
  build:
    run: mkdir out && echo "$WORD" > out/word.txt && echo building
    env: { WORD: '${{ inputs.word }}' }
    artifacts: [out/]
  unit:
    needs: [build]
    steps:
      - { name: look, run: cat out/word.txt }
      - { name: count, run: 'echo "{\"name\": \"f1\", \"value\": 0.9}" >> $TRUNKLINE_METRICS' }
    gate: { f1: ">= 0.85" }
  bad: { needs: [unit], run: 'echo oh no; test "$TRUNKLINE_ATTEMPT" = 2' }
  after: { needs: [bad], run: 'true' }
"#;

fn keys(run: &Value, status: &str) -> Vec<String> {
    let stages = run["stages"].as_array().unwrap().iter();
    let stages = stages.filter(|it| it["status"] == status);
    stages.map(|it| it["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_of_a_server_is_started_looked_at_and_tried_again() {
    if !docker::is_here() {
        return;
    }
    let world = World::start(STAGES);
    let terminal = &world.terminal;
    let start = ["run", "ci", "--project", "shop/web", "--input", "word=umbrella"];
    let (text, errors, code) = parts(&terminal.output("", &start));
    assert_eq!(code, Some(1), "{text}\n{errors}");
    for wanted in [
        "run    ci #1 with 4 stages",
        "build | building",
        "unit  | umbrella",
        "unit   step 2 of 2: count",
        "bad    failed",
        "✗ ci #1 failed in ",
        "unit: f1 is 0.9 (must be >= 0.85)",
        "trunkline rerun --failed 1 ",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is missing in\n{text}");
    }
    let place = |wanted: &str| text.find(wanted).unwrap();
    assert!(place("unit   step 1 of 2: look") < place("unit  | umbrella"), "{text}");
    assert!(place("unit  | umbrella") < place("unit   passed"), "{text}");

    let again = terminal.output("", &["rerun", "--failed", "1", "--json"]);
    let (lines, errors, code) = parts(&again);
    assert_eq!(code, Some(0), "{lines}\n{errors}");
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["status"]), (&json!("run"), &json!("passed")));
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["seq"].is_i64() && first["type"].is_string(), "{first}");

    let shown = terminal.json(&["show", "last"]);
    assert_eq!(shown, terminal.json(&["show", last["id"].as_str().unwrap().get(..20).unwrap()]));
    assert_eq!(keys(&shown, "passed"), ["build", "unit", "bad", "after"]);
    assert_eq!(shown["repository"], terminal.json(&["runs"])[0]["repository"]);
    assert!(terminal.says(&["show", "#1"]).contains("✓ ci #1 passed in "));

    let listed = terminal.says(&["runs", "--project", "shop/web", "--status", "passed"]);
    assert!(
        listed.contains("#1") && listed.contains("main") && listed.contains("Sell chairs"),
        "{listed}"
    );
    assert_eq!(terminal.says(&["runs", "--branch", "topic"]), "no such runs\n");
    assert_eq!(terminal.json(&["runs", "--event", "manual"])[0]["number"], 1);

    let download = ["artifacts", "1", "build", "--download", "here"];
    assert!(terminal.says(&["artifacts", "1"]).starts_with("build  out/  1 file, "));
    terminal.says(&download);
    let file = terminal.path("here/build/out/word.txt");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "umbrella\n");
    assert_eq!(terminal.json(&["artifacts", "1"])[0]["path"], "out/");

    assert!(terminal.says(&["graph", "--run", "1"]).contains("unit"));
    terminal.says(&["show", "1", "--svg", "run.svg"]);
    assert!(std::fs::read_to_string(terminal.path("run.svg")).unwrap().starts_with("<svg"));
    mistakes(&world);
}

fn mistakes(world: &World) {
    for (arguments, wanted) in [
        (&["show", "99"][..], "error: this run does not exist"),
        (
            &["rerun", "1", "--stage", "untit"],
            "run #1 has no stage `untit`\nhelp: did you mean `unit`?",
        ),
        (&["rerun", "--failed", "1"], "no stage of the run failed"),
        (&["cancel", "1"], "the run is already finished"),
        (&["run", "other", "--project", "shop/web"], "other"),
        (&["run", "--project", "shop/web"], "no pipeline is named"),
        (&["run", "ci", "--project", "shop/web", "--input", "size=1"], "size"),
        (&["run", "ci", "--project", "shop/none"], "this project does not exist"),
        (&["run", "ci", "--project", "shop/web", "--env", "A=1"], "takes `--input` and `--ref`"),
    ] {
        let errors = world.terminal.complains(2, arguments);
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_stage_that_waits_is_answered_and_a_run_is_stopped() {
    if !docker::is_here() {
        return;
    }
    let world = World::start(
        "  ask: { approval: { count: 1 } }\n  slow: { needs: [ask], run: sleep 300 }\n",
    );
    let terminal = &world.terminal;
    let start = ["run", "ci", "--project", "shop/web", "--detach"];
    let said = terminal.says(&start);
    assert_eq!(said, "run #1 is queued; `trunkline logs -f 1` follows it\n");
    world.wait_until("1", |it| it["status"] == "waiting");
    let shown = terminal.says(&["show", "1"]);
    assert!(shown.contains("waits for 1 approval: trunkline approve 1 ask"), "{shown}");
    let answer = terminal.json(&["approve", "1", "ask", "-m", "looks good"]);
    assert_eq!(
        (&answer["stage_status"], &answer["missing_approvals"]),
        (&json!("passed"), &json!(0))
    );
    assert_eq!(answer["approvals"], json!(["ada"]));
    world.wait_until("1", |it| keys(it, "running") == ["slow"]);
    let said = terminal.says(&["cancel", "1", "--reason", "wrong branch"]);
    assert_eq!(said, "run #1 is cancelling; `trunkline cancel 1 --force` ends it at once\n");
    let ended = world.wait_until("1", |it| it["status"] == "cancelled");
    assert_eq!(keys(&ended, "cancelled"), ["slow"]);

    terminal.says(&start);
    world.wait_until("2", |it| it["status"] == "waiting");
    let said = terminal.says(&["reject", "2", "ask", "-m", "not today"]);
    assert_eq!(said, "`ask` of run #2 is rejected\n");
    world.wait_until("2", |it| it["status"] == "failed");
    let late = terminal.complains(2, &["approve", "2", "ask"]);
    assert!(late.contains("error: "), "{late}");
}
