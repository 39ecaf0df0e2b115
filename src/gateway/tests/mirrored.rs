//! Copies for a candidate: nobody who calls notices, and the pairs say how it does.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{World, asks};

const CHAT: &str = "/v1/chat/completions";
const REPORT: &str = "/trunkline/shadow/mini?since=1h";

/// Another model of the same provider; each call has a copy.
fn settings(more: &str) -> String {
    let shadow = r#"
ledger = "l"
[[shadow]]
name = "mini"
percent = 100
model = "m-small"
budget = { window = "day", usd = "1" }
"#;
    format!("{shadow}{more}")
}

async fn report(world: &World, is_there: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..500 {
        let report = world.get(REPORT, &[]).await.json();
        if is_there(&report) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never says so: {}", world.get(REPORT, &[]).await.body);
}

fn pairs(report: &Value) -> i64 {
    report["report"]["pairs"].as_i64().unwrap()
}

#[tokio::test]
async fn a_copy_goes_to_the_candidate_and_both_are_compared() {
    let world = World::new(&settings("")).await;
    for is_stream in [false, true] {
        let reply = world.post(CHAT, &asks(is_stream, ""), &[]).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-trunkline-model"), "m1");
    }
    let report = report(&world, |it| pairs(it) == 2).await;
    assert_eq!(report["report"]["compared"], 2, "{report}");
    let metrics = &report["metrics"];
    assert_eq!(metrics["shadow_error_rate"], 0.0);
    assert!(metrics["shadow_similarity"].as_f64().unwrap() > 0.0, "{report}");
    assert!(metrics["shadow_cost_ratio"].as_f64().unwrap() > 0.0, "{report}");
    assert!(metrics.get("shadow_schema_valid_rate").is_none(), "nobody asked for a schema");
    world.settled().await;
    let rows = world.rows();
    let of = |model: &str| rows.iter().filter(|it| it["model"] == model).collect::<Vec<_>>();
    assert_eq!((of("m1").len(), of("m-small").len()), (2, 2));
    for row in of("m-small") {
        assert_eq!(row["key"], "shadow/mini");
        assert_eq!(row["subject"], json!({"endpoint": "shadow/mini"}));
    }
    assert_eq!(world.cost(), world.provider_cost());
    let lines = world.get(&format!("{REPORT}&format=metrics"), &[]).await;
    let read = published(&lines.body);
    assert!(read.iter().any(|it| it.0 == "shadow_compared" && it.1 > 1.5), "{lines:?}");
    world.end().await;
}

/// Lines as a stage publishes them.
fn published(text: &str) -> Vec<(String, f64)> {
    let lines = text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let pairs = lines.flat_map(|it| it.as_object().unwrap().clone());
    pairs.map(|(name, value)| (name, value.as_f64().unwrap())).collect()
}

#[tokio::test]
async fn a_user_is_always_on_the_same_side_and_a_share_is_as_large_as_it_says() {
    let shares = settings("").replace("percent = 100", "percent = 20");
    let world = World::new(&shares).await;
    for _ in 0..4 {
        for user in 0..40 {
            let body = asks(false, &format!("\"user\":\"u{user}\""));
            assert_eq!(world.post(CHAT, &body, &[]).await.status, 200);
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.settled().await;
    let report = report(&world, |it| it["made"].as_i64() == Some(pairs(it)) && pairs(it) > 0).await;
    let copies = pairs(&report);
    assert_eq!(copies % 4, 0, "each user four times or not at all");
    assert!((8..=80).contains(&copies), "20 % of 160 are 32: {copies}");
    world.end().await;
}

#[tokio::test]
async fn a_candidate_that_hangs_slows_nobody_and_what_is_too_much_is_dropped() {
    let hangs = r#"
[[provider]]
name = "slow"
dialect = "openai"
url = "http://{hangs}"
prices = "test"
[[route]]
model = "m-slow"
to = [{ provider = "slow" }]
"#;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let more = hangs.replace("{hangs}", &address);
    let plain = World::new("").await;
    let world = World::new(&settings(&more).replace("m-small", "m-slow")).await;
    let took = async |world: &World| {
        let mut times = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        times[50]
    };
    let (without, with) = (took(&plain).await, took(&world).await);
    eprintln!("p50 without a candidate {without:?}, with one that hangs {with:?}");
    // No measurement, but a hang would be seconds.
    assert!(with < Duration::from_millis(200), "{with:?}");
    let report = world.get(REPORT, &[]).await.json();
    // Eight are made, one is about to be, and 64 wait.
    let dropped = report["dropped"].as_i64().unwrap();
    assert!((27..=28).contains(&dropped), "{report}");
    assert_eq!(world.charged.calls.load(Ordering::Relaxed), 100);
    plain.end().await;
    world.end().await;
}

#[tokio::test]
async fn copies_have_a_budget_of_their_own_and_touch_no_other() {
    let budgets = r#"
[[budget]]
id = "core"
scope = { team = "core" }
window = "day"
usd = "1"
"#;
    let poor = settings(budgets).replace("usd = \"1\" }", "usd = \"0.0000001\" }");
    let world = World::new(&poor).await;
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    let report = report(&world, |it| pairs(it) == 1).await;
    assert_eq!(report["report"]["missing"], json!({"budget": 1}), "{report}");
    assert_eq!(report["report"]["compared"], 0);
    let accounts = world.ledger().accounts();
    let of = |id: &str| accounts.iter().find(|it| it.0.id == id).map(|it| it.2.spent.money);
    assert_eq!(of("core"), Some(world.cost()), "only the call itself");
    assert_eq!(world.cost(), world.provider_cost());
    world.end().await;
}

#[tokio::test]
async fn a_candidate_that_fails_closes_no_way() {
    let world = World::new(&settings("")).await;
    // The copy has the same headers, and so the same orders: only those of its name fail.
    for _ in 0..12 {
        let body = asks(false, "");
        assert_eq!(
            world.post(CHAT, &body, &[("x-fake", "status=500,model=m-small")]).await.status,
            200
        );
    }
    let report = report(&world, |it| pairs(it) == 12).await;
    assert_eq!(report["metrics"]["shadow_error_rate"], 1.0, "{report}");
    assert_eq!(report["report"]["primary"]["error_rate"], 0.0);
    world.end().await;
}

#[tokio::test]
async fn answers_are_held_against_the_schema_and_another_prompt_takes_the_place_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prompt.txt"), "Answer with one word.").unwrap();
    let prompt = settings("").replace("model = \"m-small\"", "prompt = \"prompt.txt\"");
    let world = World::in_folder(folder, &prompt).await;
    let schema = r#""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":
        {"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}"#;
    let reply = world.post(CHAT, &asks(false, &schema.replace('\n', "")), &[]).await;
    assert_eq!(reply.status, 200);
    let report = report(&world, |it| pairs(it) == 1).await;
    assert_eq!(report["metrics"]["shadow_schema_valid_rate"], 1.0, "{report}");
    assert_eq!(report["report"]["primary"]["schema_valid_rate"], 1.0);
    world.end().await;
}

#[tokio::test]
async fn a_candidate_of_another_team_is_not_there() {
    let team = settings("").replace("percent", "scope = { team = \"rest\" }\npercent");
    let world = World::new(&team).await;
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    assert_eq!(world.get(REPORT, &[]).await.status, 404);
    let list = world.get("/trunkline/shadow", &[]).await.json();
    assert_eq!(list["data"], json!([]));
    world.settled().await;
    assert_eq!(world.rows().len(), 1, "no copy is made");
    world.end().await;
}

#[tokio::test]
async fn a_key_of_a_team_hears_of_the_calls_of_its_own_team() {
    let other = r#"
[[key]]
name = "other"
variable = "OTHER_KEY"
subject = { team = "bank" }
"#;
    let world = World::new(&settings(other)).await;
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    report(&world, |it| pairs(it) == 1).await;
    let bank = world.get(REPORT, &[("authorization", "Bearer tl-other")]).await;
    assert_eq!((bank.status, pairs(&bank.json())), (200, 0), "{bank:?}");
    world.end().await;
}
