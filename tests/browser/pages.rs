//! What is true of every page.

use serde_json::json;

use crate::installation::Rows;
use crate::node::{asks_nothing, travel};
use crate::shop::Shop;

#[test]
fn every_page_fits_on_a_telephone() {
    let Some(shop) = Shop::open(Rows::Sqlite) else { return };
    travel("phone", &shop.facts, asks_nothing);
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
