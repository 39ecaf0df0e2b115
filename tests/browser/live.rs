//! Pages that are open while something happens.

use serde_json::{Value, json};

use crate::installation::{Installation, PASSWORD, Rows};
use crate::node::travel;

/// Each stage takes some seconds, so that somebody can look.
const STEPS: &str = "\
version: 1
name: ci
on: { push: {}, manual: {} }
defaults: { image: \"busybox:stable\", network: none }
stages:
  lint: { run: 'echo lint; sleep 1; echo clean' }
  unit: { needs: [lint], run: 'for i in 1 2 3 4; do echo line $i of unit; sleep 1; done' }
  approve: { needs: [unit], approval: { count: 1 } }
  deploy: { needs: [approve], run: 'echo deployed' }
";

fn facts(installation: &Installation) -> Value {
    json!({ "url": installation.url, "password": PASSWORD })
}

#[test]
fn a_push_appears_and_is_watched_to_its_end_without_a_reload() {
    let Some(installation) = Installation::start(Rows::Postgres) else { return };
    let web = installation.project("web", &[("pipelines/ci.yml", STEPS)]);
    travel("push", &facts(&installation), |question| match question[0].as_str() {
        Some("push") => json!(web.push("main", "Sell umbrellas", &[("README.md", "Shop\n")])),
        Some("approve") => json!(installation.says(&["approve", "last", "approve", "-m", "fine"])),
        _ => panic!("nobody answers {question:?}"),
    });
}

#[test]
fn two_people_see_the_same() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    installation.member("ben", "approver");
    let web = installation.project("web", &[("pipelines/ci.yml", STEPS)]);
    travel("two_people", &facts(&installation), |question| {
        assert_eq!(question[0], "push");
        json!(web.push("main", "Sell umbrellas", &[("README.md", "Shop\n")]))
    });
}

#[test]
fn many_tabs_of_one_browser_are_alive() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    let web = installation.project("web", &[("pipelines/ci.yml", STEPS)]);
    let mut facts = facts(&installation);
    facts["title"] = json!("Sell umbrellas");
    travel("tabs", &facts, |question| {
        assert_eq!(question[0], "push");
        json!(web.push("main", "Sell umbrellas", &[("README.md", "Shop\n")]))
    });
}

#[test]
fn pages_catch_up_after_a_restart_of_the_server() {
    let Some(installation) = Installation::start(Rows::Postgres) else { return };
    with_restart("restart", installation);
}

#[test]
fn pages_go_on_when_somebody_has_signed_in_again() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    with_restart("signed_out", installation);
}

/// A journey in which the server dies in the middle of a run.
fn with_restart(journey: &str, mut installation: Installation) {
    // Long enough for a restart in its middle, on a busy machine too.
    let slowly = STEPS.replace("of unit; sleep 1", "of unit; sleep 5");
    installation.project("web", &[("pipelines/ci.yml", &slowly)]);
    installation.says(&["run", "ci", "--project", "shop/web", "--detach"]);
    let shown = installation.wait_until("last", |it| it["status"] == "running");
    let mut facts = facts(&installation);
    facts["run"] = shown["id"].clone();
    travel(journey, &facts, |question| {
        match question[0].as_str() {
            Some("kill") => installation.kill(),
            Some("serve") => drop(installation.serve()),
            _ => panic!("nobody answers {question:?}"),
        }
        Value::Null
    });
}
