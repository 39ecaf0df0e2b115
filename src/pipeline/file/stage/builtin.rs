//! `uses: builtin/…`: which there are, and the arguments of each.

use super::super::fields::{Read, choice, items, mapping, wrong_type};
use super::super::image::ImageTag;
use super::super::measure::{Inside, Positive, is_rate};
use super::super::occurrence::{self, Use};
use super::super::scalar::{Loose, Plain, number, whole};
use crate::pipeline::Template;
use crate::pipeline::plan::ImageWork;
use crate::pipeline::reading::{Reading, known_words};
use crate::pipeline::yaml::{Entry, Node, Value};

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text with `${{ }}`.
    Text,
    /// Text in which nothing is replaced.
    Word,
    /// A path inside the workspace.
    Path,
    /// A whole number of at least one.
    Count,
    /// A number of at least zero.
    Number,
    /// `true` or `false`.
    Flag,
    /// A span of time.
    Duration,
    /// A rate such as `50/s`.
    Rate,
    /// Texts with `${{ }}`.
    Texts,
    /// Names for an image.
    Tags,
    /// Texts by name.
    Map,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A built-in.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) with: &'static [(&'static str, Kind)],
    pub(crate) required: &'static [(&'static str, &'static str)],
    /// What it publishes for `needs.….outputs`; any name when empty.
    pub(crate) outputs: &'static [&'static str],
    /// Whether this version runs it; a stage with another one fails when it is its turn.
    pub(crate) is_here: bool,
}

/// All built-ins.
pub(crate) const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "image",
        with: &[
            ("context", Kind::Path),
            ("dockerfile", Kind::Path),
            ("tags", Kind::Tags),
            ("args", Kind::Map),
            ("target", Kind::Word),
            ("push", Kind::Flag),
        ],
        required: &[],
        outputs: &["digest", "reference"],
        is_here: true,
    },
    Builtin {
        name: "eval",
        with: &[
            ("suite", Kind::Path),
            ("against", Kind::Choice(&["last_released", "trunk", "none"])),
            ("model_calls", Kind::Choice(&["replay", "live", "record"])),
            ("model", Kind::Text),
            ("samples", Kind::Count),
            ("seed", Kind::Number),
            ("temperature", Kind::Number),
        ],
        required: &[("suite", "evals/core.yml")],
        outputs: &[],
        is_here: false,
    },
    Builtin {
        name: "contract",
        with: &[
            ("contracts", Kind::Path),
            ("model_calls", Kind::Choice(&["replay", "live", "record"])),
        ],
        required: &[("contracts", "contracts/")],
        outputs: &[],
        is_here: false,
    },
    Builtin {
        name: "sbom",
        with: &[
            ("format", Kind::Choice(&["cyclonedx", "spdx"])),
            ("image", Kind::Text),
            ("path", Kind::Path),
        ],
        required: &[],
        outputs: &[],
        is_here: false,
    },
    Builtin {
        name: "scan",
        with: &[
            ("image", Kind::Text),
            ("path", Kind::Path),
            ("scanners", Kind::Texts),
            ("ignore", Kind::Path),
        ],
        required: &[],
        outputs: &[],
        is_here: false,
    },
    Builtin {
        name: "deploy",
        with: &[
            ("image", Kind::Text),
            ("config", Kind::Path),
            ("env", Kind::Map),
            ("timeout", Kind::Duration),
        ],
        required: &[],
        outputs: &[],
        is_here: false,
    },
    Builtin {
        name: "load",
        with: &[
            ("scenario", Kind::Path),
            ("rate", Kind::Rate),
            ("duration", Kind::Duration),
            ("url", Kind::Text),
            ("connections", Kind::Count),
        ],
        required: &[("scenario", "load/chat.yml")],
        outputs: &[],
        is_here: false,
    },
    Builtin {
        name: "rollout",
        with: &[("image", Kind::Text), ("config", Kind::Path), ("env", Kind::Map)],
        required: &[],
        outputs: &[],
        is_here: false,
    },
];

