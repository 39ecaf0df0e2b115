//! What a run waits for, in sentences, and what people can do about it.

use super::path_of_stage;
use crate::approvals::Stuck;
use crate::engine::WaitsFor;
use crate::model::Timestamp;
use crate::pipeline::Plan;
use crate::pipeline::plan::Work;
use crate::runs::queue::{Queued, Reason};

/// One thing that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    /// Key of the stage; `None` for the run as a whole.
    pub(super) stage: Option<String>,
    /// The end of a sentence that begins with "waits for".
    pub(super) text: String,
    pub(super) until: Option<Timestamp>,
    /// What becomes of the stage then, where that is a decision.
    pub(super) end: &'static str,
    /// What to do about it.
    pub(super) advice: String,
    /// Where people answer, when they are asked.
    pub(super) approval: Option<String>,
}

/// What is waited for; what nobody can give says so.
pub(super) fn of(queued: &Queued, path: &str, (plan, stuck): (&Plan, &[Stuck])) -> Vec<Wait> {
    let end = |key: Option<&String>| {
        let mut stages = plan.stages.iter().filter(|it| Some(&it.key) == key);
        stages.find_map(|it| match &it.work {
            Work::Approval(asked) if asked.approve_on_timeout => Some("approved"),
            Work::Approval(_) => Some("rejected"),
            Work::Container(_) | Work::Image(_) | Work::Builtin { .. } => None,
        })
    };
    let wait = |reason| {
        let mut wait = Wait::of(reason, path);
        wait.end = end(wait.stage.as_ref().filter(|_| wait.approval.is_some())).unwrap_or_default();
        match stuck.iter().find(|it| wait.stage.as_ref() == Some(&it.stage)) {
            Some(Stuck { why, help, .. }) => {
                Wait { text: format!("{}, but {why}", wait.text), advice: help.clone(), ..wait }
            }
            None => wait,
        }
    };
    queued.reasons.iter().map(wait).collect()
}

/// The end of a sentence that begins with "waits for".
pub(in crate::ui) fn draining(workers: &[String]) -> String {
    let (names, verb) = match workers {
        [one] => (one.clone(), "is draining"),
        [one, other] => (format!("{one} and {other}"), "are draining"),
        [one, others @ ..] => (format!("{one} and {} others", others.len()), "are draining"),
        [] => ("all".to_owned(), "are draining"),
    };
    format!("a worker that takes something new: {names} {verb}")
}

impl Wait {
    fn of(reason: &Reason, path: &str) -> Self {
        let text = |text: &str, advice: &str| Self {
            stage: None,
            text: text.to_owned(),
            until: None,
            end: "",
            advice: advice.to_owned(),
            approval: None,
        };
        match reason {
            Reason::Worker => text("a worker with a free slot", ""),
            Reason::NoWorker => text(
                "a worker: none that runs stages gives a sign of life",
                "An owner of the installation can start one.",
            ),
            Reason::Draining { workers } => text(
                &draining(workers),
                "An owner of the installation can let it take runs again, or start another.",
            ),
            Reason::Labels { labels } => {
                let pairs: Vec<_> =
                    labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let advice = "Start a worker with these labels, or change them in the pipeline.";
                text(&format!("a worker with {}: none has that", pairs.join(", ")), advice)
            }
            Reason::Lease { owner, until } => Self {
                until: Some(*until),
                ..text(&format!("{owner}, which gives no sign of life; then others go on"), "")
            },
            Reason::Stage { stage, waits_for } => {
                let is_approval = matches!(waits_for, WaitsFor::People { .. });
                let address = |key: &String| format!("{}/approval", path_of_stage(path, key));
                let approval = stage.as_ref().filter(|_| is_approval).map(address);
                Self { stage: stage.clone(), approval, ..Self::of_stage(waits_for) }
            }
        }
    }

    fn of_stage(waits_for: &WaitsFor) -> Self {
        let (text, until, advice) = match waits_for {
            WaitsFor::Admission { group } => {
                let text = format!("the runs before it in the group {group}");
                (text, None, "It starts when they have ended; cancel them to be sooner.")
            }
            WaitsFor::Slot { group } => {
                let text = format!("a slot of the group {group}");
                (text, None, "Another run has it; its turn comes when that is through.")
            }
            WaitsFor::Retry { until } => {
                ("the delay before its next try".to_owned(), Some(*until), "")
            }
            WaitsFor::People { missing, until } => {
                let people = if *missing == 1 { "person" } else { "people" };
                (format!("{missing} {people} to approve it"), Some(*until), "")
            }
            WaitsFor::Driver | WaitsFor::Room | WaitsFor::Needs(_) | WaitsFor::Attempt => {
                ("room on a worker".to_owned(), None, "")
            }
        };
        Self { stage: None, text, until, end: "", advice: advice.to_owned(), approval: None }
    }
}
