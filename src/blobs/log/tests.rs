use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::record::{Record, read_all};
use super::*;
use crate::model::StageIndex;

mod properties;
mod search;

fn open() -> (tempfile::TempDir, Logs) {
    let folder = tempfile::tempdir().unwrap();
    let logs = Logs::open(&folder.path().join("logs")).unwrap();
    (folder, logs)
}

fn name(stage: u32) -> AttemptName {
    AttemptName { run: RunId("01k".into()), stage: StageIndex(stage), attempt: 1 }
}

async fn text(reader: &LogReader) -> String {
    String::from_utf8(reader.read_at(0, usize::MAX).await.unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_written_can_be_read_at_any_offset() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let reader = logs.reader(&name(0)).await.unwrap();
    assert!(writer.is_empty());
    assert!(reader.read_at(0, 10).await.unwrap().is_empty());

    writer.write_at(0, b"hello\n", Timestamp(1)).await.unwrap();
    writer.write_at(6, b"world", Timestamp(2)).await.unwrap();

    assert_eq!(writer.len(), 11);
    assert_eq!(text(&reader).await, "hello\nworld");
    assert_eq!(reader.read_at(4, 3).await.unwrap(), b"o\nw");
    assert_eq!(reader.read_at(9, 100).await.unwrap(), b"ld");
    assert!(reader.read_at(11, 1).await.unwrap().is_empty());
    assert!(reader.read_at(u64::MAX, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_stored_already_is_not_written_again() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    for (offset, bytes) in [(0, "ab"), (0, "ab"), (1, "bc"), (0, ""), (0, "abcd"), (2, "c")] {
        writer.write_at(offset, bytes.as_bytes(), Timestamp(1)).await.unwrap();
    }
    assert_eq!(text(&logs.reader(&name(0)).await.unwrap()).await, "abcd");
}

#[tokio::test]
async fn the_output_begins_before_its_first_step() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    writer.start_section(0, OUTPUT_SECTION, Timestamp(1)).await.unwrap();
    writer.start_section(0, 0, Timestamp(1)).await.unwrap();
    writer.write_at(0, b"hello\n", Timestamp(1)).await.unwrap();
    let reader = logs.reader(&name(0)).await.unwrap();
    let steps: Vec<_> = reader.sections().await.unwrap().iter().map(|it| it.step).collect();
    assert_eq!(steps, [OUTPUT_SECTION, 0]);
    let (lines, _) = reader.next_lines(LogPlace::default(), 9, false).await.unwrap();
    assert_eq!(lines[0].section, Some(0));
}

#[tokio::test]
async fn a_gap_is_refused() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    writer.write_at(0, b"abc", Timestamp(1)).await.unwrap();

    let error = writer.write_at(5, b"f", Timestamp(1)).await.unwrap_err();

    let expected = "log `01k-0-1` has 3 bytes, so bytes from 5 on leave a gap";
    assert_eq!(error.to_string(), expected);
    assert_eq!(writer.len(), 3);
}

#[tokio::test]
async fn a_log_that_nobody_opened_for_writing_is_not_found() {
    let (_folder, logs) = open();
    let error = logs.reader(&name(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "`01k-0-1` is not stored");
}

#[tokio::test]
async fn a_name_does_not_lead_out_of_the_folder() {
    let (_folder, logs) = open();
    for run in ["..", "", "a/b", "/etc"] {
        let name = AttemptName { run: RunId(run.into()), ..name(0) };
        assert!(matches!(logs.writer(&name).await, Err(BlobError::NotFound(_))), "{run}");
        assert!(matches!(logs.delete_run(&name.run).await, Err(BlobError::NotFound(_))), "{run}");
    }
}

#[tokio::test]
async fn lines_are_counted_and_found() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let reader = logs.reader(&name(0)).await.unwrap();
    let story = [
        ("", 0, None, None),
        ("a", 1, Some(0), None),
        ("b", 1, Some(0), None),
        ("\n", 1, Some(0), None),
        ("\n", 2, Some(0), Some(3)),
        ("c", 3, Some(0), Some(3)),
    ];
    let mut offset = 0;
    for (bytes, lines, first, second) in story {
        writer.write_at(offset, bytes.as_bytes(), Timestamp(1)).await.unwrap();
        offset += bytes.len() as u64;
        let extent = reader.extent().await.unwrap();
        let expected = LogExtent { size_bytes: offset, lines, is_complete: false };
        assert_eq!(extent, expected);
        assert_eq!(reader.offset_of_line(0).await.unwrap(), first);
        assert_eq!(reader.offset_of_line(1).await.unwrap(), second);
    }
    assert_eq!(reader.offset_of_line(2).await.unwrap(), Some(4));
    assert_eq!(reader.offset_of_line(3).await.unwrap(), None);
    assert_eq!(reader.offset_of_line(u64::MAX).await.unwrap(), None);
}

#[tokio::test]
async fn the_time_of_a_line_is_known_to_a_second() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let reader = logs.reader(&name(0)).await.unwrap();
    assert_eq!(reader.time_at(0).await.unwrap(), None);
    assert!(reader.times(0, 9).await.unwrap().is_empty());
    for n in 0..40 {
        let at = Timestamp(10_000 + n * 300);
        writer.write_at(writer.len(), b"tick\n", at).await.unwrap();
    }

    for n in 0..40_u32 {
        let printed = Timestamp(10_000 + i64::from(n) * 300);
        let known = reader.time_at(u64::from(n) * 5).await.unwrap().unwrap();
        assert!(known <= printed && printed.since(known).0 < 1000, "{n}: {known:?}");
    }
    let times = reader.times(27, 60).await.unwrap();
    let expected = [(20, 11_200), (40, 12_400)].map(|(offset, at)| (offset, Timestamp(at)));
    assert_eq!(times, expected);
}

