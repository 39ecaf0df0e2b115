//! What pages and JSON share: the services, who calls, problems, and streams of events.

mod app;
mod caller;
mod problem;
mod query;

pub use app::App;
pub use caller::{MaybeCaller, Visitor};
pub use problem::{Problem, ProblemKind};
pub use query::{Page, PageQuery};
