//! Whatever the pieces and wherever a crash tears the files: the log is the same, and the index
//! agrees with it.

use super::*;

/// What a crash leaves of the files, as bytes cut off their ends.
#[derive(Debug, Clone)]
struct Torn {
    log: usize,
    lines: usize,
    sections: usize,
    /// A power failure may leave blocks of zeros.
    zeros: usize,
}

#[derive(Debug, Clone)]
enum Action {
    /// Write the next so many bytes of the story, after so many milliseconds.
    Write(usize, i64),
    /// The process dies, and the next one begins at the first byte or at the stored length.
    Restart { torn: Torn, from_start: bool },
}

fn torn() -> impl Strategy<Value = Torn> {
    prop_oneof![
        2 => Just((0, 0, 0, 0)),
        1 => (0..400_usize, 0..200_usize, 0..60_usize, 0..100_usize),
    ]
    .prop_map(|(log, lines, sections, zeros)| Torn { log, lines, sections, zeros })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..3000_usize, 0..1500_i64).prop_map(|(size, after)| Action::Write(size, after)),
        1 => (torn(), any::<bool>())
            .prop_map(|(torn, from_start)| Action::Restart { torn, from_start }),
    ]
}

/// Text with lines of all lengths, some of them empty, some of them long.
fn story(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = Vec::new();
    while bytes.len() < 60_000 {
        let longest = *random.choice(&[1, 3, 40, 40, 5000]).unwrap();
        bytes.extend("ü".repeat(random.usize(..longest)).as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

fn cut(path: &Path, bytes: usize, zeros: usize) {
    let mut content = std::fs::read(path).unwrap();
    content.truncate(content.len().saturating_sub(bytes));
    content.resize(content.len() + zeros, 0);
    std::fs::write(path, content).unwrap();
}

fn crash(logs: &Logs, torn: &Torn) {
    let files = logs.files(&name(0)).unwrap();
    cut(&files.log, torn.log, 0);
    cut(&files.lines, torn.lines, torn.zeros);
    cut(&files.sections, torn.sections, 0);
}

async fn check(logs: &Logs, story: &[u8]) {
    let reader = logs.reader(&name(0)).await.unwrap();
    let stored = reader.read_at(0, usize::MAX).await.unwrap();
    assert!(stored == story.get(..stored.len()).unwrap());

    let starts: Vec<u64> = std::iter::once(0)
        .chain((1..).zip(&stored).filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end))
        .filter(|start| *start < stored.len() as u64)
        .collect();
    let extent = reader.extent().await.unwrap();
    assert_eq!(extent.size_bytes, stored.len() as u64);
    assert_eq!(extent.lines, starts.len() as u64);
    let step = starts.len() / 50 + 1;
    for (line, start) in starts.iter().enumerate().step_by(step) {
        assert_eq!(reader.offset_of_line(line as u64).await.unwrap(), Some(*start), "{line}");
    }
    assert_eq!(reader.offset_of_line(starts.len() as u64).await.unwrap(), None);

    let files = logs.files(&name(0)).unwrap();
    for Record { number, offset, .. } in read_all(&files.lines).unwrap() {
        let before = &stored[..usize::try_from(offset).unwrap()];
        assert_eq!(text::count_line_feeds(before), number);
    }
}

async fn play(actions: &[Action], seed: u64) {
    let (_folder, logs) = open();
    let story = story(seed);
    let mut writer = logs.writer(&name(0)).await.unwrap();
    let mut offset = 0;
    let mut now = Timestamp(1_000_000);
    for action in actions {
        match action {
            Action::Write(size, after) => {
                now = Timestamp(now.0 + after);
                let piece = &story[offset..(offset + size).min(story.len())];
                writer.start_section(offset as u64, 0, now).await.unwrap();
                writer.write_at(offset as u64, piece, now).await.unwrap();
                offset += piece.len();
            }
            Action::Restart { torn, from_start } => {
                drop(writer);
                crash(&logs, torn);
                writer = logs.writer(&name(0)).await.unwrap();
                let stored = usize::try_from(writer.len()).unwrap();
                offset = if *from_start { 0 } else { stored };
                check(&logs, &story).await;
            }
        }
    }
    writer.write_at(offset as u64, &story[offset..], now).await.unwrap();
    check(&logs, &story).await;
    assert_eq!(writer.len(), story.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_survives_whatever_a_crash_leaves(
        actions in proptest::collection::vec(action(), 0..40),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(&actions, seed));
    }
}
