//! What a signed-in person looks up and does: found by its name, checked against their role, done. JSON and
//! pages call it, and say what came of it in their own form.

pub mod approvals;
pub mod artifacts;
pub mod logs;
pub mod overview;
pub mod places;
pub mod projects;
pub mod runs;
pub mod teams;
pub mod secrets;
pub mod account;
pub mod server;
pub mod reports;
