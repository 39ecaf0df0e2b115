//! Expressions (`if:`, `gate:`) and templates (`${{ }}`), both CEL.
//!
//! An expression is stored as its source and compiled when it is first needed; compiled ones are
//! remembered by source, so a matrix of a thousand cells is parsed once. Size, depth and loops are
//! bounded, because pipeline files come from strangers.

use std::sync::Arc;

use super::Scope;

mod calls;
mod compile;
mod explain;
mod gate;
mod memory;
mod numbers;
mod template;
mod tokens;
mod types;
mod view;
mod words;

#[cfg(test)]
mod tests;

pub use gate::judge_gate;
pub use template::Template;

use compile::Compiled;
use types::Wanted;

/// A CEL expression that has been parsed and whose names are known. Stored as its source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Expression {
    source: String,
}

/// Why an expression cannot be parsed or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong and what is known.
    pub message: String,
    /// The fix, as one sentence.
    pub help: Option<String>,
    /// Byte range inside the expression's source.
    pub span: Option<(usize, usize)>,
}

impl ExpressionError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(mut self, span: (usize, usize)) -> Self {
        self.span = Some(span);
        self
    }
}

/// A value that an expression reads, such as `needs.image.outputs.digest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The first word: `needs`. A bare metric of a gate has the root `metrics`.
    pub root: String,
    /// The constant words after it: `image`, `outputs`, `digest`. Empty when the whole root is read,
    /// or when what follows is computed.
    pub path: Vec<String>,
    /// Byte range inside the source.
    pub span: (usize, usize),
    /// Whether this is a metric that is written as a plain name, without `metrics`.
    pub is_bare: bool,
}

impl Reference {
    /// The first word after the root, such as the stage of `needs.image.status`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path.first().map(String::as_str)
    }
}

impl Expression {
    /// Parses CEL and checks that every name and function exists, and that it is true or false as far as
    /// types can be known. The errors are all that can be known, in the order of the source.
    pub fn parse(source: &str) -> Result<Self, Vec<ExpressionError>> {
        Self::parse_as(source, Wanted::Truth)
    }

    /// Parses the expression of a gate, in which every unknown plain name is a metric, `metrics`
    /// holds all of them, and `baseline` is the last released run's value.
    pub fn parse_gate(source: &str) -> Result<Self, Vec<ExpressionError>> {
        Self::parse_as(source, Wanted::Gate)
    }

    fn parse_as(source: &str, wanted: Wanted) -> Result<Self, Vec<ExpressionError>> {
        let problems = memory::problems(source, wanted);
        if problems.is_empty() { Ok(Self { source: source.to_owned() }) } else { Err(problems) }
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The truth of the expression in `scope`. An expression that has no boolean value is an error.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<bool, ExpressionError> {
        let compiled = memory::compiled(&self.source)?;
        compiled.check_present(scope)?;
        let value = compiled.value(scope)?;
        let cel::Value::Bool(truth) = value else {
            return Err(explain::not_a_condition(&self.source, &value));
        };
        Ok(truth)
    }

    /// Whether it calls `always()` or `failed()`, which override the wait for passed needs.
    #[must_use]
    pub fn overrides_needs(&self) -> bool {
        self.compiled().is_some_and(|it| it.overrides_needs)
    }

    /// Whether it compares with `baseline`, which is unknown until a run was released.
    #[must_use]
    pub fn uses_baseline(&self) -> bool {
        self.compiled().is_some_and(|it| it.references.iter().any(|it| it.root == "baseline"))
    }

    /// The globs of every `hash(…)` call; the context must hold an answer for each list.
    #[must_use]
    pub fn hash_calls(&self) -> Vec<Vec<String>> {
        self.compiled().map(|it| it.hash_calls()).unwrap_or_default()
    }

    /// Whether it calls `changed(…)`.
    #[must_use]
    pub fn uses_changed_paths(&self) -> bool {
        self.compiled().is_some_and(|it| it.uses_changed_paths())
    }

    /// The values it reads, in the order they are written.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        self.compiled().map(|it| it.references.clone()).unwrap_or_default()
    }

    /// `None` only for a stored expression that an older version could read and this one cannot.
    fn compiled(&self) -> Option<Arc<Compiled>> {
        memory::compiled(&self.source).ok()
    }
}
