//! Failed attempts that are tried again.

use super::world::story;

#[test]
fn a_failed_attempt_is_tried_again_after_a_growing_delay() {
    let plan = "a; retry 3 10 infra timeout";
    insta::assert_snapshot!(story(plan, "lease 1, start a, fail a infra, status, wanted, start a,
        wait 9, tick, wait 1, tick,
        start a, fail a timeout, wait 20, tick, start a, fail a infra, wait 40, tick, start a, fail a infra"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a infra: a#1 failed, infra; a again at 10s
    status: running
    wanted: wake 10s
    start a: refused, stage `a` is delayed
    tick: nothing
    tick: a ready
    start a: a#2 started
    fail a timeout: a#2 failed, timeout; a again at 30s
    tick: a ready
    start a: a#3 started
    fail a infra: a#3 failed, infra; a again at 70s
    tick: a ready
    start a: a#4 started
    fail a infra: a#4 failed, infra; a failed; run failed
    ");
}

#[test]
fn a_delay_never_grows_beyond_ten_minutes() {
    insta::assert_snapshot!(story("a; retry 9 400 infra", "lease 1, start a, fail a infra, wait 400,
        tick, start a, fail a infra"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a infra: a#1 failed, infra; a again at 400s
    tick: a ready
    start a: a#2 started
    fail a infra: a#2 failed, infra; a again at 1000s
    ");
}

#[test]
fn only_the_named_classes_are_tried_again() {
    insta::assert_snapshot!(story("a; retry 3 10 infra", "lease 1, start a, fail a user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed; run failed
    ");
}

#[test]
fn a_retry_that_passes_lets_the_run_go_on() {
    insta::assert_snapshot!(story("a | b <- a", "lease 1, start a, fail a lost_worker, wait 1, tick,
        start a, pass a, wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a lost_worker: a#1 failed, lost_worker; a again at 1s
    tick: a ready
    start a: a#2 started
    pass a: a#2 passed; a passed; b ready
    wanted: start b, prepare b#1
    ");
}

#[test]
fn what_would_only_happen_again_is_not_tried_again() {
    let plan = "a; retry 3 5 image_pull";
    let told = story(plan, "lease 1, start a, fail a image_pull final");
    assert!(told.trim_end().ends_with("a failed; run failed"), "{told}");
    assert!(story(plan, "lease 1, start a, fail a image_pull").contains("a again at"));
}
