//! Pages of runs, projects and teams: what each person sees and may do.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::json;
use trunkline::model::Role;

use super::{Browser, check_page};
use crate::deliveries::Scene;
use crate::manual::driven;
use crate::streams::Stream;

const PIPELINE: &str = "\
version: 1
name: ci
on:
  push: {}
  manual:
    inputs:
      target: { type: choice, options: [eu, us], description: 'Where <it> goes' }
      count: { type: number, default: 2 }
stages:
  build:
    image: none
    run: |
      echo '{\"cost_usd\": 0.0421}' >>\"$TRUNKLINE_METRICS\"
      echo built
  unit:
    image: none
    needs: build
    matrix: { part: [one, two] }
    env: { PART: '${{ matrix.part }}' }
    run: 'test $PART = one || { printf \"\\033[31mbroken <b>here</b>\\033[0m\\n\"; exit 3; }'
  deploy: { image: none, needs: unit, run: 'true' }
";

/// A run that has failed, in a team with one person of each role, beside a team that may not know of it.
pub(super) async fn failed() -> (Scene, String) {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let team = scene.server.app.store.find_team("shop").await.unwrap().unwrap().id;
    for role in Role::ALL {
        scene.server.person(role.as_str(), false).await;
        scene.server.member(&team, role.as_str(), role).await;
    }
    let elsewhere = scene.server.team("elsewhere").await;
    scene.server.person("outsider", false).await;
    scene.server.member(&elsewhere, "outsider", Role::Admin).await;
    scene.remote.commit("Count <i>bikes</i> & \"rides\"", &[("bikes.txt", "4\n")]);
    scene.remote.push("main").await;
    let id = driven(&scene, json!({ "pipeline": "ci", "inputs": { "target": "eu" } })).await;
    (scene, id)
}

/// The text of a page that has to be there.
async fn read(browser: &Browser<'_>, path: &str) -> String {
    let answer = browser.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    check_page(&answer);
    assert!(!answer.text.contains("<i>bikes") && !answer.text.contains("<b>here"), "{answer:?}");
    answer.text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_says_why_before_everything_else() {
    let (scene, id) = failed().await;
    let browser = Browser::of(&scene.server, "viewer").await;
    let page = read(&browser, &format!("/runs/{id}")).await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("`{text}` is not in {page}"));
    assert!(at("unit (two)</a> failed: a command failed") < at("id=\"graph\""));
    assert!(page.contains("<code>broken &#60;b&#62;here&#60;/b&#62;</code>"), "{page}");
    let stage = format!("/runs/{id}/stages/unit%20%28two%29");
    assert!(page.contains(&format!("href=\"{stage}?attempt=1&#38;line=1#L1\"")), "{page}");
    assert!(page.contains("ada started it by hand") && page.contains("$0.042"), "{page}");
    // The matrix is one box, with counts; unfolded it is one for each cell.
    assert!(page.contains("1 failed, 1 passed") && page.contains("?unfold=unit#graph"));
    let unfolded = read(&browser, &format!("/runs/{id}?unfold=unit")).await;
    assert!(unfolded.contains(">Fold unit</a>") && !unfolded.contains("1 failed, 1 passed"));
    // Who only looks is offered nothing.
    assert!(!page.contains("Run everything again") && !page.contains("/rerun?stage="));
    let by_number = read(&browser, "/runs/1").await;
    assert!(by_number.contains(&format!("/live/runs/{id}")));
}

