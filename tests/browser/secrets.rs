//! A secret is typed in once, and then nowhere to be seen.

use serde_json::json;

use crate::installation::{Installation, PASSWORD, Rows};
use crate::node::travel;

/// Prints its secret in several ways.
const LEAKY: &str = "\
version: 1
name: ci
on: { manual: {} }
defaults: { image: \"busybox:stable\", network: none }
stages:
  leak:
    secrets: [API_KEY]
    run: |
      echo \"the key is $API_KEY.\"
      echo \"$API_KEY\" | base64
      echo \"said=$API_KEY\" >> \"$TRUNKLINE_OUTPUTS\"
";

#[test]
fn a_secret_is_set_on_a_page_and_shown_on_none() {
    let Some(installation) = Installation::start(Rows::Sqlite) else { return };
    installation.project("web", &[("pipelines/ci.yml", LEAKY)]);
    let facts = json!({
        "url": installation.url, "password": PASSWORD, "value": "umbrella-7316-stand-9924",
    });
    travel("secret", &facts, |question| {
        assert_eq!(question[0], "run");
        let made = installation.says(&["run", "ci", "--project", "shop/web", "--detach"]);
        println!("{made}");
        installation.wait_until("last", |it| it["status"] == "passed")["id"].clone()
    });
}
