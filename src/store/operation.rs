//! What those need who run a server: who did what, how the database is, and what may go.

pub mod audit;
mod health;
pub mod retention;
pub mod traces;
