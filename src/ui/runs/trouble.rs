//! Why a run failed, and what to do: before everything else on its page.

use super::path_of_stage;
use crate::desk::runs::{SeenRun, Tail};
use crate::model::{FailureClass, Timestamp};
use crate::runs::view::StageView;
use crate::runs::view::reading::is_of_own_budget;

/// Failed stages that are named beside those that are shown.
const NAMED_MAX: usize = 20;

/// What to do about a stage that has printed nothing.
const BEFORE: &str = "It says what is missing. Mend the pipeline, or set what it needs in the settings of the project; \
    then run it again.";

/// What to do about a stage whose message says it.
const HELPED: &str =
    "Do what the message says, and run it again. The last lines of its log mostly say more.";

/// What to do about a budget of the run itself.
const OWN_BUDGET: &str = "A re-run keeps the plan of this run and what is used of its budget. Raise `budget` in the \
    pipeline and push, or start a new run. Or spend less: the calls of this run stand in Traces.";

/// A stage that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) key: String,
    pub(super) href: String,
    /// The class in words.
    pub(super) class: &'static str,
    /// What went wrong, as the engine or the stage says.
    pub(super) message: String,
    /// What to do.
    pub(super) advice: &'static str,
    pub(super) attempts: usize,
    pub(super) at: Option<Timestamp>,
    /// Step that failed, where there are steps.
    pub(super) step: Option<String>,
    /// Gates that were missed: metric, comparison, value.
    pub(super) gates: Vec<(String, String, String)>,
    /// The end of its log: number, link and text of each line.
    pub(super) lines: Vec<(u64, String, String)>,
}

/// What went wrong in a run.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failures: Vec<Failure>,
    /// Key and place of those that are only named.
    pub(super) others: Vec<(String, String)>,
    /// How many are not even named.
    pub(super) more: usize,
}

impl Trouble {
    pub(super) fn of(seen: &SeenRun, path: &str, tails: Vec<Tail>) -> Self {
        let failed = seen.failures();
        let shown = tails.len();
        let failures = failed.iter().zip(tails).map(|(stage, tail)| Failure::of(stage, path, tail));
        let link = |it: &&StageView| (it.key.clone(), path_of_stage(path, &it.key));
        Self {
            failures: failures.collect(),
            others: failed.iter().skip(shown).take(NAMED_MAX).map(link).collect(),
            more: failed.len().saturating_sub(shown + NAMED_MAX),
        }
    }
}

impl Failure {
    fn of(stage: &StageView, path: &str, tail: Tail) -> Self {
        let href = path_of_stage(path, &stage.key);
        let (class, message) = stage.failure();
        let attempt = tail.attempt;
        let line = |(number, text): (u64, String)| {
            let to = format!("{href}?attempt={attempt}&line={number}#L{number}");
            (number, to, plain(&text))
        };
        let step = failed_step(stage);
        let has_begun = !tail.lines.is_empty() || step.is_some();
        let missed = stage.gates.iter().filter(|it| !it.passed).map(|it| {
            let value = it.value.map_or_else(|| "not published".to_owned(), |it| it.to_string());
            (it.metric.clone(), it.comparison.clone(), value)
        });
        Self {
            key: stage.key.clone(),
            class: match class {
                // What is not there was told before anything ran.
                Some(FailureClass::User) if !has_begun => "it could not run",
                class => class.map_or("failed", name_of),
            },
            message: message.to_owned(),
            advice: advice_of(class, message, has_begun),
            attempts: stage.present_attempts().len(),
            at: stage.attempts.last().and_then(|it| it.finished_at),
            // The message mostly names it.
            step: step.filter(|it| !message.contains(it.as_str())),
            gates: missed.collect(),
            lines: tail.lines.into_iter().map(line).collect(),
            href,
        }
    }
}

fn failed_step(stage: &StageView) -> Option<String> {
    let attempt = stage.present_attempts().last()?;
    let step = attempt.steps.iter().find(|it| it.exit_code.is_some_and(|it| it != 0))?;
    let name = stage.step_names.get(usize::try_from(step.step).ok()?)?;
    Some(if name.is_empty() { format!("step {}", step.step + 1) } else { name.clone() })
}