/// A checked `uses` with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct BuiltinUse {
    pub(crate) name: &'static str,
    pub(crate) with: serde_json::Value,
    /// For `builtin/image`.
    pub(crate) image: Option<ImageWork>,
}

/// Finds the built-in of a `uses`.
pub(crate) fn find(node: &Node, reading: &Reading) -> Option<&'static Builtin> {
    let text = Plain::read(node, "`uses`", reading)?.0;
    let name = text.strip_prefix("builtin/");
    if let Some(found) = BUILTINS.iter().find(|it| name == Some(it.name)) {
        return Some(found);
    }
    let known: Vec<String> = BUILTINS.iter().map(|it| format!("builtin/{}", it.name)).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let bare = name.unwrap_or(&text);
    let close = reading.closest(bare, BUILTINS.iter().map(|it| it.name));
    let help = match close {
        Some(close) => format!("did you mean `builtin/{close}`?"),
        None => format!(
            "{}; a file of stages is shared with `include`",
            known_words("built-ins", &known)
        ),
    };
    reading.error("pipeline/unknown-builtin", node.place, format!("there is no `{text}`"), help);
    None
}

/// Warns of a built-in whose stage will fail, as this version cannot run it.
pub(crate) fn warn_of_later(builtin: &Builtin, node: &Node, label: &str, reading: &Reading) {
    if builtin.is_here {
        return;
    }
    let name = builtin.name;
    let message = format!(
        "this version of Trunkline cannot run `builtin/{name}`: when it is its turn, {label} fails with class `user`, and what needs it does not start"
    );
    let here: Vec<String> = BUILTINS
        .iter()
        .filter(|it| it.is_here)
        .map(|it| format!("`builtin/{}`", it.name))
        .collect();
    let help = format!(
        "it can run {}; until it has `builtin/{name}`, do its work in `steps`, or leave the stage out",
        here.join(", ")
    );
    reading.warn("pipeline/later-builtin", node.place, message, help);
}

/// What a built-in publishes; nothing when any name may be.
pub(crate) fn outputs_of(name: &str) -> &'static [&'static str] {
    BUILTINS.iter().find(|it| it.name == name).map_or(&[], |it| it.outputs)
}

/// Reads `with` for a built-in.
pub(crate) fn read_with(
    builtin: &'static Builtin,
    with: Option<&Node>,
    uses: &Node,
    reading: &Reading,
) -> Option<BuiltinUse> {
    let entries = match with {
        Some(node) => mapping(node, "`with`", "", reading)?,
        None => &[],
    };
    let known: Vec<&str> = builtin.with.iter().map(|(key, _)| *key).collect();
    for entry in entries {
        if let Some((key, kind)) = builtin.with.iter().find(|(key, _)| *key == entry.key) {
            check(*kind, &entry.value, &format!("`{key}`"), reading);
        } else {
            let message = format!("`builtin/{}` has no argument `{}`", builtin.name, entry.key);
            let help = reading.suggest(&entry.key, "arguments", &known);
            reading.error("pipeline/unknown-argument", entry.key_place, message, help);
        }
    }
    for (key, example) in builtin.required {
        if !entries.iter().any(|it| it.key == *key) {
            let message = format!("`builtin/{}` needs the argument `{key}`", builtin.name);
            let help = format!("add `with: {{ {key}: {example} }}`");
            let place = with.map_or(uses.place, |it| it.place);
            reading.error("pipeline/missing-key", place, message, help);
        }
    }
    check_push(builtin, entries, reading);
    let json = with.map_or_else(|| serde_json::json!({}), Node::to_json);
    let image = (builtin.name == "image").then(|| image_work(with, reading));
    Some(BuiltinUse { name: builtin.name, with: json, image })
}

