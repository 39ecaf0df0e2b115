//! A run in sentences: what caused it, what people did to it, what it has cost, and what buttons would do.

mod spend;

pub(in crate::ui) use spend::{Spend, grouped, money as price};

use super::list::address;
use crate::desk::runs::{Deed, DeedKind, RunsQuery, SeenRun};
use crate::engine::RerunScope;
use crate::model::StageIndex;
use crate::pipeline::Context;
use crate::runs::view::RunView;
use crate::store::access::projects::ProjectRow;

/// Stages that a sentence names; more are counted.
const NAMED_MAX: usize = 5;
/// Inputs that are shown, and letters of each.
const INPUTS_MAX: usize = 20;
const INPUT_CHARS_MAX: usize = 200;
/// How metrics begin that the gateway has published.
const GATEWAYS: &str = "llm_";

impl SeenRun {
    /// The list of runs of its branch.
    pub(super) fn branch_path(&self) -> String {
        let branch = Some(self.view.branch.clone());
        address("/runs", &RunsQuery { branch, project: self.slug(), ..RunsQuery::default() }, None)
    }

    fn slug(&self) -> Option<String> {
        self.project.as_ref().map(ProjectRow::slug)
    }
}

/// What caused a run, as a sentence without its end.
pub(super) fn cause(seen: &SeenRun, starter: Option<&str>) -> String {
    let context = seen.loaded.run.context();
    let cause = seen.loaded.row.cause.as_str();
    match (context.event.as_str(), &context.pull_request) {
        (_, Some(request)) => {
            let fork = if request.fork { " from a fork" } else { "" };
            let (number, author, base) = (request.number, &request.author, &request.base);
            format!("Request #{number} by {author}{fork}, into {base}: {}", request.title)
        }
        ("schedule", None) => {
            let name = cause.strip_prefix("schedule:").and_then(|it| it.rsplit_once('@'));
            let name = name.map(|(name, _)| format!(" “{name}”")).unwrap_or_default();
            format!("Its schedule{name} was due")
        }
        ("manual", None) => format!("{} started it by hand", starter.unwrap_or("Somebody")),
        ("push", None) if seen.project.is_none() => "Started from a terminal".to_owned(),
        ("push", None) => pushed(context),
        (event, None) => format!("Started by {}", event.replace('_', " ")),
    }
}

fn pushed(context: &Context) -> String {
    let git = &context.git;
    let to = match (git.branch.as_str(), git.tag.as_str()) {
        ("", "") => String::new(),
        ("", tag) => format!(" of the tag {tag}"),
        (branch, _) => format!(" to {branch}"),
    };
    let by = if git.author.is_empty() { String::new() } else { format!(" by {}", git.author) };
    format!("Push{to}{by}")
}

/// Inputs that it was started with, shortened.
pub(super) fn inputs(context: &Context) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if text.chars().count() <= INPUT_CHARS_MAX {
            return text;
        }
        text.chars().take(INPUT_CHARS_MAX).chain(['…']).collect()
    };
    context.inputs.iter().take(INPUTS_MAX).map(|(name, it)| (name.clone(), text(it))).collect()
}

/// What somebody did, as a sentence without its end and without who.
pub(super) fn deed(deed: &Deed, view: &RunView) -> String {
    match &deed.kind {
        DeedKind::Cancelled => "cancelled it".to_owned(),
        DeedKind::CancelledAtOnce => "cancelled it at once".to_owned(),
        DeedKind::Approved(stage) => format!("approved {stage}"),
        DeedKind::Rejected(stage) => format!("rejected {stage}"),
        DeedKind::Reran { scope, stages } => {
            let what = match scope {
                RerunScope::All => "everything".to_owned(),
                RerunScope::Failed => "what had failed".to_owned(),
                RerunScope::Stages(chosen) => named(view, chosen),
            };
            format!("ran {what} again ({})", counted(*stages, "stage"))
        }
    }
}

/// `unit, deploy and 3 more`.
pub(super) fn named(view: &RunView, stages: &[StageIndex]) -> String {
    let mut names: Vec<_> =
        stages.iter().take(NAMED_MAX).map(|it| view.key_of(*it).to_owned()).collect();
    let more = stages.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        return format!("{} and {more} more", names.join(", "));
    }
    let last = names.pop();
    match (names.as_slice(), last) {
        (_, None) => "nothing".to_owned(),
        ([], Some(last)) => last,
        (names, Some(last)) => format!("{} and {last}", names.join(", ")),
    }
}

/// What a re-run would do: `runs 3 stages again: unit, load and deploy`.
pub(super) fn rerun(view: &RunView, stages: &[StageIndex]) -> String {
    format!("runs {} again: {}", counted(stages.len(), "stage"), named(view, stages))
}

pub(super) fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Metrics in money, by stage: their names say `usd`.
pub(super) fn money(view: &RunView) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for stage in &view.stages {
        let metrics = stage.outcome().map(|it| &it.metrics).into_iter().flatten();
        // What the gateway has counted is told with the calls.
        let told = |name: &str| is_money(name) && !name.starts_with(GATEWAYS);
        for (name, value) in metrics.filter(|(name, _)| told(name)) {
            found.push((stage.key.clone(), name.clone(), dollars(*value)));
        }
    }
    found
}

fn is_money(name: &str) -> bool {
    name.split(['_', '.', '-']).any(|it| it == "usd")
}

/// Cents, and for less as many digits as show two.
fn dollars(value: f64) -> String {
    let mut digits = 2;
    let mut scaled = value.abs() * 10.0;
    while scaled > 0.0 && scaled < 1.0 && digits < 9 {
        scaled *= 10.0;
        digits += 1;
    }
    format!("${value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_told_as_exactly_as_it_needs() {
        let texts = [12.5, 0.004, 0.000_041_81, 0.0].map(dollars);
        assert_eq!(texts, ["$12.50", "$0.0040", "$0.000042", "$0.00"]);
        assert!(is_money("cost_usd") && is_money("usd") && !is_money("usdiscarded"));
    }
}
