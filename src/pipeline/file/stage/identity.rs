//! `identity`: signed tokens that say which stage it is.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fields::{Fields, Read, items};
use super::super::measure::Positive;
use super::super::scalar::{Plain, check_variable};
use super::secret::check_use;
use crate::model::Milliseconds;
use crate::pipeline::Template;
use crate::pipeline::plan::{IdentityUse, SecretUse};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Value};

pub(crate) const KEYS: &[&str] = &["audience", "env", "file", "lifetime"];

/// Where a token stands unless the file says otherwise.
const VARIABLE: &str = "TRUNKLINE_IDENTITY_TOKEN";
/// A token is exchanged at the beginning of a stage, so it lives this long unless the file says otherwise.
const LIFETIME: Milliseconds = Milliseconds::from_seconds(15 * 60);
/// The longest life: what is stolen should soon be worth nothing.
const LIFETIME_MAX: Milliseconds = Milliseconds::from_seconds(3600);
const AUDIENCE_CHARS_MAX: usize = 200;
/// Tokens of one stage.
const MOST_TOKENS: usize = 10;

impl Read for IdentityUse {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            let audience = Plain::read(node, label, reading)?.0;
            let is_fine = check_audience(&audience, node, reading);
            let env = Some(VARIABLE.to_owned());
            return is_fine.then_some(Self { audience, env, file: None, lifetime: LIFETIME });
        }
        let fields = Fields::of(node, label, KEYS, reading)?;
        let audience = fields.require::<Plain>("audience", "vault.example.com")?.0;
        let is_fine = check_audience(&audience, fields.find("audience")?, reading);
        let variable = |key: &str| {
            let name = fields.read::<Plain>(key)?.0;
            let place = fields.find(key)?.place;
            (check_variable(&name, place, reading) && check_use(&name, place, reading))
                .then_some(name)
        };
        let (env, file) = (variable("env"), variable("file"));
        let has_place = fields.find("env").is_some() || fields.find("file").is_some();
        let env = if has_place { env } else { Some(VARIABLE.to_owned()) };
        let lifetime = fields.read::<Positive>("lifetime").map_or(LIFETIME, |it| it.0);
        if let Some(node) = fields.find("lifetime").filter(|_| lifetime > LIFETIME_MAX) {
            let message = "a token lives an hour at most";
            let help = "write `lifetime: 1h` or less; a stage exchanges its token when it begins";
            reading.error("pipeline/identity", node.place, message, help);
        }
        is_fine.then_some(Self { audience, env, file, lifetime })
    }
}

fn check_audience(audience: &str, node: &Node, reading: &Reading) -> bool {
    let is_fine = audience.chars().count() <= AUDIENCE_CHARS_MAX
        && !audience.contains("${{")
        && !audience.chars().any(|it| it.is_whitespace() || it.is_control());
    if !is_fine {
        let message = format!("`{audience}` cannot be an audience");
        let help = "write what the cloud or vault calls itself, such as `sts.amazonaws.com`";
        reading.error("pipeline/identity", node.place, message, help);
    }
    is_fine
}

/// Reads `identity`; a variable has one source.
pub(crate) fn read_identity(
    node: &Node,
    (env, secrets): (&BTreeMap<String, Template>, &[SecretUse]),
    reading: &Reading,
) -> Vec<IdentityUse> {
    let mut seen: BTreeSet<String> = secrets.iter().map(|it| it.env.clone()).collect();
    seen.extend(env.keys().cloned());
    let mut uses = Vec::new();
    if items(node).len() > MOST_TOKENS {
        let message = format!("a stage has at most {MOST_TOKENS} tokens");
        reading.error("pipeline/limit", node.place, message, "split the stage");
        return uses;
    }
    for item in items(node) {
        let Some(token) = IdentityUse::read(item, "an item of `identity`", reading) else {
            continue;
        };
        for variable in token.env.iter().chain(&token.file) {
            if !seen.insert(variable.clone()) {
                let message = format!("`{variable}` is set twice, once by `identity`");
                let help = "give the token another variable: `{ audience: …, env: OTHER }`";
                reading.error("pipeline/identity", item.place, message, help);
            }
        }
        uses.push(token);
    }
    uses
}
