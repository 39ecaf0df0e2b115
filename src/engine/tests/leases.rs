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
