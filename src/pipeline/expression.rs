//! Expressions (`if:`, `gate:`) and templates (`${{ }}`), both CEL.

use super::Scope;

/// A CEL expression that has been parsed and whose names are known. Stored as its source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Expression {
    source: String,
}

/// A string in which `${{ expression }}` stands for its value.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Template {
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

impl Expression {
    /// Parses CEL and checks that every name and function exists.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        Ok(Self { source: source.to_owned() })
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The truth of the expression in `scope`. An expression that has no boolean value is an error.
    pub fn evaluate(&self, _scope: &Scope<'_>) -> Result<bool, ExpressionError> {
        unimplemented!()
    }

    /// Whether it calls `always()` or `failed()`, which override the wait for passed needs.
    #[must_use]
    pub fn overrides_needs(&self) -> bool {
        unimplemented!()
    }
}

impl Template {
    /// Parses a string; every `${{ }}` must hold a valid expression.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        Ok(Self { source: source.to_owned() })
    }

    /// A string in which nothing is replaced.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { source: text.to_owned() }
    }

    /// The text as written, or as left by [`Self::fold`].
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a part must wait for the results of needs (`needs.…`).
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.source.contains("${{")
    }

    /// Replaces every part that can be known before the run starts, and leaves the others.
    pub fn fold(&self, _scope: &Scope<'_>) -> Result<Self, ExpressionError> {
        unimplemented!()
    }

    /// Replaces every part.
    pub fn resolve(&self, _scope: &Scope<'_>) -> Result<String, ExpressionError> {
        unimplemented!()
    }
}
