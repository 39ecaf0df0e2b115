//! Spans that apps have sent: whose they are, how their traces are found, kept for a while, sent on.

use trunkline::model::{Timestamp, UsdNanos};
use trunkline::store::Store;
use trunkline::store::spend::calls::Owner;
use trunkline::store::spend::requests::exports::ExportRow;
use trunkline::store::spend::requests::spans::SpanRow;
use trunkline::store::spend::requests::traces::{Ended, TraceContentRow, TraceFilter};

use crate::databases::{Database, on_each_database};

on_each_database!(
    a_span_stays_as_it_was_written_first,
    a_trace_is_found_by_the_first_spans_of_each_owner,
    first_spans_come_page_by_page_newest_first,
    the_span_above_another_is_found_by_its_name_and_owner,
    spans_go_with_what_was_said_in_them,
    spans_are_sent_on_in_the_order_of_their_writing,
);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The `number`th span: each a second after the one before, below that of `parent` if that is not 0.
fn span(number: i64, parent: i64) -> SpanRow {
    SpanRow {
        id: format!("spn_{number:04}"),
        trace: TRACE.to_owned(),
        span: format!("{number:016x}"),
        parent: if parent == 0 { String::new() } else { format!("{parent:016x}") },
        at: Timestamp(number * 1000),
        at_us: number * 1_000_000 + 7,
        written_at: Timestamp(number * 1000 + 500),
        key_name: "web".to_owned(),
        owner: Owner { team: "shop".to_owned(), ..Owner::default() },
        service: "shop".to_owned(),
        name: "execute_tool search".to_owned(),
        kind: "internal".to_owned(),
        operation: "tool".to_owned(),
        total_us: number * 1000,
        detail: "{}".to_owned(),
        ..SpanRow::default()
    }
}

fn of(team: &str, row: SpanRow) -> SpanRow {
    SpanRow { owner: Owner { team: team.to_owned(), ..row.owner }, ..row }
}

fn content(id: &str) -> TraceContentRow {
    TraceContentRow {
        id: id.to_owned(),
        written_at: Timestamp(1500),
        kept: "redacted".to_owned(),
        is_cut: false,
        content: "{\"input\":[],\"output\":[]}".to_owned(),
    }
}

fn numbers(rows: &[SpanRow]) -> String {
    let numbers: Vec<_> = rows.iter().map(|it| it.id.trim_start_matches("spn_0")).collect();
    numbers.join(" ")
}

async fn a_span_stays_as_it_was_written_first(store: Store, _: &Database) {
    // More than go into one statement.
    let many: Vec<_> = (1..=450).map(|it| span(it, 0)).collect();
    store.insert_spans(&many, &[content("spn_0001")]).await.unwrap();
    let other = of("bank", SpanRow { name: "forged".to_owned(), ..span(1, 0) });
    store.insert_spans(&[other], &[content("spn_0001")]).await.unwrap();
    assert_eq!(store.find_span("spn_0001").await.unwrap(), Some(span(1, 0)));
    assert_eq!(store.find_span("spn_9999").await.unwrap(), None);
    assert_eq!(store.list_spans(TRACE, None, 1000).await.unwrap(), many);
    assert_eq!(store.list_spans(TRACE, None, 2).await.unwrap(), many[..2]);
    assert!(store.list_spans(&"1".repeat(32), None, 2).await.unwrap().is_empty());
    let teams = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let listed = async |names: &[&str]| {
        store.list_spans(TRACE, Some(&teams(names)), 1000).await.unwrap().len()
    };
    assert_eq!((listed(&["bank"]).await, listed(&[]).await), (0, 0));
    assert_eq!(listed(&["bank", "shop"]).await, 450);
    store.insert_spans(&[], &[]).await.unwrap();
}

