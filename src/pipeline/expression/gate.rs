//! Gates: a metric, a comparison, and a sentence for the person whose stage did not pass.

use super::{Expression, ExpressionError, Scope, explain, tokens, words};
use crate::pipeline::plan::Gate;

const COMPARISONS: [&str; 6] = [">=", "<=", "==", "!=", ">", "<"];
const METRIC_BYTES_MAX: usize = 128;

impl Expression {
    /// The expression of the short form `metric: comparison`, such as `f1: ">= 0.85"`. The span of an
    /// error is a range of the comparison.
    pub fn gate(metric: &str, comparison: &str) -> Result<Self, Vec<ExpressionError>> {
        check_metric(metric).map_err(|it| vec![it])?;
        let comparison = comparison.trim();
        if !COMPARISONS.iter().any(|it| comparison.starts_with(it)) {
            return Err(vec![no_comparison(comparison)]);
        }
        let is_plain = tokens::is_plain_name(metric)
            && !words::is_reserved(metric)
            && !words::FUNCTIONS.contains(&metric);
        let subject = if is_plain { metric.to_owned() } else { format!("metrics[\"{metric}\"]") };
        let source = format!("{subject} {comparison}");
        let moved = |mut error: ExpressionError| {
            let before = subject.len() + 1;
            error.span = error
                .span
                .and_then(|(from, to)| Some((from.checked_sub(before)?, to.checked_sub(before)?)));
            error
        };
        Self::parse_gate(&source).map_err(|errors| errors.into_iter().map(moved).collect())
    }
}

fn check_metric(metric: &str) -> Result<(), ExpressionError> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "_-./".contains(it);
    if !metric.is_empty() && metric.len() <= METRIC_BYTES_MAX && metric.chars().all(is_part) {
        return Ok(());
    }
    Err(ExpressionError::new(format!("`{metric}` is no name of a metric"))
        .help("use letters, digits, `_`, `-`, `.` and `/`, at most 128 of them"))
}

fn no_comparison(comparison: &str) -> ExpressionError {
    let error = ExpressionError::new(format!(
        "`{comparison}` does not begin with a comparison; there are {}",
        words::listed(COMPARISONS)
    ));
    let number = comparison.trim_start_matches(['=', '<', '>', '≥', '≤']).trim();
    let meant = if comparison.starts_with("=>") || comparison.starts_with('≥') {
        ">="
    } else if comparison.starts_with("=<") || comparison.starts_with('≤') {
        "<="
    } else if comparison.starts_with('=') {
        "=="
    } else {
        ">="
    };
    error.help(format!("write it as `{meant} {number}`"))
}

/// Whether the metrics of the scope pass the gate; if not, a sentence that says why.
///
/// A gate that compares with `baseline` fails when the scope has none; a caller that wants the first
/// run to pass asks [`Expression::uses_baseline`] before.
pub fn judge_gate(gate: &Gate, scope: &Scope<'_>) -> Result<(), String> {
    let Gate { metric, comparison, expression } = gate;
    let Some(value) = scope.metrics.get(metric) else {
        let missing = explain::no_metric(metric, &scope.metrics);
        return Err(format!("gate `{metric} {comparison}` fails: {missing}"));
    };
    match expression.evaluate(scope) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let baseline = scope.baseline.filter(|_| expression.uses_baseline());
            let note = baseline.map(|it| format!(" (baseline is {})", number(it)));
            Err(format!(
                "{metric} is {}, gate `{comparison}` {}{}",
                number(*value),
                wish(comparison),
                note.unwrap_or_default()
            ))
        }
        Err(error) => Err(format!("gate `{metric} {comparison}` fails: {error}")),
    }
}

fn wish(comparison: &str) -> &'static str {
    match comparison.trim().as_bytes() {
        [b'>', ..] => "wants more",
        [b'<', ..] => "wants less",
        [b'=', ..] => "wants exactly that",
        [b'!', ..] => "wants anything else",
        _ => "is not met",
    }
}

/// Shortest text that reads back as the same number; very large and very small ones with an exponent.
fn number(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-6..1e15).contains(&value.abs());
    if is_plain { value.to_string() } else { format!("{value:e}") }
}
