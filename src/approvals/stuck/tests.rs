//! When an approval is stuck, why, and that nothing is advised that would not be enough.

use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::model::RunId;
use crate::pipeline::{self, Context, Selection, SourceFile};

/// A run by Ada that waits for people.
fn waiting(approval: &str) -> Run {
    let text = format!(
        "version: 1\nname: ci\non: push\nstages: {{ go: {{ approval: {{ {approval} }} }} }}\n"
    );
    let file = SourceFile { name: "ci.yml".to_owned(), text };
    let checked = pipeline::check(file, &|it| Err(format!("no file `{}`", it.file)));
    let pipeline = checked.pipeline.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
    let mut context = Context { event: "push".to_owned(), ..Context::default() };
    context.git.author = "Ada Lovelace".to_owned();
    let plan = pipeline.plan(&context, &Selection::All).unwrap();
    let mut run = Run::new(RunId("r".to_owned()), Arc::new(plan), Arc::new(context));
    let lease = Command::TakeLease { epoch: 1, owner: "w".to_owned(), instance: String::new() };
    for event in run.decide(&lease, Timestamp(0)).unwrap() {
        run.apply(&event, Timestamp(0));
    }
    run
}

/// `ada` is an approver and wrote the change, `bob` only looks, `eve` is shut out; `kim` approves.
fn somebody(login: &str) -> Candidate {
    Candidate {
        login: login.to_owned(),
        names: if login == "ada" { vec!["Ada Lovelace".to_owned()] } else { Vec::new() },
        teams: vec!["shop".to_owned()],
        is_approver: login != "bob",
        is_shut_out: login == "eve",
    }
}

/// What is said of an approval where these people are there, and the teams `shop` and `empty`.
fn told(approval: &str, logins: &[&str]) -> String {
    let run = waiting(approval);
    let people = logins.iter().map(|it| somebody(it)).collect();
    let teams = vec!["shop".to_owned(), "empty".to_owned()];
    let circle = Circle { team: "shop".to_owned(), teams, people };
    match Stuck::of(&run, StageIndex(0), &circle, Timestamp(1)) {
        Some(stuck) => format!("{}.\n{}", stuck.why, stuck.help),
        None => "not stuck".to_owned(),
    }
}

#[test]
fn enough_people_are_not_stuck() {
    for (approval, logins) in [
        ("count: 1", &["kim"][..]),
        ("by: [kim]", &["kim"]),
        ("by: [KIM, nobody]", &["kim"]),
        ("by: [team/shop], count: 2", &["ada", "kim"]),
        // It passes without them.
        ("by: [zoe], on_timeout: approve", &[]),
    ] {
        assert_eq!(told(approval, logins), "not stuck", "{approval}");
    }
}

#[test]
fn a_role_is_advised_for_whom_it_is_missing() {
    assert_snapshot!(told("not_author: true", &["ada", "bob"]), @r"
    nobody may approve it: `ada` made this change.
    An admin of the team `shop` can give the role `approver` to somebody who has not made this change, under Members of the team.
    ");
    assert_snapshot!(told("by: [bob]", &["bob"]), @r"
    nobody may approve it: `bob` has not the role `approver` in the team `shop`.
    An admin of the team `shop` can give the role `approver` to `bob`, under Members of the team. Or cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
    assert_snapshot!(told("by: [bob, ada], not_author: true", &["ada", "bob"]), @r"
    nobody may approve it: `bob` has not the role `approver` in the team `shop`; `ada` made this change.
    An admin of the team `shop` can give the role `approver` to `bob`, under Members of the team. Or cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
}

#[test]
fn whom_there_is_not_must_first_be_made() {
    assert_snapshot!(told("by: [zoe]", &[]), @r"
    nobody may approve it: there is no person `zoe`.
    An owner of this server can make `zoe`; whoever approves needs the role `approver` in the team `shop`. Or cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
    assert_snapshot!(told("by: [team/none]", &[]), @r"
    nobody may approve it: there is no team `none`.
    An owner of this server can make `team/none`; whoever approves needs the role `approver` in the team `shop`. Or cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
    assert_snapshot!(told("by: [eve]", &["eve"]), @r"
    nobody may approve it: `eve` is shut out.
    An owner of this server can let `eve` sign in again, under People. Or cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
}

#[test]
fn a_team_can_be_filled() {
    assert_snapshot!(told("by: [team/empty], count: 2", &[]), @r"
    nobody may approve it: the team `empty` has no members.
    Somebody is needed who is in `team/empty` and has the role `approver` in the team `shop`: admins give both, under Members of the team. Or cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
}

#[test]
fn where_no_role_would_be_enough_none_is_advised() {
    // The only one who is asked made the change.
    assert_snapshot!(told("by: [ada], not_author: true", &["ada"]), @r"
    nobody may approve it: `ada` made this change.
    No role that is given now can help: cancel the run, name others in `approval.by` of the pipeline, and push: this run keeps what it began with.
    ");
    // Two are wanted; one is the author, whatever the other gets.
    assert_snapshot!(told("by: [ada, bob], count: 2, not_author: true", &["ada", "bob"]), @r"
    nobody may approve it: `ada` made this change; `bob` has not the role `approver` in the team `shop`.
    No role that is given now can help: cancel the run, name others in `approval.by` of the pipeline (or ask for fewer with `approval.count`), and push: this run keeps what it began with.
    ");
}
