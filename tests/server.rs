//! The server over real HTTP: each test has a server of its own, on a port of its own, with a SQLite file.

#[path = "server/support.rs"]
mod support;

#[path = "server/access.rs"]
mod access;
#[path = "server/accounts.rs"]
mod accounts;
#[path = "server/sessions.rs"]
mod sessions;
