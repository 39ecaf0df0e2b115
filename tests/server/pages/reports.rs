//! Reports of a real run: stored by the worker, told by the API, shown on pages.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trunkline::model::{Role, RunStatus};

use super::{Browser, check_page};
use crate::deliveries::{Scene, push_body};
use crate::driven::worker;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
defaults: { image: none }
stages:
  unit:
    run: 'cp junit-$TRUNKLINE_ATTEMPT.xml junit.xml; test $TRUNKLINE_ATTEMPT = 2'
    artifacts: { reports: { junit: junit.xml } }
  scan:
    run: |
      echo '{\"f1\": 0.91, \"cost_usd\": 0.25}' > $TRUNKLINE_METRICS
    gate: { f1: '>= 0.85' }
    artifacts: { reports: { sarif: scan.sarif } }
";

const FIRST: &str = r#"<testsuites><testsuite name="shop">
<testcase classname="cart" name="adds_up" time="0.25" file="src/cart.rs" line="7"><failure message="3 is not 4 &lt;script&gt;alert(1)&lt;/script&gt;"/></testcase>
<testcase classname="cart" name="broken"><error message="no door"/></testcase>
<testcase classname="cart" name="slow" time="61.5"/>
</testsuite></testsuites>"#;

const SECOND: &str = r#"<testsuites><testsuite name="shop">
<testcase classname="cart" name="adds_up" time="0.25"/>
<testcase classname="cart" name="broken"><error message="no door"/></testcase>
<testcase classname="cart" name="slow" time="0.5"/>
</testsuite></testsuites>"#;

const SARIF: &str = r#"{"version": "2.1.0", "runs": [{"results": [
{"ruleId": "N1", "level": "note", "message": {"text": "could be nicer"}},
{"ruleId": "CVE-1", "level": "error", "message": {"text": "<img src=x onerror=alert(1)>"},
 "locations": [{"physicalLocation": {"artifactLocation": {"uri": "lib/x.so"}, "region": {"startLine": 3}}}]}
]}]}"#;

