//! Bars, from events: each has a beginning, an end, and what it was.

use super::Round;
use crate::engine::{AttemptOutcome, Event};
use crate::model::{FailureClass, StageIndex, Timestamp};
use crate::runs::view::RunView;
use crate::store::runs::StoredEvent;

/// What a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) enum BarKind {
    /// It was its turn, and there was no room.
    Queue,
    /// It waited for its next try.
    Delay,
    /// It waited for people.
    People,
    /// An attempt that still goes on.
    Running,
    /// An attempt that passed, or a step.
    Passed,
    /// An attempt or a step that failed.
    Failed,
    /// An attempt that was stopped.
    Cancelled,
    /// An earlier result stands for it.
    Reused,
}

/// What went on for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ui) struct Bar {
    pub(in crate::ui) kind: BarKind,
    pub(in crate::ui) from: Timestamp,
    pub(in crate::ui) to: Timestamp,
    pub(in crate::ui) title: String,
    /// Steps of an attempt.
    pub(in crate::ui) steps: Vec<Bar>,
}

/// All bars of a round.
pub(super) struct Found {
    /// Until the first stage could start.
    pub(super) queued: Option<Bar>,
    /// By stage, in the order of the plan.
    pub(super) stages: Vec<Vec<Bar>>,
}

impl BarKind {
    pub(in crate::ui) fn class(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Delay => "delay",
            Self::People => "people",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Reused => "reused",
        }
    }

    pub(super) fn is_wait(self) -> bool {
        matches!(self, Self::Queue | Self::Delay)
    }

    pub(super) fn is_attempt(self) -> bool {
        matches!(self, Self::Running | Self::Passed | Self::Failed | Self::Cancelled)
    }

    fn of(outcome: &AttemptOutcome) -> Self {
        match outcome.class {
            None => Self::Passed,
            Some(FailureClass::Cancelled) => Self::Cancelled,
            Some(_) => Self::Failed,
        }
    }
}

/// What is known of a stage while its events are read.
#[derive(Default)]
struct Track {
    bars: Vec<Bar>,
    /// Since when it waits, and for what.
    waits: Option<(BarKind, Timestamp)>,
    /// The attempt under way: its number and start.
    attempt: Option<(u32, Timestamp)>,
    steps: Vec<Bar>,
}

/// Reads the bars of a round.
pub(super) fn of(view: &RunView, events: &[StoredEvent], round: &Round) -> Found {
    let mut tracks: Vec<Track> = view.stages.iter().map(|_| Track::default()).collect();
    let mut started_at = None;
    let is_in = |it: &&StoredEvent| (round.from..=round.to).contains(&it.at);
    for stored in events.iter().filter(is_in) {
        if matches!(stored.event, Event::RunStarted) {
            started_at.get_or_insert(stored.at);
        }
        let stage = stored.event.stage();
        if let Some(index) = stage
            && let Some(track) = tracks.get_mut(index.as_usize())
        {
            track.read(stored, |step| name_of(view, index, step));
        }
    }
    let until = started_at.unwrap_or(round.to);
    let queued = (until > round.from).then(|| Bar {
        kind: BarKind::Queue,
        from: round.from,
        to: until,
        title: "waiting to start".to_owned(),
        steps: Vec::new(),
    });
    let stages = tracks.into_iter().map(|it| it.close(round.to)).collect();
    Found { queued, stages }
}

fn name_of(view: &RunView, stage: StageIndex, step: u32) -> String {
    let names = view.stage(stage).map(|it| it.step_names.as_slice()).unwrap_or_default();
    let place = usize::try_from(step).unwrap_or(usize::MAX);
    let name = names.get(place).filter(|it| !it.is_empty()).cloned();
    name.unwrap_or_else(|| format!("step {}", step.saturating_add(1)))
}

impl Track {
    fn read(&mut self, stored: &StoredEvent, name_of: impl Fn(u32) -> String) {
        let at = stored.at;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others take no time")]
        match &stored.event {
            Event::StageReady { .. } => self.wait(BarKind::Queue, at),
            Event::RetryScheduled { .. } => self.wait(BarKind::Delay, at),
            Event::ApprovalRequested { .. } => self.wait(BarKind::People, at),
            Event::AttemptStarted { attempt, .. } => {
                self.stop_waiting(at);
                self.attempt = Some((*attempt, at));
            }
            Event::StepStarted { step, .. } => {
                let (kind, title) = (BarKind::Running, name_of(*step));
                self.steps.push(Bar { kind, from: at, to: at, title, steps: Vec::new() });
            }
            Event::StepFinished { exit_code, .. } => {
                if let Some(step) = self.steps.last_mut() {
                    let is_good = *exit_code == 0;
                    step.kind = if is_good { BarKind::Passed } else { BarKind::Failed };
                    step.to = at;
                }
            }
            Event::AttemptFinished { outcome, .. } => self.end_attempt(BarKind::of(outcome), at),
            Event::StageReused { .. } => {
                self.stop_waiting(at);
                let title = "an earlier result stands for it".to_owned();
                let kind = BarKind::Reused;
                self.bars.push(Bar { kind, from: at, to: at, title, steps: Vec::new() });
            }
            Event::StageFinished { .. } | Event::StageSkipped { .. } => self.stop_waiting(at),
            _ => (),
        }
    }

    fn wait(&mut self, kind: BarKind, at: Timestamp) {
        self.stop_waiting(at);
        self.waits = Some((kind, at));
    }

    fn stop_waiting(&mut self, to: Timestamp) {
        let Some((kind, from)) = self.waits.take() else { return };
        if to > from {
            let title = match kind {
                BarKind::Delay => "waiting for the next try",
                BarKind::People => "waiting for people",
                BarKind::Queue
                | BarKind::Running
                | BarKind::Passed
                | BarKind::Failed
                | BarKind::Cancelled
                | BarKind::Reused => "waiting for room",
            };
            self.bars.push(Bar { kind, from, to, title: title.to_owned(), steps: Vec::new() });
        }
    }

    fn end_attempt(&mut self, kind: BarKind, to: Timestamp) {
        let Some((number, from)) = self.attempt.take() else { return };
        let mut steps = std::mem::take(&mut self.steps);
        for step in steps.iter_mut().filter(|it| it.kind == BarKind::Running) {
            (step.kind, step.to) = (kind, to);
        }
        let title = format!("attempt {number}: {}", kind.class());
        self.bars.push(Bar { kind, from, to, title, steps });
    }

    /// What has no end yet lasts until now.
    fn close(mut self, to: Timestamp) -> Vec<Bar> {
        self.stop_waiting(to);
        self.end_attempt(BarKind::Running, to);
        self.bars
    }
}
