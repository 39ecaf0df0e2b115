//! Spans that apps have sent, over the API: in the trees of their traces, in lists, and never below what is another
//! team's.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunkline::model::Timestamp;
use trunkline::model::trace::received::{ReceivedDetail, ReceivedEvent};
use trunkline::store::spend::calls::Owner;
use trunkline::store::spend::requests::spans::SpanRow;

use crate::support::Server;
use crate::traced::{self, TRACE, content};

/// A trace that has only spans of an app.
pub(crate) const OWN: &str = "5bf92f3577b34da6a3ce929d0e0e4736";

/// A span of a team's app: `name` is `operation name`.
pub(crate) fn span(
    number: u64,
    (team, trace): (&str, &str),
    (name, parent): (&str, &str),
    at: Timestamp,
) -> SpanRow {
    let (operation, attribute) = match name.split_once(' ').unwrap().0 {
        "agent" => ("agent", ("gen_ai.operation.name", "invoke_agent")),
        "tool" => ("tool", ("gen_ai.tool.name", "search")),
        _ => ("retrieval", ("db.system.name", "postgresql")),
    };
    let mut attributes = serde_json::Map::new();
    attributes.insert(attribute.0.to_owned(), json!(attribute.1));
    attributes.insert("app.tries".to_owned(), json!(3));
    let event = ReceivedEvent {
        at_us: at.0 * 1000 + 500,
        name: "retry".to_owned(),
        attributes: serde_json::Map::new(),
    };
    let detail = ReceivedDetail { attributes, events: vec![event], ..ReceivedDetail::default() };
    SpanRow {
        id: format!("spn_{number:032x}"),
        trace: trace.to_owned(),
        span: format!("{number:016x}"),
        parent: parent.to_owned(),
        at,
        at_us: at.0 * 1000,
        written_at: at,
        key_name: "web".to_owned(),
        owner: Owner { team: team.to_owned(), endpoint: "search".to_owned(), ..Owner::default() },
        service: "shop-app".to_owned(),
        name: name.split_once(' ').unwrap().1.to_owned(),
        kind: "internal".to_owned(),
        operation: operation.to_owned(),
        provider: if operation == "retrieval" { "postgresql".to_owned() } else { String::new() },
        total_us: 12_300,
        detail: serde_json::to_string(&detail).unwrap(),
        ..SpanRow::default()
    }
}

fn id(number: u64) -> String {
    format!("{number:016x}")
}

/// That of `traced`, with the agent that made its calls, and a trace without calls. `bank` has sent spans with the ids of
/// the former.
pub(crate) async fn server() -> (Server, [String; 3]) {
    let (server, tokens) = traced::server().await;
    let now = server.app.now().0;
    let at = |seconds: i64| Timestamp(now - seconds * 1000);
    // What the first call was made in.
    let parent = 0x00f0_67aa_0ba9_02b7;
    let rows = [
        span(parent, ("shop", TRACE), ("agent plan", ""), at(60)),
        span(2, ("shop", TRACE), ("tool <b>search", &id(parent)), at(45)),
        span(3, ("shop", TRACE), ("retrieval SELECT docs", &id(2)), at(44)),
        span(4, ("shop", OWN), ("agent alone", ""), at(5)),
        span(5, ("shop", OWN), ("retrieval SELECT more", &id(4)), at(4)),
        span(6, ("bank", TRACE), ("tool forged", &id(parent)), at(43)),
        SpanRow { span: id(2), ..span(7, ("bank", TRACE), ("tool impostor", ""), at(46)) },
    ];
    let said = content(&rows[1].id, "<i>Find it</i>", at(45));
    server.app.store.insert_spans(&rows, &[said]).await.unwrap();
    (server, tokens)
}

