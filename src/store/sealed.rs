//! What is sealed, and with what.

pub mod data_keys;
pub mod secrets;
pub mod rotations;
pub mod texts;
