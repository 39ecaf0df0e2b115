//! Trying again, and not trying at all.

use super::world::story;

#[test]
fn what_failed_and_what_follows_is_tried_again_and_the_rest_stands() {
    let plan = "a | b <- a | c <- b | d <- a | e <- c, d";
    insta::assert_snapshot!(story(plan, "rerun all, lease 1, start a, pass a, start b, start d,
        pass d, fail b user, wait 5, rerun failed, status, wanted,
        start b, pass b, start c, pass c, start e, pass e, rerun failed"), @r"
    rerun all: refused, the run is not finished yet
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; b ready; d ready
    start b: b#1 started
    start d: d#1 started
    pass d: d#1 passed; d passed
    fail b user: b#1 failed, user; b failed; c skipped, b failed; e skipped, c was skipped; run failed
    rerun failed: again: b c e; run started; b ready
    status: running
    wanted: start b, prepare b#2, prepare c#1, prepare e#1
    start b: b#2 started
    pass b: b#2 passed; b passed; c ready
    start c: c#1 started
    pass c: c#1 passed; c passed; e ready
    start e: e#1 started
    pass e: e#1 passed; e passed; run passed
    rerun failed: refused, no stage of the run failed
    ");
}

#[test]
fn chosen_stages_are_tried_again_with_what_follows() {
    let plan = "a | b <- a | c <- b";
    insta::assert_snapshot!(story(plan, "lease 1, start a, pass a, start b, pass b, start c, pass c,
        rerun b, rerun z, cancel, rerun all"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; b ready
    start b: b#1 started
    pass b: b#1 passed; b passed; c ready
    start c: c#1 started
    pass c: c#1 passed; c passed; run passed
    rerun b: again: b c; run started; b ready
    rerun z: refused, the run is not finished yet
    cancel: cancel; b cancelled; c cancelled; run cancelled
    rerun all: again: a b c; run started; a ready
    ");
}

#[test]
fn retries_and_limits_count_anew() {
    let plan = "run timeout 100 | a; retry 1 1 infra";
    insta::assert_snapshot!(story(plan, "lease 1, start a, fail a infra, wait 1, tick, start a,
        fail a infra, wait 500,
        rerun failed, wanted, tick, start a, fail a infra"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a infra: a#1 failed, infra; a again at 1s
    tick: a ready
    start a: a#2 started
    fail a infra: a#2 failed, infra; a failed; run failed
    rerun failed: again: a; run started; a ready
    wanted: wake 601s, start a, prepare a#3
    tick: nothing
    start a: a#3 started
    fail a infra: a#3 failed, infra; a again at 502s
    ");
}

#[test]
fn a_rerun_of_a_group_asks_to_be_let_in_again() {
    let plan = "run group ci | a | b; group deploy";
    insta::assert_snapshot!(story(plan, "lease 1, admit, start a, slot b, start b, pass b,
        fail a user, rerun all, status, wanted, admit, wanted"), @r"
    lease 1: lease 1
    admit: admitted; run started; a ready; b ready
    start a: a#1 started
    slot b: b has a slot
    start b: b#1 started
    pass b: b#1 passed; b passed
    fail a user: a#1 failed, user; a failed; run failed
    rerun all: again: a b
    status: queued
    wanted: admission
    admit: admitted; run started; a ready; b ready
    wanted: slot b, start a, prepare a#2
    ");
}

#[test]
fn a_failure_that_stands_keeps_the_run_from_passing() {
    insta::assert_snapshot!(story("a | b", "lease 1, start a, fail a user, start b, pass b, rerun b,
        start b, pass b"), @r"
    lease 1: lease 1; run started; a ready; b ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed
    start b: b#1 started
    pass b: b#1 passed; b passed; run failed
    rerun b: again: b; run started; b ready
    start b: b#2 started
    pass b: b#2 passed; b passed; run failed
    ");
}

#[test]
fn people_are_asked_again() {
    let plan = "a | ok <- a; approval";
    insta::assert_snapshot!(story(plan, "lease 1, start a, pass a, approve ok bob, rerun a, start a,
        pass a, approve ok bob"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; ok asks people until 60s
    approve ok bob: ok approved by bob; ok passed; run passed
    rerun a: again: a ok; run started; a ready
    start a: a#2 started
    pass a: a#2 passed; a passed; ok asks people until 60s
    approve ok bob: ok approved by bob; ok passed; run passed
    ");
}

#[test]
fn a_cancelled_run_goes_on_where_it_was_stopped() {
    let plan = "a | b <- a";
    insta::assert_snapshot!(story(plan, "lease 1, start a, pass a, cancel, rerun failed, status,
        wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; b ready
    cancel: cancel; b cancelled; run cancelled
    rerun failed: again: b; run started; b ready
    status: running
    wanted: start b, prepare b#1
    ");
}

#[test]
fn an_earlier_result_stands_for_a_stage_that_allows_it() {
    let plan = r#"a; inputs | b <- a; if needs.a.outputs.tag == "v1" | c"#;
    insta::assert_snapshot!(story(plan, "lease 1, reuse b, reuse c, reuse a tag:v1, reuse a,
        wanted"), @r"
    lease 1: lease 1; run started; a ready; c ready
    reuse b: refused, stage `b` is pending
    reuse c: refused, the earlier result cannot be reused: stage `c` names no `inputs`
    reuse a tag:v1: a reused from old-0-1; a passed; b ready
    reuse a: refused, stage `a` is passed
    wanted: start b, start c, prepare b#1, prepare c#1
    ");
}

#[test]
fn gates_are_judged_again_on_an_earlier_result() {
    let plan = "eval; inputs; gate f1 >= baseline";
    insta::assert_snapshot!(story(plan, "lease 1, reuse eval f1=0.8, start eval, pass eval f1=0.9"), @r"
    lease 1: lease 1; run started; eval ready
    reuse eval f1=0.8: refused, the earlier result cannot be reused: f1 is 0.8, gate `>= baseline` wants more (baseline is 0.9)
    start eval: eval#1 started
    pass eval f1=0.9: eval#1 passed; eval passed; run passed
    ");
    insta::assert_snapshot!(story(plan, "lease 1, reuse eval f1=0.95"), @r"
    lease 1: lease 1; run started; eval ready
    reuse eval f1=0.95: eval reused from old-0-1; eval passed; run passed
    ");
}

#[test]
fn a_failure_that_is_allowed_is_not_tried_again() {
    let plan = "a; allow | b <- a | c";
    insta::assert_snapshot!(story(plan, "lease 1, start a, fail a user, start b, pass b, start c,
        fail c user, rerun failed, start c, pass c, rerun failed"), @r"
    lease 1: lease 1; run started; a ready; c ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed, allowed; b ready
    start b: b#1 started
    pass b: b#1 passed; b passed
    start c: c#1 started
    fail c user: c#1 failed, user; c failed; run failed
    rerun failed: again: c; run started; c ready
    start c: c#2 started
    pass c: c#2 passed; c passed; run passed
    rerun failed: refused, no stage of the run failed
    ");
}

#[test]
fn a_stage_that_is_tried_again_still_knows_of_a_failure_far_before_it() {
    let plan = "a | b <- a; if always() | c <- b; if failed()";
    insta::assert_snapshot!(story(plan, "lease 1, start a, fail a user, start b, pass b, start c,
        pass c, rerun c"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed; b ready
    start b: b#1 started
    pass b: b#1 passed; b passed; c ready
    start c: c#1 started
    pass c: c#1 passed; c passed; run failed
    rerun c: again: c; run started; c ready
    ");
}
