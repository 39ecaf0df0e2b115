//! Pages of calls to models: found by filters of the address, and one of them over time.

use trunkline::model::trace::{Finding, ToolCall};
use trunkline::model::{CallTrail, Timestamp};
use trunkline::store::spend::calls::Owner;
use trunkline::store::spend::requests::traces::TraceRow;

use super::{Browser, check_page};
use crate::spans;
use crate::streams::Stream;
use crate::traced::{self, TRACE, content, trail};

async fn read(browser: &Browser<'_>, path: &str) -> String {
    let answer = browser.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    check_page(&answer);
    answer.text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_listed_by_what_stands_in_the_address() {
    let (server, [_, _, token]) = traced::server().await;
    let (ada, eve) = (Browser::of(&server, "ada").await, Browser::of(&server, "eve").await);
    let ids = |page: &str| {
        let found = page.split("href=\"/traces/req_").skip(1);
        found.map(|it| it.split('"').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&read(&ada, "/traces").await), "6 5 4 3 2 1");
    let page = read(&eve, "/traces").await;
    assert_eq!(ids(&page), "5 4 3 2 1");
    assert!(page.contains("aria-current=\"page\">Traces</a>"), "{page}");
    assert!(page.contains("9.0 s") && page.contains("240 ms") && page.contains("0.0025"), "{page}");
    for (query, found) in [
        ("status=error", "5"),
        ("min_usd=0.05&team=shop&model=", "4"),
        ("min_ms=+1000+&within=24h", "3"),
        ("limit=2", "5 4"),
        ("team=bank", ""),
    ] {
        assert_eq!(ids(&read(&eve, &format!("/traces?{query}")).await), found, "{query}");
    }
    let page = read(&eve, "/traces?limit=2").await;
    let next = page.split("href=\"/traces?").find(|it| it.contains("Older calls")).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    assert_eq!(ids(&read(&eve, &format!("/traces?limit=2&{next}")).await), "3 2");
    let none = read(&eve, "/traces?endpoint=%3Cb%3E").await;
    assert!(none.contains("No call fits") && none.contains("value=\"&#60;b&#62;\""), "{none}");
    let wrong = eve.get("/traces?min_ms=fast").await;
    check_page(&wrong);
    assert!(wrong.text.contains("is a number, not"), "{wrong:?}");
    assert!(wrong.text.contains("value=\"fast\""), "what was typed stays: {wrong:?}");
    for query in ["min_ms=fast", "min_usd=-1", "since=foo", "within=ever"] {
        let wrong = eve.get(&format!("/traces?{query}")).await;
        assert_eq!(wrong.status, 400, "{query}: {wrong:?}");
    }
    // No choice of the page leads there, and nothing can have ended so.
    let odd = eve.get("/traces?status=nonsense").await;
    assert_eq!(odd.status, 400, "{odd:?}");
    assert!(odd.text.contains("<code>guardrail</code>"), "{odd:?}");
    let path = "/live/traces?status=error";
    let mut stream = Stream::open(&server, &token, (path, "")).await;
    let told = stream.next().await.unwrap();
    assert_eq!((told.name.as_str(), told.data["id"].as_str()), ("part", Some("list")));
    assert_eq!(ids(told.data["html"].as_str().unwrap()), "5");
}

#[tokio::test]
async fn a_call_is_drawn_over_time_with_all_that_is_known_of_it() {
    let (server, _) = traced::server().await;
    let (dev, eve) = (Browser::of(&server, "dev").await, Browser::of(&server, "eve").await);
    let page = read(&dev, "/traces/req_1").await;
    for text in [
        "<table class=\"gantt\">",
        "#1 openai",
        "#2 openai",
        "until the first token: 50 ms",
        "action redact, count 2, found pii_email, rule people, way in",
        "cache miss",
        "id call_1, name search",
        "gen_ai.response.finish_reasons",
        "0.0025 USD",
        "endpoint search",
        "&#60;b&#62;Hi&#60;/b&#62;",
        "it was longer than what is kept",
    ] {
        assert!(page.contains(text), "`{text}` is not in {page}");
    }
    assert!(page.contains(&format!("href=\"/traces/{TRACE}\"")), "{page}");
    let page = read(&eve, "/traces/req_1").await;
    assert!(page.contains("#2 openai") && !page.contains("What was said"), "{page}");
    let all = read(&eve, &format!("/traces/{TRACE}")).await;
    assert!(all.contains("5 calls") && all.contains("req_5"), "{all}");
    let hidden = eve.get("/traces/req_6").await;
    assert_eq!(hidden.status, 404, "{hidden:?}");
    assert!(hidden.text.contains("this trace does not exist"), "{hidden:?}");
}

#[tokio::test]
async fn spans_of_an_app_are_drawn_between_its_calls() {
    let (server, _) = spans::server().await;
    let (dev, eve) = (Browser::of(&server, "dev").await, Browser::of(&server, "eve").await);
    let page = read(&dev, &format!("/traces/{TRACE}")).await;
    assert!(page.contains("5 calls, 3 spans of apps"), "{page}");
    let places = ["plan", "&#60;b&#62;search", "SELECT docs", "#1 openai"];
    let rows = page.split("<th scope=\"row\" class=\"depth-").skip(1);
    let rows: Vec<_> = rows.map(|it| it.split("</th>").next().unwrap()).collect();
    let place = |what: &str| {
        rows.iter().position(|it| it.contains(what)).unwrap_or_else(|| panic!("{what}: {rows:#?}"))
    };
    let found = places.map(place);
    assert!(rows[found[0]].starts_with('0') && rows[found[1]].starts_with('1'), "{rows:#?}");
    assert!(rows[found[2]].starts_with('2') && rows[found[3]].starts_with('2'), "{rows:#?}");
    for text in
        ["agent shop-app", "tool shop-app", "retrieval shop-app", "app.tries", "&#60;i&#62;Find it"]
    {
        assert!(page.contains(text), "`{text}` is not in {page}");
    }
    assert!(!page.contains("<b>search") && !page.contains("forged"), "{page}");
    let page = read(&eve, &format!("/traces/{TRACE}")).await;
    assert!(page.contains("SELECT docs") && !page.contains("Find it"), "{page}");

    let list = read(&eve, "/traces").await;
    let row = list.split("<tr>").find(|it| it.contains("agent alone")).unwrap();
    assert!(
        row.contains("/traces/spn_") && row.contains("shop-app") && row.contains("12 ms"),
        "{row}"
    );
    let page = read(&eve, &format!("/traces/{}", spans::OWN)).await;
    assert!(page.contains("0 calls, 2 spans of apps") && page.contains("SELECT more"), "{page}");
}

#[tokio::test]
async fn nothing_that_somebody_has_sent_is_taken_for_html() {
    let (server, _) = traced::server().await;
    let bad = |what: &str| format!("<i>{what}</i>\"'&");
    let mut noted = CallTrail { refusal: bad("refusal"), response: bad("response"), ..trail() };
    noted.tools = vec![ToolCall { name: bad("tool"), id: bad("tool id") }];
    noted.finish = vec![bad("finish")];
    noted.findings = vec![Finding { rule: bad("rule"), ..noted.findings[0].clone() }];
    for attempt in &mut noted.attempts {
        attempt.provider = bad("provider there");
        attempt.model = bad("model there");
        attempt.answered_by = bad("answered by");
        attempt.why = bad("why");
        attempt.error = bad("error there");
        attempt.flags = vec![bad("flag")];
    }
    let at = Timestamp(server.app.now().0 - 5);
    let row = TraceRow {
        id: "req_bad".to_owned(),
        trace: "2".repeat(32),
        parent: bad("parent"),
        key_name: bad("key"),
        owner: Owner {
            team: "shop".to_owned(),
            project: bad("project"),
            pipeline: bad("pipeline"),
            run: bad("run"),
            stage: bad("stage"),
            endpoint: bad("endpoint"),
            ..Owner::default()
        },
        operation: bad("operation"),
        provider: bad("provider"),
        model: bad("model"),
        answered_by: bad("answered"),
        origin: bad("origin"),
        error: bad("error"),
        flags: bad("flags"),
        detail: serde_json::to_string(&noted).unwrap(),
        ..traced::trace("req_bad", "shop", at)
    };
    let said = content("req_bad", &bad("said"), at);
    server.app.store.insert_traces(&[row], &[said]).await.unwrap();
    let dev = Browser::of(&server, "dev").await;
    for path in ["/traces", "/traces/req_bad", &format!("/traces/{}", "2".repeat(32))] {
        let page = read(&dev, path).await;
        assert!(!page.contains("<i>"), "{path}: {page}");
        assert!(page.contains("&#60;i&#62;model"), "{path}: {page}");
    }
    let page = read(&dev, "/traces/req_bad").await;
    for what in ["refusal", "tool", "finish", "rule", "provider there", "why", "said", "key"] {
        assert!(page.contains(&format!("&#60;i&#62;{what}")), "`{what}` is not in {page}");
    }
}
