//! The outermost keys of a pipeline file, and of a file that is included.

use std::collections::BTreeMap;

use super::fields::{Fields, Read, mapping};
use super::input::{self, Input};
use super::measure::{Inside, Positive, tracked};
use super::scalar::{Name, Plain, whole};
use super::stage::{Defaults, read_defaults};
use super::{Concurrency, Named, Triggers};
use crate::model::Milliseconds;
use crate::pipeline::diagnostic::Place;
use crate::pipeline::plan::{Budget, Release};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Entry, Node};

pub(crate) const KEYS: &[&str] = &[
    "version",
    "name",
    "team",
    "description",
    "on",
    "include",
    "release",
    "budget",
    "concurrency",
    "timeout",
    "defaults",
    "stages",
];
pub(crate) const TEMPLATE_KEYS: &[&str] =
    &["version", "name", "description", "inputs", "include", "defaults", "stages"];
pub(crate) const RELEASE_KEYS: &[&str] = &["code", "infra", "prompts", "models", "indexes"];
pub(crate) const INCLUDE_KEYS: &[&str] = &["from", "ref", "file", "sha256", "with"];

/// The version of the format.
const VERSION: i64 = 1;

const STAGES_HELP: &str =
    "a name, then what the stage does: `stages: { test: { image: busybox, run: make test } }`";

/// A file without its includes.
pub(crate) struct Top<'n> {
    pub(crate) name: Option<Named>,
    pub(crate) team: Option<String>,
    pub(crate) triggers: Triggers,
    pub(crate) timeout: Option<Milliseconds>,
    pub(crate) release: Option<Release>,
    pub(crate) budget: Option<Budget>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) body: Body<'n>,
}

/// What a pipeline and an included file have in common.
pub(crate) struct Body<'n> {
    pub(crate) defaults: Option<Defaults>,
    pub(crate) includes: Vec<Include<'n>>,
    pub(crate) stages: &'n [Entry],
}

/// One entry of `include`.
pub(crate) struct Include<'n> {
    pub(crate) from: Option<String>,
    pub(crate) r#ref: Option<(String, Place)>,
    pub(crate) file: String,
    pub(crate) sha256: Option<(String, Place)>,
    pub(crate) with: Option<&'n Node>,
    pub(crate) place: Place,
}

/// Reads a pipeline file.
pub(crate) fn read<'n>(node: &'n Node, reading: &'n Reading) -> Option<Top<'n>> {
    let fields = Fields::of(node, "the pipeline", KEYS, reading)?;
    check_version(&fields, reading);
    fields.read::<Plain>("description");
    Some(Top {
        name: fields.read::<Name>("name").zip(fields.find("name")).map(named),
        team: fields.read::<Name>("team").map(|it| it.0),
        triggers: fields.read_or("on", Triggers::default()),
        timeout: fields.read::<Positive>("timeout").map(|it| it.0),
        release: fields.find("release").and_then(|it| read_release(it, reading)),
        budget: fields.read("budget"),
        concurrency: fields.read("concurrency"),
        body: read_body(&fields, reading),
    })
}

fn named((name, node): (Name, &Node)) -> Named {
    Named { name: name.0, place: node.place }
}

/// The inputs that an included file declares.
pub(crate) fn read_template_inputs(node: &Node, reading: &Reading) -> BTreeMap<String, Input> {
    let Some(fields) = Fields::of(node, "an included file", TEMPLATE_KEYS, reading) else {
        return BTreeMap::new();
    };
    let inputs = fields.find("inputs").and_then(|it| input::read_declared(it, reading));
    inputs.unwrap_or_default()
}

/// Reads an included file, its inputs already put in.
pub(crate) fn read_template<'n>(node: &'n Node, reading: &'n Reading) -> Option<Body<'n>> {
    let fields = Fields::of(node, "an included file", TEMPLATE_KEYS, reading)?;
    check_version(&fields, reading);
    Some(read_body(&fields, reading))
}

fn check_version(fields: &Fields<'_>, reading: &Reading) {
    let Some(node) = fields.find("version") else { return };
    let Some(version) = whole(node, "`version`", 1..=i64::MAX, reading) else { return };
    if version != VERSION {
        let message = format!("this is version {version} of the format, which is not known here");
        let help = format!("write `version: {VERSION}`, or use a newer Trunkline");
        reading.error("pipeline/version", node.place, message, help);
    }
}

fn read_body<'n>(fields: &Fields<'n>, reading: &'n Reading) -> Body<'n> {
    let includes = fields.find("include").map(|it| read_includes(it, reading)).unwrap_or_default();
    let stages = fields.find("stages");
    let entries =
        stages.and_then(|it| mapping(it, "`stages`", STAGES_HELP, reading)).unwrap_or_default();
    let is_empty = stages.is_none_or(|it| matches!(&it.value, crate::pipeline::yaml::Value::Mapping(entries) if entries.is_empty()));
    if is_empty && includes.is_empty() && !fields.has_slip_of(&["stages", "include"]) {
        let message = "there are no `stages`";
        let help = STAGES_HELP;
        let place = stages.map_or(fields.place, |it| it.place);
        reading.error("pipeline/missing-key", place, message, help);
    }
    let defaults = fields.find("defaults").and_then(|it| read_defaults(it, reading));
    Body { defaults, includes, stages: entries }
}

fn read_includes<'n>(node: &'n Node, reading: &'n Reading) -> Vec<Include<'n>> {
    use crate::pipeline::yaml::Value;
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    };
    items.iter().filter_map(|it| read_include(it, reading)).collect()
}

fn read_include<'n>(node: &'n Node, reading: &'n Reading) -> Option<Include<'n>> {
    let fields = Fields::of(node, "an item of `include`", INCLUDE_KEYS, reading)?;
    let from = fields.read::<Plain>("from").map(|it| it.0);
    let r#ref = fields.read::<Plain>("ref").zip(fields.find("ref"));
    let r#ref = r#ref.map(|(name, node)| (name.0, node.place));
    if fields.find("from").is_some() != fields.find("ref").is_some() {
        let message = "`from` and `ref` belong together: which repository, and which state of it";
        let help = "add the one that is missing, or remove both for a file of this repository";
        reading.error("pipeline/include", fields.place, message, help);
    }
    let sha256 = fields.find("sha256").and_then(|it| read_sha256(it, reading));
    let with = fields.find("with");
    let is_with = with.is_none_or(|it| mapping(it, "`with`", "", reading).is_some());
    let file = fields.require::<Inside>("file", "pipelines/python.yml")?.0;
    is_with.then_some(Include { from, r#ref, file, sha256, with, place: fields.place })
}

fn read_sha256(node: &Node, reading: &Reading) -> Option<(String, Place)> {
    let text = Plain::read(node, "`sha256`", reading)?.0;
    let digits = text.strip_prefix("sha256:").unwrap_or(&text).to_lowercase();
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some((digits, node.place));
    }
    let message = format!(
        "`sha256` must be 64 hexadecimal digits, found {} characters",
        text.chars().count()
    );
    let help = "take what `sha256sum` prints for the file";
    reading.error("pipeline/sha256", node.place, message, help);
    None
}

fn read_release(node: &Node, reading: &Reading) -> Option<Release> {
    let fields = Fields::of(node, "`release`", RELEASE_KEYS, reading)?;
    let list = |key| tracked(fields.read(key));
    Some(Release {
        code: list("code"),
        infra: list("infra"),
        prompts: list("prompts"),
        models: fields.read::<Inside>("models").map(|it| it.0),
        indexes: fields.read::<Inside>("indexes").map(|it| it.0),
    })
}
