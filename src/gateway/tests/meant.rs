//! Calls that are answered with the answer to another question that means the same. The fake's `m-meaning` embeds words
//! whatever their order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Reply, World};

const CHAT: &str = "/v1/chat/completions";

fn settings(table: &str) -> String {
    format!(
        "ledger = \"l\"\n[cache]\nttl_seconds = 60\n[[cache.semantic]]\nembedding = \"m-meaning\"\nthreshold = 0.8\ntimeout_ms = 5000\n{table}\n\
         [[key]]\nname = \"other\"\nvariable = \"OTHER_KEY\"\nsubject = {{ team = \"other\" }}\n"
    )
}

fn asks(question: &str, more: &Value) -> String {
    let mut body = json!({"model": "m1", "temperature": 0, "max_tokens": 50, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body.to_string()
}

async fn ask(world: &World, question: &str) -> Reply {
    world.post(CHAT, &asks(question, &Value::Null), &[]).await
}

fn told(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    let words = ["x-trunkline-origin", "x-trunkline-flags", "x-trunkline-similarity"];
    words.map(|it| reply.header(it)).join(" ").trim_end().to_owned()
}

#[tokio::test]
async fn a_question_in_other_words_gets_the_answer_and_rows_and_traces_say_so() {
    let world = World::new(&settings("mode = \"answer\"")).await;
    let first = ask(&world, "What is the capital of France?").await;
    let again = ask(&world, "The capital of France, what is it?").await;
    assert_eq!(told(&first), "live");
    assert_eq!(told(&again), "cache semantic 0.926");
    assert_eq!((&again.body, again.header("x-trunkline-cost-usd")), (&first.body, "0.00"));
    assert_eq!(again.header("x-trunkline-similar-to"), first.header("x-request-id"));
    let equal = ask(&world, "What is the capital of France?").await;
    assert_eq!(told(&equal), "cache", "an equal question is not compared");
    let rows = world.rows();
    let operations: Vec<_> = rows.iter().map(|it| it["operation"].as_str().unwrap()).collect();
    assert_eq!(
        operations,
        ["embeddings", "chat_completions", "embeddings", "chat_completions", "chat_completions"]
    );
    assert_eq!((&rows[0]["key"], &rows[0]["subject"]["team"]), (&"ci".into(), &"core".into()));
    assert!(rows[2]["cost"].as_i64().unwrap() > 0, "an embedding is charged");
    assert_eq!((&rows[3]["origin"], &rows[3]["flags"]), (&"cache".into(), &json!(["semantic"])));
    assert_eq!(rows[3]["avoided"], rows[1]["cost"]);
    let to = format!("similar_to={}", first.header("x-request-id"));
    assert_eq!(rows[3]["similar"], json!(["similarity=0.926", to]));
    assert!(rows[4].get("similar").is_none());
    world.end().await;
}

#[tokio::test]
async fn an_embedding_that_is_known_costs_nothing() {
    let world = World::new(&settings("mode = \"answer\"")).await;
    ask(&world, "What is the capital of France?").await;
    let warm = asks("What is the capital of France?", &json!({"max_tokens": 49}));
    assert_eq!(told(&world.post(CHAT, &warm, &[]).await), "live", "another limit is another call");
    let rows = world.rows();
    assert_eq!(
        (&rows[2]["operation"], &rows[2]["origin"]),
        (&"embeddings".into(), &"cache".into())
    );
    world.end().await;
}

#[tokio::test]
async fn all_but_the_last_question_must_be_the_same() {
    let world = World::new(&settings("mode = \"answer\"")).await;
    let question = "What is the capital of France?";
    let other = "The capital of France is what?";
    ask(&world, question).await;
    for more in [
        json!({"messages": [{"role": "system", "content": "Be long."}, {"role": "user", "content": other}]}),
        json!({"messages": [{"role": "user", "content": other}]}),
        json!({"tools": []}),
        json!({"seed": 7}),
        json!({"model": "m-2"}),
        json!({"stream": true}),
        json!({"n": 2}),
        json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [
            {"type": "text", "text": other}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]}),
        json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "tool", "content": "7"}, {"role": "user", "content": other}]}),
    ] {
        let reply = world.post(CHAT, &asks(other, &more), &[]).await;
        assert_eq!(told(&reply), "live", "{more}");
    }
    for headers in [
        &[("x-trunkline-cache-semantic", "off"), ("x-trunkline-cache", "read")][..],
        &[("x-trunkline-cache", "off")],
        &[("x-trunkline-cache-version", "2")],
        &[("x-trunkline-cache-namespace", "handbook")],
        &[("authorization", "Bearer tl-other")],
    ] {
        let reply = world.post(CHAT, &asks(other, &Value::Null), headers).await;
        assert_eq!(told(&reply), "live", "{headers:?}");
    }
    assert_eq!(told(&ask(&world, other).await), "cache semantic 1.000");
    let odd = world
        .post(CHAT, &asks(question, &Value::Null), &[("x-trunkline-cache-semantic", "maybe")])
        .await;
    assert_eq!(odd.status, 200, "an equal call is known, and nothing is compared");
    let odd = world
        .post(CHAT, &asks("Is it so?", &Value::Null), &[("x-trunkline-cache-semantic", "maybe")])
        .await;
    assert_eq!(odd.status, 400);
    world.end().await;
}

