//! Where expressions and templates stand in a file, so that their names can be checked when all
//! stages are known, and so that a problem inside one is shown at its own place.

use crate::pipeline::diagnostic::Place;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Value};
use crate::pipeline::{Expression, ExpressionError, Template};

/// The longest expression or template, in bytes.
const LONGEST: usize = 4096;

/// What an expression is for; decides which names it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// `if` of a stage or a step.
    Condition,
    /// `gate` and `analysis`: metrics stand bare.
    Gate,
    /// A text with `${{ }}`.
    Field,
    /// A text with `${{ }}` that must be known when the run is created.
    Early,
}

/// One expression, or one text with `${{ }}`.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    /// Stage it belongs to.
    pub(crate) stage: Option<String>,
    /// What it is for.
    pub(crate) used_as: Use,
    /// As written; for a gate the whole expression.
    pub(crate) source: String,
    /// Globs of its `hash(…)` calls.
    pub(crate) hashes: Vec<Vec<String>>,
    /// Where it stands.
    pub(crate) spot: Spot,
}

/// The place of a source, and how bytes of the source map to bytes of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    place: Place,
    /// Bytes from the start of the place to the start of the source; `None` when the file shows the
    /// source otherwise.
    lead: Option<usize>,
    /// Bytes of the source that do not stand in the file (the metric before a comparison).
    skip: usize,
}

impl Spot {
    fn of(node: &Node, source: &str, skip: usize) -> Self {
        let lead = match &node.value {
            Value::Scalar(scalar) => scalar.verbatim.filter(|_| !source.contains('\n')),
            Value::Sequence(_) | Value::Mapping(_) => None,
        };
        Self { place: node.place, lead, skip }
    }

    /// The whole.
    pub(crate) fn whole(self) -> Place {
        self.place
    }

    /// Bytes `start..end` of `source`, as exactly as the file allows.
    pub(crate) fn part(self, source: &str, start: usize, end: usize) -> Place {
        let (Some(lead), true) = (self.lead, start >= self.skip && end <= source.len()) else {
            return self.place;
        };
        let (Some(before), Some(inner)) = (source.get(self.skip..start), source.get(start..end))
        else {
            return self.place;
        };
        self.place.part(lead + before.len(), inner.len(), lead + before.chars().count())
    }
}

/// Parses a text with `${{ }}`.
pub(crate) fn template(
    source: &str,
    used_as: Use,
    node: &Node,
    reading: &Reading,
) -> Option<Template> {
    let spot = Spot::of(node, source, 0);
    is_short(source, spot, reading)?;
    if source.contains('$') && !source.contains("${{") {
        warn_about_half_a_template(source, node, reading);
    }
    if !source.contains("${{") {
        return Some(Template::literal(source));
    }
    match Template::parse(source) {
        Ok(template) => {
            record(source, used_as, template.hash_calls(), spot, reading);
            Some(template)
        }
        Err(errors) => refuse(source, used_as, &errors, (spot, reading)),
    }
}

/// `{{ x }}` and `${ x }` are somebody else's templates.
fn warn_about_half_a_template(source: &str, node: &Node, reading: &Reading) {
    const ROOTS: [&str; 7] =
        ["matrix.", "needs.", "inputs.", "git.", "env.", "pull_request.", "hash("];
    let inner = source.split("${").nth(1).map(str::trim_start);
    if inner.is_some_and(|it| ROOTS.iter().any(|root| it.starts_with(root))) {
        let message = "`${ }` is plain text here";
        let help = "an expression stands in double braces: `${{ … }}`";
        reading.warn("pipeline/single-brace", node.place, message, help);
    }
}

/// Parses the expression of an `if`.
pub(crate) fn condition(source: &str, node: &Node, reading: &Reading) -> Option<Expression> {
    let spot = Spot::of(node, source, 0);
    if source.contains("${{") {
        refuse_template(source, spot, reading);
        return None;
    }
    expression(source, Use::Condition, spot, reading)
}

