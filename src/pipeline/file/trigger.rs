//! `on`: what starts a pipeline.

use std::collections::BTreeMap;

use super::fields::{Fields, Read, choice, items, wrong_type};
use super::input::{self, Input};
use super::measure::{self, Glob, globs, tracked};
use super::scalar::{self, Name, Plain};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Scalar, ScalarKind, Value};

/// The events a pipeline can be started by.
/// What starts runs.
pub const EVENTS: &[&str] = &["push", "pull_request", "schedule", "manual"];

pub(crate) const PUSH_KEYS: &[&str] = &["branches", "tags", "paths"];
pub(crate) const PULL_REQUEST_KEYS: &[&str] = &["branches", "paths", "forks"];
pub(crate) const SCHEDULE_KEYS: &[&str] = &["name", "cron", "timezone", "missed", "branch"];
pub(crate) const MANUAL_KEYS: &[&str] = &["inputs"];

/// What starts a pipeline. A person may always start it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Triggers {
    /// A push to the repository.
    pub push: Option<PushTrigger>,
    /// A pull or merge request.
    pub pull_request: Option<PullRequestTrigger>,
    /// Points in time.
    pub schedules: Vec<Schedule>,
    /// A person, with inputs.
    pub manual: ManualTrigger,
}

/// Which pushes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushTrigger {
    /// Globs of branches; all when both this and `tags` are empty.
    pub branches: Vec<String>,
    /// Globs of tags.
    pub tags: Vec<String>,
    /// Globs of changed paths; all when empty.
    pub paths: Vec<String>,
}

/// Which pull requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequestTrigger {
    /// Globs of the branch it wants to go into; all when empty.
    pub branches: Vec<String>,
    /// Globs of changed paths; all when empty.
    pub paths: Vec<String>,
    /// What happens to those from forks.
    pub forks: ForkPolicy,
}

/// What happens to a pull request from a fork.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForkPolicy {
    /// Waits until a maintainer approves; gets no secrets.
    #[default]
    Approval,
    /// Runs, without secrets.
    Allow,
    /// Does not run.
    Deny,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// Five fields: minute, hour, day, month, weekday.
    pub cron: String,
    /// Name of the tz database.
    pub timezone: String,
    /// What happens after the server was down.
    pub missed: Missed,
    /// The branch to run; the default branch when absent.
    pub branch: Option<String>,
}

/// What happens to runs that a stopped server has missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run makes up for all.
    #[default]
    RunOnce,
    /// Nothing.
    Skip,
}

/// What a person may give.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ManualTrigger {
    /// By name.
    pub inputs: BTreeMap<String, Input>,
}

impl Read for Triggers {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if matches!(node.value, Value::Scalar(_) | Value::Sequence(_)) {
            return Some(short_form(node, label, reading));
        }
        let fields = Fields::of(node, label, EVENTS, reading)?;
        let triggers = Self {
            push: fields.find("push").and_then(|it| read_push(it, reading)),
            pull_request: fields.find("pull_request").and_then(|it| read_request(it, reading)),
            schedules: fields.read_or("schedule", Vec::new()),
            manual: fields
                .find("manual")
                .and_then(|it| read_manual(it, reading))
                .unwrap_or_default(),
        };
        if let Some(node) = fields.find("schedule") {
            check_schedule_names(node, reading);
        }
        Some(triggers)
    }
}

fn check_schedule_names(node: &Node, reading: &Reading) {
    let Value::Sequence(items) = &node.value else { return };
    let mut seen = BTreeMap::new();
    for item in items {
        let Value::Mapping(entries) = &item.value else { continue };
        let Some(name) = entries.iter().find(|it| it.key == "name").map(|it| &it.value) else {
            continue;
        };
        let Some(text) = scalar::text(name) else { continue };
        if let Some(line) = seen.insert(text, name.place.line) {
            let message = format!("there is already a schedule `{text}`, on line {line}");
            let code = "pipeline/duplicate-name";
            reading.error(code, name.place, message, "rename one of the two");
        }
    }
}

