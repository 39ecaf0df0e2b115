//! Runs and stages that wait for each other.

use super::world::story;

#[test]
fn a_run_of_a_group_starts_when_it_is_let_in() {
    let plan = "run group ci | a";
    insta::assert_snapshot!(story(plan, "wanted, lease 1, status, wanted, start a, admit, admit,
        wanted"), @r"
    wanted: admission
    lease 1: lease 1
    status: queued
    wanted: admission
    start a: refused, stage `a` is pending
    admit: admitted; run started; a ready
    admit: refused, this was recorded before
    wanted: start a, prepare a#1
    ");
    insta::assert_snapshot!(story(plan, "admit, status, lease 1"), @r"
    admit: admitted
    status: queued
    lease 1: lease 1; run started; a ready
    ");
}

#[test]
fn a_stage_of_a_group_starts_when_it_has_a_slot() {
    let plan = "a; group deploy; retry 1 5 infra | b <- a; group deploy";
    insta::assert_snapshot!(story(plan, "slot a, lease 1, wanted, start a, slot a, slot a, wanted,
        start a, fail a infra,
        wait 5, tick, wanted, start a, pass a, wanted"), @r"
    slot a: refused, stage `a` is pending
    lease 1: lease 1; run started; a ready
    wanted: slot a
    start a: refused, stage `a` is ready
    slot a: a has a slot
    slot a: refused, this was recorded before
    wanted: start a, prepare a#1
    start a: a#1 started
    fail a infra: a#1 failed, infra; a again at 5s
    tick: a ready
    wanted: start a, prepare a#2
    start a: a#2 started
    pass a: a#2 passed; a passed; b ready
    wanted: slot b
    ");
}

#[test]
fn a_stage_without_a_group_is_given_no_slot() {
    insta::assert_snapshot!(story("a", "lease 1, slot a, slot z"), @r"
    lease 1: lease 1; run started; a ready
    slot a: refused, stage `a` is ready
    slot z: refused, the run has no stage number 99
    ");
}

#[test]
fn an_overtaken_stage_is_skipped_unless_it_has_begun() {
    let plan = "a; group deploy | b <- a | c <- a?";
    insta::assert_snapshot!(story(plan, "lease 1, outdated b, outdated a"), @r"
    lease 1: lease 1; run started; a ready
    outdated b: refused, stage `b` is pending
    outdated a: a skipped, run 9 is newer; b skipped, a was skipped; c ready
    ");
    insta::assert_snapshot!(story("a; group deploy; retry 1 1 infra", "lease 1, slot a, start a,
        outdated a, fail a infra, wait 1, tick, outdated a"), @r"
    lease 1: lease 1; run started; a ready
    slot a: a has a slot
    start a: a#1 started
    outdated a: refused, stage `a` is running
    fail a infra: a#1 failed, infra; a again at 1s
    tick: a ready
    outdated a: refused, stage `a` is ready
    ");
}
