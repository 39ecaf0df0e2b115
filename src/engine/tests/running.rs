//! A run that nothing bad happens to.

use super::world::story;

#[test]
fn a_stage_starts_the_moment_its_last_need_has_passed() {
    let plan = "a | b | c <- a, b | d <- c";
    insta::assert_snapshot!(story(plan, "status, lease 1, wanted, start a, start b, pass b, pass a,
        wanted,
        start c, pass c, start d, status, pass d, status, wanted"), @r"
    status: queued
    lease 1: lease 1; run started; a ready; b ready
    wanted: start a, start b, prepare a#1, prepare b#1, prepare c#1, prepare d#1
    start a: a#1 started
    start b: b#1 started
    pass b: b#1 passed; b passed
    pass a: a#1 passed; a passed; c ready
    wanted: start c, prepare c#1, prepare d#1
    start c: c#1 started
    pass c: c#1 passed; c passed; d ready
    start d: d#1 started
    status: running
    pass d: d#1 passed; d passed; run passed
    status: passed
    wanted:
    ");
}

#[test]
fn what_has_the_most_behind_it_starts_first() {
    let plan = "a | b | c <- b | d <- c | e | f <- e";
    insta::assert_snapshot!(story(plan, "lease 1, wanted"), @r"
    lease 1: lease 1; run started; a ready; b ready; e ready
    wanted: start b, start e, start a, prepare b#1, prepare e#1, prepare a#1, prepare c#1, prepare f#1, prepare d#1
    ");
}

#[test]
fn a_run_without_stages_passes_at_once() {
    insta::assert_snapshot!(story("", "lease 1, status"), @r"
    lease 1: lease 1; run started; run passed
    status: passed
    ");
}

#[test]
fn a_stage_cannot_start_before_its_turn_nor_twice() {
    let plan = "a | b <- a";
    insta::assert_snapshot!(story(plan, "start a @0, lease 1, start b, start a, start a, pass a,
        start a, start z"), @r"
    start a @0: refused, stage `a` is pending
    lease 1: lease 1; run started; a ready
    start b: refused, stage `b` is pending
    start a: a#1 started
    start a: refused, stage `a` is running
    pass a: a#1 passed; a passed; b ready
    start a: refused, stage `a` is passed
    start z: refused, the run has no stage number 99
    ");
}

#[test]
fn steps_are_recorded_once_and_in_order() {
    insta::assert_snapshot!(story("a", "lease 1, step a 0, start a, stepped a 0 0, step a 0,
        step a 0,
        stepped a 0 0, stepped a 0 0, step a 1, pass a, stepped a 1 0, step a 2"), @r"
    lease 1: lease 1; run started; a ready
    step a 0: refused, stage `a` is ready
    start a: a#1 started
    stepped a 0 0: refused, stage `a` is running
    step a 0: a step 0 started
    step a 0: refused, this was recorded before
    stepped a 0 0: a step 0 exit 0
    stepped a 0 0: refused, this was recorded before
    step a 1: a step 1 started
    pass a: a#1 passed; a passed; run passed
    stepped a 1 0: refused, stage `a` is passed
    step a 2: refused, stage `a` is passed
    ");
}

#[test]
fn an_end_is_recorded_once() {
    insta::assert_snapshot!(story("a | b", "lease 1, pass a, start a, pass a, pass a, fail a user"), @r"
    lease 1: lease 1; run started; a ready; b ready
    pass a: refused, stage `a` is ready
    start a: a#1 started
    pass a: a#1 passed; a passed
    pass a: refused, this was recorded before
    fail a user: refused, this was recorded before
    ");
}
