//! What is noted of calls, and what of it reaches the store.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::world::{Reply, World, asks};
use crate::gateway::ledger::trail::content::Content;
use crate::gateway::ledger::trail::writer;
use crate::model::trace::CallAttempt;
use crate::model::{CallTrail, TraceParent, UsdNanos};
use crate::store::Store;
use crate::store::spend::requests::traces::{TraceFilter, TraceRow};

const CHAT: &str = "/v1/chat/completions";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TOOLS: &str = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"search\",\
    \"parameters\":{\"type\":\"object\"}}}]";

/// A world, and who writes its traces into a store.
pub(super) struct Traced {
    pub(super) world: World,
    pub(super) store: Store,
    over: CancellationToken,
    writer: JoinHandle<()>,
}

impl Traced {
    pub(super) async fn new(more: &str) -> Self {
        let world = World::new(more).await;
        let url = format!("sqlite:{}", world.folder.path().join("traces.db").display());
        let store = Store::open(&url).await.unwrap();
        let over = CancellationToken::new();
        let written = (store.clone(), world.core.clock.clone());
        let kept = writer::keep(world.core.trails.clone(), written, over.clone());
        #[expect(clippy::disallowed_methods, reason = "it is awaited at the end")]
        let writer = tokio::spawn(kept);
        while world.core.trails.settings().per_second > 0 && !world.core.trails.is_on() {
            tokio::task::yield_now().await;
        }
        Self { world, store, over, writer }
    }

    /// The next call is made in another millisecond, so that their order is known.
    async fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
        let reply = self.world.post(path, body, headers).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        reply
    }

    /// Writes what waits, and gives the store.
    pub(super) async fn written(self) -> (Store, tempfile::TempDir) {
        let folder = self.world.end().await;
        self.over.cancel();
        self.writer.await.unwrap();
        (self.store, folder)
    }

    /// Everything that was traced, oldest first, and what was said.
    async fn end(self) -> Vec<(TraceRow, CallTrail, Option<Content>)> {
        self.world.settled().await;
        // The last holder of a trail lets go when the client has read the end.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _folder = self.world.end().await;
        self.over.cancel();
        self.writer.await.unwrap();
        let filter = TraceFilter { limit: 100, ..TraceFilter::default() };
        let mut rows = self.store.list_traces(&filter).await.unwrap();
        rows.reverse();
        let ids: Vec<_> = rows.iter().map(|it| it.id.clone()).collect();
        let contents = self.store.list_trace_contents(&ids).await.unwrap();
        let content = |row: &TraceRow| {
            let content = contents.iter().find(|it| it.id == row.id)?;
            Some(serde_json::from_str(&content.content).unwrap())
        };
        let read = |row: TraceRow| {
            let trail = serde_json::from_str(&row.detail).unwrap();
            let content = content(&row);
            (row, trail, content)
        };
        rows.into_iter().map(read).collect()
    }
}

