//! The file format: parse, diagnose, expand, and plan. Pure: files come in as text, problems go
//! out as values, and nothing here reads a disk, a clock or the environment.
//!
//! A file becomes a checked [`file::Pipeline`], that with a [`Context`] becomes a [`Plan`], and
//! the engine runs plans.

pub mod context;
pub mod expression;
pub mod plan;
pub mod diagnostic;
mod reading;
mod yaml;
pub mod file;
pub mod check;
pub mod expand;
mod schema;
pub mod graph;

pub use check::{Checked, IncludeRef, check, check_bytes, name_of, unreadable};
pub use context::{Context, Scope};
pub use diagnostic::{Diagnostic, Severity, SourceFile};
pub use expand::Selection;
pub use expression::{Expression, ExpressionError, Reference, Template};
pub use file::Pipeline;
pub use file::trigger::EVENTS;
pub use graph::Graph;
pub use plan::{Plan, PlannedStage};
pub use schema::schema;