#[tokio::test]
async fn the_index_is_small_but_never_far() {
    let (folder, logs) = open();
    for (stage, line) in [(0, "\n"), (1, "twelve bytes\n"), (2, &*"x".repeat(1_000_000))] {
        let mut writer = logs.writer(&name(stage)).await.unwrap();
        let bytes = line.repeat(3_000_000 / line.len());
        writer.write_at(0, bytes.as_bytes(), Timestamp(1)).await.unwrap();

        let marks = read_all(&folder.path().join(format!("logs/01k/{stage}-1.idx"))).unwrap();

        assert!(marks.len() < 3_000_000 / 1000, "{} marks", marks.len());
        for pair in marks.windows(2) {
            assert!(pair[1].offset - pair[0].offset <= 64 * 1024);
            assert!(pair[1].number - pair[0].number < 128 + 1024);
        }
    }
}

#[tokio::test]
async fn each_section_is_marked_once() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let reader = logs.reader(&name(0)).await.unwrap();
    writer.start_section(0, 0, Timestamp(1)).await.unwrap();
    writer.write_at(0, b"one\n", Timestamp(2)).await.unwrap();
    writer.start_section(4, 1, Timestamp(3)).await.unwrap();
    drop(writer);
    // Another process takes over and goes through it from the beginning.
    let mut writer = logs.writer(&name(0)).await.unwrap();
    writer.start_section(0, 0, Timestamp(91)).await.unwrap();
    writer.start_section(4, 1, Timestamp(93)).await.unwrap();
    writer.finish().await.unwrap();
    writer.finish().await.unwrap();

    let section = |step, offset, at| LogSection { step, offset, started_at: Timestamp(at) };
    assert_eq!(reader.sections().await.unwrap(), [section(0, 0, 1), section(1, 4, 3)]);
}

#[tokio::test]
async fn a_follower_sees_everything_and_then_the_end() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let mut followers = JoinSet::new();
    for _ in 0..3 {
        let reader = logs.reader(&name(0)).await.unwrap();
        followers.spawn(follow(reader));
    }
    for n in 0..200 {
        let line = format!("line {n}\n");
        writer.write_at(writer.len(), line.as_bytes(), Timestamp(n)).await.unwrap();
        tokio::task::yield_now().await;
    }
    writer.finish().await.unwrap();

    let expected = (0..200).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
    for seen in followers.join_all().await {
        assert_eq!(seen, expected);
    }
    let extent = logs.reader(&name(0)).await.unwrap().extent().await.unwrap();
    assert!(extent.is_complete);
}

#[tokio::test]
async fn a_follower_in_another_process_sees_it_too() {
    let (folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let other = Logs::open(&folder.path().join("logs")).unwrap();
    let mut followers = JoinSet::new();
    followers.spawn(follow(other.reader(&name(0)).await.unwrap()));
    writer.write_at(0, b"hello\n", Timestamp(1)).await.unwrap();
    writer.finish().await.unwrap();

    let seen = tokio::time::timeout(Duration::from_secs(5), followers.join_all()).await.unwrap();
    assert_eq!(seen, ["hello\n"]);
}

#[tokio::test]
async fn a_follower_of_a_deleted_log_ends() {
    let (_folder, logs) = open();
    let writer = logs.writer(&name(0)).await.unwrap();
    let mut followers = JoinSet::new();
    followers.spawn(follow(logs.reader(&name(0)).await.unwrap()));
    logs.delete(&name(0)).await.unwrap();
    logs.delete(&name(0)).await.unwrap();
    drop(writer);

    let seen = tokio::time::timeout(Duration::from_secs(5), followers.join_all()).await.unwrap();
    assert_eq!(seen, [""]);
    assert!(logs.reader(&name(0)).await.is_err());
}

#[tokio::test]
async fn the_logs_of_a_run_are_removed_together() {
    let (folder, logs) = open();
    let other = AttemptName { run: RunId("01m".into()), ..name(0) };
    for name in [&name(0), &name(1), &other] {
        logs.writer(name).await.unwrap().write_at(0, b"x", Timestamp(1)).await.unwrap();
    }

    logs.delete_run(&name(0).run).await.unwrap();
    logs.delete_run(&name(0).run).await.unwrap();

    assert!(!folder.path().join("logs/01k").exists());
    assert_eq!(text(&logs.reader(&other).await.unwrap()).await, "x");
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_still_counts_once() {
    let (_folder, logs) = open();
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let mut expected = String::new();
    for n in 0..50 {
        let (offset, piece) =
            (expected.len() as u64, format!("too long for here: {n}\n").repeat(300));
        // Polled once, then dropped: the write goes on without its caller.
        let write = writer.write_at(offset, piece.as_bytes(), Timestamp(1));
        drop(futures_util::FutureExt::now_or_never(write));
        writer.write_at(offset, piece.as_bytes(), Timestamp(1)).await.unwrap();
        expected.push_str(&piece);
    }
    assert!(text(&logs.reader(&name(0)).await.unwrap()).await == expected);
}

async fn follow(reader: LogReader) -> String {
    let mut seen = Vec::new();
    while reader.wait_for(seen.len() as u64).await.unwrap() {
        let bytes = reader.read_at(seen.len() as u64, 7).await.unwrap();
        assert!(!bytes.is_empty());
        seen.extend(bytes);
    }
    String::from_utf8(seen).unwrap()
}
