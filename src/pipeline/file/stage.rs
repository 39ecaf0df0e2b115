//! One stage, and the defaults for all.

pub(crate) mod approval;
pub(crate) mod builtin;
pub(crate) mod container;
pub(crate) mod identity;
mod labels;
pub(crate) mod matrix;
pub(crate) mod policy;
pub(crate) mod rollout;
pub(crate) mod secret;
pub(crate) mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::builtin::BuiltinUse;
use self::container::{read_services, read_user};
use self::identity::read_identity;
use self::matrix::Matrix;
use self::policy::{Need, StageGroup, Target, read_gates};
use self::rollout::Rollout;
use self::secret::read_secrets;
use super::fields::{Fields, Read};
use super::image::ImageName;
use super::measure::{Positive, tracked};
use super::scalar::{check_name, stage_environment};
use super::{DefaultsChain, Named};
use crate::model::Milliseconds;
use crate::pipeline::diagnostic::Place;
use crate::pipeline::plan::{
    AllowFailure, Approval, Artifacts, Budget, Cache, Gate, IdentityUse, Network, PullPolicy,
    Resources, RetryPolicy, SecretUse, Service, Step,
};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Entry, Node};
use crate::pipeline::{Expression, Template};

pub(crate) const KEYS: &[&str] = &[
    "needs",
    "if",
    "matrix",
    "image",
    "run",
    "steps",
    "command",
    "uses",
    "with",
    "outputs",
    "approval",
    "services",
    "cache",
    "artifacts",
    "env",
    "secrets",
    "identity",
    "gate",
    "budget",
    "allow_failure",
    "environment",
    "concurrency",
    "rollout",
    "interruptible",
    "network",
    "timeout",
    "resources",
    "retry",
    "inputs",
    "user",
    "read_only",
    "pull",
    "labels",
];

pub(crate) const DEFAULTS_KEYS: &[&str] = &[
    "image",
    "timeout",
    "resources",
    "retry",
    "env",
    "network",
    "user",
    "read_only",
    "pull",
    "interruptible",
    "labels",
];

/// Stages of a plan.
pub(crate) const MOST_STAGES: usize = 1000;

const INPUTS_HELP: &str =
    "name the files that the result depends on, such as `inputs: [\"src/**\"]`, or remove the key";

/// Keys that say what a stage does; it has exactly one.
const WORK_KEYS: [&str; 5] = ["run", "steps", "command", "uses", "approval"];

/// Keys that speak of the stage's own container.
pub(crate) const CONTAINER_KEYS: [&str; 9] = [
    "image",
    "services",
    "cache",
    "artifacts",
    "network",
    "resources",
    "user",
    "read_only",
    "pull",
];

/// A stage of the file.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) needs: Vec<Need>,
    pub(crate) condition: Option<Expression>,
    pub(crate) matrix: Option<Matrix>,
    pub(crate) work: StageWork,
    pub(crate) settings: Defaults,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) caches: Vec<Cache>,
    pub(crate) artifacts: Option<Artifacts>,
    pub(crate) secrets: Vec<SecretUse>,
    pub(crate) identity: Vec<IdentityUse>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) budget: Option<Budget>,
    pub(crate) allow_failure: Option<AllowFailure>,
    /// Where the end of the allowed failure is written.
    pub(crate) until_place: Option<Place>,
    pub(crate) environment: Option<Target>,
    pub(crate) concurrency: Option<StageGroup>,
    pub(crate) rollout: Option<Rollout>,
    pub(crate) inputs: Option<Vec<String>>,
    /// Defaults of the file it stands in, then of the files that include it.
    pub(crate) defaults: DefaultsChain,
}

/// What a stage does.
#[derive(Debug, Clone)]
pub(crate) enum StageWork {
    Steps(Vec<Step>),
    Command(Vec<Template>),
    Builtin(BuiltinUse),
    Approval(Approval),
}

/// Settings that a stage may leave to `defaults`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) image: Option<Template>,
    pub(crate) timeout: Option<Milliseconds>,
    pub(crate) resources: Option<Resources>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) env: BTreeMap<String, Template>,
    pub(crate) network: Option<Network>,
    pub(crate) user: Option<String>,
    pub(crate) read_only: Option<bool>,
    pub(crate) pull: Option<PullPolicy>,
    pub(crate) interruptible: Option<bool>,
    pub(crate) labels: Option<BTreeMap<String, Template>>,
}

