//! Results of tools that programs put into the cache and take out of it.

use super::world::World;

const TOOLS: &str = "/trunkline/cache/tools";
const CACHE: &str = "[cache]\nentry_bytes = 2000\n";

#[tokio::test]
async fn a_result_is_found_by_tool_and_arguments_until_its_content_is_new() {
    let world = World::new(CACHE).await;
    let ask = r#"{"namespace":"docs","tool":"search","arguments":{"q":"rust","limit":1.0}}"#;
    let same = r#"{"tool":"search","namespace":"docs","arguments":{"limit":1,"q":"rust"}}"#;
    assert_eq!(world.post(TOOLS, ask, &[]).await.status, 404);
    let put = ask.replace("\"tool\"", "\"value\":{\"hits\": [1, 2.50]},\"tool\"");
    assert_eq!(world.put(TOOLS, &put).await.status, 204);
    let found = world.post(TOOLS, same, &[]).await;
    assert_eq!((found.status, found.body.as_str()), (200, r#"{"value":{"hits": [1, 2.50]}}"#));
    assert_eq!(found.header("x-trunkline-origin"), "cache");
    for other in
        [ask.replace("rust", "go"), ask.replace("search", "fetch"), ask.replace("docs", "x")]
    {
        assert_eq!(world.post(TOOLS, &other, &[]).await.status, 404, "{other}");
    }
    let renewed = world.put("/trunkline/cache/namespaces/docs", r#"{"version":"2"}"#).await;
    assert_eq!(renewed.status, 204);
    assert_eq!(world.post(TOOLS, same, &[]).await.status, 404);
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let world = World::new(CACHE).await;
    let giant = format!(r#"{{"tool":"t","arguments":1,"value":"{}"}}"#, "x".repeat(2000));
    assert_eq!(world.put(TOOLS, &giant).await.status, 413);
    assert_eq!(world.put(TOOLS, r#"{"tool":"t","arguments":1}"#).await.status, 400);
    assert_eq!(world.post(TOOLS, r#"{"tool":"t","arguments":1,"value":1}"#, &[]).await.status, 400);
    assert_eq!(world.post(TOOLS, "{", &[]).await.status, 400);
    assert_eq!(world.post("/trunkline/cache/other", "{}", &[]).await.status, 404);
    let stranger = [("authorization", "Bearer wrong")];
    assert_eq!(world.post(TOOLS, "{}", &stranger).await.status, 401);
    assert_eq!(
        world.put("/trunkline/cache/namespaces/default", r#"{"version":"2"}"#).await.status,
        400
    );
    world.end().await;

    let world = World::new("").await;
    assert_eq!(world.post(TOOLS, r#"{"tool":"t","arguments":1}"#, &[]).await.status, 404);
    world.end().await;
}