/// Refuses `if: ${{ … }}`, and tells what is wrong inside.
fn refuse_template(source: &str, spot: Spot, reading: &Reading) {
    let message = "`if` is an expression already, `${{ }}` has no place in it";
    let inner = source.trim().strip_prefix("${{").and_then(|it| it.strip_suffix("}}"));
    let bare = inner.map(str::trim).filter(|it| !it.contains("${{"));
    let help =
        bare.map_or_else(|| "write it without `${{ }}`".to_owned(), |it| format!("write `{it}`"));
    reading.error("pipeline/no-template-here", spot.place, message, help);
    let Some((bare, start)) = bare.and_then(|it| Some((it, source.find(it)?))) else { return };
    let Err(mut errors) = Expression::parse(bare) else {
        record(source, Use::Field, Vec::new(), spot, reading);
        return;
    };
    for error in &mut errors {
        error.span = error.span.map(|(from, to)| (from + start, to + start));
    }
    refuse::<()>(source, Use::Field, &errors, (spot, reading));
}

/// Parses `metric comparison`, of which the file shows only the comparison.
pub(crate) fn comparison(
    metric: &str,
    comparison: &str,
    node: &Node,
    reading: &Reading,
) -> Option<Expression> {
    let spot = Spot::of(node, comparison, 0);
    is_short(comparison, spot, reading)?;
    match Expression::gate(metric, comparison) {
        Ok(expression) => {
            let source = expression.source();
            let spot = Spot { skip: source.len().saturating_sub(comparison.len()), ..spot };
            record(source, Use::Gate, expression.hash_calls(), spot, reading);
            Some(expression)
        }
        Err(errors) => refuse(comparison, Use::Gate, &errors, (spot, reading)),
    }
}

fn expression(source: &str, used_as: Use, spot: Spot, reading: &Reading) -> Option<Expression> {
    is_short(source, spot, reading)?;
    match Expression::parse(source) {
        Ok(expression) => {
            record(source, used_as, expression.hash_calls(), spot, reading);
            Some(expression)
        }
        Err(errors) => refuse(source, used_as, &errors, (spot, reading)),
    }
}

fn is_short(source: &str, spot: Spot, reading: &Reading) -> Option<()> {
    if source.len() <= LONGEST {
        return Some(());
    }
    let message = format!("this text has {} bytes; the limit is {LONGEST}", source.len());
    let help = "put it into a file of the repository, and read that in a step";
    reading.error("pipeline/too-long", spot.place, message, help);
    None
}

fn record(source: &str, used_as: Use, hashes: Vec<Vec<String>>, spot: Spot, reading: &Reading) {
    let stage = reading.stage.borrow().clone();
    let source = source.to_owned();
    let occurrence = Occurrence { stage, used_as, source, hashes, spot };
    reading.occurrences.borrow_mut().push(occurrence);
}

/// Tells every problem. The names of needs, axes and inputs are checked with those of other expressions.
fn refuse<T>(
    source: &str,
    used_as: Use,
    errors: &[ExpressionError],
    (spot, reading): (Spot, &Reading),
) -> Option<T> {
    record(source, used_as, Vec::new(), spot, reading);
    for error in errors {
        let place = match error.span {
            Some((start, end)) => spot.part(source, start, end),
            None => spot.place,
        };
        let help = match &error.help {
            Some(help) => help.as_str(),
            None => foreign_root(&reading.text_at(place)).unwrap_or_default(),
        };
        reading.error("pipeline/expression", place, error.message.clone(), help);
    }
    None
}

/// What takes the place of a name that other engines have.
fn foreign_root(shown: &str) -> Option<&'static str> {
    match shown.split('.').next()? {
        "secrets" => {
            Some("list it under `secrets:`; the commands get it as an environment variable")
        }
        "github" | "gitlab" | "CI" => Some("use `event`, `git` and `pull_request`"),
        "steps" | "jobs" => Some("outputs of other stages are `needs.<stage>.outputs`"),
        "vars" | "variables" => Some("use `env` or `inputs`"),
        "strategy" => Some("use `matrix`"),
        _ => None,
    }
}
