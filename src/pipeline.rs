//! The file format: parse, diagnose, expand, and plan. Pure: files come in as text, problems go
//! out as values, and nothing here reads a disk, a clock or the environment.
//!
//! A file becomes a checked [`file::Pipeline`], that with a [`Context`] becomes a [`Plan`], and
//! the engine runs plans.

pub mod context;
pub mod expression;
pub mod plan;
pub mod graph;

pub use context::{Context, Scope};
pub use expression::{Expression, ExpressionError, Reference, Template};
pub use graph::Graph;
pub use plan::{Plan, PlannedStage};
