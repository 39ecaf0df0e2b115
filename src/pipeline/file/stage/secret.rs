//! `secrets`: which a stage gets, and under which name.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fields::{Fields, Read, items};
use super::super::scalar::{self, Plain, check_variable};
use crate::pipeline::Template;
use crate::pipeline::diagnostic::Place;
use crate::pipeline::plan::SecretUse;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Value};

pub(crate) const KEYS: &[&str] = &["name", "env"];

/// Variables without which the commands of a stage cannot run.
const VITAL: [&str; 2] = ["PATH", "IFS"];

/// Variables that change what programs do, and how.
const DELICATE: [(&str, &str); 11] = [
    ("HOME", "is where programs keep their settings and caches"),
    ("PWD", "is the working directory of the shell"),
    ("SHELL", "is the shell that programs start"),
    ("TMPDIR", "is where programs put temporary files"),
    ("ENV", "names a script that the shell runs first"),
    ("BASH_ENV", "names a script that `bash` runs first"),
    ("LD_PRELOAD", "names a library that is loaded into every program"),
    ("LD_LIBRARY_PATH", "is where every program looks for its libraries"),
    ("LD_AUDIT", "names a library that is loaded into every program"),
    ("PYTHONPATH", "is where Python looks for modules"),
    ("NODE_OPTIONS", "are options of every `node`"),
];

impl Read for SecretUse {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let is_mapping = matches!(node.value, Value::Mapping(_));
        let fields = is_mapping.then(|| Fields::of(node, label, KEYS, reading));
        let (name, name_place, env) = match fields {
            None => (Plain::read(node, label, reading)?.0, node.place, None),
            Some(fields) => {
                let fields = fields?;
                let place = fields.find("name").map_or(node.place, |it| it.place);
                let env = fields.find("env").zip(fields.read::<Plain>("env"));
                (fields.require::<Plain>("name", "API_KEY")?.0, place, env)
            }
        };
        check_name(&name, name_place, env.is_some(), reading)?;
        let (place, env) =
            env.map_or_else(|| (name_place, name.clone()), |(node, env)| (node.place, env.0));
        let is_fine = check_variable(&env, place, reading) && check_use(&env, place, reading);
        is_fine.then_some(Self { name, env })
    }
}

fn check_name(name: &str, place: Place, has_env: bool, reading: &Reading) -> Option<()> {
    let is_secret_name = name.len() <= 200
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b));
    if !is_secret_name {
        let message = format!("`{name}` cannot be the name of a secret");
        let help = "use letters, digits, `_`, `-`, `.` and `/`";
        reading.error("pipeline/secret-name", place, message, help);
        return None;
    }
    if !has_env && !scalar::is_variable(name) {
        let message = format!("the secret `{name}` needs the name of an environment variable");
        let help = format!("write `{{ name: {name}, env: SOME_NAME }}`");
        reading.error("pipeline/secret-name", place, message, help);
        return None;
    }
    Some(())
}

/// Whether a secret may stand in this variable without breaking the commands.
pub(super) fn check_use(env: &str, place: Place, reading: &Reading) -> bool {
    let help = format!("give it another variable: `{{ name: {env}, env: MY_{env} }}`");
    if VITAL.contains(&env) {
        let message =
            format!("a secret in `{env}` takes the place of what the shell needs to run commands");
        reading.error("pipeline/secret-env", place, message, help);
        return false;
    }
    if let Some((_, meaning)) = DELICATE.iter().find(|(name, _)| *name == env) {
        let message = format!("a secret in `{env}`, which {meaning}");
        reading.warn("pipeline/secret-env", place, message, help);
    }
    true
}

/// Reads `secrets`; a variable has one source.
pub(crate) fn read_secrets(
    node: &Node,
    env: &BTreeMap<String, Template>,
    reading: &Reading,
) -> Vec<SecretUse> {
    let (mut secrets, mut seen) = (Vec::new(), BTreeSet::new());
    for item in items(node) {
        let Some(secret) = SecretUse::read(item, "an item of `secrets`", reading) else { continue };
        let variable = secret.env.clone();
        if env.contains_key(&variable) {
            let message = format!("`{variable}` is set by `env` and by a secret");
            reading.error("pipeline/secret-env", item.place, message, "remove one of the two");
        } else if !seen.insert(variable) {
            let message = format!("two secrets are given as `{}`", secret.env);
            let help = "give one of them another variable: `{ name: …, env: OTHER }`";
            reading.error("pipeline/secret-env", item.place, message, help);
        }
        secrets.push(secret);
    }
    secrets
}