fn check_push(builtin: &Builtin, entries: &[Entry], reading: &Reading) {
    let find = |key: &str| entries.iter().find(|it| it.key == key).map(|it| &it.value);
    let Some(push) = find("push").filter(|_| builtin.name == "image") else { return };
    let is_asked = bool::read(push, "`push`", reading) == Some(true);
    if is_asked && find("tags").is_none_or(|it| items(it).is_empty()) {
        let message = "`push` has nothing to push: there are no `tags`";
        let help = "add `tags: [\"registry.example.com/app:${{ git.sha }}\"]`";
        reading.error("pipeline/missing-key", push.place, message, help);
    }
}

fn check(kind: Kind, node: &Node, label: &str, reading: &Reading) {
    match kind {
        Kind::Text => drop(Template::read(node, label, reading)),
        Kind::Word => drop(Plain::read(node, label, reading)),
        Kind::Path => drop(Inside::read(node, label, reading)),
        Kind::Count => drop(whole(node, label, 1..=i64::MAX, reading)),
        Kind::Number => drop(number(node, label, reading)),
        Kind::Flag => drop(bool::read(node, label, reading)),
        Kind::Duration => drop(Positive::read(node, label, reading)),
        Kind::Texts => drop(Vec::<Template>::read(node, label, reading)),
        Kind::Tags => drop(Vec::<ImageTag>::read(node, label, reading)),
        Kind::Map => drop(texts_by_name(node, label, reading)),
        Kind::Rate => {
            let text = Plain::read(node, label, reading);
            if text.is_some_and(|it| !is_rate(&it.0)) {
                let help = "units are `/s`, `/m` and `/h`";
                wrong_type(node, label, "a rate such as `50/s`", reading, help);
            }
        }
        Kind::Choice(words) => {
            let words: Vec<(&str, ())> = words.iter().map(|it| (*it, ())).collect();
            choice(node, label, &words, reading).unwrap_or_default();
        }
    }
}

fn texts_by_name(
    node: &Node,
    label: &str,
    reading: &Reading,
) -> Option<std::collections::BTreeMap<String, Template>> {
    let entries = mapping(node, label, "", reading)?;
    let read = |entry: &Entry| {
        let label = format!("`{}`", entry.key);
        let text = Loose::read(&entry.value, &label, reading)?.0;
        let template = occurrence::template(&text, Use::Field, &entry.value, reading)?;
        Some((entry.key.clone(), template))
    };
    Some(entries.iter().filter_map(read).collect())
}

/// The arguments of `builtin/image`; they have been checked, so problems are not told again.
fn image_work(with: Option<&Node>, reading: &Reading) -> ImageWork {
    let find = |key: &str| {
        let Some(Value::Mapping(entries)) = with.map(|it| &it.value) else { return None };
        entries.iter().find(|it| it.key == key).map(|it| &it.value)
    };
    let text = |key: &str| find(key).and_then(|it| Plain::read(it, key, &Reading::default()));
    ImageWork {
        context: text("context").map_or_else(|| ".".to_owned(), |it| it.0),
        dockerfile: text("dockerfile").map_or_else(|| "Dockerfile".to_owned(), |it| it.0),
        tags: find("tags").and_then(|it| Vec::read(it, "`tags`", reading)).unwrap_or_default(),
        args: find("args").and_then(|it| texts_by_name(it, "`args`", reading)).unwrap_or_default(),
        target: text("target").map(|it| it.0),
        push: find("push").and_then(|it| bool::read(it, "`push`", reading)).unwrap_or_default(),
    }
}

/// Checks `outputs` against what the built-in publishes.
pub(crate) fn check_outputs(builtin: &Builtin, node: &Node, reading: &Reading) {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    };
    for item in items {
        let Some(Plain(name)) = Plain::read(item, "`outputs`", reading) else { continue };
        if !builtin.outputs.is_empty() && !builtin.outputs.contains(&name.as_str()) {
            let message = format!("`builtin/{}` has no output `{name}`", builtin.name);
            let help = reading.suggest(&name, "outputs", builtin.outputs);
            reading.error("pipeline/unknown-output", item.place, message, help);
        }
    }
}
