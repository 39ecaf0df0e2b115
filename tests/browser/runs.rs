//! What people do with a run: find out why it failed, run it again, let it through, read its log.

use serde_json::{Value, json};

use crate::installation::{Installation, PASSWORD, Rows};
use crate::node::{asks_nothing, travel};

/// Fails the first time, for a reason in the middle of its log.
const FLAKY: &str = "\
version: 1
name: ci
on: { push: {}, manual: {} }
defaults: { image: \"busybox:stable\", network: none }
stages:
  lint: { run: echo clean }
  unit:
    run: |
      for i in $(seq 1 300); do echo \"test $i: ok\"; done
      [ \"$TRUNKLINE_ATTEMPT\" != 1 ] || { echo 'AssertionError: umbrellas are sold out'; exit 3; }
  package: { needs: [lint, unit], run: echo packed }
";

const RELEASE: &str = "\
version: 1
name: release
on: { push: {}, manual: {} }
release: { code: [\"src/**\"], prompts: [\"prompts/**\"] }
defaults: { image: \"busybox:stable\", network: none }
stages:
  check: { run: 'cat metrics.json >> \"$TRUNKLINE_METRICS\"' }
  approve: { needs: [check], if: git.message != \"first\", approval: { count: 1, not_author: true } }
  deploy: { needs: [{ stage: approve, optional: true }], run: echo deployed }
";

/// A hundred thousand lines at once, then some that come slowly.
const LONG: &str = "\
version: 1
name: ci
on: { push: {}, manual: {} }
defaults: { image: \"busybox:stable\", network: none }
stages:
  talk:
    steps:
      - { name: fill, run: 'seq 1 100000 | sed \"s/^/number /\"; echo a needle in the haystack; seq 1 200' }
      - { name: wait, run: 'for i in $(seq 1 20); do echo tick $i; sleep 1; done' }
";

fn facts(installation: &Installation) -> Value {
    json!({ "url": installation.url, "password": PASSWORD })
}

#[test]
fn a_failed_stage_leads_to_its_cause_in_two_clicks_and_runs_again() {
    let Some(installation) = Installation::start(Rows::Postgres) else { return };
    installation.project("web", &[("pipelines/ci.yml", FLAKY)]);
    installation.says(&["run", "ci", "--project", "shop/web"]);
    travel("failure", &facts(&installation), asks_nothing);
}

#[test]
fn a_change_is_let_through_by_a_second_person_and_not_by_its_author() {
    let Some(installation) = Installation::start(Rows::Postgres) else { return };
    installation.member("ben", "approver");
    installation.member("cleo", "viewer");
    let files = [
        ("pipelines/release.yml", RELEASE),
        ("metrics.json", "{\"f1\": 0.9}\n"),
        ("src/shop.py", "a\nb\nc\n"),
        ("prompts/sell.md", "Sell.\n"),
    ];
    let web = installation.project("web", &files);
    web.push("main", "first", &[]);
    installation.wait_until("last", |it| it["status"] == "passed");
    let files = [
        ("metrics.json", "{\"f1\": 0.95}\n"),
        ("src/shop.py", "a\nB\nc\n"),
        ("prompts/sell.md", "Sell harder.\n"),
    ];
    web.push("main", "Sell harder", &files);
    let run = installation.wait_until("last", |it| it["status"] == "waiting");
    let mut facts = facts(&installation);
    facts["run"] = run["id"].clone();
    travel("approval", &facts, asks_nothing);
}

#[test]
fn a_long_log_is_followed_searched_and_linked_to() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    installation.project("web", &[("pipelines/ci.yml", LONG)]);
    installation.says(&["run", "ci", "--project", "shop/web", "--detach"]);
    let run = installation.wait_until("last", |it| it["status"] == "running");
    let mut facts = facts(&installation);
    facts["run"] = run["id"].clone();
    travel("log", &facts, asks_nothing);
}