/// `on: push` or `on: [push, pull_request]`.
fn short_form(node: &Node, label: &str, reading: &Reading) -> Triggers {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    };
    let words: Vec<(&str, &str)> = EVENTS.iter().map(|it| (*it, *it)).collect();
    let mut triggers = Triggers::default();
    for item in items {
        let Some(event) = choice(item, label, &words, reading) else { continue };
        match event {
            "push" => triggers.push = Some(PushTrigger::default()),
            "pull_request" => triggers.pull_request = Some(PullRequestTrigger::default()),
            "schedule" => {
                let help = "write `schedule: [{ name: nightly, cron: \"0 2 * * *\" }]`";
                wrong_type(item, label, "a mapping for `schedule`", reading, help);
            }
            _ => {}
        }
    }
    triggers
}

fn is_empty(node: &Node) -> bool {
    matches!(
        &node.value,
        Value::Scalar(Scalar { kind: ScalarKind::Null | ScalarKind::Bool(true), .. })
    )
}

fn read_push(node: &Node, reading: &Reading) -> Option<PushTrigger> {
    if is_empty(node) {
        return Some(PushTrigger::default());
    }
    let fields = Fields::of(node, "`push`", PUSH_KEYS, reading)?;
    Some(PushTrigger {
        branches: branches(&fields, "branches", reading),
        tags: branches(&fields, "tags", reading),
        paths: tracked(fields.read_filled("paths", FILTER_HELP)),
    })
}

const FILTER_HELP: &str = "name what starts a run, or remove the key for everything";

/// Globs for names of branches or tags, which are written without `refs/…`.
fn branches(fields: &Fields<'_>, key: &str, reading: &Reading) -> Vec<String> {
    let found = globs(fields.read_filled::<Glob>(key, FILTER_HELP).unwrap_or_default());
    for item in fields.find(key).map(items).unwrap_or_default() {
        let text = scalar::text(item).unwrap_or_default();
        let bare = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/"));
        if let Some(bare) = bare {
            let message = format!("`{text}` matches nothing: `{key}` are names without `refs/…`");
            reading.error("pipeline/glob", item.place, message, format!("write `{bare}`"));
        }
    }
    found
}

fn read_request(node: &Node, reading: &Reading) -> Option<PullRequestTrigger> {
    const FORKS: &[(&str, ForkPolicy)] = &[
        ("approval", ForkPolicy::Approval),
        ("allow", ForkPolicy::Allow),
        ("deny", ForkPolicy::Deny),
    ];
    if is_empty(node) {
        return Some(PullRequestTrigger::default());
    }
    let fields = Fields::of(node, "`pull_request`", PULL_REQUEST_KEYS, reading)?;
    let forks = fields.find("forks").and_then(|it| choice(it, "`forks`", FORKS, reading));
    Some(PullRequestTrigger {
        branches: branches(&fields, "branches", reading),
        paths: tracked(fields.read_filled("paths", FILTER_HELP)),
        forks: forks.unwrap_or_default(),
    })
}

impl Read for Schedule {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        const MISSED: &[(&str, Missed)] = &[("run_once", Missed::RunOnce), ("skip", Missed::Skip)];
        let fields = Fields::of(node, label, SCHEDULE_KEYS, reading)?;
        let name = fields.require::<Name>("name", "nightly");
        let cron = fields.require::<Plain>("cron", "\"0 2 * * *\"");
        let timezone = fields.read_or("timezone", Plain("UTC".to_owned())).0;
        if let Some(node) = fields.find("timezone").filter(|it| scalar::text(it).is_some()) {
            measure::check_timezone(&timezone, node, reading);
        }
        if let (Some(cron), Some(node)) = (&cron, fields.find("cron")) {
            measure::check_cron(&cron.0, node, reading);
        }
        let missed = fields.find("missed").and_then(|it| choice(it, "`missed`", MISSED, reading));
        Some(Self {
            name: name?.0,
            cron: cron?.0,
            timezone,
            missed: missed.unwrap_or_default(),
            branch: fields.read::<Plain>("branch").map(|it| it.0),
        })
    }
}

fn read_manual(node: &Node, reading: &Reading) -> Option<ManualTrigger> {
    if is_empty(node) {
        return Some(ManualTrigger::default());
    }
    let fields = Fields::of(node, "`manual`", MANUAL_KEYS, reading)?;
    let inputs = fields.find("inputs").and_then(|it| input::read_declared(it, reading));
    Some(ManualTrigger { inputs: inputs.unwrap_or_default() })
}
