//! What is true of every page.

use serde_json::json;

use crate::installation::{Installation, PASSWORD, Rows};
use crate::node::{asks_nothing, travel};
use crate::shop::Shop;

#[test]
fn every_page_fits_on_a_telephone() {
    let Some(shop) = Shop::open(Rows::Sqlite) else { return };
    travel("phone", &shop.facts, asks_nothing);
}

/// Every name as long as it may be, or longer than anybody writes.
#[test]
fn the_longest_names_fit_on_a_small_telephone() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    let long = |letter: &str, length: usize| letter.repeat(length);
    let (project, stage) = (long("p", 63), long("s", 63));
    let (branch, title, person) = (long("b", 120), long("T", 180), long("u", 63));
    let pipeline = format!(
        "version: 1\nname: {name}\non: {{ push: {{ branches: ['**'] }} }}\n\
         defaults: {{ image: \"busybox:stable\", network: none }}\nstages:\n  \
         {stage}: {{ run: 'echo {word}; exit 3', allow_failure: {{ until: 2099-12-31, reason: long }} }}\n  \
         approve: {{ approval: {{ by: [{person}] }} }}\n",
        name = long("n", 63),
        word = long("w", 200),
    );
    installation.member(&person, "approver");
    let web = installation.project(&project, &[("pipelines/ci.yml", &pipeline)]);
    let slug = format!("shop/{project}");
    installation.types("never seen", &["secret", "set", &slug, &long("S", 100)]);
    web.push(&branch, &title, &[("README.md", "Shop\n")]);
    let shown = installation.wait_until("last", |it| it["status"] == "waiting");
    let facts = json!({
        "url": installation.url, "password": PASSWORD, "project": project, "run": shown["id"],
        "stage": stage,
    });
    travel("long", &facts, asks_nothing);
}

#[test]
fn every_page_is_accessible_in_light_and_dark() {
    let Some(shop) = Shop::open(Rows::Postgres) else { return };
    travel("accessible", &shop.facts, asks_nothing);
}

#[test]
fn everything_works_without_a_script() {
    let Some(shop) = Shop::open(Rows::Sqlite) else { return };
    travel("no_script", &shop.facts, asks_nothing);
}

#[test]
fn everything_works_by_keyboard() {
    let Some(shop) = Shop::open(Rows::Sqlite) else { return };
    travel("keyboard", &shop.facts, asks_nothing);
}

#[test]
fn the_harness_finds_what_is_wrong_with_a_page() {
    if crate::node::is_here() {
        travel("faults", &json!({}), asks_nothing);
    }
}

/// `deploy/screenshots` runs it.
#[test]
#[ignore = "writes `docs/images`"]
fn every_page_has_its_picture() {
    let Some(mut shop) = Shop::open(Rows::Sqlite) else { return };
    shop.facts["folder"] = json!(format!("{}/screenshots", env!("CARGO_TARGET_TMPDIR")));
    travel("pictures", &shop.facts, asks_nothing);
}
