//! The rules of a stage: retries, allowed failures, gates, budgets, concurrency, environments
//! and needs.

use std::collections::BTreeMap;

use super::super::fields::{Fields, Read, choice, mapping, wrong_type};
use super::super::measure::{Day, Positive, day_number};
use super::super::scalar::{self, Early, Plain, number, whole};
use super::super::{Concurrency, Named, occurrence};
use crate::model::{FailureClass, UsdNanos};
use crate::pipeline::Template;
use crate::pipeline::plan::{AllowFailure, Budget, Gate, OnNew, RetryPolicy, SlotOrder};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Value};

pub(crate) const RETRY_KEYS: &[&str] = &["max", "on", "delay"];
pub(crate) const ALLOW_FAILURE_KEYS: &[&str] = &["until", "reason"];
pub(crate) const BUDGET_KEYS: &[&str] = &["per_run", "tokens_per_run", "on_exceed"];
pub(crate) const RUN_CONCURRENCY_KEYS: &[&str] = &["group", "on_new"];
pub(crate) const STAGE_CONCURRENCY_KEYS: &[&str] = &["group", "limit", "order", "skip_outdated"];
pub(crate) const ENVIRONMENT_KEYS: &[&str] = &["name", "regions", "freeze", "auto_stop", "url"];
pub(crate) const NEED_KEYS: &[&str] = &["stage", "optional"];

/// A stage that another waits for, before it is known to exist.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    pub(crate) stage: Named,
    pub(crate) optional: bool,
}

impl Read for Need {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if let Value::Mapping(_) = &node.value {
            let fields = Fields::of(node, label, NEED_KEYS, reading)?;
            let name = fields.require::<Plain>("stage", "build");
            let place = fields.find("stage").map_or(node.place, |it| it.place);
            let optional = fields.read_or("optional", false);
            return Some(Self { stage: Named { name: name?.0, place }, optional });
        }
        let name = Plain::read(node, label, reading)?.0;
        Some(Self { stage: Named { name, place: node.place }, optional: false })
    }
}

impl Read for FailureClass {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let words = Self::ALL.map(|it| (it.as_str(), it));
        choice(node, label, &words, reading)
    }
}

impl Read for RetryPolicy {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let default = Self::default();
        let max = |node: &Node| {
            let max = whole(node, "`max`", 0..=10, reading)?;
            u32::try_from(max).ok()
        };
        if let Value::Scalar(_) = &node.value {
            let max = whole(node, label, 0..=10, reading).and_then(|it| u32::try_from(it).ok())?;
            return Some(Self { max, ..default });
        }
        let fields = Fields::of(node, label, RETRY_KEYS, reading)?;
        Some(Self {
            max: fields.find("max").and_then(max).unwrap_or(default.max),
            on: fields.read_filled("on", "write `max: 0` for no retries").unwrap_or(default.on),
            delay: fields.read_or("delay", default.delay),
        })
    }
}

impl Read for AllowFailure {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        const EXAMPLE: &str = "{ until: 2027-03-31, reason: \"…\" }";
        if let Value::Scalar(_) = &node.value {
            let help = format!("say until when and why: `allow_failure: {EXAMPLE}`");
            wrong_type(node, label, "a mapping", reading, &help);
            return None;
        }
        let fields = Fields::of(node, label, ALLOW_FAILURE_KEYS, reading)?;
        let until = fields.read::<Day>("until");
        let reason = fields.require::<Plain>("reason", "\"base image upgrade in progress\"");
        if fields.find("until").is_none() {
            let message = "the failure is allowed for ever";
            let help = "add the day it ends: `until: 2027-03-31`";
            reading.warn("pipeline/no-end-date", node.place, message, help);
        }
        Some(Self { until: until.map(Day::end), reason: reason?.0 })
    }
}

impl Read for Budget {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, BUDGET_KEYS, reading)?;
        let per_run = fields.read::<UsdNanos>("per_run");
        let tokens = fields.find("tokens_per_run");
        let tokens = tokens.and_then(|it| whole(it, "`tokens_per_run`", 1..=i64::MAX, reading));
        let on_exceed = fields.find("on_exceed");
        let words = [("fail", true), ("warn", false)];
        let fails = on_exceed.and_then(|it| choice(it, "`on_exceed`", &words, reading));
        if fields.find("per_run").is_none() && fields.find("tokens_per_run").is_none() {
            let message = format!("{label} sets no ceiling");
            let help = "add `per_run: 2.50 USD` or `tokens_per_run: 100000`";
            reading.error("pipeline/missing-key", node.place, message, help);
        }
        Some(Self {
            per_run,
            tokens_per_run: tokens.and_then(|it| u64::try_from(it).ok()),
            fail_on_exceed: fails.unwrap_or(true),
        })
    }
}

const ON_NEW: &[(&str, OnNew)] =
    &[("queue", OnNew::Queue), ("cancel_running", OnNew::CancelRunning)];

impl Read for Concurrency {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, RUN_CONCURRENCY_KEYS, reading)?;
        let on_new = fields.find("on_new").map(|it| read_on_new(it, reading));
        let group = fields.require::<Early>("group", "\"ci-${{ git.ref }}\"")?.0;
        Some(Self { group, on_new: on_new.unwrap_or_default() })
    }
}

/// One word for all events, under the empty name, or one for each.
fn read_on_new(node: &Node, reading: &Reading) -> BTreeMap<String, OnNew> {
    let word = |node| choice(node, "`on_new`", ON_NEW, reading);
    if !matches!(node.value, Value::Mapping(_)) {
        return word(node).into_iter().map(|it| (String::new(), it)).collect();
    }
    let Some(events) = Fields::of(node, "`on_new`", super::super::trigger::EVENTS, reading) else {
        return BTreeMap::new();
    };
    let words = events.entries.iter().filter_map(|it| Some((it.key.clone(), word(&it.value)?)));
    words.collect()
}

