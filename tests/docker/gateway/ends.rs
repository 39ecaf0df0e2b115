//! Stages that end while calls of theirs are under way.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ASK, Benched as _, SECRET, metric};
use crate::docker;
use crate::models::Provider;

/// Asks the model of a provider that takes longer than any stage here.
fn ask_slowly() -> String {
    ASK.replacen("--header", "--header \"x-fake: delay_ms=60000\" --header", 1)
}

#[test]
fn calls_that_are_under_way_when_a_stage_ends_count_in_its_gates_and_in_what_is_shown() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let slowly = ask_slowly();
    let bench = provider.bench(&format!(
        "  left:
    network: gateway
    gate: {{ llm_calls: '== 1' }}
    run: |
      {slowly} &
      {ASK}
      sleep 1
  late:
    network: gateway
    timeout: 8s
    run: |
      {slowly}
"
    ));
    bench.run(&SECRET).expect_code(1);
    let story = bench.story();
    assert!(story.contains("left: failed, gate: "), "{story}");
    assert!(story.contains("late: failed, timeout: "), "{story}");
    assert!((metric(&bench, 0, "llm_calls") - 2.0).abs() < 1e-9, "{story}");
    assert!((metric(&bench, 1, "llm_calls") - 1.0).abs() < 1e-9, "{story}");
    assert!(metric(&bench, 1, "llm_cost_usd") > 0.0, "{story}");
    let shown = bench.trunkline(&["show", "last"]).expect_code(0).stdout;
    assert!(shown.contains("left: 2 calls") && shown.contains("late: 1 call"), "{shown}");
    let spent = bench.trunkline(&["spend", "--run", "last", "--by", "stage", "--json"]);
    let spent: Value = serde_json::from_str(&spent.expect_code(0).stdout).unwrap();
    for (stage, name, attempts) in [(0, "left", 2), (1, "late", 1)] {
        let row = spent.as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
        assert_eq!(row["attempts"], attempts, "{spent}");
        let cost: f64 = row["cost_usd"].as_str().unwrap().parse().unwrap();
        assert!((metric(&bench, stage, "llm_cost_usd") - cost).abs() < 1e-12, "{spent} {story}");
    }
}

#[test]
fn a_call_that_a_cancel_ends_is_shown() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let slowly = ask_slowly();
    let bench = provider.bench(&format!(
        "  asks:
    network: gateway
    run: |
      echo asking
      {slowly}
"
    ));
    let mut run = bench.command(&["run", SECRET[0], SECRET[1]]).spawn().unwrap();
    let started = Instant::now();
    while !bench.trunkline(&["logs", "last", "asks"]).stdout.contains("asking") {
        assert!(started.elapsed() < Duration::from_mins(1), "the stage never began");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Until the call has come to the gateway.
    std::thread::sleep(Duration::from_secs(2));
    bench.trunkline(&["cancel", "last"]).expect_code(0);
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert!((metric(&bench, 0, "llm_calls") - 1.0).abs() < 1e-9, "{}", bench.story());
    let shown = bench.trunkline(&["show", "last"]).expect_code(0).stdout;
    assert!(shown.contains("asks: 1 call, "), "{shown}");
}
