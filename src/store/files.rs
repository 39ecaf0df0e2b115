//! Files that stages hand on, and files that are kept between runs.

pub mod artifacts;
pub mod caches;
