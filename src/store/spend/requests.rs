//! Single requests to models: what happened in them, those that are made later, and those that were made twice.

pub mod traces;
pub mod exports;
pub mod spans;
pub mod queue;
pub mod shadow;
pub mod usage;
