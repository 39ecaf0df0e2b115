//! Stages.

#![expect(dead_code, reason = "these types exist for their schema and never hold a value")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use super::word::{
    Anywhere, Comparison, Condition, Cpu, Day, Duration, Filled, Inside, Loose, Metric, Money,
    Name, OneOrMany, Positive, Shell, Size, Tracked, User, Variable,
};
use crate::model::FailureClass;
use crate::pipeline::plan::{Network, PullPolicy, SlotOrder};

/// One stage. It has exactly one of `run`, `steps`, `command`, `uses` and `approval`.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "oneOf" = [
            { "required": ["run"] }, { "required": ["steps"] }, { "required": ["command"] },
            { "required": ["uses"] }, { "required": ["approval"] },
        ],
        "dependentRequired" = { "with": ["uses"], "outputs": ["uses"], "rollout": ["uses"] },
        "allOf" = super::builtin::rules(),
    )
)]
pub(super) struct Stage {
    /// Stages it waits for.
    needs: Option<OneOrMany<Need>>,
    /// Whether to run at all.
    r#if: Option<Condition>,
    /// One stage for each combination of values: axes, `include` and `exclude`.
    matrix: Option<Matrix>,
    /// Image of the container.
    image: Option<String>,
    /// One command, or a list.
    run: Option<Filled<Shell>>,
    /// Commands with names, images and conditions of their own.
    steps: Option<Filled<StepItem>>,
    /// A program with its arguments, without a shell.
    #[schemars(length(min = 1))]
    command: Option<Vec<Loose>>,
    /// A built-in.
    uses: Option<Uses>,
    /// Arguments of the built-in.
    with: Option<BTreeMap<String, Value>>,
    /// Outputs of the built-in.
    outputs: Option<OneOrMany<String>>,
    /// People decide.
    approval: Option<Approval>,
    /// Containers beside it, by host name.
    #[schemars(extend("propertyNames" = { "pattern": "^[a-z0-9_-]{1,63}$" }))]
    services: Option<BTreeMap<String, ServiceItem>>,
    /// Files kept between runs.
    cache: Option<OneOrMany<Cache>>,
    /// Files handed on.
    artifacts: Option<ArtifactItem>,
    /// Environment variables.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    env: Option<BTreeMap<String, Loose>>,
    /// Secrets that become environment variables.
    secrets: Option<OneOrMany<SecretItem>>,
    /// Metrics and the comparisons they must pass.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9_./-]{1,128}$" }))]
    gate: Option<BTreeMap<String, Comparison>>,
    /// Ceiling of its spending.
    budget: Option<Budget>,
    /// A failure that does not fail the run, until a day.
    allow_failure: Option<AllowFailure>,
    /// Where it deploys to.
    environment: Option<EnvironmentItem>,
    /// Group in which stages of all runs wait for each other.
    concurrency: Option<ConcurrencyItem>,
    /// How a release goes into the environment.
    rollout: Option<Rollout>,
    /// Whether a newer run may stop it once it has started.
    interruptible: Option<bool>,
    /// What it may reach.
    network: Option<Network>,
    /// The longest an attempt may take.
    timeout: Option<Positive>,
    /// Ceilings of the container.
    resources: Option<Resources>,
    /// When failed attempts are tried again.
    retry: Option<RetryItem>,
    /// Globs whose content decides whether an earlier green result is reused.
    inputs: Option<Filled<Tracked>>,
    /// `uid[:gid]` or a name, instead of the image's user.
    user: Option<User>,
    /// Whether the root file system is read-only.
    read_only: Option<bool>,
    /// When the image is pulled.
    pull: Option<PullPolicy>,
    /// Labels of the worker that it runs on.
    labels: Option<BTreeMap<String, Loose>>,
}

/// Axes with their values.
#[derive(JsonSchema)]
#[schemars(extend(
    "minProperties" = 1,
    "propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
    "additionalProperties" = {
        "type": "array", "minItems": 1, "maxItems": 256, "uniqueItems": true,
        "items": { "type": ["string", "number", "boolean"] },
    },
))]
struct Matrix {
    /// Cells that are left out, perhaps only `on` some events.
    exclude: Option<OneOrMany<BTreeMap<String, Value>>>,
    /// Cells that are added, or values that are added to cells.
    include: Option<OneOrMany<BTreeMap<String, Value>>>,
}

