//! Says why an expression has no value, for the person who wrote it.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use std::collections::BTreeMap;

use cel::objects::{Key, Map};
use cel::{ExecutionError, Value};

use super::calls::Call;
use super::view::View;
use super::{ExpressionError, Reference, words};

/// A condition whose value is not a boolean.
pub(super) fn not_a_condition(source: &str, value: &Value) -> ExpressionError {
    ExpressionError::new(format!(
        "`{source}` is {}, but a condition must be true or false",
        described(value)
    ))
    .help(format!("compare it with a value, such as `{}`", example(source, value)))
}

fn example(source: &str, value: &Value) -> String {
    match value {
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => format!("{source} > 0"),
        Value::List(_) | Value::Map(_) => format!("size({source}) > 0"),
        Value::Null => format!("{source} != null"),
        _ => format!("{source} != \"\""),
    }
}

/// A gate that names a metric which was not published.
pub(super) fn no_metric(metric: &str, metrics: &BTreeMap<String, f64>) -> ExpressionError {
    let names = || metrics.keys().map(String::as_str);
    let error = if metrics.is_empty() {
        ExpressionError::new(format!("metric `{metric}` is missing; the stage published none"))
            .help("publish it by writing a JSON line to the file that `$TRUNKLINE_METRICS` names")
    } else {
        ExpressionError::new(format!(
            "metric `{metric}` is missing; the stage published {}",
            words::listed(names())
        ))
    };
    words::suggest(error, metric, names())
}

/// A gate that compares with a baseline which does not exist.
pub(super) fn no_baseline(span: (usize, usize)) -> ExpressionError {
    ExpressionError::new("there is no last released run to take `baseline` from")
        .help("release a run first, or compare with a number")
        .at(span)
}

/// An evaluation that failed.
pub(super) fn failure(error: &ExecutionError, source: &str, view: &View<'_>) -> ExpressionError {
    if let Some(missing) = missing_hash(view).or_else(|| missing_value(view)) {
        return missing;
    }
    let what = match error {
        ExecutionError::NoSuchOverload(overload) => return no_overload(overload),
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known here"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} cannot be compared with {}", described(left), described(right))
        }
        ExecutionError::UnsupportedBinaryOperator(_, left, right) => {
            format!("{} and {} cannot be combined", described(left), described(right))
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(at) => format!("the list has no place {}", shown(at)),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function wants {expected} arguments and was given {actual}")
        }
        other => other.to_string(),
    };
    ExpressionError::new(format!("`{source}` has no value: {what}"))
}

fn no_overload(overload: &cel::OverloadError) -> ExpressionError {
    let types: Vec<_> = overload.argument_types().iter().map(|it| with_article(it)).collect();
    let name = overload.function().replace('_', "");
    ExpressionError::new(format!("`{name}` cannot be used on {}", types.join(" and ")))
        .help("convert with `string(…)`, `int(…)` or `double(…)`, or compare values of one type")
}

fn missing_hash(view: &View<'_>) -> Option<ExpressionError> {
    let hashes = view.scope.context.map(|it| &it.hashes);
    let unknown = |call: &Call| match call {
        Call::Hash(globs) if !hashes.is_some_and(|it| it.contains_key(&globs.join("\n"))) => {
            Some(globs.join("`, `"))
        }
        _ => None,
    };
    let globs = view.compiled.calls.iter().find_map(unknown)?;
    Some(ExpressionError::new(format!("the hash of `{globs}` was not read for this run")))
}

/// Finds the constant path that leads nowhere.
fn missing_value(view: &View<'_>) -> Option<ExpressionError> {
    view.compiled.references.iter().find_map(|it| dead_end(view, it))
}

fn dead_end(view: &View<'_>, reference: &Reference) -> Option<ExpressionError> {
    let mut walked = reference.root.clone();
    let mut value = view.value(&reference.root)?;
    for name in &reference.path {
        match &value {
            Value::Null if reference.root == "pull_request" => {
                let error = "`pull_request` is null: no pull request started this run";
                return Some(
                    ExpressionError::new(error)
                        .help("ask first: `event == \"pull_request\" && …`")
                        .at(reference.span),
                );
            }
            Value::Map(entries) => match entries.get(&Key::String(name.clone().into())) {
                Some(inner) => {
                    walked = format!("{walked}.{name}");
                    value = inner.clone();
                }
                None => return Some(no_key(entries, &walked, name).at(reference.span)),
            },
            _ => return None,
        }
    }
    None
}

fn no_key(entries: &Map, walked: &str, name: &str) -> ExpressionError {
    let mut names: Vec<String> = entries.map.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    let known = || names.iter().map(String::as_str);
    let error = ExpressionError::new(format!(
        "`{walked}` has no `{name}`; it has {}",
        words::listed(known())
    ));
    let error = if walked == "needs" {
        error.help(format!("add `{name}` to the `needs` of the stage"))
    } else {
        error.help(format!("ask first, if it may be missing: `has({walked}.{name})`"))
    };
    words::suggest(error, name, known())
}

/// The type and value of what was found, such as ``a string (`"main"`)``.
fn described(value: &Value) -> String {
    let kind = with_article(&value.type_of().to_string());
    match value {
        Value::List(_) | Value::Map(_) | Value::Null => kind,
        _ => format!("{kind} (`{}`)", shown(value)),
    }
}

fn with_article(kind: &str) -> String {
    match kind {
        "null" | "null_type" => "null".to_owned(),
        "int" | "uint" => "a whole number".to_owned(),
        "double" | "float" => "a number".to_owned(),
        other => format!("a {other}"),
    }
}

fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::String(text) if text.chars().count() > LONGEST => {
            format!("\"{}…\"", text.chars().take(LONGEST).collect::<String>())
        }
        Value::String(text) => format!("\"{text}\""),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => other.type_of().to_string(),
    }
}