/// A class in words.
pub(in crate::ui) fn name_of(class: FailureClass) -> &'static str {
    match class {
        FailureClass::User => "a command failed",
        FailureClass::Infra => "something below the stage broke",
        FailureClass::ImagePull => "the image could not be had",
        FailureClass::LostWorker => "its worker is gone",
        FailureClass::Timeout => "it took too long",
        FailureClass::OutOfMemory => "it used too much memory",
        FailureClass::Cancelled => "it was cancelled",
        FailureClass::Gate => "a gate was missed",
        FailureClass::Budget => "a budget ran out",
        FailureClass::Approval => "it was not approved",
    }
}

/// What to do about a failure of which something has run, or not.
fn advice_of(class: Option<FailureClass>, message: &str, has_begun: bool) -> &'static str {
    match class {
        Some(FailureClass::User) if !has_begun => BEFORE,
        Some(FailureClass::User) if message.contains("\nhelp: ") => HELPED,
        Some(FailureClass::Budget) if is_of_own_budget(message) => OWN_BUDGET,
        class => class.map_or("", advice),
    }
}

/// What to do about a failure of this class.
pub(in crate::ui) fn advice(class: FailureClass) -> &'static str {
    match class {
        FailureClass::User => {
            "The last lines of its log mostly say why. Mend the code or the pipeline and push; if it fails \
             now and then, run it again and look at the project's flaky tests."
        }
        FailureClass::Infra => {
            "This is not about your change. Run it again; if it comes back, show the message to who runs the \
             workers."
        }
        FailureClass::ImagePull => {
            "Check the name of the image and whether workers may pull it, then run the stage again."
        }
        FailureClass::LostWorker => "Nothing is wrong with your change: run it again.",
        FailureClass::Timeout => {
            "Look at the log for where the time went. Raise `timeout` in the pipeline if the work needs it."
        }
        FailureClass::OutOfMemory => {
            "Raise `resources.memory` of the stage, or let it use less at once."
        }
        FailureClass::Cancelled => "Run it again when you want its result.",
        FailureClass::Gate => {
            "Compare the value with the trend on the project's metrics. Mend what made it worse, or change \
             the gate in the pipeline where that is meant."
        }
        FailureClass::Budget => {
            "Raise the budget that is named, under Spend, Budgets or in the gateway's file, and run what failed \
             again. Or spend less: the calls of this run stand in Traces."
        }
        FailureClass::Approval => {
            "Read what was said, and push a change; or run the stage again to ask once more."
        }
    }
}

/// A line without the sequences that colour it, and without what cannot be seen.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\u{1b}' => skip_sequence(&mut signs),
            '\t' => plain.push_str("    "),
            // What a carriage return has printed over is gone.
            '\r' if !signs.as_str().is_empty() => plain.clear(),
            _ if sign.is_control() => (),
            _ => plain.push(sign),
        }
    }
    plain
}

/// To the end of a sequence (ECMA-48, sections 5.4 and 5.6).
fn skip_sequence(signs: &mut std::str::Chars<'_>) {
    match signs.next() {
        Some('[') => {
            let _end = signs.find(|it| ('@'..='~').contains(it));
        }
        Some(']') => {
            let _end = signs.find(|it| *it == '\u{7}' || *it == '\\');
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_what_the_message_says_where_it_does() {
        let user = Some(FailureClass::User);
        assert_eq!(advice_of(user, "no image", false), BEFORE);
        assert_eq!(advice_of(user, "403 Forbidden\nhelp: set the variable", true), HELPED);
        assert_eq!(advice_of(user, "exit code 1", true), advice(FailureClass::User));
        let budget = Some(FailureClass::Budget);
        for (id, wanted) in [
            ("run #7", OWN_BUDGET),
            ("stage a of run #7", OWN_BUDGET),
            ("shop/month", advice(FailureClass::Budget)),
        ] {
            assert_eq!(advice_of(budget, &format!("the budget `{id}` has 1.00 USD"), true), wanted);
        }
    }

    #[test]
    fn lines_lose_what_only_terminals_understand() {
        assert_eq!(plain("\u{1b}[1;31merror\u{1b}[0m: no"), "error: no");
        assert_eq!(plain("10%\r100%\u{7}"), "100%");
        assert_eq!(plain("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\"), "link");
        assert_eq!(plain("<b>\tx</b>\r"), "<b>    x</b>");
    }
}