/// A hundred stages in ten layers, each with three needs.
fn hundred() -> String {
    let mut text = "version: 1\nname: ci\non: { manual: {} }\nstages:\n".to_owned();
    let name = |n: usize| format!("service-{n:02}-unit-tests");
    for n in 0..100_usize {
        let before = (n / 10).saturating_sub(1) * 10;
        let needs: Vec<_> = (0..3).map(|it| name(before + (n + it) % 10)).collect();
        let needs = if n < 10 { String::new() } else { format!(", needs: [{}]", needs.join(", ")) };
        writeln!(text, "  {}: {{ image: none{needs}, run: 'true' }}", name(n)).unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_hundred_stages_is_a_page_of_less_than_a_hundred_kilobytes() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", &hundred())]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let page = read(&Browser::of(&scene.server, "ada").await, &format!("/runs/{id}")).await;
    assert_eq!(page.matches("<foreignObject").count(), 100);
    assert_eq!(page.matches("again…</a>").count(), 100);
    assert!(page.len() < 100_000, "{} bytes", page.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_for_members_and_hidden_from_others() {
    let (scene, id) = failed().await;
    let pages = [
        "/runs".to_owned(),
        format!("/runs/{id}"),
        format!("/runs/{id}/timeline"),
        format!("/runs/{id}/changes"),
        "/projects/shop/web".to_owned(),
        "/teams/shop".to_owned(),
    ];
    for who in ["viewer", "developer", "approver", "admin", "ada"] {
        let browser = Browser::of(&scene.server, who).await;
        for path in &pages {
            read(&browser, path).await;
        }
    }
    let outsider = Browser::of(&scene.server, "outsider").await;
    for path in &pages[1..] {
        let answer = outsider.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains("you may not see it") && !answer.text.contains("unit"));
        assert_eq!(outsider.get(&format!("/live{path}")).await.status, 404, "{path}");
    }
    let runs = read(&outsider, "/runs").await;
    assert!(runs.contains("Nothing has run yet") && !runs.contains("shop/web"), "{runs}");
    // Who is in no team is told that, and not to make what they may not.
    scene.server.person("guest", false).await;
    let guest = Browser::of(&scene.server, "guest").await;
    for path in ["/", "/runs"] {
        let page = read(&guest, path).await;
        let is_told = page.contains("You are in no team") && !page.contains("/projects/new");
        assert!(is_told, "{path}: {page}");
    }
    // Starting and trying again takes a developer.
    let viewer = Browser::of(&scene.server, "viewer").await;
    for path in [format!("/runs/{id}/rerun"), "/projects/shop/web/start".to_owned()] {
        let refused = viewer.get(&path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text.contains("the role <code>developer</code>"), "{refused:?}");
        let told = "Ask an admin of the team to give it to you.";
        assert!(refused.text.contains(told) && !refused.text.contains("token"), "{refused:?}");
        assert_eq!(viewer.post(&path, &[("scope", "all"), ("pipeline", "ci")]).await.status, 403);
        assert_eq!(outsider.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(viewer.post(&format!("/runs/{id}/cancel"), &[]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_developer_tries_again_stops_and_is_named_for_it() {
    let (scene, id) = failed().await;
    let path = format!("/runs/{id}");
    let browser = Browser::of(&scene.server, "developer").await;
    let page = read(&browser, &path).await;
    assert!(
        page.contains("runs 2 stages again: unit (two) and deploy. What passed stands."),
        "{page}"
    );
    assert!(page.contains("runs 4 stages again: build, unit (one), unit (two) and deploy."));
    assert!(!read(&browser, &format!("{path}?done=rerun")).await.contains("id=\"notice\""), "over");
    let asked = read(&browser, &format!("{path}/rerun?stage=build")).await;
    assert!(asked.contains("This runs 4 stages again"), "{asked}");

    let refused = browser.post_as_is(&format!("{path}/rerun"), &[("scope", "failed")]).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let sent = browser.post(&format!("{path}/rerun"), &[("scope", "failed")]).await;
    assert_eq!(
        (sent.status.as_u16(), sent.header("location")),
        (303, format!("{path}?done=rerun").as_str())
    );
    let page = read(&browser, &format!("{path}?done=rerun")).await;
    assert!(page.contains("You asked for the stages to run again."), "{page}");
    assert!(page.contains(&format!("name=\"return_to\" value=\"{path}\"")), "{page}");
    assert!(page.contains("<b>developer</b> ran what had failed again (2 stages)"), "{page}");
    assert!(page.contains("Cancel this run") && !page.contains("Stop"), "{page}");
    let again = browser.post(&format!("{path}/rerun"), &[("scope", "all")]).await;
    assert_eq!(again.status, 422, "it has not ended");

    let reason = [("reason", "wrong <branch>")];
    let sent = browser.post(&format!("{path}/cancel"), &reason).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let page = read(&browser, &path).await;
    assert!(page.contains("<b>developer</b> cancelled it"), "{page}");
    assert!(page.contains("wrong &#60;branch&#62;"), "{page}");
    // Each round has a timeline of its own.
    let timeline = read(&browser, &format!("{path}/timeline")).await;
    assert!(timeline.contains("Re-run 1") && timeline.contains("class=\"bars\""), "{timeline}");
    read(&browser, &format!("{path}/timeline?round=1")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_reads_as_it_is_written_and_ends_somewhere() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    // Between the two characters a reader sees the letters in the other order.
    let title = format!("Do not \u{202e}esaeler\u{202c} {}", "very ".repeat(600));
    scene.remote.commit(&title, &[("bikes.txt", "4\n")]);
    scene.remote.push("main").await;
    let id = driven(&scene, json!({ "pipeline": "ci", "inputs": { "target": "eu" } })).await;
    let browser = Browser::of(&scene.server, "ada").await;
    for path in ["/runs", "/projects/shop/web", &format!("/runs/{id}")] {
        let page = read(&browser, path).await;
        assert!(!page.contains('\u{202e}') && !page.contains('\u{202c}'), "{path}: {page}");
        assert!(page.contains("Do not [U+202E]esaeler[U+202C] very very"), "{path}: {page}");
        assert!(!page.contains(&"very ".repeat(60)) && page.contains('…'), "{path}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_keep_their_filters_in_the_address() {
    let (scene, id) = failed().await;
    let browser = Browser::of(&scene.server, "viewer").await;
    let link = format!("href=\"/runs/{id}\"");
    let head = scene.remote.head();
    for fits in [
        "",
        "?project=shop%2Fweb&team=&pipeline=&branch=",
        "?team=shop",
        "?pipeline=ci&branch=main&event=manual",
        "?status=failed,cancelled",
        &format!("?revision={}", &head[..7]),
        &format!("?project=shop/web&revision={}", head.to_uppercase()),
    ] {
        let page = read(&browser, &format!("/runs{fits}")).await;
        assert!(page.contains(&link), "{fits}: {page}");
    }
    for other in [
        "?pipeline=other",
        "?branch=none",
        "?event=push",
        "?status=passed",
        &format!("?revision={}", &head[..3]),
        "?revision=0000000",
        "?cursor=00000000000000000000000000",
    ] {
        let page = read(&browser, &format!("/runs{other}")).await;
        assert!(page.contains("No run fits.") && !page.contains(&link), "{other}: {page}");
    }
    let page = read(&browser, "/runs?status=failed&branch=%22%3E%3Cb%3E").await;
    assert!(!page.contains("\"><b>"), "{page}");
    assert!(
        page.contains("data-live=\"/live/runs?branch=%22%3E%3Cb%3E&#38;status=failed\""),
        "{page}"
    );
    assert_eq!(browser.get("/runs?status=odd").await.status, 400);
    for mistyped in ["/runs?project=shop/none", "/runs?project=web", "/runs?team=none"] {
        let page = read(&browser, mistyped).await;
        assert!(page.contains("No run fits.") && page.contains("name=\"project\""), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_shows_its_trunk_and_starts_runs_with_typed_inputs() {
    let (scene, id) = failed().await;
    let browser = Browser::of(&scene.server, "developer").await;
    let page = read(&browser, "/projects/shop/web").await;
    assert!(page.contains("Start a run") && page.contains(&format!("/runs/{id}")), "{page}");
    assert!(page.contains("class=\"strip\""), "{page}");
    let team = read(&browser, "/teams/shop").await;
    assert!(team.contains("href=\"/projects/shop/web\"") && team.contains("s-failed"), "{team}");

    let form = read(&browser, "/projects/shop/web/start").await;
    assert!(
        form.contains("name=\"input.target\"") && form.contains("<option>us</option>"),
        "{form}"
    );
    assert!(form.contains("Where &#60;it&#62; goes") && form.contains("value=\"2\""), "{form}");
    let order = [("pipeline", "ci"), ("key", "k1"), ("input.target", "us"), ("input.count", "")];
    let sent = browser.post("/projects/shop/web/start", &order).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let run = sent.header("location").to_owned();
    assert!(run.starts_with("/runs/") && run.ends_with("?done=started"), "{run}");
    let log = scene.server.get(&scene.token, "/api/v1/audit?action=run.start").await.json();
    let detail = &log["items"][0]["detail"];
    assert_eq!((&detail["pipeline"], detail["number"].as_i64()), (&json!("ci"), Some(2)), "{log}");
    assert!(run.contains(detail["run"].as_str().unwrap()), "{log}");
    let page = read(&browser, &run).await;
    assert!(page.contains("developer started it by hand"), "{page}");
    assert!(page.contains("<dt>target</dt><dd><code>us</code></dd>"), "{page}");
    assert!(
        page.contains("The run waits for a worker: none that runs stages gives a sign of life"),
        "{page}"
    );
    assert!(page.contains("<b>Place 1</b>"), "{page}");
    // The same form sent twice makes one run.
    let twice = browser.post("/projects/shop/web/start", &order).await;
    assert_eq!(twice.header("location"), run);
    let wrong = [("pipeline", "ci"), ("key", "k2"), ("input.target", "mars")];
    let refused = browser.post("/projects/shop/web/start", &wrong).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("target") && refused.text.contains("<h1"), "{refused:?}");

    let archived = json!({ "archived": true });
    let path = ("/api/v1/projects/shop/web", Some(archived));
    let done = scene.server.call(&scene.token, Method::PATCH, path).await;
    assert!(done.status.is_success(), "{done:?}");
    let page = read(&browser, "/projects/shop/web").await;
    assert!(page.contains("Archived <time") && !page.contains("Start a run"), "{page}");
    assert!(read(&browser, "/teams/shop").await.contains("archived</span>"));
    let refused = browser.post("/projects/shop/web/start", &[("pipeline", "ci")]).await;
    assert_eq!(refused.status, 422, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_open_is_told_what_somebody_else_does() {
    let (scene, id) = failed().await;
    let (path, token) =
        (format!("/live/runs/{id}"), scene.server.token("viewer", &["viewer"]).await);
    let mut stream = Stream::open(&scene.server, &token, (&path, "")).await;
    let mut parts = Vec::new();
    while parts.len() < 5 {
        parts.push(stream.next().await.unwrap().data["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(parts, ["head", "actions", "trouble", "graph", "stages"]);
    let developer = Browser::of(&scene.server, "developer").await;
    let sent = developer.post(&format!("/runs/{id}/rerun"), &[("scope", "failed")]).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let head = stream.next().await.unwrap();
    let html = head.data["html"].as_str().unwrap();
    assert!(head.data["id"] == "head" && html.contains("s-running"), "{html}");
    assert!(html.contains("<b>developer</b> ran what had failed again (2 stages)"), "{html}");
}
