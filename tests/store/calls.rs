//! Traces of calls to models: found by what happened in them, kept for a while, sent once.

use trunkline::model::{Timestamp, UsdNanos};
use trunkline::store::Store;
use trunkline::store::spend::calls::Owner;
use trunkline::store::spend::requests::exports::ExportRow;
use trunkline::store::spend::requests::traces::{Ended, TraceContentRow, TraceFilter, TraceRow};

use crate::databases::{Database, on_each_database};

on_each_database!(
    calls_are_found_by_what_happened_in_them,
    calls_come_page_by_page_newest_first,
    a_trace_stays_as_it_was_written_first,
    what_was_said_goes_sooner_and_with_its_trace,
    one_at_a_time_sends_what_was_written,
);

/// The `number`th call: each a second after the one before.
fn trace(number: i64) -> TraceRow {
    TraceRow {
        id: format!("req_{number:04}"),
        trace: format!("{:032x}", 0xabc),
        span: format!("{number:016x}"),
        at: Timestamp(number * 1000),
        written_at: Timestamp(number * 1000 + 500),
        key_name: "ci".to_owned(),
        owner: Owner { team: "shop".to_owned(), ..Owner::default() },
        operation: "messages".to_owned(),
        provider: "anthropic".to_owned(),
        model: "claude".to_owned(),
        answered_by: "claude-5".to_owned(),
        origin: "live".to_owned(),
        status: Some(200),
        attempts: 1,
        input_tokens: 7,
        output_tokens: 3,
        cost: UsdNanos(number * 100),
        first_token_us: Some(200),
        total_us: number * 1000,
        flags: "estimated".to_owned(),
        detail: "{}".to_owned(),
        ..TraceRow::default()
    }
}

fn content(id: &str) -> TraceContentRow {
    TraceContentRow {
        id: id.to_owned(),
        written_at: Timestamp(1500),
        kept: "redacted".to_owned(),
        is_cut: true,
        content: "{\"input\":[],\"output\":[]}".to_owned(),
    }
}

fn all() -> TraceFilter {
    TraceFilter { limit: 100, ..TraceFilter::default() }
}

async fn ids(store: &Store, filter: TraceFilter) -> Vec<String> {
    let rows = store.list_traces(&filter).await.unwrap();
    rows.into_iter().map(|it| it.id.trim_start_matches("req_0").to_owned()).collect()
}

async fn calls_are_found_by_what_happened_in_them(store: Store, _: &Database) {
    let owner = |team: &str, run: &str| Owner {
        team: team.to_owned(),
        project: format!("{team}/web"),
        run: run.to_owned(),
        stage: if run.is_empty() { String::new() } else { "eval".to_owned() },
        endpoint: if run.is_empty() { "search".to_owned() } else { String::new() },
        ..Owner::default()
    };
    let rows = [
        TraceRow { owner: owner("shop", "r1"), ..trace(1) },
        TraceRow {
            owner: owner("shop", ""),
            status: Some(429),
            error: "429".to_owned(),
            ..trace(2)
        },
        TraceRow { owner: owner("bank", ""), error: "guardrail".to_owned(), ..trace(3) },
        TraceRow {
            trace: "1".repeat(32),
            model: "gpt".to_owned(),
            provider: "openai".to_owned(),
            ..trace(4)
        },
    ];
    store.insert_traces(&rows, &[]).await.unwrap();
    assert_eq!(store.find_trace("req_0002").await.unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(store.find_trace("req_0009").await.unwrap(), None);
    let word = |it: &str| it.to_owned();
    let at = |it: i64| Some(Timestamp(it));
    for (filter, found) in [
        (all(), "004 003 002 001"),
        (TraceFilter { teams: Some(vec![word("shop")]), ..all() }, "004 002 001"),
        (TraceFilter { teams: Some(vec![word("shop"), word("bank")]), ..all() }, "004 003 002 001"),
        (TraceFilter { teams: Some(Vec::new()), ..all() }, ""),
        (TraceFilter { trace: "1".repeat(32), ..all() }, "004"),
        (TraceFilter { project: word("bank/web"), ..all() }, "003"),
        (TraceFilter { run: word("r1"), ..all() }, "001"),
        (TraceFilter { stage: word("eval"), ..all() }, "001"),
        (TraceFilter { endpoint: word("search"), ..all() }, "003 002"),
        (TraceFilter { model: word("gpt"), ..all() }, "004"),
        (TraceFilter { provider: word("openai"), ..all() }, "004"),
        (TraceFilter { ended: Ended::Well, ..all() }, "004 001"),
        (TraceFilter { ended: Ended::Badly, ..all() }, "003 002"),
        (TraceFilter { ended: Ended::Status(429), ..all() }, "002"),
        (TraceFilter { ended: Ended::With(word("guardrail")), ..all() }, "003"),
        (TraceFilter { min_us: Some(3000), ..all() }, "004 003"),
        (TraceFilter { min_cost: Some(UsdNanos(400)), ..all() }, "004"),
        (TraceFilter { since: at(2000), until: at(4000), ..all() }, "003 002"),
    ] {
        assert_eq!(ids(&store, filter.clone()).await.join(" "), found, "{filter:?}");
    }
}

async fn calls_come_page_by_page_newest_first(store: Store, _: &Database) {
    // Two of the same moment.
    let rows: Vec<_> =
        (1..=6).map(|it| TraceRow { at: Timestamp(it / 2 * 1000), ..trace(it) }).collect();
    store.insert_traces(&rows, &[]).await.unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = TraceFilter { before, limit: 2, ..TraceFilter::default() };
        let page = store.list_traces(&page).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.at, last.id.clone()));
        seen.extend(page.into_iter().map(|it| it.id));
    }
    let expected: Vec<_> = (1..=6).rev().map(|it| format!("req_{it:04}")).collect();
    assert_eq!(seen, expected);
}

