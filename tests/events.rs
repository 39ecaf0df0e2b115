//! Stored events can be read for ever: one golden file for each type, named after it. A file
//! `<type>.<note>.json` beside it is what an older version wrote. A file is never changed, only added.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use trunkline::engine::Event;

/// Makes the list of all types, and a `match` that does not compile when one is left out.
macro_rules! event_types {
    ($($variant:ident => $name:literal),* $(,)?) => {
        const TYPES: &[&str] = &[$($name),*];

        fn type_of(event: &Event) -> &'static str {
            match event { $(Event::$variant { .. } => $name),* }
        }
    };
}

event_types! {
    LeaseTaken => "lease_taken",
    Admitted => "admitted",
    RunStarted => "run_started",
    StageReady => "stage_ready",
    SlotGranted => "slot_granted",
    StageSkipped => "stage_skipped",
    StageReused => "stage_reused",
    AttemptStarted => "attempt_started",
    StepStarted => "step_started",
    StepFinished => "step_finished",
    StopRequested => "stop_requested",
    AttemptFinished => "attempt_finished",
    AnswerIgnored => "answer_ignored",
    RetryScheduled => "retry_scheduled",
    ApprovalRequested => "approval_requested",
    Approved => "approved",
    Rejected => "rejected",
    StageFinished => "stage_finished",
    CancelRequested => "cancel_requested",
    RunTimedOut => "run_timed_out",
    RunFinished => "run_finished",
    RerunRequested => "rerun_requested",
}

#[test]
fn every_type_has_a_golden_file_that_is_read_and_written_back_the_same() {
    for name in TYPES {
        let path = format!("tests/fixtures/events/{name}.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let stored: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(!stored.is_empty(), "{path} shows nothing");
        for value in stored {
            let event: Event = serde_json::from_value(value.clone())
                .unwrap_or_else(|error| panic!("{path} cannot be read any more: {error}"));
            assert_eq!(type_of(&event), *name, "{path}");
            assert_eq!(serde_json::to_value(&event).unwrap(), value, "{path} is written otherwise");
        }
    }
}

#[test]
fn what_older_versions_wrote_is_still_read() {
    for path in fs::read_dir("tests/fixtures/events").unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&path).unwrap();
        let events: Vec<Event> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{} cannot be read any more: {error}", path.display()));
        let again: Vec<Event> =
            serde_json::from_str(&serde_json::to_string(&events).unwrap()).unwrap();
        assert_eq!(events, again, "{}", path.display());
        assert!(events.iter().all(|event| type_of(event) == first_word(&path)));
    }
}

#[test]
fn every_golden_file_belongs_to_a_type() {
    let known: BTreeSet<_> = TYPES.iter().copied().collect();
    for entry in fs::read_dir("tests/fixtures/events").unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(first_word(&path)), "no event is called as {}", path.display());
    }
}

/// What stands before the first dot of a file's name.
fn first_word(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap()
}