async fn scene() -> (Scene, String) {
    let files = [
        ("pipelines/ci.yml", PIPELINE),
        ("junit-1.xml", FIRST),
        ("junit-2.xml", SECOND),
        ("scan.sarif", SARIF),
    ];
    let scene = Scene::start("github", &files).await;
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell umbrellas", &[("shop.txt", "umbrellas\n")]);
    scene.remote.push("main").await;
    let answer = scene.github("push", "d-1", &push_body(&before, &after)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    let run = scene.server.app.store.find_run_by_number(1).await.unwrap().unwrap();
    drive(&scene, RunStatus::Failed).await;
    (scene, run.id.0)
}

async fn drive(scene: &Scene, wanted: RunStatus) {
    let run = scene.server.app.store.find_run_by_number(1).await.unwrap().unwrap();
    let status = worker(scene).drive(&run.id, &CancellationToken::new()).await.unwrap();
    assert_eq!(status, Some(wanted));
}

async fn get(scene: &Scene, path: &str) -> Value {
    let answer = scene.server.get(&scene.token, &format!("/api/v1{path}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// Name, outcome, whether it is flaky, and whether its attempt counts.
fn told(cases: &Value) -> Vec<String> {
    let cases = cases["items"].as_array().unwrap().iter();
    let line = |it: &Value| {
        let (name, outcome) = (it["name"].as_str().unwrap(), it["outcome"].as_str().unwrap());
        let flaky = if it["flaky"] == true { " flaky" } else { "" };
        let old = if it["counts"] == true { "" } else { " before" };
        format!("{name} {outcome}{flaky}{old}")
    };
    cases.map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flaky_test_is_found_by_a_rerun_of_the_same_files() {
    let (scene, run) = scene().await;
    let cases = get(&scene, &format!("/runs/{run}/tests")).await;
    assert_eq!(told(&cases), ["cart::adds_up failed", "cart::broken error", "cart::slow passed"]);
    let first = &cases["items"][0];
    assert_eq!((&first["suite"], &first["stage_key"]), (&json!("shop"), &json!("unit")));
    let place = (&first["file"], &first["line"], &first["duration_ms"]);
    assert_eq!(place, (&json!("src/cart.rs"), &json!(7), &json!(250)));

    let rerun = format!("/api/v1/runs/{run}/rerun");
    let answer = scene.server.post(&scene.token, &rerun, json!({ "failed": true })).await;
    assert!(answer.status.is_success(), "{answer:?}");
    drive(&scene, RunStatus::Passed).await;
    // The stage is green, and the page of the run does not keep to itself what its report says.
    let page = Browser::of(&scene.server, "ada").await.get(&format!("/runs/{run}")).await;
    assert!(page.text.contains("1 test failed, and no gate asks for it"), "{page:?}");

    let cases = get(&scene, &format!("/runs/{run}/tests?outcome=failed,error")).await;
    let wanted =
        ["cart::broken error", "cart::adds_up failed flaky before", "cart::broken error before"];
    assert_eq!(told(&cases), wanted);
    let trend = get(&scene, "/projects/shop/web/tests?days=7").await;
    let items = trend["items"].as_array().unwrap();
    let counts: Vec<_> =
        items.iter().map(|it| (&it["name"], &it["flaky"], &it["failed"])).collect();
    let wanted = [
        (&json!("cart::adds_up"), &json!(1), &json!(1)),
        (&json!("cart::broken"), &json!(0), &json!(2)),
    ];
    assert_eq!(counts, wanted);
    let today = trend["days"].as_array().unwrap().last().unwrap();
    assert_eq!((&today["attempts"], &today["failed_attempts"]), (&json!(2), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_findings_and_times_are_told_over_time() {
    let (scene, run) = scene().await;
    let findings = get(&scene, &format!("/runs/{run}/findings?stage=scan")).await;
    let found = findings["items"].as_array().unwrap().iter();
    let lines: Vec<_> =
        found.map(|it| format!("{} {} {}", it["level"], it["rule"], it["file"])).collect();
    assert_eq!(lines, [r#""error" "CVE-1" "lib/x.so""#, r#""note" "N1" """#]);
    let gates = get(&scene, "/projects/shop/web/gates?pipeline=ci&branch=main").await;
    let gate = &gates["items"][0];
    assert_eq!((&gate["metric"], &gate["comparison"]), (&json!("f1"), &json!(">= 0.85")));
    let point = &gate["points"][0];
    let judged = (&point["value"], &point["threshold"], &point["passed"]);
    assert_eq!(judged, (&json!(0.91), &json!(0.85), &json!(true)));
    let metrics = get(&scene, "/projects/shop/web/metrics?pipeline=ci&branch=main&days=7").await;
    let days = metrics["days"].as_array().unwrap();
    let (count, today) = (days.len(), days.last().unwrap());
    assert_eq!((count, &today["count"], &today["success_rate"]), (7, &json!(1), &json!(0.0)));
    assert_eq!((&today["cost_usd"], &metrics["runs"][0]["number"]), (&json!(0.25), &json!(1)));
    assert!(
        metrics["runs"][0]["queue_ms"].is_number() && metrics["runs"][0]["duration_ms"].is_number()
    );
    let others = get(&scene, "/projects/shop/web/metrics?branch=other").await;
    assert_eq!(others["runs"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_show_reports_and_what_is_in_them_is_only_text() {
    let (scene, run) = scene().await;
    scene.server.person("eve", false).await;
    let team = scene.server.app.store.find_team("shop").await.unwrap().unwrap().id;
    scene.server.member(&team, "eve", Role::Viewer).await;
    let browser = Browser::of(&scene.server, "eve").await;

    let page = browser.get(&format!("/runs/{run}/reports")).await;
    check_page(&page);
    for wanted in [
        "cart::adds_up",
        "3 is not 4 &#60;script&#62;",
        "src/cart.rs:7",
        "no door",
        "CVE-1",
        "lib/x.so:3",
        "&#62;= 0.85",
        "0.91",
        "class=\"spark\"",
    ] {
        assert!(page.text.contains(wanted), "`{wanted}` in {}", page.text);
    }
    assert!(
        !page.text.contains("<img src=x") && !page.text.contains("<script>alert"),
        "{}",
        page.text
    );

    let page = browser.get("/projects/shop/web/tests").await;
    check_page(&page);
    assert!(
        page.text.contains("cart::broken") && page.text.contains("No test was flaky"),
        "{}",
        page.text
    );

    let page = browser.get("/projects/shop/web/metrics?days=14").await;
    check_page(&page);
    for wanted in ["Duration", "Waiting", "0.25 USD", "id=\"gate-0-title\"", "value=\"main\""] {
        assert!(page.text.contains(wanted), "`{wanted}` in {}", page.text);
    }
    let empty = browser.get("/projects/shop/web/metrics?pipeline=&branch=%3Ci%3E").await;
    check_page(&empty);
    assert!(
        empty.text.contains("No run in these 30 days on the branch &#60;i&#62;"),
        "{}",
        empty.text
    );
}
