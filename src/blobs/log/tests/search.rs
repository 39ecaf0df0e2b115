use super::*;

fn wanted(text: &str) -> LogSearch {
    LogSearch { text: text.into(), from_line: 0, matches_max: 100, bytes_max: 1 << 30 }
}

async fn log_of(bytes: &[u8]) -> (tempfile::TempDir, Logs) {
    let (folder, logs) = open();
    logs.writer(&name(0)).await.unwrap().write_at(0, bytes, Timestamp(1)).await.unwrap();
    (folder, logs)
}

async fn lines(logs: &Logs, search: LogSearch) -> (Vec<u64>, u64, Option<u64>, bool) {
    let found = logs.search(&name(0), search).await.unwrap();
    let lines = found.matches.iter().map(|it| it.line).collect();
    (lines, found.count, found.next, found.is_whole)
}

#[tokio::test]
async fn a_text_is_found_whatever_its_case_once_a_line() {
    let text = "Error: one error\nfine\n\nÄrger ERROR\nerr\nor\nthe last error";
    let (_folder, logs) = log_of(text.as_bytes()).await;
    assert_eq!(lines(&logs, wanted("error")).await, (vec![0, 3, 6], 3, None, true));
    assert_eq!(lines(&logs, wanted("ärger")).await, (vec![3], 1, None, true));
    assert_eq!(lines(&logs, wanted(".*")).await, (vec![], 0, None, true));
    let from = LogSearch { from_line: 1, ..wanted("error") };
    assert_eq!(lines(&logs, from).await, (vec![3, 6], 2, None, true));
    let behind = LogSearch { from_line: 99, ..wanted("error") };
    assert_eq!(lines(&logs, behind).await, (vec![], 0, None, true));
    assert!(matches!(logs.search(&name(9), wanted("x")).await, Err(BlobError::NotFound(_))));
}

#[tokio::test]
async fn colours_inside_of_a_text_do_not_hide_it() {
    let text = "one\n\x1b[31mer\x1b[1mror\x1b[0m: broken\n\x1b]0;error\x07two\n";
    let (_folder, logs) = log_of(text.as_bytes()).await;
    assert_eq!(lines(&logs, wanted("error: b")).await, (vec![1], 1, None, true));
    assert_eq!(lines(&logs, wanted("error")).await, (vec![1], 1, None, true));
}

#[tokio::test]
async fn a_find_shows_what_stands_around_it() {
    let text = format!("before\n{}ä needle ö{}\r\nbehind", "x".repeat(500), "y".repeat(500));
    let (_folder, logs) = log_of(text.as_bytes()).await;
    let found = logs.search(&name(0), wanted("NEEDLE")).await.unwrap().matches.remove(0);
    assert_eq!((found.line, found.text.as_str()), (1, "needle"));
    assert!(found.before.ends_with("xä ") && found.before.len() <= 200, "{}", found.before);
    assert!(found.behind.starts_with(" öy") && found.behind.len() <= 200, "{}", found.behind);
}

#[tokio::test]
async fn what_is_given_and_looked_at_is_bounded_and_goes_on() {
    let text = "hit\nmiss\n".repeat(400_000);
    let (_folder, logs) = log_of(text.as_bytes()).await;
    let few = LogSearch { matches_max: 2, ..wanted("hit") };
    assert_eq!(lines(&logs, few.clone()).await, (vec![0, 2], 400_000, Some(4), true));
    let further = LogSearch { from_line: 4, ..few.clone() };
    assert_eq!(lines(&logs, further).await, (vec![4, 6], 399_998, Some(8), true));

    let short = LogSearch { bytes_max: 1, matches_max: usize::MAX, ..few };
    let mut all = 0;
    let mut from_line = 0;
    loop {
        let found = logs.search(&name(0), LogSearch { from_line, ..short.clone() }).await.unwrap();
        all += found.count;
        let Some(next) = found.next else { break };
        assert!(!found.is_whole && next > from_line);
        from_line = next;
    }
    assert_eq!(all, 400_000);
}

#[tokio::test]
async fn a_line_that_is_longer_than_a_block_is_searched_whole() {
    let long = 1 << 20;
    for at in [long - 6, long - 3, long - 1, long, 2 * long - 1024 - 3, 3 * long] {
        let mut text = vec![b'x'; 4 * long];
        text[at..at + 6].copy_from_slice(b"needle");
        text.extend_from_slice(b"\nneedle\n");
        let (_folder, logs) = log_of(&text).await;
        assert_eq!(lines(&logs, wanted("needle")).await.0, [0, 1], "{at}");
    }
}

#[tokio::test]
#[ignore = "a measurement; run it in release"]
async fn how_long_a_million_lines_take() {
    let line = |it: u32| {
        format!(
            "2026-11-28T10:00:00 INFO compile target {it} of the project, \x1b[32mok\x1b[0m <b>\n"
        )
    };
    let text: String = (0..1_000_000).map(line).collect();
    let (_folder, logs) = log_of(text.as_bytes()).await;
    for text in ["not there", "target 999999 ", "compile", "ä"] {
        let began = std::time::Instant::now();
        let found = logs.search(&name(0), wanted(text)).await.unwrap();
        println!("{text}: {} lines, {:?}", found.count, began.elapsed());
    }
}