async fn a_trace_stays_as_it_was_written_first(store: Store, _: &Database) {
    // More than go into one statement.
    let many: Vec<_> = (1..=450).map(trace).collect();
    store.insert_traces(&many, &[content("req_0001")]).await.unwrap();
    let other = TraceRow { model: "other".to_owned(), ..trace(1) };
    store.insert_traces(&[other], &[content("req_0001")]).await.unwrap();
    let filter = TraceFilter { limit: 1000, ..TraceFilter::default() };
    assert_eq!(store.list_traces(&filter).await.unwrap().len(), 450);
    assert_eq!(store.find_trace("req_0001").await.unwrap(), Some(trace(1)));
    store.insert_traces(&[], &[]).await.unwrap();
}

async fn what_was_said_goes_sooner_and_with_its_trace(store: Store, _: &Database) {
    let said = async || {
        let ids: Vec<_> = (1..=3).map(|it| format!("req_{it:04}")).collect();
        let said = store.list_trace_contents(&ids).await.unwrap();
        said.into_iter().map(|it| it.id.trim_start_matches("req_0").to_owned()).collect::<Vec<_>>()
    };
    let rows = [trace(1), trace(2), trace(3)];
    let late = TraceContentRow { written_at: Timestamp(9000), ..content("req_0003") };
    let contents = [content("req_0001"), content("req_0002"), late];
    store.insert_traces(&rows, &contents).await.unwrap();
    assert_eq!(store.list_trace_contents(&["req_0001".to_owned()]).await.unwrap(), contents[..1]);
    assert!(store.list_trace_contents(&[]).await.unwrap().is_empty());
    assert_eq!(store.delete_trace_contents(Timestamp(1500), 9).await.unwrap(), 0);
    assert_eq!(store.delete_trace_contents(Timestamp(1501), 1).await.unwrap(), 1);
    assert_eq!(said().await, ["002", "003"]);
    assert_eq!(store.delete_traces(Timestamp(3500), 9).await.unwrap(), 2);
    assert_eq!(said().await, ["003"]);
    assert_eq!(ids(&store, all()).await, ["003"]);
    assert_eq!(store.delete_traces(Timestamp(9999), 9).await.unwrap(), 1);
    assert!(said().await.is_empty());
}

async fn one_at_a_time_sends_what_was_written(store: Store, _: &Database) {
    let rows: Vec<_> = (1..=4).map(trace).collect();
    store.insert_traces(&rows, &[]).await.unwrap();
    let claim = async |now: i64| {
        let times = (Timestamp(now), Timestamp(now + 100));
        store.claim_trace_export("collector", times, Timestamp(2000)).await.unwrap()
    };
    assert_eq!(store.find_trace_export("collector").await.unwrap(), None);
    let held = claim(10).await.unwrap();
    assert_eq!(store.find_trace_export("collector").await.unwrap().as_ref(), Some(&held));
    assert_eq!(held.not_before(Timestamp(9)), held);
    assert_eq!(held.not_before(Timestamp(2001)).written_at, Timestamp(2001));
    assert_eq!((held.written_at, held.id.as_str()), (Timestamp(2000), ""));
    assert_eq!(held.claimed_until, Timestamp(110));
    assert_eq!(claim(109).await, None, "somebody has it");
    let due = store.list_unsent_traces(&held, Timestamp(4500), 9).await.unwrap();
    let due: Vec<_> = due.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(due, ["req_0002", "req_0003"], "not those before, nor those that were just written");
    let sent = ExportRow {
        written_at: Timestamp(2500),
        id: "req_0002".to_owned(),
        claimed_until: Timestamp(0),
    };
    assert!(store.save_trace_export("collector", &held, &sent).await.unwrap());
    assert!(!store.save_trace_export("collector", &held, &sent).await.unwrap(), "it was let go");
    let held = claim(20).await.unwrap();
    let due = store.list_unsent_traces(&held, Timestamp(9000), 1).await.unwrap();
    assert_eq!(due[0].id, "req_0003");
}
