//! A candidate of the built gateway: as its page names it, and as a person and a gate see it.

use std::time::Duration;

use crate::world::World;

const PAGE: &str = include_str!("../../docs/shadow.md");

/// The candidate of the page, on every call.
fn settings() -> String {
    let blocks = PAGE.split("\n```").filter_map(|it| it.strip_prefix("toml\n"));
    let block = blocks.into_iter().find(|it| it.contains("[[shadow]]")).expect("the page shows it");
    block.replace("percent = 5", "percent = 100").replace("\"m-small\"", "\"m2\"") + "\n"
}

fn run(world: &World, arguments: &[&str]) -> String {
    let output = world.command(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_person_and_a_gate_see_how_a_candidate_does() {
    let world = World::with(&settings());
    let call = async |number: u32| {
        let body = format!(
            r#"{{"model":"m1","messages":[{{"role":"user","content":"Say {number}."}}],"max_tokens":20}}"#
        );
        let request = reqwest::Client::new().post(format!("{}/v1/chat/completions", world.url));
        let request = request.bearer_auth("tl-good").header("x-trunkline-endpoint", "search");
        request.body(body).send().await.unwrap().status()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for number in 0..10 {
            assert_eq!(call(number).await, 200);
        }
    });
    let mut report = String::new();
    for _ in 0..200 {
        report = run(&world, &["shadow", "report", "mini", "--since", "1h"]);
        if report.contains("10 pairs, 10 compared") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for words in ["mini  5", "p95, ms", "USD for 1,000 calls", "similarity of texts: "] {
        let words = words.replace("mini  5", "mini  100");
        assert!(report.contains(&words), "no `{words}` in\n{report}");
    }
    assert!(run(&world, &["shadow", "list"]).starts_with("mini  100"));
    let lines = run(&world, &["shadow", "report", "mini", "--metrics"]);
    let read = trunkline::checks::published::metrics(lines.as_bytes());
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    for name in
        PAGE.split("The metrics: ").nth(1).unwrap().split(". A ratio").next().unwrap().split('`')
    {
        // No schema was asked for, and only indexes have hits in common.
        let is_absent = name.contains("schema") || name.contains("overlap");
        if name.starts_with("shadow_") && !is_absent {
            assert!(read.values.contains_key(name), "no `{name}` in\n{lines}");
        }
    }
    let (calls, charged) = world.end();
    let of = |key: &str| calls.iter().filter(|it| it["key"] == key).count();
    assert_eq!((of("good"), of("shadow/mini")), (10, 10));
    let cost: i64 = calls.iter().map(|it| it["cost"].as_i64().unwrap()).sum();
    assert_eq!(cost, charged);
}
