//! The queue of the built gateway: as its page shows it, from a terminal, and over `kill -9`.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::World;

const PAGE: &str = include_str!("../../docs/queue.md");
/// An impatient one.
const SETTINGS: &str = "lease_ms = 1500\nlook_ms = 100\n";

/// The first block of a language on the page in which these words stand.
fn block(language: &str, words: &str) -> &'static str {
    let blocks = PAGE.split("\n```").filter_map(|it| it.strip_prefix(language)?.strip_prefix('\n'));
    blocks.into_iter().find(|it| it.contains(words)).expect("the page shows it")
}

fn world() -> World {
    World::with(&format!("{}\n{SETTINGS}", block("toml", "[queue]")))
}

fn run(world: &World, arguments: &[&str]) -> Output {
    world.command(arguments).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn body(seconds: u64) -> String {
    let text = format!("Think for {seconds} s.");
    json!({"model": "m1", "messages": [{"role": "user", "content": text}], "max_tokens": 20})
        .to_string()
}

#[test]
fn what_the_page_submits_is_done() {
    let world = world();
    let client = reqwest::Client::new();
    let send = |request: reqwest::RequestBuilder| {
        let sent = async {
            let response = request.bearer_auth("tl-good").send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let (status, text) = tokio::runtime::Runtime::new().unwrap().block_on(sent);
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let request = client.post(format!("{}/v1/queue", world.url));
    let (status, item) = send(request.body(block("json", "\"on_budget\"")));
    assert_eq!(status, 202, "{item}");
    let keys = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let shown: Value = serde_json::from_str(block("json", "\"position\"")).unwrap();
    for key in keys(&shown).iter().filter(|it| *it != "…") {
        assert!(item.get(key).is_some(), "the item has no `{key}`: {item}");
    }
    let path = format!("{}/v1/queue/{}?wait=30s", world.url, item["id"].as_str().unwrap());
    let (_, ended) = send(client.get(path));
    assert_eq!(
        (&ended["state"], &ended["endpoint"]),
        (&json!("done"), &json!("reports")),
        "{ended}"
    );
    let (calls, charged) = world.end();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["cost"], charged);
    assert_eq!(calls[0]["subject"]["endpoint"], "reports");
}

#[test]
fn a_person_submits_waits_lists_and_cancels() {
    let world = world();
    world.put("body.json", &body(0));
    let waited = run(&world, &["queue", "submit", "body.json", "--wait", "--priority", "3"]);
    assert!(json_of(&waited)["choices"].is_array(), "{waited:?}");
    let slow = [
        "queue",
        "submit",
        "body.json",
        "--header",
        "x-fake: delay_ms=20000",
        "--json",
        "--within",
        "2h",
    ];
    let slow = json_of(&run(&world, &slow));
    let id = slow["id"].as_str().unwrap();
    let listed = run(&world, &["queue", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().next().unwrap().starts_with(id), "{listed}");
    assert!(listed.contains("done  m1 at /v1/chat/completions, priority 3, tries: 1"), "{listed}");
    run(&world, &["queue", "cancel", id]);
    let shown = run(&world, &["queue", "show", id, "--wait"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with(&format!("{id}  cancelled  m1 at")), "{shown}");
    world.put("body.json", "{\"model\":\"none\"}");
    let refused = run(&world, &["queue", "submit", "body.json"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("no route leads to the model `none`"), "{said}");
    world.end();
}

#[test]
fn an_item_outlives_its_gateway() {
    let mut world = world();
    world.put("body.json", &body(2));
    let asks = ["queue", "submit", "body.json", "--header", "x-fake: delay_ms=2000", "--json"];
    let ids: Vec<String> =
        (0..3).map(|_| json_of(&run(&world, &asks))["id"].as_str().unwrap().to_owned()).collect();
    let show = |world: &World, id: &str| json_of(&run(world, &["queue", "show", id, "--json"]));
    let begun = Instant::now();
    while show(&world, &ids[2])["state"] != "running" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    world.kill();
    for id in &ids {
        let item = json_of(&run(&world, &["queue", "show", id, "--wait", "--json"]));
        assert_eq!((&item["state"], &item["attempts"]), (&json!("done"), &json!(2)), "{item}");
        assert_eq!(item["failures"], 1, "it was lost once");
    }
    // What the killed one had sent is charged once it counts as lost; what came back is charged now.
    let (calls, _) = world.end();
    let done = calls.iter().filter(|it| it["status"] == 200).count();
    assert_eq!(done, 3, "{calls:?}");
}
