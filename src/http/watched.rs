//! What watches the server, and what is written down of it.

mod health;
mod lifecycle;
mod observe;

pub use health::{health_routes, metrics_routes};
pub use lifecycle::Lifecycle;
pub use observe::{Actor, Detail, Operations, RequestId, Subject, observe};
