//! Logs of a server from a terminal: whole, in part, as they come, and over a restart of the server.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use super::world::World;
use crate::docker;

const STAGES: &str = r#"
  quick:
    steps:
      - { name: one, run: echo first }
      - { name: two, run: "echo second; printf 'no line feed'" }
  slow: { run: 'for i in $(seq 1 120); do echo line $i; sleep 0.1; done' }
"#;

#[test]
fn logs_are_read_whole_in_part_and_byte_for_byte() {
    if !docker::is_here() {
        return;
    }
    let world = World::start(&STAGES.replace("120", "3").replace("0.1", "0"));
    let terminal = &world.terminal;
    terminal.says(&["run", "ci", "--project", "shop/web", "--no-logs"]);
    assert_eq!(terminal.says(&["logs", "1", "slow"]), "line 1\nline 2\nline 3\n");
    assert_eq!(terminal.says(&["logs", "1", "quick", "--step", "2"]), "second\nno line feed\n");
    let raw = terminal.says(&["logs", "1", "quick", "--raw"]);
    assert!(raw.ends_with("second\nno line feed"), "{raw:?}");
    let both = terminal.says(&["logs", "1"]);
    assert!(both.contains("quick | first\n") && both.contains("slow  | line 3\n"), "{both}");
    let dated = terminal.says(&["logs", "1", "slow", "-t"]);
    assert!(dated.starts_with("20") && dated.contains(" line 1\n"), "{dated}");
    let json = terminal.says(&["logs", "1", "slow", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["stage_key"], &first["text"]), (&"slow".into(), &"line 1".into()));
    assert!(first["at"].as_i64().unwrap() > 0, "{first}");
    assert_eq!(terminal.says(&["logs", "1", "slow", "-f"]), "line 1\nline 2\nline 3\n");
    let first = terminal.says(&["logs", "1", "slow", "-f", "--attempt", "1"]);
    assert_eq!(first, "line 1\nline 2\nline 3\n");
    let none = terminal.complains(2, &["logs", "1", "slow", "--attempt", "7"]);
    assert!(none.contains("`slow` of run #1 has no attempt 7"), "{none}");
}

#[test]
fn what_is_followed_has_no_gap_and_no_repetition_over_a_restart_of_the_server() {
    if !docker::is_here() {
        return;
    }
    let mut world = World::start(STAGES);
    world.terminal.says(&["run", "ci", "--project", "shop/web", "--detach"]);
    let mut follow = world.terminal.start(&["logs", "-f", "1", "slow"]);
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut seen: Vec<String> = lines.by_ref().take(20).map(Result::unwrap).collect();
    for pause in [200, 1500] {
        world.kill();
        std::thread::sleep(Duration::from_millis(pause));
        world.serve_again();
        seen.extend(lines.by_ref().take(20).map(Result::unwrap));
    }
    seen.extend(lines.map(Result::unwrap));
    assert!(follow.wait().unwrap().success());
    let wanted: Vec<_> = (1..=120).map(|it| format!("line {it}")).collect();
    assert_eq!(seen, wanted);
    let ended = world.wait_until("1", |it| it["status"] == "passed");
    assert_eq!(ended["stages"][1]["attempts"].as_array().unwrap().len(), 1);
}
