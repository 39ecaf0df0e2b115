//! What stands behind `?`: a page that does not know it says so, and shows no list as if it were filtered.

use super::{Browser, check_page};
use crate::deliveries::Scene;
use crate::support::Answer;

const PIPELINE: &str = "\
version: 1
name: ci
on: { push: {}, manual: {} }
stages: { build: { image: none, run: 'true' } }
";

fn check_told(path: &str, answer: &Answer, words: &[&str]) {
    for word in words {
        assert!(answer.text.contains(word), "{path}: `{word}` is not in {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_that_a_page_does_not_know_is_refused_with_those_it_knows() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let browser = Browser::of(&scene.server, "ada").await;
    for (path, name, known) in [
        ("/runs?stauts=failed", "stauts", "<code>status</code>"),
        ("/live/runs?stauts=failed", "stauts", "<code>status</code>"),
        ("/?curser=x", "curser", "<code>cursor</code>"),
        ("/traces?modell=gpt", "modell", "<code>model</code>"),
        ("/spend?teem=shop", "teem", "<code>team</code>"),
        ("/admin/audit?aktor=ada", "aktor", "<code>actor</code>"),
        ("/projects/shop/web?branch=main", "branch", "This address takes none."),
        ("/account?x=", "x", "This address takes none."),
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        check_told(path, &answer, &[name, "is not known here", known]);
        check_page(&answer);
    }
    for path in ["/runs?status=failed&done=saved", "/runs?team=&cursor=", "/account?done=saved"] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_a_parameter_cannot_have_is_refused_with_those_it_can() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    scene.remote.commit("Add a pipeline", &[("a.txt", "1\n")]);
    scene.remote.push("main").await;
    let browser = Browser::of(&scene.server, "ada").await;
    for (path, word, known) in [
        ("/runs?status=nonsense", "nonsense", "<code>cancelled</code>"),
        ("/runs?event=pushed", "pushed", "<code>push</code>"),
        ("/spend?period=ever", "ever", "<code>month</code>"),
        ("/spend?by=colour", "colour", "<code>team</code>"),
        ("/traces?within=ever", "ever", "24h"),
    ] {
        let answer = browser.get(path).await;
        // The page of traces keeps its filters beside what is wrong with them, and lists nothing.
        assert_ne!(answer.status, 200, "{path}");
        check_told(path, &answer, &[word, "is not known", known]);
    }
}
