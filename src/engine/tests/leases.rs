//! Drivers that come and go.

use super::world::story;

#[test]
fn a_driver_needs_a_higher_epoch_than_every_one_before() {
    insta::assert_snapshot!(story("a", "lease 2, lease 2, lease 1, lease 3"), @r"
    lease 2: lease 2; run started; a ready
    lease 2: refused, another driver has the run since
    lease 1: refused, another driver has the run since
    lease 3: lease 3
    ");
}

#[test]
fn a_late_answer_of_a_lost_driver_is_recorded_and_ignored() {
    insta::assert_snapshot!(story("a", "lease 1, start a, step a 0, lease 2, stepped a 0 0 @1,
        step a 1 @1, pass a @1, wanted, start a @1"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    step a 0: a step 0 started
    lease 2: lease 2
    stepped a 0 0 @1: refused, another driver has the run since
    step a 1 @1: refused, another driver has the run since
    pass a @1: a answer of 1 ignored
    wanted: attempt a#1, wake 900s
    start a @1: refused, another driver has the run since
    ");
}

#[test]
fn an_attempt_survives_a_change_of_drivers() {
    insta::assert_snapshot!(story("a", "lease 1, start a, step a 0, lease 2, wanted, stepped a 0 0,
        pass a, pass a @1"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    step a 0: a step 0 started
    lease 2: lease 2
    wanted: attempt a#1, wake 900s
    stepped a 0 0: a step 0 exit 0
    pass a: a#1 passed; a passed; run passed
    pass a @1: refused, this was recorded before
    ");
}

#[test]
fn a_driver_of_the_future_is_not_believed() {
    insta::assert_snapshot!(story("a", "lease 1, start a @2, start a, pass a @2"), @r"
    lease 1: lease 1; run started; a ready
    start a @2: refused, another driver has the run since
    start a: a#1 started
    pass a @2: refused, another driver has the run since
    ");
}

#[test]
fn a_finished_run_can_be_taken_over_but_not_changed() {
    insta::assert_snapshot!(story("a", "lease 1, start a, pass a, lease 2, tick, start a, admit,
        cancel, approve a bob, slot a, pass a, wanted"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; run passed
    lease 2: lease 2
    tick: nothing
    start a: refused, the run is already finished
    admit: refused, the run is already finished
    cancel: refused, the run is already finished
    approve a bob: refused, the run is already finished
    slot a: refused, the run is already finished
    pass a: refused, this was recorded before
    wanted:
    ");
}

#[test]
fn an_attempt_of_another_machine_is_lost_and_tried_again() {
    let plan = "a; retry 1 5 lost_worker";
    let told = story(plan, "lease 1 on m1, start a, lease 2 on m2, pass a @1, wanted");
    assert!(told.contains("lease 2 on m2: lease 2; a#1 failed, lost_worker"), "{told}");
    assert!(told.contains("a again at 5s"), "{told}");
    assert!(told.contains("pass a @1: a answer of 1 ignored"), "{told}");
    assert!(told.trim().ends_with("wanted: wake 5s"), "{told}");
}

#[test]
fn an_attempt_of_the_same_machine_is_adopted() {
    let told = story("a", "lease 1 on m1, start a, lease 2 on m1, wanted, pass a");
    assert!(told.contains("wanted: attempt a#1") && told.contains("run passed"), "{told}");
}

#[test]
fn an_attempt_whose_machine_is_not_known_is_adopted() {
    let told = story("a", "lease 1, start a, lease 2 on m1, wanted");
    assert!(told.contains("wanted: attempt a#1"), "{told}");
}

#[test]
fn what_is_lost_while_the_run_is_cancelled_is_cancelled() {
    let told = story("a", "lease 1 on m1, start a, cancel, lease 2 on m2");
    assert!(told.lines().last().unwrap().ends_with("run cancelled"), "{told}");
}

#[test]
fn a_newer_run_takes_the_place_of_one_that_may_be_interrupted() {
    let told = story("a; uninterruptible", "lease 1, supersede, supersede, tick");
    assert!(told.contains("run cancelled"), "{told}");
    let told = story("a; uninterruptible", "lease 1, start a, supersede, pass a");
    assert!(told.contains("supersede: refused, a stage that must not be interrupted"), "{told}");
    assert!(told.contains("run passed"), "{told}");
}
