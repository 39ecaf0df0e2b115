//! x
pub mod published;
pub mod report;
