//! Containers that are created before their turn.

use super::world::story;

#[test]
fn a_chain_is_looked_ahead_generation_by_generation() {
    let plan = "a | b <- a | c <- b | d <- c";
    insta::assert_snapshot!(story(plan, "lease 1, wanted, start a, wanted"), @r"
    lease 1: lease 1; run started; a ready
    wanted: start a, prepare a#1, prepare b#1, prepare c#1, prepare d#1
    start a: a#1 started
    wanted: attempt a#1, wake 900s, prepare b#1, prepare c#1, prepare d#1
    ");
}

#[test]
fn a_stage_is_prepared_only_when_all_it_waits_for_is_on_its_way() {
    let plan = "a | ok; approval | b <- a | c <- a, ok | d <- b";
    insta::assert_snapshot!(story(plan, "lease 1, start a, wanted, approve ok bob, wanted"), @r"
    lease 1: lease 1; run started; a ready; ok asks people until 60s
    start a: a#1 started
    wanted: attempt a#1, wake 60s, prepare b#1, prepare d#1
    approve ok bob: ok approved by bob; ok passed
    wanted: attempt a#1, wake 900s, prepare b#1, prepare c#1, prepare d#1
    ");
}

#[test]
fn what_may_turn_out_differently_is_not_prepared() {
    let plan = "a | cond <- a; if true | reuse <- a; inputs | slot <- a; group g
        | dyn <- a; image ${{ needs.a.outputs.x }} | plain <- a | behind <- cond";
    insta::assert_snapshot!(story(plan, "lease 1, start a, wanted, pass a, wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    wanted: attempt a#1, wake 900s, prepare plain#1
    pass a: a#1 passed; a passed; cond ready; reuse ready; slot ready; dyn ready; plain ready
    wanted: slot slot, start cond, start reuse, start dyn, start plain, prepare cond#1, prepare plain#1, prepare behind#1
    ");
}

#[test]
fn nothing_is_prepared_behind_a_failure_or_a_stop() {
    let plan = "a | b | c <- a, b | d <- b; if always()";
    insta::assert_snapshot!(story(plan, "lease 1, start a, start b, fail a user, wanted, cancel,
        wanted"), @r"
    lease 1: lease 1; run started; a ready; b ready
    start a: a#1 started
    start b: b#1 started
    fail a user: a#1 failed, user; a failed
    wanted: attempt b#1, wake 900s
    cancel: cancel; b asked to stop, cancelled, the run was cancelled by `bob`, kill at 10s; c cancelled
    wanted: stop b#1, attempt b#1, wake 10s
    ");
    insta::assert_snapshot!(story("a; timeout 5 | b <- a", "lease 1, start a, wait 5, tick, wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    tick: a asked to stop, timeout, stage `a` took longer than its limit of 5s, kill at 15s
    wanted: stop a#1, attempt a#1, wake 15s
    ");
}
