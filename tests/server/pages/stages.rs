//! The page of a stage: what came of it, its log, and what is looked for in that.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trunkline::model::{AttemptName, RunId, StageIndex, Timestamp};

use super::{Browser, check_page};
use crate::deliveries::Scene;
use crate::manual::driven;
use crate::support::Answer;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  unit:
    image: none
    retry: { max: 1, on: [user], delay: 1s }
    steps:
      - { name: 'set <up>', run: 'printf \"{\\\"f1\\\": 0.5}\\n\" >>\"$TRUNKLINE_METRICS\"; printf \"\\033[31mred <b>\\n\"' }
      - { name: test, run: 'echo plain; printf \"1%%\\r100%%\\n\"; echo the last word; exit 3' }
    gate: { f1: '>= 0.9' }
  later: { image: none, needs: [unit], run: echo never }
";

async fn failed() -> (Scene, String) {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    (scene, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_shows_what_came_of_each_attempt_and_its_log() {
    let (scene, id) = failed().await;
    let ada = Browser::of(&scene.server, "ada").await;
    let page = ada.get(&format!("/runs/{id}/stages/unit")).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    check_page(&page);
    for text in [
        "What went wrong",
        "set &lt;up&gt;",
        "Attempt 1",
        "Attempt 2",
        "exit code 3",
        "data-outline=\"{&quot;attempt&quot;:2",
        "<span class=\"f1\">red &lt;b&gt;</span>",
        // What one step has coloured does not go on in the next, and a line shows its end.
        "<span>plain</span>",
        "<span>100%</span>",
        "href=\"?attempt=2&amp;line=",
        "format=text\">Raw log</a>",
    ] {
        let plain = as_named(&page.text);
        assert!(plain.contains(text), "`{text}` in {plain}");
    }
    assert!(!page.text.contains("<up>"));
    let first = ada.get(&format!("/runs/{id}/stages/unit?attempt=1")).await;
    assert!(first.text.contains("attempt=1\" aria-current=\"page\""), "{}", first.text);
    let third = ada.get(&format!("/runs/{id}/stages/unit?attempt=3")).await;
    assert_eq!(third.status, StatusCode::NOT_FOUND);

    let later = ada.get(&format!("/runs/{id}/stages/later")).await;
    check_page(&later);
    assert!(later.text.contains("It was skipped, because"), "{}", later.text);
    assert!(!later.text.contains("data-log"), "it has none");
}

/// Letters that are escaped by number, by their names.
fn as_named(html: &str) -> String {
    let names = [("&#60;", "&lt;"), ("&#62;", "&gt;"), ("&#38;", "&amp;"), ("&#34;", "&quot;")];
    names.iter().fold(html.to_owned(), |text, (number, name)| text.replace(number, name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_comes_in_windows_that_a_browser_keeps() {
    let (scene, id) = failed().await;
    fill(&scene, &id, 2, 1000).await;
    let ada = Browser::of(&scene.server, "ada").await;
    let path = format!("/runs/{id}/stages/unit");
    let last = ada.get(&path).await.text;
    assert!(last.contains("id=\"L1000\"") && !last.contains("id=\"L799\""), "the last 200");
    assert!(last.contains("Lines 801 to 1000") && last.contains("from=601"), "{last}");
    let marked = ada.get(&format!("{path}?attempt=2&line=500")).await.text;
    assert!(marked.contains("id=\"L480\"") && marked.contains("data-line=\"500\""), "{marked}");

    let window = ada.get(&format!("{path}/log?attempt=2&from=401&count=3")).await;
    assert_eq!(window.header("cache-control"), "private, max-age=3600, immutable");
    assert_eq!(window.text.matches("<li ").count(), 3);
    assert!(window.text.starts_with("<li id=\"L401\" data-s="), "{}", window.text);
    assert!(window.text.contains("number 402"), "{}", window.text);
    // A colour of a line before the window goes on in it.
    let coloured = ada.get(&format!("{path}/log?attempt=2&from=701&count=2")).await.text;
    assert_eq!(coloured.matches("<span class=\"f2\">").count(), 2, "{coloured}");
    for strange in ["from=0&count=0", "from=99999999&count=10", "count=99999999"] {
        let window = ada.get(&format!("{path}/log?attempt=2&{strange}")).await;
        assert_eq!(window.status, StatusCode::OK, "{strange}");
        assert!(window.text.matches("<li ").count() <= 500, "{strange}");
    }
    let kept = ada.get(&format!("{path}/log?from=1&count=3")).await;
    assert_eq!(kept.header("cache-control"), "no-store", "another attempt may be the last later");
}

/// A log of so many lines in place of what was printed; one of them is green to the end.
async fn fill(scene: &Scene, id: &str, attempt: u32, lines: u32) {
    let name = AttemptName { run: RunId(id.to_owned()), stage: StageIndex(0), attempt };
    scene.server.app.logs.delete(&name).await.unwrap();
    let mut writer = scene.server.app.logs.writer(&name).await.unwrap();
    let green = |it| if it == 690 { "\u{1b}[32m" } else { "" };
    let text: String = (1..=lines).map(|it| format!("{}number {it} & <i>\n", green(it))).collect();
    writer.write_at(0, text.as_bytes(), Timestamp(1_700_000_000_000)).await.unwrap();
    writer.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_looked_for_with_and_without_scripts() {
    let (scene, id) = failed().await;
    fill(&scene, &id, 2, 1000).await;
    let ada = Browser::of(&scene.server, "ada").await;
    let path = format!("/runs/{id}/stages/unit");
    let found = ada.get(&format!("{path}?attempt=2&q=NUMBER%2099")).await;
    check_page(&found);
    assert!(found.text.contains("11 lines have “NUMBER 99”"), "{}", found.text);
    assert!(found.text.contains("line=999#L999\">999</a>"), "{}", found.text);
    assert!(
        found.text.contains("<mark>number 99</mark>9 &#38; &#60;i&#62;")
            || found.text.contains("<mark>number 99</mark>9 &amp; &lt;i&gt;"),
        "{}",
        found.text
    );
    let none = ada.get(&format!("{path}?q=%3Cscript%3Ealert(1)%3C/script%3E")).await;
    check_page(&none);
    assert!(none.text.contains("No line has") && !none.text.contains("<script>alert"));

    let api = format!("/api/v1/runs/{id}/stages/unit/log/search");
    let get = async |query: &str| scene.server.get(&scene.token, &format!("{api}?{query}")).await;
    let page = get("q=number%207&limit=2").await.json();
    assert_eq!(
        page["items"][1],
        json!({ "line": 70, "step": null, "before": "", "text": "number 7", "behind": "0 & <i>" })
    );
    assert_eq!(
        (&page["count"], &page["is_whole"], &page["next"]),
        (&json!(111), &json!(true), &json!("71"))
    );
    let next = get("q=number%207&limit=200&from_line=71").await.json();
    assert_eq!((&next["items"][0]["line"], &next["next"]), (&json!(71), &json!(null)));
    for bad in ["q=", "q=a%0Ab", "q=x&attempt=9", &format!("q={}", "x".repeat(201))] {
        assert!(get(bad).await.status.is_client_error(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_runs_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let pipeline = format!(
        "version: 1\nname: ci\non: {{ manual: {{}} }}\nstages:\n  slow:\n    image: none\n    run: until test -e \
         {}; do sleep 0.05; done\n",
        go.display()
    );
    let scene = Scene::start("git", &[("pipelines/ci.yml", &pipeline)]).await;
    let started = crate::manual::start(&scene, json!({ "pipeline": "ci" })).await.json();
    let id = RunId(started["id"].as_str().unwrap().to_owned());
    let ada = Browser::of(&scene.server, "ada").await;
    let look = async {
        loop {
            let page = ada.get(&format!("/runs/{id}/stages/slow")).await.text;
            if page.contains("Began ") {
                std::fs::write(&go, "").unwrap();
                return page;
            }
            tokio::task::yield_now().await;
        }
    };
    let (worker, shutdown) = (crate::driven::worker(&scene), CancellationToken::new());
    let (page, driven) = tokio::join!(look, worker.drive(&id, &shutdown));
    driven.unwrap();
    assert!(page.contains(">running<") && !page.contains("It waits for"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_no_longer_kept_says_so() {
    let (scene, id) = failed().await;
    let name = AttemptName { run: RunId(id.clone()), stage: StageIndex(0), attempt: 2 };
    scene.server.app.logs.delete(&name).await.unwrap();
    let ada = Browser::of(&scene.server, "ada").await;
    let page = ada.get(&format!("/runs/{id}/stages/unit")).await;
    check_page(&page);
    assert!(page.text.contains("This log is no longer kept"), "{}", page.text);
    let window =
        ada.get(&format!("/runs/{id}/stages/unit/log?attempt=2&from=1&count=9&v=0.1.0")).await;
    assert_eq!((window.status, window.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(window.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_news_of_a_log_end_with_it() {
    let (scene, id) = failed().await;
    let ada = Browser::of(&scene.server, "ada").await;
    let news = ada.get(&format!("/live/runs/{id}/stages/unit/log")).await;
    let events: Vec<_> = news.text.lines().filter_map(|it| it.strip_prefix("event: ")).collect();
    assert_eq!(events, ["outline", "end"], "{}", news.text);
    assert!(news.text.contains("\"title\":\"set <up>\""), "{}", news.text);
    assert!(news.text.contains("\"note\":\"exit code 3 after "), "{}", news.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_see_a_run_sees_nothing_of_its_stages() {
    let (scene, id) = failed().await;
    scene.server.person("eve", false).await;
    let eve = Browser::of(&scene.server, "eve").await;
    for path in ["stages/unit", "stages/unit/log", "artifacts", "artifacts/file?stage=unit&file=x"]
    {
        let page = eve.get(&format!("/runs/{id}/{path}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    let request = scene.server.request(Method::GET, &format!("/live/runs/{id}/stages/unit/log"));
    let nobody = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}
