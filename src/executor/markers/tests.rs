use proptest::prelude::*;

use super::*;

const NONCE: &str = "n0nce";

/// The items of a log cut at these places, with neighbouring output joined.
fn items(log: &[u8], cuts: &[usize]) -> Vec<LogItem> {
    let mut parser = MarkerParser::new(NONCE);
    let mut items = VecDeque::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|it| it % (log.len() + 1)).collect();
    cuts.extend([0, log.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        parser.feed(Timestamp(1), Bytes::copy_from_slice(&log[pair[0]..pair[1]]), &mut items);
    }
    parser.finish(Timestamp(1), &mut items);
    items.into()
}

fn story(log: &str) -> String {
    let lines: Vec<String> = items(log.as_bytes(), &[]).iter().map(tell).collect();
    lines.join(" | ")
}

fn tell(item: &LogItem) -> String {
    match item {
        LogItem::Output { bytes, .. } => format!("{:?}", String::from_utf8_lossy(bytes)),
        LogItem::StepStarted { step, .. } => format!("start {step}"),
        LogItem::StepFinished { step, exit_code, .. } => format!("end {step} {exit_code}"),
    }
}

#[test]
fn markers_become_items_and_the_rest_stays_output() {
    insta::assert_snapshot!(
        story("\x1en0nce start 0\nhello\nworld\n\x1en0nce end 0 3\n"),
        @r#"start 0 | "hello\nworld\n" | end 0 3"#
    );
}

#[test]
fn a_marker_after_a_line_without_an_end_is_found() {
    insta::assert_snapshot!(story("partial\x1en0nce end 2 -1\nx"), @r#""partial" | end 2 -1 | "x""#);
}

#[test]
fn what_only_looks_like_a_marker_is_output() {
    insta::assert_snapshot!(
        story("\x1eother start 0\n\x1en0nce dance\n\x1e\x1en0nce start 1\n\x1en0n"),
        @r#""\u{1e}other start 0\n\u{1e}n0nce dance\n\u{1e}" | start 1 | "\u{1e}n0n""#
    );
}

#[test]
fn a_marker_that_never_ends_does_not_swallow_the_log() {
    let log = format!("\x1en0nce start {}", "1".repeat(100));
    assert_eq!(items(log.as_bytes(), &[]).len(), 1);
}

proptest! {
    #[test]
    fn the_items_do_not_depend_on_how_the_log_is_cut(
        parts in prop::collection::vec(
            prop_oneof![
                Just("\x1en0nce start 1\n".to_owned()),
                Just("\x1en0nce end 1 0\n".to_owned()),
                Just("\x1e".to_owned()),
                Just("\x1en0".to_owned()),
                "[a-z\\n]{0,6}",
            ],
            0..12,
        ),
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let log = parts.concat();
        prop_assert_eq!(items(log.as_bytes(), &[]), items(log.as_bytes(), &cuts));
    }
}
