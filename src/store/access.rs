//! Who may do what: teams, people and their projects.

pub mod teams;
pub mod people;
pub mod projects;
pub mod tokens;
