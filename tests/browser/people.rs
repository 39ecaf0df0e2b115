//! People come in: the first one, and everybody after.

use serde_json::json;

use crate::installation::{Installation, PASSWORD, Rows};
use crate::node::{asks_nothing, travel};

const HELLO: &str = "\
version: 1
name: ci
on: { push: {}, manual: {} }
stages:
  hello: { image: \"busybox:stable\", network: none, run: echo hello }
";

#[test]
fn a_visitor_who_is_not_signed_in_is_led_to_the_sign_in_and_back() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    let facts = json!({ "url": installation.url, "password": PASSWORD });
    travel("sign_in", &facts, asks_nothing);
}

#[test]
fn the_first_person_comes_from_an_empty_server_to_a_green_run() {
    let Some(mut installation) = Installation::empty(Rows::Postgres) else { return };
    let token = installation.serve().expect("nobody owns it yet");
    let (_clone, bare) = installation.repository("web", &[("pipelines/ci.yml", HELLO)]);
    let facts = json!({
        "url": installation.url, "password": PASSWORD, "token": token,
        "address": format!("file://{bare}"),
    });
    travel("first_run", &facts, asks_nothing);
}
