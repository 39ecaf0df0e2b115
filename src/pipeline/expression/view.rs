//! What an expression sees of a scope. Values are made when they are asked for, so an expression pays
//! only for the names it reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::Value;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::objects::{Key, Map};

use super::Scope;
use super::calls::Call;
use super::compile::Compiled;
use crate::pipeline::context::{GitContext, NeedResult, PullRequestContext};

/// A scope, as one expression sees it.
pub(super) struct View<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) compiled: &'a Compiled,
}

impl<'a> View<'a> {
    pub(super) fn new(scope: &'a Scope<'a>, compiled: &'a Compiled) -> Self {
        Self { scope, compiled }
    }

    /// The value of a root, of `needs.<stage>`, of one of our calls, or of a metric.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let context = self.scope.context;
        match name {
            "event" => Some(text(&context?.event)),
            "git" => Some(git(&context?.git)),
            "pull_request" => Some(context?.pull_request.as_ref().map_or(Value::Null, request)),
            "inputs" => Some(json_map(context?.inputs.iter())),
            "matrix" => Some(self.scope.matrix.map_or_else(|| map([]), texts)),
            "env" => Some(self.scope.env.map_or_else(|| map([]), texts)),
            "needs" => {
                Some(map(self.scope.needs.iter().map(|(name, it)| (name.as_str(), need(it)))))
            }
            "baseline" => self.scope.baseline.map(Value::Float),
            "metrics" => Some(floats(&self.scope.metrics)),
            _ => self.special(name),
        }
    }

    fn special(&self, name: &str) -> Option<Value> {
        if let Some(stage) = name.strip_prefix("needs.") {
            return self.scope.needs.get(stage).map(need);
        }
        if let Some(call) = name.strip_prefix('@') {
            return self.call(self.compiled.calls.get(call.parse::<usize>().ok()?)?);
        }
        self.scope.metrics.get(name).copied().map(Value::Float)
    }

    fn call(&self, call: &Call) -> Option<Value> {
        match call {
            Call::Always => Some(Value::Bool(true)),
            Call::Failed => Some(Value::Bool(self.scope.any_failed)),
            Call::Passed => Some(Value::Bool(!self.scope.any_failed)),
            Call::Changed(globs) => {
                let paths = self.scope.context?.changed_paths.as_ref();
                Some(Value::Bool(paths.is_none_or(|it| it.iter().any(|it| globs.is_match(it)))))
            }
            Call::Hash(globs) => {
                self.scope.context?.hashes.get(&globs.join("\n")).map(|it| text(it))
            }
        }
    }
}

impl VariableResolver for View<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        self.value(variable)?.try_into().ok().map(CowVal::Owned)
    }
}

fn git(git: &GitContext) -> Value {
    map([
        ("sha", text(&git.sha)),
        ("ref", text(&git.r#ref)),
        ("branch", text(&git.branch)),
        ("tag", text(&git.tag)),
        ("message", text(&git.message)),
        ("author", text(&git.author)),
        ("dirty", Value::Bool(git.dirty)),
    ])
}

fn request(request: &PullRequestContext) -> Value {
    map([
        ("number", Value::Int(i64::try_from(request.number).unwrap_or(i64::MAX))),
        ("base", text(&request.base)),
        ("head", text(&request.head)),
        ("title", text(&request.title)),
        ("author", text(&request.author)),
        ("fork", Value::Bool(request.fork)),
    ])
}

fn need(need: &NeedResult) -> Value {
    map([
        ("status", text(need.status.as_str())),
        ("outputs", texts(&need.outputs)),
        ("metrics", floats(&need.metrics)),
    ])
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn texts(values: &BTreeMap<String, String>) -> Value {
    map(values.iter().map(|(name, it)| (name.as_str(), text(it))))
}

fn floats(values: &BTreeMap<String, f64>) -> Value {
    map(values.iter().map(|(name, it)| (name.as_str(), Value::Float(*it))))
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let key = |name: &str| Key::String(Arc::new(name.to_owned()));
    let map: HashMap<_, _> = entries.into_iter().map(|(name, it)| (key(name), it)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

fn json_map<'a>(entries: impl Iterator<Item = (&'a String, &'a serde_json::Value)>) -> Value {
    map(entries.map(|(name, it)| (name.as_str(), json(it))))
}

/// Whole numbers become `int`, never `uint`, so that they mix with what people write.
fn json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(it) => Value::Bool(*it),
        serde_json::Value::Number(it) => {
            it.as_i64().map_or_else(|| Value::Float(it.as_f64().unwrap_or(f64::MAX)), Value::Int)
        }
        serde_json::Value::String(it) => text(it),
        serde_json::Value::Array(it) => Value::List(Arc::new(it.iter().map(json).collect())),
        serde_json::Value::Object(it) => json_map(it.iter()),
    }
}
