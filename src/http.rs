//! What pages and JSON share: the services, who calls, problems, and streams of events.

mod app;
mod cookies;
mod cross_site;
mod client;
mod caller;
mod headers;
mod problem;
mod query;
mod watched;
pub mod csv;

pub use app::App;
pub use caller::{MaybeCaller, SameOrigin, Visitor};
pub use client::Newcomer;
pub use cookies::{Cookies, SetCookies};
pub use headers::secure;
pub use problem::{Problem, ProblemKind};
pub use query::{Page, PageQuery};
pub use watched::{Actor, Lifecycle, Operations, health_routes, metrics_routes, observe};
