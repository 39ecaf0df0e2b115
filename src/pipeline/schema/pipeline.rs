//! The outermost keys.

#![expect(dead_code, reason = "these types exist for their schema and never hold a value")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::stage::{Budget, Defaults, Stage};
use super::word::{Filled, Inside, Loose, Name, OneOrMany, Positive, Tracked};
use crate::pipeline::file::{ForkPolicy, InputKind, Missed};
use crate::pipeline::plan::OnNew;

/// A Trunkline pipeline: the stages that run for a revision, and what starts them.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    title = "Trunkline pipeline",
    extend("anyOf" = [{ "required": ["stages"] }, { "required": ["include"] }])
)]
pub(super) struct PipelineFile {
    /// Version of the format.
    #[schemars(range(min = 1, max = 1))]
    version: Option<u32>,
    /// Name of the pipeline; that of its file when absent.
    name: Option<Name>,
    /// Team that owns it.
    team: Option<Name>,
    /// What it is for.
    description: Option<String>,
    /// What starts it. A person may always start it.
    on: Option<On>,
    /// Files of stages to take in.
    include: Option<OneOrMany<Include>>,
    /// What a release consists of.
    release: Option<Release>,
    /// Ceiling of a run's spending.
    budget: Option<Budget>,
    /// Group in which runs wait for each other.
    concurrency: Option<RunConcurrency>,
    /// The longest a run may take.
    timeout: Option<Positive>,
    /// Settings of all stages that do not have their own.
    defaults: Option<Defaults>,
    /// The stages by name.
    #[schemars(
        extend("propertyNames" = { "pattern": "^[a-z0-9_-]{1,63}$" }, "minProperties" = 1)
    )]
    stages: Option<BTreeMap<String, Stage>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum On {
    Event(EventWord),
    Events(Vec<EventWord>),
    Triggers(Box<Triggers>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum EventWord {
    Push,
    PullRequest,
    Schedule,
    Manual,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Triggers {
    /// A push to the repository.
    push: Option<Empty<Push>>,
    /// A pull or merge request.
    pull_request: Option<Empty<PullRequest>>,
    /// Points in time.
    schedule: Option<OneOrMany<Schedule>>,
    /// A person, with inputs.
    manual: Option<Empty<Manual>>,
}

/// A mapping, or `true` or nothing for its defaults.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Empty<T> {
    Given(T),
    Flag(True),
}

/// `true` or nothing.
struct True;

impl JsonSchema for True {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Defaults of a trigger".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "enum": [true, null] })
    }
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Push {
    /// Globs of branches.
    branches: Option<Filled<String>>,
    /// Globs of tags.
    tags: Option<Filled<String>>,
    /// Globs of changed paths.
    paths: Option<Filled<Tracked>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PullRequest {
    /// Globs of the branch it wants to go into.
    branches: Option<Filled<String>>,
    /// Globs of changed paths.
    paths: Option<Filled<Tracked>>,
    /// What happens to pull requests from forks.
    forks: Option<ForkPolicy>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Schedule {
    name: Name,
    /// Minute, hour, day, month, weekday.
    #[schemars(regex(pattern = r"^\s*(@\S+|\S+(\s+\S+){4})\s*$"))]
    cron: String,
    /// Name of the tz database, such as `Europe/Berlin`; `UTC` when absent.
    timezone: Option<String>,
    /// What happens to runs that a stopped server has missed.
    missed: Option<Missed>,
    /// The branch to run.
    branch: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Manual {
    /// Inputs by name; `inputs.<name>` in expressions.
    #[schemars(extend("propertyNames" = { "pattern": "^[a-z_][a-z0-9_]{0,62}$" }))]
    inputs: Option<BTreeMap<String, Input>>,
}

#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "if" = { "properties": { "type": { "const": "choice" } }, "required": ["type"] },
        "then" = { "required": ["options"] },
        "else" = { "properties": { "options": false } },
    )
)]
pub(super) struct Input {
    r#type: Option<InputKind>,
    default: Option<Loose>,
    required: Option<bool>,
    description: Option<String>,
    /// What can be chosen, for `type: choice`.
    options: Option<Filled<Loose>>,
}

/// A file of stages.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("dependentRequired" = { "from": ["ref"], "ref": ["from"] })
)]
pub(super) struct Include {
    /// Repository; this one when absent.
    from: Option<String>,
    /// Tag, branch or commit of that repository.
    r#ref: Option<String>,
    /// Path in the repository.
    file: Inside,
    /// SHA-256 of the file.
    #[schemars(regex(pattern = r"^(sha256:)?[0-9A-Fa-f]{64}$"))]
    sha256: Option<String>,
    /// Values of its inputs.
    with: Option<BTreeMap<String, Loose>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Release {
    code: Option<OneOrMany<Tracked>>,
    infra: Option<OneOrMany<Tracked>>,
    prompts: Option<OneOrMany<Tracked>>,
    /// Lock file of models.
    models: Option<Inside>,
    /// Lock file of vector indexes.
    indexes: Option<Inside>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RunConcurrency {
    /// Name of the group.
    group: String,
    /// What a new run does to those that run.
    on_new: Option<OnNewRule>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OnNewRule {
    Always(OnNew),
    ByEvent(OnNewByEvent),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct OnNewByEvent {
    push: Option<OnNew>,
    pull_request: Option<OnNew>,
    schedule: Option<OnNew>,
    manual: Option<OnNew>,
}
