use std::sync::Arc;

use super::*;
use crate::engine::{AttemptOutcome, Event, RerunScope, Run};
use crate::model::{FailureClass, RunId, StageIndex};
use crate::pipeline::{Context, Plan};
use crate::runs::view::Surroundings;

const FIRST: StageIndex = StageIndex(0);
const SECOND: StageIndex = StageIndex(1);

/// A run of two stages to which this has happened, a second apart from each other where no moment is named.
fn story(events: &[(i64, Event)]) -> (RunView, Vec<StoredEvent>) {
    let stage = |key: &str, needs: serde_json::Value| {
        serde_json::json!({
            "key": key, "name": key, "needs": needs, "timeout": 600_000,
            "work": {"builtin": {"name": "eval", "with": null}},
        })
    };
    let stages =
        [stage("build", serde_json::json!([])), stage("deploy", serde_json::json!([{"stage": 0}]))];
    let plan = serde_json::json!({ "pipeline": "ci", "stages": stages });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let mut run = Run::new(RunId("r1".into()), Arc::new(plan), Arc::new(Context::default()));
    let mut stored = Vec::new();
    for ((at, event), seq) in events.iter().cloned().zip(0..) {
        let at = Timestamp(at * 1000);
        run.apply(&event, at);
        stored.push(StoredEvent { seq, at, event });
    }
    let around = Surroundings {
        number: 1,
        project: "",
        repository: "shop/web",
        created_at: Timestamp(0),
        is_interrupted: false,
        events: 0,
    };
    (RunView::new(&run, around, Timestamp(200_000)), stored)
}

fn failed() -> AttemptOutcome {
    AttemptOutcome::failed(FailureClass::User, "exit code 1")
}

fn shown(timeline: &Timeline) -> String {
    let queued = timeline.queued.iter().map(|it| format!("run: queue {}+{}", it.x, it.width));
    let rows = timeline.rows.iter().map(|row| {
        let bars: Vec<_> =
            row.bars.iter().map(|it| format!("{} {}+{}", it.class, it.x, it.width)).collect();
        let (waited, ran) = (row.waited.0 / 1000, row.ran.0 / 1000);
        format!("{}: {} | {waited} {ran} {}", row.key, bars.join(", "), row.attempts)
    });
    queued.chain(rows).collect::<Vec<_>>().join("\n")
}

fn first_round() -> Vec<(i64, Event)> {
    vec![
        (10, Event::RunStarted),
        (10, Event::StageReady { stage: FIRST }),
        (20, Event::AttemptStarted { stage: FIRST, attempt: 1, epoch: 1 }),
        (20, Event::StepStarted { stage: FIRST, attempt: 1, step: 0 }),
        (30, Event::StepFinished { stage: FIRST, attempt: 1, step: 0, exit_code: 1 }),
        (30, Event::AttemptFinished { stage: FIRST, attempt: 1, outcome: failed() }),
        (30, Event::RetryScheduled { stage: FIRST, retry_at: Timestamp(40_000) }),
        (40, Event::StageReady { stage: FIRST }),
        (40, Event::AttemptStarted { stage: FIRST, attempt: 2, epoch: 1 }),
        (
            60,
            Event::AttemptFinished { stage: FIRST, attempt: 2, outcome: AttemptOutcome::default() },
        ),
        (60, finished(FIRST, StageStatus::Passed)),
        (60, Event::StageReady { stage: SECOND }),
        (70, Event::AttemptStarted { stage: SECOND, attempt: 1, epoch: 1 }),
        (100, Event::AttemptFinished { stage: SECOND, attempt: 1, outcome: failed() }),
        (100, finished(SECOND, StageStatus::Failed)),
        (100, Event::RunFinished { status: crate::model::RunStatus::Failed }),
    ]
}

fn finished(stage: StageIndex, status: StageStatus) -> Event {
    Event::StageFinished { stage, status, allowed: false, failure: None }
}

#[test]
fn waits_tries_and_delays_are_bars_on_one_axis() {
    let (view, events) = story(&first_round());
    let timeline = Timeline::new(&view, &events, (None, Timestamp(200_000)));
    insta::assert_snapshot!(shown(&timeline), @r"
    run: queue 0%+10%
    build: queue 10%+10%, failed 20%+10%, delay 30%+10%, passed 40%+20% | 20 30 2
    deploy: queue 60%+10%, failed 70%+30% | 10 30 1
    ");
    let step = &timeline.rows[0].bars[1].steps[0];
    assert_eq!((step.class, step.x.as_str(), step.title.as_str()), ("failed", "20%", "step 1"));
}

#[test]
fn each_rerun_is_a_round_of_its_own() {
    let mut all = first_round();
    let stages = vec![SECOND];
    let (scope, by) = (RerunScope::Failed, "ada".to_owned());
    all.push((100_000, Event::RerunRequested { scope, by, stages, no_reuse: false }));
    all.push((100_000, Event::RunStarted));
    all.push((100_000, Event::StageReady { stage: SECOND }));
    all.push((100_001, Event::AttemptStarted { stage: SECOND, attempt: 2, epoch: 1 }));
    let (view, events) = story(&all);
    let now = Timestamp(100_010_000);
    let timeline = Timeline::new(&view, &events, (None, now));
    assert_eq!((timeline.rounds.len(), timeline.round), (2, 2));
    insta::assert_snapshot!(shown(&timeline), @r"
    deploy: queue 0%+10%, running 10%+90% | 1 9 1
    build:  | 0 0 0
    ");
    let first = Timeline::new(&view, &events, (Some(1), now));
    assert_eq!((first.round, first.span), (1, Milliseconds(100_000)));
}

#[test]
fn nothing_yet_is_drawn_too() {
    let (view, events) = story(&[]);
    let timeline = Timeline::new(&view, &events, (Some(9), Timestamp(0)));
    assert_eq!((timeline.round, timeline.rows.len()), (1, 2));
    assert_eq!(timeline.queued, None);
}

#[test]
fn ticks_are_round_numbers_and_few() {
    let labels = |span| {
        let ticks = axis::ticks(Milliseconds(span));
        ticks.iter().map(|it| it.label.clone()).collect::<Vec<_>>().join(" | ")
    };
    assert_eq!(labels(1000), "0 | 0.2 s | 0.4 s | 0.6 s | 0.8 s | 1 s");
    assert_eq!(labels(42_000), "0 | 5 s | 10 s | 15 s | 20 s | 25 s | 30 s | 35 s | 40 s");
    assert_eq!(labels(400_000), "0 | 1 min | 2 min | 3 min | 4 min | 5 min | 6 min");
    assert_eq!(labels(8 * 3_600_000), "0 | 1 h | 2 h | 3 h | 4 h | 5 h | 6 h | 7 h | 8 h");
    for span in (0..40).map(|it| 1_u64 << it) {
        let count = axis::ticks(Milliseconds(span.max(1000))).len();
        assert!((2..=9).contains(&count), "{span}: {count}");
    }
}