async fn a_trace_is_found_by_the_first_spans_of_each_owner(store: Store, _: &Database) {
    let owner = Owner {
        team: "shop".to_owned(),
        project: "shop/web".to_owned(),
        run: "r1".to_owned(),
        stage: "eval".to_owned(),
        endpoint: "search".to_owned(),
        ..Owner::default()
    };
    let rows = [
        span(1, 0),
        span(2, 1),
        // Below a span that is not here, such as the attempt of a stage.
        SpanRow { owner, error: "timeout".to_owned(), status: Some(504), ..span(3, 99) },
        // Somebody else's with the ids of the first.
        of("bank", SpanRow { span: span(1, 0).span, ..span(4, 0) }),
        of(
            "bank",
            SpanRow { model: "gpt".to_owned(), provider: "openai".to_owned(), ..span(5, 2) },
        ),
    ];
    store.insert_spans(&rows, &[]).await.unwrap();
    let all = || TraceFilter { limit: 100, ..TraceFilter::default() };
    let word = |it: &str| it.to_owned();
    for (filter, found) in [
        (all(), "005 004 003 001"),
        (TraceFilter { teams: Some(vec![word("shop")]), ..all() }, "003 001"),
        (TraceFilter { teams: Some(Vec::new()), ..all() }, ""),
        (TraceFilter { trace: word(TRACE), ..all() }, "005 004 003 001"),
        (TraceFilter { trace: "1".repeat(32), ..all() }, ""),
        (TraceFilter { project: word("shop/web"), ..all() }, "003"),
        (TraceFilter { run: word("r1"), ..all() }, "003"),
        (TraceFilter { stage: word("eval"), ..all() }, "003"),
        (TraceFilter { endpoint: word("search"), ..all() }, "003"),
        (TraceFilter { model: word("gpt"), ..all() }, "005"),
        (TraceFilter { provider: word("openai"), ..all() }, "005"),
        (TraceFilter { ended: Ended::Well, ..all() }, "005 004 001"),
        (TraceFilter { ended: Ended::Badly, ..all() }, "003"),
        (TraceFilter { ended: Ended::Status(504), ..all() }, "003"),
        (TraceFilter { ended: Ended::With(word("timeout")), ..all() }, "003"),
        (TraceFilter { min_us: Some(4000), ..all() }, "005 004"),
        (TraceFilter { min_cost: Some(UsdNanos(1)), ..all() }, ""),
        (
            TraceFilter { since: Some(Timestamp(3000)), until: Some(Timestamp(5000)), ..all() },
            "004 003",
        ),
    ] {
        let rows = store.list_first_spans(&filter).await.unwrap();
        assert_eq!(numbers(&rows), found, "{filter:?}");
    }
}

async fn first_spans_come_page_by_page_newest_first(store: Store, _: &Database) {
    // Two of the same moment.
    let rows: Vec<_> =
        (1..=6).map(|it| SpanRow { at: Timestamp(it / 2 * 1000), ..span(it, 0) }).collect();
    store.insert_spans(&rows, &[]).await.unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = TraceFilter { before, limit: 2, ..TraceFilter::default() };
        let page = store.list_first_spans(&page).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.at, last.id.clone()));
        seen.extend(page.into_iter().map(|it| it.id));
    }
    let expected: Vec<_> = (1..=6).rev().map(|it| format!("spn_{it:04}")).collect();
    assert_eq!(seen, expected);
}

async fn the_span_above_another_is_found_by_its_name_and_owner(_: Store, database: &Database) {
    let above = "SELECT 1 FROM spans, spans above WHERE above.trace = spans.trace AND above.span = spans.parent
        AND above.team = spans.team AND above.project = spans.project AND spans.id = 'x'";
    let Some(plan) = database.plan(above).await else { return };
    // By the project alone it would look through all of its spans, for each span of a list.
    assert!(plan.contains("(trace=? AND span=? AND team=? AND project=?)"), "{plan}");
}

async fn spans_go_with_what_was_said_in_them(store: Store, _: &Database) {
    let rows = [span(1, 0), span(2, 0), span(3, 0)];
    let late = TraceContentRow { written_at: Timestamp(9000), ..content("spn_0003") };
    store.insert_spans(&rows, &[content("spn_0001"), content("spn_0002"), late]).await.unwrap();
    let ids: Vec<_> = rows.iter().map(|it| it.id.clone()).collect();
    let said = async || store.list_trace_contents(&ids).await.unwrap().len();
    assert_eq!(store.delete_trace_contents(Timestamp(1501), 1).await.unwrap(), 1);
    assert_eq!(said().await, 2);
    assert_eq!(store.delete_spans(Timestamp(2500), 9).await.unwrap(), 1, "not that of the moment");
    assert_eq!(store.delete_spans(Timestamp(9999), 1).await.unwrap(), 1);
    assert_eq!(said().await, 1);
    assert_eq!(numbers(&store.list_spans(TRACE, None, 9).await.unwrap()), "003");
}

async fn spans_are_sent_on_in_the_order_of_their_writing(store: Store, _: &Database) {
    // The later one was written first.
    let rows = [
        SpanRow { written_at: Timestamp(900), ..span(1, 0) },
        SpanRow { written_at: Timestamp(800), ..span(2, 0) },
        SpanRow { written_at: Timestamp(900), ..span(3, 0) },
        span(4, 0),
    ];
    store.insert_spans(&rows, &[]).await.unwrap();
    let unsent = async |written_at: i64, id: &str, limit: u32| {
        let after = ExportRow {
            written_at: Timestamp(written_at),
            id: id.to_owned(),
            claimed_until: Timestamp(0),
        };
        numbers(&store.list_unsent_spans(&after, Timestamp(4500), limit).await.unwrap())
    };
    assert_eq!(unsent(0, "", 9).await, "002 001 003", "not what was just written");
    assert_eq!(unsent(800, "spn_0002", 1).await, "001");
    assert_eq!(unsent(900, "spn_0001", 9).await, "003");
}
