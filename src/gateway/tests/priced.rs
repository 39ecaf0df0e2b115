//! What has no price is not free: a price of prompts alone is none of answers.

use super::raw::{Raw, Then};
use super::world::{World, asks};

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

fn asks_for(model: &str) -> String {
    asks(false, r#""input":"hi""#).replace("\"m1\"", &format!("\"{model}\""))
}

#[tokio::test]
async fn a_price_without_output_is_none_of_answers_and_one_of_embeddings() {
    let world = World::new("ledger = \"l\"").await;
    for path in [CHAT, "/v1/completions", "/v1/responses", "/v1/messages"] {
        let refused = world.post(path, &asks_for("m-bare"), &[]).await;
        assert_eq!((refused.status, world.cost().0), (403, 0), "{path} {refused:?}");
        let what = "the price `bare` of the model `m-bare` at `test` has no price of `output`";
        assert!(refused.body.contains(what), "{path} {refused:?}");
    }
    let reply = world.post(EMBEDDINGS, &asks_for("m-bare"), &[]).await;
    assert_eq!((reply.status, reply.header("x-trunkline-flags")), (200, ""), "{reply:?}");
    let row = world.rows().pop().unwrap();
    assert_eq!(row["cost"].as_u64(), row["usage"]["input"].as_u64().map(|it| it * 1000), "{row}");
    world.end().await;
}

#[tokio::test]
async fn where_a_price_is_assumed_it_takes_the_place_of_one_without_output() {
    let assume = "unknown_price = { assume = { per_million = { input = 1, output = 10 } } }";
    let world = World::new(assume).await;
    let reply = world.post(CHAT, &asks_for("m-bare"), &[]).await;
    assert_eq!((reply.status, reply.header("x-trunkline-flags")), (200, "assumed_price"));
    assert_eq!(world.cost(), world.provider_cost());
    world.end().await;
    let world = World::new(&assume.replace(", output = 10", "")).await;
    let refused = world.post(CHAT, &asks_for("m-bare"), &[]).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("the price `unknown_price`"), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn a_price_of_the_call_alone_is_one_of_answers() {
    let world = World::new("ledger = \"l\"").await;
    let reply = world.post(CHAT, &asks_for("m-by-call"), &[]).await;
    assert_eq!((reply.status, reply.header("x-trunkline-flags")), (200, ""), "{reply:?}");
    assert_eq!(world.cost().0, 2_000_000);
    assert_eq!(world.rows()[0]["flags"], serde_json::json!([]));
    world.end().await;
}

#[tokio::test]
async fn what_is_used_without_a_price_is_told_and_answers_never_are() {
    let raw = Raw::start().await;
    let usage = r#""usage":{"input_tokens":100,"output_tokens":100000}"#;
    let answers = [
        format!(r#"{{"model":"m-bare","output":[],{usage}}}"#),
        format!(r#"{{"model":"m-raw","output":[{{"type":"web_search_call"}}],{usage}}}"#),
    ];
    let answer = |it: &String| {
        let length = it.len();
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n";
        (format!("{head}content-length: {length}\r\n\r\n{it}").into_bytes(), Then::Close)
    };
    *raw.answers.lock().unwrap() = answers.iter().map(answer).collect();
    let world = World::new(&raw.settings("")).await;
    for (number, flags) in [("0", ""), ("1", "unpriced")] {
        let reply = world.post("/v1/responses", &asks_for("m-raw"), &[("x-raw", number)]).await;
        let told = (reply.status, reply.header("x-trunkline-flags"));
        assert_eq!(told, (200, flags), "{reply:?}");
        let row = world.rows().pop().unwrap();
        assert_eq!(row["cost"], 100 * 1000 + 100_000 * 10_000, "{row}");
    }
    world.end().await;
}
