//! Who may do what: teams, people and their projects, and how they prove who they are.

pub mod teams;
pub mod people;
pub mod candidates;
pub mod projects;
pub mod tokens;
pub mod sessions;
pub mod proofs;
pub mod sign_in;
pub mod keys;
pub mod requests;
pub mod gateway_keys;