#[tokio::test]
async fn guards_keep_near_questions_apart() {
    let world = World::new(&settings("mode = \"answer\"")).await;
    for (one, other) in [
        (
            "Give me the names of 3 long rivers in Asia",
            "Give me the names of 4 long rivers in Asia",
        ),
        (
            "Should I water this plant in the winter?",
            "Should I not water this plant in the winter?",
        ),
        (
            "What is the best month to visit Rome in spring?",
            "What is the best month to visit Oslo in spring?",
        ),
        (
            "What does the method `push` of a list give?",
            "What does the method `pop` of a list give?",
        ),
    ] {
        assert_eq!(told(&ask(&world, one).await), "live", "{one}");
        assert_eq!(told(&ask(&world, other).await), "live", "{other}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_report_says_what_would_have_been_given_and_gives_what_the_provider_says() {
    let world = World::new(&settings("")).await;
    let first = ask(&world, "What is the capital of France?").await;
    let again = ask(&world, "The capital of France is what?").await;
    assert_eq!(told(&again), "live semantic_report 1.000");
    assert_eq!(again.header("x-trunkline-similar-to"), first.header("x-request-id"));
    let row = world.rows().pop().unwrap();
    assert_eq!((&row["origin"], &row["flags"]), (&"live".into(), &json!(["semantic_report"])));
    assert!(row["cost"].as_i64().unwrap() > 0);
    world.end().await;
}

#[tokio::test]
async fn only_calls_of_its_endpoint_and_models_are_compared() {
    let world =
        World::new(&settings("mode = \"answer\"\nendpoint = \"search\"\nmodels = \"m1\"")).await;
    let question = asks("What is the capital of France?", &Value::Null);
    let other = asks("The capital of France is what?", &Value::Null);
    let search = [("x-trunkline-endpoint", "search")];
    world.post(CHAT, &question, &search).await;
    assert_eq!(told(&world.post(CHAT, &other, &[]).await), "live");
    assert_eq!(world.charged.calls.load(Ordering::Relaxed), 3, "one question was embedded");
    let another = asks("What is the capital of France, is it?", &Value::Null);
    assert_eq!(told(&world.post(CHAT, &another, &search).await), "cache semantic 0.904");
    world.end().await;
}

#[tokio::test]
async fn a_stream_is_given_as_a_stream() {
    let world = World::new(&settings("mode = \"answer\"")).await;
    let stream = json!({"stream": true});
    let first = world.post(CHAT, &asks("What is the capital of France?", &stream), &[]).await;
    let again = world.post(CHAT, &asks("The capital of France is what?", &stream), &[]).await;
    assert_eq!((told(&again).as_str(), &again.body), ("cache semantic 1.000", &first.body));
    world.end().await;
}

#[tokio::test]
async fn an_embedding_that_fails_is_slow_or_not_paid_for_is_a_miss() {
    let budget = "mode = \"answer\"\n[[budget]]\nid = \"b\"\nscope = { model = \"m-meaning\" }\nwindow = \"whole\"\nusd = \"0.00000001\"";
    let world = World::new(&settings(budget)).await;
    for question in ["What is the capital of France?", "The capital of France is what?"] {
        assert_eq!(told(&ask(&world, question).await), "live");
    }
    world.end().await;
    let slow =
        settings("mode = \"answer\"").replace("5000", "1").replace("m-meaning", "raw-meaning");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!(
        "{slow}[[provider]]\nname = \"silent\"\ndialect = \"openai\"\nurl = \"http://{}\"\nprices = \"test\"\n\
         [[route]]\nmodel = \"raw-meaning\"\nto = [{{ provider = \"silent\", model = \"m-meaning\" }}]\n",
        silent.local_addr().unwrap()
    );
    let world = World::new(&slow).await;
    let asked =
        tokio::time::timeout(Duration::from_secs(5), ask(&world, "What is the capital of France?"));
    assert_eq!(told(&asked.await.expect("nobody waits for it")), "live");
    assert_eq!(told(&ask(&world, "The capital of France is what?").await), "live");
    world.settled().await;
    let flags = |it: &Value| it["flags"].to_string();
    let lost = world.rows().into_iter().filter(|it| it["operation"] == "embeddings");
    assert!(lost.map(|it| flags(&it)).all(|it| it.contains("estimated")), "they are charged");
    world.end().await;
}

#[tokio::test]
async fn what_a_guardrail_stops_or_finds_something_in_is_given_for_no_other_question() {
    let rule = "[[guardrail]]\nname = \"no words\"\nrule = \"topics\"\nwords = [\"alpha\", \"beta\", \"gamma\", \"delta\", \"omega\"]\nway = \"out\"\naction = \"block\"\n";
    let world = World::new(&format!("{}{rule}", settings("mode = \"answer\""))).await;
    let first = ask(&world, "What is the capital of France?").await;
    assert_eq!(first.status, 422, "{first:?}");
    assert!(world.core.cache.as_ref().unwrap().index().is_empty());
    world.end().await;
}
