//! People who decide.

use super::world::story;

#[test]
fn enough_different_people_let_the_run_go_on() {
    let plan = "a; approval 2 | b <- a";
    insta::assert_snapshot!(story(plan, "lease 1, status, wanted, approve a bob, approve a Bob,
        approve a eve, wanted, approve a kim"), @r"
    lease 1: lease 1; run started; a asks people until 60s
    status: waiting
    wanted: wake 60s
    approve a bob: a approved by bob
    approve a Bob: refused, this was recorded before
    approve a eve: a approved by eve; a passed; b ready
    wanted: start b, prepare b#1
    approve a kim: refused, stage `a` is passed
    ");
}

#[test]
fn only_the_listed_people_and_teams_may_decide() {
    let plan = "a; approval team/release carl";
    insta::assert_snapshot!(story(plan, "lease 1, approve a bob, approve a bob ops, reject a bob,
        approve a bob ops release"), @r"
    lease 1: lease 1; run started; a asks people until 60s
    approve a bob: refused, `bob` may not decide about `a`; known: `team/release`, `carl`
    approve a bob ops: refused, `bob` may not decide about `a`; known: `team/release`, `carl`
    reject a bob: refused, `bob` may not decide about `a`; known: `team/release`, `carl`
    approve a bob ops release: a approved by bob; a passed; run passed
    ");
    insta::assert_snapshot!(story(plan, "lease 1, approve a carl"), @r"
    lease 1: lease 1; run started; a asks people until 60s
    approve a carl: a approved by carl; a passed; run passed
    ");
}

#[test]
fn the_author_does_not_count_but_may_reject() {
    let plan = "a; approval not_author | b <- a";
    insta::assert_snapshot!(story(plan, "lease 1, approve a ada, reject a ada"), @r"
    lease 1: lease 1; run started; a asks people until 60s
    approve a ada: refused, `ada` made this change, and `a` wants others
    reject a ada: a rejected by ada; a failed, approval: `ada` rejected it; b skipped, a failed; run failed
    ");
}

#[test]
fn an_author_is_known_by_address_name_and_login_whatever_their_case() {
    use crate::pipeline::context::{Author, AuthorPart};
    let text = str::to_owned;
    let author = Author {
        part: AuthorPart::Author,
        name: text("Ada L"),
        email: text("Ada@Example.org"),
        login: text("ada"),
    };
    for names in [["ADA L"], ["ada@example.ORG "], ["Ada"]] {
        assert!(author.is_one_of(&names.map(text)), "{names:?}");
    }
    assert!(!author.is_one_of(&["", "bob", "example.org"].map(text)));
    assert!(!Author::default().is_one_of(&[String::new()]));
}

#[test]
fn an_approval_that_never_comes_fails_or_passes_as_the_file_says() {
    insta::assert_snapshot!(story("a; approval 2", "lease 1, approve a bob, wait 59, tick, wait 1,
        approve a eve, tick"), @r"
    lease 1: lease 1; run started; a asks people until 60s
    approve a bob: a approved by bob
    tick: nothing
    approve a eve: refused, the time to decide about `a` is over
    tick: a failed, approval: nobody decided within 1m; approvals still missing: 1; run failed
    ");
    insta::assert_snapshot!(story("a; approval approve_on_timeout | b <- a", "lease 1, wait 60,
        tick"), @r"
    lease 1: lease 1; run started; a asks people until 60s
    tick: a passed; b ready
    ");
}

#[test]
fn only_a_stage_that_waits_for_people_can_be_approved() {
    insta::assert_snapshot!(story("a | b <- a; approval", "approve b bob, lease 1, approve a bob,
        approve b bob, approve z bob"), @r"
    approve b bob: refused, stage `b` is pending
    lease 1: lease 1; run started; a ready
    approve a bob: refused, stage `a` is ready
    approve b bob: refused, stage `b` is pending
    approve z bob: refused, the run has no stage number 99
    ");
}
