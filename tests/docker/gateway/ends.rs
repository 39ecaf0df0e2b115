//! Stages that end while calls of theirs are under way.

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
    timeout: 3s
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
}
