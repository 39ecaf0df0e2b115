//! What is sealed, and with what.

pub mod data_keys;
