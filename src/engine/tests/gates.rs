//! Metrics that a stage must reach.

use super::world::story;

#[test]
fn an_attempt_passes_only_if_every_gate_does() {
    let plan = "eval; gate f1 >= baseline; gate cost <= 2";
    insta::assert_snapshot!(story(plan, "lease 1, start eval, pass eval f1=0.91 cost=1.5"), @r"
    lease 1: lease 1; run started; eval ready
    start eval: eval#1 started
    pass eval f1=0.91 cost=1.5: eval#1 passed; eval passed; run passed
    ");
    insta::assert_snapshot!(story(plan, "lease 1, start eval, pass eval f1=0.89 cost=3"), @r"
    lease 1: lease 1; run started; eval ready
    start eval: eval#1 started
    pass eval f1=0.89 cost=3: eval#1 failed, gate f1 is 0.89, gate `>= baseline` wants more (baseline is 0.9)
    cost is 3, gate `<= 2` wants less; eval failed; run failed
    ");
}

#[test]
fn a_metric_that_is_missing_fails_the_gate() {
    insta::assert_snapshot!(story("eval; gate f1 >= 0.5", "lease 1, start eval, pass eval"), @r"
    lease 1: lease 1; run started; eval ready
    start eval: eval#1 started
    pass eval: eval#1 failed, gate gate `f1 >= 0.5` fails: metric `f1` is missing; the stage published none; eval failed; run failed
    ");
}

#[test]
fn a_failed_attempt_is_not_judged_again() {
    insta::assert_snapshot!(story("eval; gate f1 >= 0.5", "lease 1, start eval, fail eval user"), @r"
    lease 1: lease 1; run started; eval ready
    start eval: eval#1 started
    fail eval user: eval#1 failed, user; eval failed; run failed
    ");
}

#[test]
fn a_missed_gate_can_be_tried_again() {
    insta::assert_snapshot!(story("eval; gate f1 >= 0.5; retry 1 1 gate", "lease 1, start eval,
        pass eval f1=0.1, wait 1, tick, start eval, pass eval f1=0.6"), @r"
    lease 1: lease 1; run started; eval ready
    start eval: eval#1 started
    pass eval f1=0.1: eval#1 failed, gate f1 is 0.1, gate `>= 0.5` wants more; eval again at 1s
    tick: eval ready
    start eval: eval#2 started
    pass eval f1=0.6: eval#2 passed; eval passed; run passed
    ");
}

#[test]
fn a_first_run_has_nothing_to_be_compared_with_but_must_publish() {
    let plan = "first; gate f1 >= baseline - 0.02";
    insta::assert_snapshot!(story(plan, "lease 1, start first, pass first f1=0.1"), @r"
    lease 1: lease 1; run started; first ready
    start first: first#1 started
    pass first f1=0.1: first#1 passed; first passed; run passed
    ");
    insta::assert_snapshot!(story(plan, "lease 1, start first, pass first"), @r"
    lease 1: lease 1; run started; first ready
    start first: first#1 started
    pass first: first#1 failed, gate gate `f1 >= baseline - 0.02` fails: metric `f1` is missing; the stage published none; first failed; run failed
    ");
}
