//! Which stages run after others were skipped, failed or were cancelled.

use super::world::story;

#[test]
fn a_failed_need_skips_everything_behind_it() {
    let plan = "a | b <- a | c <- b | d";
    insta::assert_snapshot!(story(plan, "lease 1, start a, fail a user, wanted, start d, pass d"), @r"
    lease 1: lease 1; run started; a ready; d ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed; b skipped, a failed; c skipped, b was skipped
    wanted: start d, prepare d#1
    start d: d#1 started
    pass d: d#1 passed; d passed; run failed
    ");
}

#[test]
fn a_skipped_need_skips_a_stage_unless_it_is_optional() {
    let plan = "a; if false | b <- a | c <- a? | d <- b?";
    insta::assert_snapshot!(story(plan, "lease 1"), @"lease 1: lease 1; run started; a skipped, `false` is false; b skipped, a was skipped; c ready; d ready");
}

#[test]
fn a_failed_need_blocks_even_when_it_is_optional() {
    insta::assert_snapshot!(story("a | b <- a?", "lease 1, start a, fail a user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed; b skipped, a failed; run failed
    ");
}

#[test]
fn an_allowed_failure_counts_as_passed_until_its_day() {
    let plan = "a; allow 100 | b <- a; if !failed()";
    insta::assert_snapshot!(story(plan, "lease 1, start a, wait 99, fail a user, start b, pass b,
        rerun a"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed, allowed; b ready
    start b: b#1 started
    pass b: b#1 passed; b passed; run passed
    rerun a: again: a b; run started; a ready
    ");
    insta::assert_snapshot!(story(plan, "lease 1, start a, wait 100, fail a user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed; b skipped, `!failed()` is false; run failed
    ");
    insta::assert_snapshot!(story("a; allow", "lease 1, start a, wait 999, fail a user"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed, allowed; run passed
    ");
}

#[test]
fn always_runs_after_whatever_happened_and_failed_only_after_a_failure() {
    let plan = "a | b <- a | clean <- b; if always() | tell <- b; if failed()";
    insta::assert_snapshot!(story(plan, "lease 1, start a, fail a user, start clean, pass clean,
        start tell, pass tell"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    fail a user: a#1 failed, user; a failed; b skipped, a failed; clean ready; tell ready
    start clean: clean#1 started
    pass clean: clean#1 passed; clean passed
    start tell: tell#1 started
    pass tell: tell#1 passed; tell passed; run failed
    ");
    insta::assert_snapshot!(story(plan, "lease 1, start a, pass a, start b, pass b, start clean,
        pass clean"), @r"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a: a#1 passed; a passed; b ready
    start b: b#1 started
    pass b: b#1 passed; b passed; clean ready; tell skipped, `failed()` is false
    start clean: clean#1 started
    pass clean: clean#1 passed; clean passed; run passed
    ");
}

#[test]
fn a_condition_sees_what_its_needs_published() {
    let plan = r#"a | b <- a; if needs.a.outputs.kind == "app" | c <- a; if needs.a.outputs.kind == "lib" | d <- b?, c?; if needs.c.status == "skipped""#;
    insta::assert_snapshot!(story(plan, "lease 1, start a, pass a kind:app, start b, pass b"), @r#"
    lease 1: lease 1; run started; a ready
    start a: a#1 started
    pass a kind:app: a#1 passed; a passed; b ready; c skipped, `needs.a.outputs.kind == "lib"` is false
    start b: b#1 started
    pass b: b#1 passed; b passed; d ready
    "#);
}

#[test]
fn a_condition_without_a_value_fails_its_stage_and_says_why() {
    insta::assert_snapshot!(story("a; if event | b <- a", "lease 1"), @r#"lease 1: lease 1; run started; a failed, user: `if: event` cannot be judged: `event` is a string (`"push"`), but a condition must be true or false (compare it with a value, such as `event != ""`); b skipped, a failed; run failed"#);
}

#[test]
fn cells_of_a_matrix_are_also_seen_as_one_stage() {
    let plan = r#"t(1) | t(2) | u <- t(1), t(2); if always() && needs.t.status == "failed""#;
    insta::assert_snapshot!(story(plan, "lease 1, start t(1), fail t(1) user, start t(2), pass t(2),
        start u"), @r"
    lease 1: lease 1; run started; t(1) ready; t(2) ready
    start t(1): t(1)#1 started
    fail t(1) user: t(1)#1 failed, user; t(1) failed
    start t(2): t(2)#1 started
    pass t(2): t(2)#1 passed; t(2) passed; u ready
    start u: u#1 started
    ");
}

#[test]
fn work_that_this_version_does_not_know_fails_by_name() {
    insta::assert_snapshot!(story("a; builtin eval | b <- a | c; builtin scan; allow", "lease 1"), @"lease 1: lease 1; run started; a failed, user: `builtin/eval` is not in this version; known: `builtin/image`; c failed, allowed, user: `builtin/scan` is not in this version; known: `builtin/image`; b skipped, a failed; run failed");
}