fn names(tree: &Value) -> Vec<&str> {
    let spans = tree["spans"].as_array().unwrap_or_else(|| panic!("{tree}")).iter();
    let of_apps = spans.filter(|it| it["id"].is_string());
    of_apps.map(|it| it["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_trace_holds_the_spans_of_the_app_between_its_calls() {
    let (server, [ada, dev, eve]) = server().await;
    let path = format!("/api/v1/traces/{TRACE}");
    let tree = server.get(&eve, &path).await.json();
    assert_eq!(tree["calls"].as_array().unwrap().len(), 5);
    assert_eq!(names(&tree), ["plan", "<b>search", "SELECT docs"]);
    let spans = tree["spans"].as_array().unwrap();
    let named = |name: &str| spans.iter().find(|it| it["name"] == name).unwrap();
    let (plan, search, docs) = (named("plan"), named("<b>search"), named("SELECT docs"));
    assert_eq!((&search["parent"], &docs["parent"]), (&plan["span"], &search["span"]));
    let call = spans.iter().find(|it| it["attributes"]["trunkline.request.id"] == "req_1");
    assert_eq!(call.unwrap()["parent"], plan["span"], "the call is below the agent");
    assert_eq!((&search["operation"], &search["service"]), (&json!("tool"), &json!("shop-app")));
    assert_eq!((&docs["operation"], &docs["took_us"]), (&json!("retrieval"), &json!(12_300)));
    assert_eq!(search["attributes"]["app.tries"], 3);
    assert_eq!(search["attributes"]["trunkline.team"], "shop");
    assert_eq!(search["events"][0]["name"], "retry");
    assert_eq!(tree["contents"], json!({}), "who looks on does not read what was said");
    let tree = server.get(&dev, &path).await.json();
    let id = search["id"].as_str().unwrap();
    let said = &tree["contents"][id]["content"]["input"][0]["parts"][0]["content"];
    assert_eq!(said, "<i>Find it</i>");

    // The owner of the installation sees both teams'; what was forged is below nothing, and in nobody's place.
    let tree = server.get(&ada, &path).await.json();
    assert_eq!(names(&tree), ["plan", "<b>search", "SELECT docs", "forged"]);
    let spans = tree["spans"].as_array().unwrap();
    let forged = spans.iter().find(|it| it["name"] == "forged").unwrap();
    assert_eq!(
        (&forged["parent"], &forged["attributes"]["trunkline.team"]),
        (&json!(""), &json!("bank"))
    );
}

#[tokio::test]
async fn a_trace_that_has_no_calls_is_found_and_shown() {
    let (server, [ada, dev, eve]) = server().await;
    let list = async |token: &str, query: &str| {
        let page = server.get(token, &format!("/api/v1/traces?{query}")).await.json();
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
        let word = |it: &Value| {
            let name = it["name"].as_str().or(it["id"].as_str()).unwrap();
            name.replace("req_", "")
        };
        items.map(word).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(&eve, "").await, "alone 5 4 3 2 1 plan");
    assert_eq!(list(&ada, "team=bank").await, "6 forged impostor");
    assert_eq!(list(&dev, &format!("trace={OWN}")).await, "alone");
    assert_eq!(list(&eve, "endpoint=search&status=ok").await, "alone 4 3 2 1 plan");
    assert_eq!(list(&eve, "min_usd=0.0001").await, "5 4 3 2 1");
    assert_eq!(
        list(&eve, "provider=postgresql").await,
        "",
        "one that is below another is not listed"
    );
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            server.get(&eve, &format!("/api/v1/traces?limit=3&cursor={cursor}")).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    let first = &server.get(&eve, "/api/v1/traces?limit=1").await.json()["items"][0];
    assert_eq!((&first["origin"], &first["operation"]), (&json!("app"), &json!("agent")));
    assert_eq!((&first["service"], &first["total_ms"]), (&json!("shop-app"), &json!(12.3)));
    for path in [OWN.to_owned(), first["id"].as_str().unwrap().to_owned()] {
        let tree = server.get(&eve, &format!("/api/v1/traces/{path}")).await.json();
        assert_eq!(
            (&tree["trace"], names(&tree).join(", ")),
            (&json!(OWN), "alone, SELECT more".to_owned())
        );
        assert_eq!(tree["calls"], json!([]));
    }
    let hidden = server.get(&dev, &format!("/api/v1/traces/spn_{:032x}", 6)).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{hidden:?}");
}