/// A group of stages, before its name is known.
#[derive(Debug, Clone)]
pub(crate) struct StageGroup {
    pub(crate) group: Template,
    pub(crate) limit: u32,
    pub(crate) order: SlotOrder,
    pub(crate) skip_outdated: bool,
}

impl Read for StageGroup {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        const ORDERS: &[(&str, SlotOrder)] =
            &[("oldest_first", SlotOrder::OldestFirst), ("newest_first", SlotOrder::NewestFirst)];
        if let Value::Scalar(_) = &node.value {
            let group = Early::read(node, label, reading)?.0;
            let order = SlotOrder::default();
            return Some(Self { group, limit: 1, order, skip_outdated: false });
        }
        let fields = Fields::of(node, label, STAGE_CONCURRENCY_KEYS, reading)?;
        let limit = fields.find("limit").and_then(|it| whole(it, "`limit`", 1..=1000, reading));
        let order = fields.find("order").and_then(|it| choice(it, "`order`", ORDERS, reading));
        let skip_outdated = fields.read_or("skip_outdated", false);
        Some(Self {
            group: fields.require::<Early>("group", "deploy-staging")?.0,
            limit: limit.and_then(|it| u32::try_from(it).ok()).unwrap_or(1),
            order: order.unwrap_or_default(),
            skip_outdated,
        })
    }
}

/// Where a stage deploys to, before its name is known.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: Template,
    pub(crate) settings: serde_json::Value,
}

impl Read for Target {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if let Value::Scalar(_) = &node.value {
            let name = Early::read(node, label, reading)?.0;
            return Some(Self { name, settings: serde_json::Value::Null });
        }
        let fields = Fields::of(node, label, ENVIRONMENT_KEYS, reading)?;
        let name = fields.require::<Early>("name", "staging");
        fields.read_filled::<scalar::Name>("regions", "name one, or remove the key");
        fields.read::<Positive>("auto_stop");
        fields.read::<Template>("url");
        if let Some(freeze) = fields.find("freeze") {
            check_freeze(freeze, reading);
        }
        let mut settings = node.to_json();
        if let Some(settings) = settings.as_object_mut() {
            settings.remove("name");
        }
        Some(Self { name: name?.0, settings })
    }
}

/// `weekends`, a day, or `from..to`.
fn check_freeze(node: &Node, reading: &Reading) {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    };
    for item in items {
        let text = scalar::text(item).unwrap_or_default();
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let days = day_number(from).zip(day_number(to));
        if text != "weekends" && days.is_none_or(|(from, to)| from > to) {
            let expected = "`weekends`, a day, or days such as `2027-12-20..2028-01-02`";
            wrong_type(item, "`freeze`", expected, reading, "");
        }
    }
}

/// Reads `gate: { metric: ">= 0.85" }`.
pub(crate) fn read_gates(node: &Node, reading: &Reading) -> Option<Vec<Gate>> {
    let entries = mapping(node, "`gate`", "such as `gate: { f1: \">= 0.85\" }`", reading)?;
    if entries.is_empty() {
        let message = "`gate` asks for nothing, and passes always";
        reading.warn(
            "pipeline/gate",
            node.place,
            message,
            "name a metric: `gate: { f1: \">= 0.85\" }`",
        );
    }
    let mut gates = Vec::new();
    for entry in entries {
        let Some(comparison) = read_comparison(&entry.value, &entry.key, reading) else { continue };
        if !is_metric(&entry.key) {
            let message = format!("`{}` cannot be the name of a metric", entry.key);
            let help = "use letters, digits, `_`, `-`, `.` and `/`";
            reading.error("pipeline/metric-name", entry.key_place, message, help);
            continue;
        }
        let metric = entry.key.clone();
        let expression = occurrence::comparison(&metric, &comparison, &entry.value, reading);
        if let Some(expression) = expression {
            gates.push(Gate { metric, comparison, expression });
        }
    }
    Some(gates)
}

/// A text such as `>= 0.85`.
pub(crate) fn read_comparison(node: &Node, metric: &str, reading: &Reading) -> Option<String> {
    const OPERATORS: [&str; 6] = ["<=", ">=", "==", "!=", "<", ">"];
    let text = scalar::text(node).unwrap_or_default();
    let operator = OPERATORS.iter().find(|it| text.starts_with(**it));
    if operator.is_some_and(|it| !text.trim_start_matches(it).trim().is_empty()) {
        return Some(text.trim().to_owned());
    }
    let help = if text.starts_with('=') {
        let operator = match text.get(..2) {
            Some("=>") => ">=",
            Some("=<") => "<=",
            _ => "==",
        };
        let value = text.trim_start_matches(['=', '<', '>']).trim();
        format!("write `\"{operator} {value}\"`")
    } else if scalar::scalar(node).is_some() && number_of(node).is_some() {
        format!("say which way: `\">= {0}\"` or `\"<= {0}\"`", number_of(node).unwrap_or_default())
    } else {
        "operators are `<`, `<=`, `>`, `>=`, `==`, `!=`".to_owned()
    };
    let label = format!("what is asked of `{metric}`");
    wrong_type(node, &label, "a comparison such as `\">= 0.85\"`", reading, &help);
    None
}

fn number_of(node: &Node) -> Option<String> {
    let quiet = Reading::default();
    number(node, "", &quiet)?;
    scalar::scalar(node).map(|it| it.text.clone())
}

/// Whether this can be the name of a metric.
pub(crate) fn is_metric(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
}
