//! Stopping a run.

use super::world::story;

#[test]
fn a_cancel_ends_what_has_not_begun_and_stops_what_has() {
    let plan = "a | b <- a | c; retry 1 60 infra | d; approval | e";
    insta::assert_snapshot!(story(plan, "lease 1, start a, start c, fail c infra, cancel newer,
        status, wanted, start e, wait 10, wanted, pass a, status, cancel"), @r"
    lease 1: lease 1; run started; a ready; c ready; d asks people until 60s; e ready
    start a: a#1 started
    start c: c#1 started
    fail c infra: c#1 failed, infra; c again at 60s
    cancel newer: cancel; a asked to stop, cancelled, the run was cancelled by `bob`: newer, kill at 10s; b cancelled; c cancelled; d cancelled; e cancelled
    status: cancelling
    wanted: stop a#1, attempt a#1, wake 10s
    start e: refused, stage `e` is cancelled
    wanted: kill a#1, attempt a#1
    pass a: a#1 failed, cancelled the run was cancelled by `bob`: newer; a cancelled; run cancelled
    status: cancelled
    cancel: refused, the run is already finished
    ");
}

#[test]
fn stages_that_must_always_run_still_do() {
    let plan = "a | b <- a | clean <- b; if always() | tell <- b; if failed() | after <- clean";
    insta::assert_snapshot!(story(plan, "lease 1, start a, cancel, fail a user, wanted, start clean,
        pass clean"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    cancel: cancel; a asked to stop, cancelled, the run was cancelled by `bob`, kill at 10s; b cancelled; tell cancelled; after cancelled
    fail a user: a#1 failed, cancelled the run was cancelled by `bob`; a cancelled; clean ready
    wanted: start clean
    start clean: clean#1 started
    pass clean: clean#1 passed; clean passed; run cancelled
    ");
}

#[test]
fn a_second_cancel_does_not_wait_for_them_either() {
    let plan = "a | clean <- a; if always() | more <- clean; if always()";
    insta::assert_snapshot!(story(plan, "lease 1, start a, cancel, fail a user, start clean, cancel,
        cancel, fail clean user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    cancel: cancel; a asked to stop, cancelled, the run was cancelled by `bob`, kill at 10s
    fail a user: a#1 failed, cancelled the run was cancelled by `bob`; a cancelled; clean ready
    start clean: clean#1 started
    cancel: cancel by force; clean asked to stop, cancelled, the run was cancelled by `bob`, kill at 0s; more cancelled
    cancel: refused, this was recorded before
    fail clean user: clean#1 failed, cancelled the run was cancelled by `bob`; clean cancelled; run cancelled
    ");
}

#[test]
fn a_cancel_by_force_kills_at_once_also_what_was_asked_politely_before() {
    let plan = "a | b; timeout 3 | clean; if always() | d; approval";
    insta::assert_snapshot!(story(plan, "lease 1, start a, start b, start clean, wait 3, tick, cancel,
        wait 1, wanted, cancel, wanted, fail a user, fail b user"), @r"
    lease 1: lease 1; run started; a ready; b ready; clean ready; d asks people until 60s
    start a: a#1 started
    start b: b#1 started
    start clean: clean#1 started
    tick: b asked to stop, timeout, stage `b` took longer than its limit of 3s, kill at 13s
    cancel: cancel; a asked to stop, cancelled, the run was cancelled by `bob`, kill at 13s; d cancelled
    wanted: stop a#1, stop b#1, attempt a#1, attempt b#1, attempt clean#1, wake 13s
    cancel: cancel by force; a asked to stop, cancelled, the run was cancelled by `bob`, kill at 4s; b asked to stop, timeout, stage `b` took longer than its limit of 3s, kill at 4s; clean asked to stop, cancelled, the run was cancelled by `bob`, kill at 4s
    wanted: kill a#1, kill b#1, kill clean#1, attempt a#1, attempt b#1, attempt clean#1
    fail a user: a#1 failed, cancelled the run was cancelled by `bob`; a cancelled
    fail b user: b#1 failed, timeout stage `b` took longer than its limit of 3s; b failed
    ");
}

#[test]
fn what_must_always_run_waits_for_what_is_still_stopping_behind_a_cancelled_need() {
    let plan =
        "a | x | b <- a, x | c <- b | clean <- c; if always() | more <- clean, a; if always()";
    insta::assert_snapshot!(story(plan, "lease 1, start a, start x, cancel, wanted, fail x user, wanted,
        fail a user, wanted, start clean, pass clean, wanted"), @r"
    lease 1: lease 1; run started; a ready; x ready
    start a: a#1 started
    start x: x#1 started
    cancel: cancel; a asked to stop, cancelled, the run was cancelled by `bob`, kill at 10s; x asked to stop, cancelled, the run was cancelled by `bob`, kill at 10s; b cancelled; c cancelled
    wanted: stop a#1, stop x#1, attempt a#1, attempt x#1, wake 10s
    fail x user: x#1 failed, cancelled the run was cancelled by `bob`; x cancelled
    wanted: stop a#1, attempt a#1, wake 10s
    fail a user: a#1 failed, cancelled the run was cancelled by `bob`; a cancelled; clean ready
    wanted: start clean
    start clean: clean#1 started
    pass clean: clean#1 passed; clean passed; more ready
    wanted: start more
    ");
}

#[test]
fn nothing_is_tried_again_in_a_cancelled_run() {
    let plan = "a; retry 3 1 infra cancelled | clean; if always(); retry 3 1 infra";
    insta::assert_snapshot!(story(plan, "lease 1, start a, start clean, cancel, fail a infra,
        fail clean infra"), @r"
    lease 1: lease 1; run started; a ready; clean ready
    start a: a#1 started
    start clean: clean#1 started
    cancel: cancel; a asked to stop, cancelled, the run was cancelled by `bob`, kill at 10s
    fail a infra: a#1 failed, cancelled the run was cancelled by `bob`; a cancelled
    fail clean infra: clean#1 failed, infra; clean failed; run failed
    ");
}

#[test]
fn a_cancel_before_the_start_ends_the_run_at_once() {
    insta::assert_snapshot!(story("run group ci | a | b <- a; if always()", "lease 1, cancel, status,
        wanted"), @r"
    lease 1: lease 1
    cancel: cancel; a cancelled; b cancelled; run cancelled
    status: cancelled
    wanted:
    ");
    insta::assert_snapshot!(story("a", "cancel, lease 1, wanted"), @r"
    cancel: cancel; a cancelled; run cancelled
    lease 1: lease 1
    wanted:
    ");
}

#[test]
fn a_stage_that_was_stopped_from_outside_is_cancelled() {
    insta::assert_snapshot!(story("a | b <- a | c <- a; if failed()", "lease 1, start a,
        fail a cancelled"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a cancelled: a#1 failed, cancelled; a cancelled; b skipped, a failed; c skipped, `failed()` is false; run cancelled
    ");
}