impl Defaults {
    fn of(fields: &Fields<'_>, reading: &Reading) -> Self {
        let env = fields.find("env").and_then(|it| stage_environment(it, "`env`", reading));
        Self {
            image: fields.find("image").map(|it| image_or_blank(it, reading)),
            timeout: fields.read::<Positive>("timeout").map(|it| it.0),
            resources: fields.read("resources"),
            retry: fields.read("retry"),
            env: env.unwrap_or_default(),
            network: fields.read("network"),
            user: fields.find("user").and_then(|it| read_user(it, reading)),
            read_only: fields.read("read_only"),
            pull: fields.read("pull"),
            interruptible: fields.read("interruptible"),
            labels: fields.find("labels").and_then(|it| labels::read(it, reading)),
        }
    }
}

/// An image that cannot be read counts as given, so that it is not missed as well.
fn image_or_blank(node: &Node, reading: &Reading) -> Template {
    ImageName::read(node, "`image`", reading).map_or_else(Template::default, |it| it.0)
}

/// Reads `defaults`.
pub(crate) fn read_defaults(node: &Node, reading: &Reading) -> Option<Defaults> {
    let fields = Fields::of(node, "`defaults`", DEFAULTS_KEYS, reading)?;
    Some(Defaults::of(&fields, reading))
}

/// Reads one entry of `stages`.
pub(crate) fn read(entry: &Entry, defaults: &DefaultsChain, reading: &Reading) -> Option<Stage> {
    check_name(&entry.key, "stage", entry.key_place, reading);
    *reading.stage.borrow_mut() = Some(entry.key.clone());
    let stage = read_fields(entry, defaults, reading);
    *reading.stage.borrow_mut() = None;
    stage
}

fn read_fields(entry: &Entry, defaults: &DefaultsChain, reading: &Reading) -> Option<Stage> {
    let name = entry.key.clone();
    let label = format!("stage `{name}`");
    let fields = Fields::of(&entry.value, &label, KEYS, reading)?;
    let settings = Defaults::of(&fields, reading);
    let gates = fields.find("gate").and_then(|it| read_gates(it, reading));
    let work = read_work(&fields, &label, entry.key_place, reading);
    let secrets = fields.find("secrets").map(|it| read_secrets(it, &settings.env, reading));
    let secrets = secrets.unwrap_or_default();
    let identity = fields.find("identity");
    let identity = identity.map(|it| read_identity(it, (&settings.env, &secrets), reading));
    let stage = Stage {
        place: entry.key_place,
        needs: read_needs(&fields, reading),
        condition: fields.read("if"),
        matrix: fields.find("matrix").and_then(|it| matrix::read(it, reading)),
        services: fields
            .find("services")
            .and_then(|it| read_services(it, reading))
            .unwrap_or_default(),
        caches: fields.read_or("cache", Vec::new()),
        artifacts: fields.read("artifacts"),
        secrets,
        identity: identity.unwrap_or_default(),
        gates: gates.unwrap_or_default(),
        budget: fields.read("budget"),
        allow_failure: fields.read("allow_failure"),
        until_place: fields
            .find("allow_failure")
            .and_then(|it| it.find("until"))
            .map(|it| it.place),
        environment: fields.read("environment"),
        concurrency: fields.read("concurrency"),
        rollout: fields.read("rollout"),
        inputs: fields.find("inputs").map(|_| tracked(fields.read_filled("inputs", INPUTS_HELP))),
        defaults: defaults.clone(),
        name,
        settings,
        // Without work the pipeline is refused; the rest of the stage is checked all the same.
        work: work.unwrap_or(StageWork::Steps(Vec::new())),
    };
    check_needs_once(&stage, reading);
    if fields.find("run").or(fields.find("steps")).or(fields.find("command")).is_some() {
        check_image(&stage, reading);
    }
    Some(stage)
}

fn read_work(
    fields: &Fields<'_>,
    label: &str,
    place: Place,
    reading: &Reading,
) -> Option<StageWork> {
    let given: Vec<&'static str> =
        WORK_KEYS.into_iter().filter(|key| fields.find(key).is_some()).collect();
    let [key] = given.as_slice() else {
        refuse_work(&given, fields, label, place, reading);
        return None;
    };
    refuse_foreign_keys(key, fields, label, reading);
    let node = fields.find(key)?;
    match *key {
        "run" => step::read_run(node, reading).map(StageWork::Steps),
        "steps" => step::read_steps(node, reading).map(StageWork::Steps),
        "command" => step::read_command(node, reading).map(StageWork::Command),
        "approval" => Approval::read(node, "`approval`", reading).map(StageWork::Approval),
        _ => {
            let builtin = builtin::find(node, reading)?;
            builtin::warn_of_later(builtin, node, label, reading);
            check_builtin(builtin, fields, label, reading);
            let found = builtin::read_with(builtin, fields.find("with"), node, reading)?;
            Some(StageWork::Builtin(found))
        }
    }
}