/// What does not depend on the clock.
fn drawn(row: &TraceRow, trail: &CallTrail) -> String {
    let mut text = format!(
        "{} {} at {} from {}: {:?} {:?}, {}+{} tokens, {} avoided {} [{}]\n",
        row.operation,
        row.model,
        row.provider,
        row.origin,
        row.status,
        row.error,
        row.input_tokens,
        row.output_tokens,
        row.cost,
        row.avoided,
        row.flags,
    );
    let cache: Vec<_> = trail.cache.iter().map(|it| it.what.as_str()).collect();
    if !cache.is_empty() {
        text += &format!("  cache {}\n", cache.join(", "));
    }
    for it in &trail.findings {
        text +=
            &format!("  {} found {} x{} {}: {}\n", it.rule, it.what, it.count, it.way, it.action);
    }
    for it in &trail.attempts {
        let CallAttempt { number, provider, origin, status, error, why, .. } = it;
        text += &format!("  #{number} {provider} {origin} {status:?} {error:?} {why}\n");
    }
    let tools: Vec<_> = trail.tools.iter().map(|it| it.name.as_str()).collect();
    text += &format!("  {:?} {} {}", trail.finish, tools.join(", "), trail.refusal);
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_call_with_a_retry_a_guardrail_a_cache_and_a_tool_is_one_tree() {
    let traced = Traced::new(
        r#"
        ledger = "l"
        [cache]
        ttl_seconds = 60
        [[guardrail]]
        name = "people"
        rule = "pii"
        kinds = ["email"]
        action = "redact"
        "#,
    )
    .await;
    let body = asks(false, &format!("\"temperature\":0,{TOOLS}"));
    let body = body.replace("Say something.", "Write to ada@example.org and bob@example.org.");
    let fake = ("x-fake", "status=500,name=a,times=1");
    let headers = [fake, ("traceparent", PARENT)];
    for _ in 0..2 {
        let reply = traced.post(CHAT, &body, &headers).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let rows = traced.end().await;
    let [(first, trail, nothing), (second, kept, _)] = rows.as_slice() else { panic!("{rows:?}") };
    insta::assert_snapshot!(drawn(first, trail), @r#"
    chat/completions m1 at test from live: Some(200) "", 29+1 tokens, 0.000039 USD avoided 0.00 USD [pii_email redacted]
      cache miss, kept
      people found pii_email x2 in: redact
      #1 test live Some(500) "500"
      #2 test live Some(200) ""
      ["tool_calls"] search
    "#);
    insta::assert_snapshot!(drawn(second, kept), @r#"
    chat/completions m1 at test from cache: Some(200) "", 29+1 tokens, 0.00 USD avoided 0.000039 USD [pii_email redacted]
      cache hit
      people found pii_email x2 in: redact
      #1 test cache Some(200) ""
      ["tool_calls"] search
    "#);
    assert!(nothing.is_none(), "nothing of what was said is kept unless somebody wants it");
    let parent = TraceParent::parse(PARENT).unwrap();
    for row in [first, second] {
        assert_eq!(
            (&row.trace, &row.parent),
            (&parent.trace.to_string(), &parent.span.to_string())
        );
        assert_eq!((row.owner.team.as_str(), row.owner.run.as_str()), ("core", "r1"));
        assert!(!row.detail.contains("example.org"), "{}", row.detail);
    }
    assert_eq!(first.cost, second.avoided);
    let [failed, done] = trail.attempts.as_slice() else { panic!("{trail:?}") };
    assert!(failed.ended_us <= done.began_us && done.began_us <= done.ended_us, "{trail:?}");
    assert!(i64::try_from(done.ended_us).unwrap() <= first.total_us, "{first:?}");
    assert_eq!(trail.tools[0].name, "search");
}

#[tokio::test]
async fn streams_are_traced_to_their_end_whoever_ends_them() {
    let traced = Traced::new("ledger = \"l\"\n[limits]\nattempts = 1").await;
    let whole = asks(true, TOOLS);
    assert_eq!(traced.post(CHAT, &whole, &[]).await.status, 200);
    let message = r#"{"model":"m1","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}],
        "tools":[{"name":"look","input_schema":{"type":"object"}}]}"#;
    assert_eq!(traced.post("/v1/messages", message, &[]).await.status, 200);
    let cut = traced.post(CHAT, &asks(true, ""), &[("x-fake", "chunks=5,chunk_ms=20,cut=3")]).await;
    assert_eq!(cut.status, 200);
    let rows = traced.end().await;
    let told: Vec<_> = rows
        .iter()
        .map(|(row, trail, _)| {
            let tools: Vec<_> = trail.tools.iter().map(|it| it.name.clone()).collect();
            format!("{} {:?} {:?} {tools:?}", row.operation, row.error, trail.finish)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"chat/completions "" ["tool_calls"] ["search"]"#,
            r#"messages "" ["tool_use"] ["look"]"#,
            r#"chat/completions "cut" [] []"#,
        ]
    );
    for (row, trail, _) in &rows {
        assert!(trail.is_stream && row.first_token_us.is_some(), "{row:?}");
        assert!(row.first_token_us.unwrap() <= row.total_us, "{row:?}");
    }
}

#[tokio::test]
async fn what_was_refused_says_why_and_tells_nothing_of_what_was_asked() {
    let traced = Traced::new(
        r#"
        ledger = "l"
        [limits]
        attempts = 1
        [[guardrail]]
        name = "no-mail"
        rule = "pii"
        kinds = ["email"]
        action = "block"
        [[budget]]
        id = "tiny"
        scope = { endpoint = "dear" }
        window = "whole"
        usd = "0.000001"
        "#,
    )
    .await;
    let mail = asks(false, "").replace("Say something.", "ada@example.org");
    assert_eq!(traced.post(CHAT, &mail, &[]).await.status, 422);
    let dear = [("x-trunkline-endpoint", "dear")];
    assert_eq!(traced.post(CHAT, &asks(false, ""), &dear).await.status, 402);
    let unknown = asks(false, "").replace("\"m1\"", "\"nobody\"");
    assert_eq!(traced.post(CHAT, &unknown, &[]).await.status, 404);
    let limited = [("x-fake", "status=429")];
    assert_eq!(traced.post(CHAT, &asks(false, ""), &limited).await.status, 429);
    let rows = traced.end().await;
    let told: Vec<_> = rows
        .iter()
        .map(|(row, trail, _)| (row.status, row.error.as_str(), row.attempts, &trail.findings))
        .map(|(status, error, sent, found)| (status.unwrap(), error, sent, found.len()))
        .collect();
    let expected = [
        (422, "guardrail", 0, 1),
        (402, "budget_exceeded", 0, 0),
        (404, "not_found", 0, 0),
        (429, "429", 1, 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(rows[0].1.refusal, "stopped by the guardrail `no-mail`");
    assert!(rows[1].1.refusal.contains("`tiny`"), "{:?}", rows[1].1);
    assert_eq!((rows[0].0.origin.as_str(), rows[3].0.provider.as_str()), ("gateway", "test"));
    assert!(rows.iter().all(|it| !it.0.detail.contains("example.org")));
    assert_eq!(rows[1].0.owner.endpoint, "dear");
}

#[tokio::test]
async fn what_was_said_is_kept_for_whom_the_file_says_so_and_without_secrets() {
    let traced = Traced::new(
        r#"
        ledger = "l"
        [traces]
        content = "redacted"
        content_bytes = 120
        [[traces.content_for]]
        scope = { endpoint = "quiet" }
        content = "off"
        "#,
    )
    .await;
    let ask = |stream| {
        asks(stream, TOOLS).replace("Say something.", "I am ada@example.org, sk-provider is mine.")
    };
    traced.post(CHAT, &ask(false), &[]).await;
    traced.post(CHAT, &ask(true), &[]).await;
    traced.post(CHAT, &ask(true), &[("x-trunkline-endpoint", "quiet")]).await;
    let rows = traced.end().await;
    let contents: Vec<_> = rows.iter().map(|it| serde_json::to_string(&it.2).unwrap()).collect();
    insta::assert_snapshot!(contents.join("\n"), @r#"
    {"input":[{"role":"user","parts":[{"type":"text","content":"I am [EMAIL], [redacted] is mine."}]}],"output":[{"role":"assistant","parts":[{"type":"tool_call","id":"call_fake","name":"search","arguments":"{}"}]}]}
    {"input":[{"role":"user","parts":[{"type":"text","content":"I am [EMAIL], [redacted] is mine."}]}],"output":[{"role":"assistant","parts":[{"type":"tool_call","id":"call_fake","name":"search","arguments":"{}"}]}]}
    null
    "#);
}

#[test]
fn the_settings_of_the_documentation_are_settings() {
    let page = include_str!("../../../docs/traces.md");
    let block = page.split("```toml\n").nth(1).and_then(|it| it.split("```").next()).unwrap();
    let settings = crate::gateway::settings::read(block).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(settings.traces.rules.len(), 2);
    let unless_said = crate::gateway::settings::read("").unwrap().traces;
    assert_eq!(settings.traces.content_bytes, unless_said.content_bytes);
    assert_eq!(settings.traces.per_second, unless_said.per_second);
}

#[tokio::test]
async fn nothing_is_traced_that_nobody_writes_and_no_more_than_so_many_a_second() {
    let world = World::new("ledger = \"l\"").await;
    assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    world.settled().await;
    assert!(world.core.trails.take_waiting(1).is_empty());
    world.end().await;

    let traced = Traced::new("ledger = \"l\"\n[traces]\nper_second = 2").await;
    for _ in 0..20 {
        assert_eq!(traced.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    }
    let rows = traced.end().await;
    // A second may have ended in between.
    assert!((2..=6).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|it| it.0.cost > UsdNanos(0)));
}

#[tokio::test]
async fn who_sends_traces_on_gets_few_at_a_time_and_the_rest_waits_until_it_has_taken_them() {
    let world = World::new("ledger = \"l\"").await;
    let (sender, mut batches) = tokio::sync::mpsc::channel(1);
    let over = CancellationToken::new();
    let written = (writer::Destination::Sender(sender), world.core.clock.clone());
    let kept = writer::keep(world.core.trails.clone(), written, over.clone());
    #[expect(clippy::disallowed_methods, reason = "it is awaited at the end")]
    let kept = tokio::spawn(kept);
    while !world.core.trails.is_on() {
        tokio::task::yield_now().await;
    }
    for _ in 0..250 {
        assert_eq!(world.post(CHAT, &asks(false, ""), &[]).await.status, 200);
    }
    world.settled().await;
    over.cancel();
    let mut counts = Vec::new();
    while let Some((calls, _)) = batches.recv().await {
        counts.push(calls.len());
    }
    kept.await.unwrap();
    // At most one batch was made before anybody took any.
    assert!(counts.iter().all(|it| *it <= 100) && counts.len() >= 3, "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 250, "{counts:?}");
    world.end().await;
}