/// Settings of all stages that do not have their own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Defaults {
    image: Option<String>,
    timeout: Option<Positive>,
    resources: Option<Resources>,
    retry: Option<RetryItem>,
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    env: Option<BTreeMap<String, Loose>>,
    network: Option<Network>,
    user: Option<User>,
    read_only: Option<bool>,
    pull: Option<PullPolicy>,
    interruptible: Option<bool>,
    labels: Option<BTreeMap<String, Loose>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Need {
    Stage(String),
    Full(NeedFields),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct NeedFields {
    stage: String,
    /// Whether a skipped or absent one is fine.
    optional: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum StepItem {
    Run(Shell),
    Full(Step),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Step {
    name: Option<String>,
    /// Shell text; values reach it as environment variables.
    run: Shell,
    /// Another image, with the same workspace.
    image: Option<String>,
    r#if: Option<Condition>,
    timeout: Option<Positive>,
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    env: Option<BTreeMap<String, Loose>>,
}

#[derive(JsonSchema)]
enum Uses {
    #[schemars(rename = "builtin/image")]
    Image,
    #[schemars(rename = "builtin/eval")]
    Eval,
    #[schemars(rename = "builtin/contract")]
    Contract,
    #[schemars(rename = "builtin/sbom")]
    Sbom,
    #[schemars(rename = "builtin/scan")]
    Scan,
    #[schemars(rename = "builtin/deploy")]
    Deploy,
    #[schemars(rename = "builtin/load")]
    Load,
    #[schemars(rename = "builtin/rollout")]
    Rollout,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Approval {
    /// Who may: `team/<name>` or a login; anybody when absent.
    by: Option<Filled<String>>,
    /// How many different people.
    #[schemars(range(min = 1, max = 100))]
    count: Option<u32>,
    /// Whether the author of the change does not count.
    not_author: Option<bool>,
    timeout: Option<Positive>,
    on_timeout: Option<OnTimeout>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnTimeout {
    Reject,
    Approve,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ServiceItem {
    Image(String),
    Full(Service),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Service {
    image: String,
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    env: Option<BTreeMap<String, Loose>>,
    /// Arguments instead of the image's.
    #[schemars(length(min = 1))]
    command: Option<Vec<Loose>>,
    ready: Option<Ready>,
}

/// When the service counts as ready: exactly one of `tcp`, `http` and `exec`.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["tcp"] }, { "required": ["http"] }, { "required": ["exec"] }])
)]
pub(super) struct Ready {
    /// A port that accepts a connection.
    #[schemars(range(min = 1))]
    tcp: Option<u16>,
    /// A GET that answers below 400.
    http: Option<Http>,
    /// A command in its container that exits with 0.
    exec: Option<Filled<String>>,
    timeout: Option<Positive>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Http {
    #[schemars(range(min = 1))]
    port: u16,
    #[schemars(regex(pattern = r"^/"))]
    path: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Cache {
    /// The exact key.
    key: String,
    /// Prefixes to fall back to.
    fallback: Option<OneOrMany<String>>,
    /// Relative to the workspace, or absolute.
    paths: Filled<Anywhere>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ArtifactItem {
    Paths(Filled<Inside>),
    Full(Artifacts),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Artifacts {
    paths: Option<Filled<Inside>>,
    /// How long they are kept.
    expire: Option<Positive>,
    reports: Option<Reports>,
    /// Whether they are kept when the attempt fails too.
    on_failure: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Reports {
    junit: Option<Filled<Inside>>,
    sarif: Option<Filled<Inside>>,
    cobertura: Option<Filled<Inside>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum SecretItem {
    Name(Variable),
    Full(Secret),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Secret {
    #[schemars(regex(pattern = r"^[A-Za-z0-9_./-]{1,200}$"))]
    name: String,
    /// Name of the environment variable.
    env: Option<Variable>,
}

/// A ceiling of spending.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [{ "required": ["per_run"] }, { "required": ["tokens_per_run"] }])
)]
pub(super) struct Budget {
    per_run: Option<Money>,
    #[schemars(range(min = 1))]
    tokens_per_run: Option<u64>,
    on_exceed: Option<OnExceed>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnExceed {
    Fail,
    Warn,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AllowFailure {
    /// The last day on which it is allowed.
    until: Option<Day>,
    reason: String,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum EnvironmentItem {
    Name(String),
    Full(Environment),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Environment {
    name: String,
    regions: Option<Filled<Name>>,
    /// `weekends`, a day, or `2027-12-20..2028-01-02`.
    freeze: Option<OneOrMany<String>>,
    /// Stops it after this time.
    auto_stop: Option<Positive>,
    url: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ConcurrencyItem {
    Group(String),
    Full(StageConcurrency),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct StageConcurrency {
    group: String,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    order: Option<SlotOrder>,
    /// Whether a run that trunk has overtaken is skipped.
    skip_outdated: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Resources {
    cpu: Option<Cpu>,
    memory: Option<Size>,
    /// Processes and threads.
    #[schemars(range(min = 1))]
    pids: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum RetryItem {
    Max(Tries),
    Full(Retry),
}

#[derive(JsonSchema)]
struct Tries(#[schemars(range(min = 0, max = 10))] u32);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Retry {
    /// Attempts after the first.
    max: Option<Tries>,
    /// Classes of failures that are tried again.
    on: Option<Filled<FailureClass>>,
    /// Wait before the second attempt; it doubles for each one after.
    delay: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rollout {
    strategy: Strategy,
    steps: Option<OneOrMany<RolloutStep>>,
    analysis: Option<OneOrMany<Analysis>>,
    /// Below this a sample is no data.
    min_requests: Option<u64>,
    on_no_data: Option<OnNoData>,
    on_fail: Option<OnFail>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Strategy {
    Canary,
    BlueGreen,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnNoData {
    Pause,
    Continue,
    Rollback,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnFail {
    Rollback,
    Pause,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RolloutStep {
    /// Percent of the traffic.
    #[schemars(range(min = 0, max = 100))]
    weight: u32,
    /// How long to stay.
    hold: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Analysis {
    metric: Metric,
    fail: Comparison,
    every: Positive,
    /// How many bad samples roll back.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}