fn refuse_work(given: &[&str], fields: &Fields<'_>, label: &str, place: Place, reading: &Reading) {
    if given.is_empty() && fields.has_slip_of(&WORK_KEYS) {
        return; // The unknown key has been told; it is what the stage was meant to do.
    }
    if given.is_empty() {
        let message = format!("{label} has nothing to do");
        let help = "give it exactly one of `run`, `steps`, `command`, `uses` and `approval`";
        reading.error("pipeline/nothing-to-run", place, message, help);
        return;
    }
    let words: Vec<String> = given.iter().map(|it| format!("`{it}`")).collect();
    let message =
        format!("{label} has {}; only one of them can be what it does", words.join(" and "));
    let second = given.get(1).and_then(|key| fields.entry(key)).map_or(place, |it| it.key_place);
    reading.error("pipeline/several-works", second, message, "split it into two stages");
}

/// Keys that mean nothing beside this kind of work.
fn refuse_foreign_keys(work: &str, fields: &Fields<'_>, label: &str, reading: &Reading) {
    let refused: &[&str] = match work {
        "approval" => &[
            "with", "outputs", "rollout", "gate", "env", "secrets", "identity", "retry", "budget",
            "timeout", "inputs", "labels",
        ],
        "uses" => &[],
        _ => &["with", "outputs", "rollout"],
    };
    let container: &[&str] =
        if matches!(work, "approval" | "uses") { &CONTAINER_KEYS } else { &[] };
    for key in refused.iter().chain(container) {
        let Some(entry) = fields.entry(key) else { continue };
        let message = format!("`{key}` means nothing in {label}, which has `{work}`");
        let help = match (*key, work) {
            ("timeout", "approval") => "write it below `approval`",
            ("with" | "outputs" | "rollout", _) => "it belongs to a stage with `uses`; remove it",
            _ => "remove it",
        };
        reading.error("pipeline/misplaced-key", entry.key_place, message, help);
    }
}

fn check_builtin(builtin: &builtin::Builtin, fields: &Fields<'_>, label: &str, reading: &Reading) {
    if let Some(outputs) = fields.find("outputs") {
        builtin::check_outputs(builtin, outputs, reading);
    }
    let uses = fields.entry("uses").map_or(fields.place, |it| it.value.place);
    let is_rollout = builtin.name == "rollout";
    if let (false, Some(entry)) = (is_rollout, fields.entry("rollout")) {
        let message =
            format!("`rollout` means nothing in {label}, which uses `builtin/{}`", builtin.name);
        reading.error(
            "pipeline/misplaced-key",
            entry.key_place,
            message,
            "write `uses: builtin/rollout`, or remove it",
        );
    }
    if is_rollout && fields.find("rollout").is_none() {
        let message = format!("{label} uses `builtin/rollout` and has no `rollout`");
        let help = "add `rollout: { strategy: canary, steps: [{ weight: 10, hold: 45m }, { weight: 100 }] }`";
        reading.error("pipeline/missing-key", uses, message, help);
    }
    if matches!(builtin.name, "rollout" | "deploy") && fields.find("environment").is_none() {
        let message = format!("{label} uses `builtin/{}` and has no `environment`", builtin.name);
        reading.error(
            "pipeline/missing-key",
            uses,
            message,
            "add `environment: { name: staging }`",
        );
    }
}

fn read_needs(fields: &Fields<'_>, reading: &Reading) -> Vec<Need> {
    let mut needs: Vec<Need> = fields.read_or("needs", Vec::new());
    if needs.len() > MOST_STAGES {
        let message = format!("there are {} needs; the limit is {MOST_STAGES}", needs.len());
        let place = fields.find("needs").map_or(fields.place, |it| it.place);
        reading.error("pipeline/limit", place, message, "remove those that others need anyway");
        needs.truncate(MOST_STAGES);
    }
    needs
}

fn check_needs_once(stage: &Stage, reading: &Reading) {
    let mut seen: BTreeMap<&str, &Need> = BTreeMap::new();
    for need in &stage.needs {
        let Named { name, place } = &need.stage;
        if seen.insert(name, need).is_some() {
            let message = format!("stage `{}` needs `{name}` twice", stage.name);
            reading.error("pipeline/duplicate-need", *place, message, "remove one of the two");
        }
    }
}

fn check_image(stage: &Stage, reading: &Reading) {
    let has_image = stage.settings.image.is_some()
        || stage.defaults.iter().any(|it: &Arc<Defaults>| it.image.is_some());
    if !has_image {
        let message = format!("stage `{}` has no `image` to run in", stage.name);
        let help = "add `image: debian:bookworm-slim` to it, or to `defaults`";
        reading.error("pipeline/missing-image", stage.place, message, help);
    }
}
