//! Steps, stages and runs that take too long.

use super::world::story;

#[test]
fn a_stage_that_takes_too_long_is_asked_to_stop_and_then_killed() {
    let plan = "a; timeout 60";
    insta::assert_snapshot!(story(plan, "lease 1, start a, wanted, wait 59, tick, wait 1, wanted,
        tick, wanted, tick,
        wait 9, wanted, wait 1, wanted, tick, fail a user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    wanted: attempt a#1, wake 60s
    tick: nothing
    wanted: attempt a#1, wake 60s
    tick: a asked to stop, timeout, stage `a` took longer than its limit of 1m, kill at 70s
    wanted: stop a#1, attempt a#1, wake 70s
    tick: nothing
    wanted: stop a#1, attempt a#1, wake 70s
    wanted: kill a#1, attempt a#1
    tick: nothing
    fail a user: a#1 failed, timeout stage `a` took longer than its limit of 1m; a failed; run failed
    ");
}

#[test]
fn an_exit_code_of_zero_does_not_save_what_took_too_long() {
    insta::assert_snapshot!(story("a; timeout 60", "lease 1, start a, wait 60, tick, pass a"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    tick: a asked to stop, timeout, stage `a` took longer than its limit of 1m, kill at 70s
    pass a: a#1 failed, timeout stage `a` took longer than its limit of 1m; a failed; run failed
    ");
    insta::assert_snapshot!(story("a; timeout 60", "lease 1, start a, wait 60, pass a, tick"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; run passed
    tick: nothing
    ");
}

#[test]
fn a_step_has_its_own_limit_while_it_runs() {
    let plan = "a; timeout 60; step_timeout 5";
    insta::assert_snapshot!(story(plan, "lease 1, start a, wait 1, step a 0, wanted, wait 4,
        stepped a 0 0, wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    step a 0: a step 0 started
    wanted: attempt a#1, wake 6s
    stepped a 0 0: a step 0 exit 0
    wanted: attempt a#1, wake 60s
    ");
    insta::assert_snapshot!(story(plan, "lease 1, start a, wait 1, step a 0, wait 5, tick,
        fail a user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    step a 0: a step 0 started
    tick: a asked to stop, timeout, step `one` took longer than its limit of 5s, kill at 16s
    fail a user: a#1 failed, timeout step `one` took longer than its limit of 5s; a failed; run failed
    ");
}

#[test]
fn a_timeout_can_be_tried_again() {
    let plan = "a; timeout 60; retry 1 5 timeout";
    insta::assert_snapshot!(story(plan, "lease 1, start a, wait 60, tick, fail a user, wait 5, tick,
        start a, wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    tick: a asked to stop, timeout, stage `a` took longer than its limit of 1m, kill at 70s
    fail a user: a#1 failed, timeout stage `a` took longer than its limit of 1m; a again at 65s
    tick: a ready
    start a: a#2 started
    wanted: attempt a#2, wake 125s
    ");
}

#[test]
fn a_run_that_takes_too_long_stops_everything_and_fails() {
    let plan =
        "run timeout 100 | a; retry 3 1 timeout; allow | b | c <- a; if always() | d; approval";
    insta::assert_snapshot!(story(plan, "lease 1, wanted, start a, wait 50, tick, wait 50, tick,
        status, wanted, cancel, tick, pass a, status,
        rerun failed, wanted"), @r"
    lease 1: lease 1; run started; a ready; b ready; d asks people until 60s
    wanted: wake 60s, start a, start b, prepare a#1, prepare b#1
    start a: a#1 started
    tick: nothing
    tick: run timed out; a asked to stop, timeout, the run took longer than its limit of 1m40s, kill at 110s; b cancelled; c cancelled; d cancelled
    status: cancelling
    wanted: stop a#1, attempt a#1, wake 110s
    cancel: refused, this was recorded before
    tick: nothing
    pass a: a#1 failed, timeout the run took longer than its limit of 1m40s; a failed; run failed
    status: failed
    rerun failed: again: a b c d; run started; a ready; b ready; d asks people until 160s
    wanted: wake 160s, start a, start b, prepare a#2, prepare b#1
    ");
}

#[test]
fn what_ended_in_time_has_not_timed_out_however_long_its_log_is_read() {
    let pass = |ended| story("a; timeout 60", &format!("lease 1, start a, wait 70, tick, {ended}"));
    assert!(pass("pass a ended@59").contains("a passed"), "{}", pass("pass a ended@59"));
    assert!(pass("fail a user ended@59").contains("a#1 failed, user"));
    assert!(pass("pass a ended@61").contains("a#1 failed, timeout"));
    assert!(pass("pass a ended@71").contains("a#1 failed, timeout"));
    let cancelled = story("a", "lease 1, start a, wait 5, cancel, pass a ended@1");
    assert!(cancelled.contains("a#1 failed, cancelled"), "{cancelled}");
}
