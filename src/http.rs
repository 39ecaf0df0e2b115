//! What pages and JSON share: the services, who calls, problems, and streams of events.

mod app;
mod beside;
mod caller;
mod headers;
mod problem;
mod query;
mod extract;
mod etag;
mod streams;
mod idempotency;
mod watched;
pub mod csv;

pub use app::App;
pub use beside::{Beside, Operation};
pub use caller::{
    Cookies, MaybeCaller, Newcomer, SameOrigin, SetCookies, Visitor, set_theme, theme,
};
pub use etag::{changed_since, check_if_match, tag, tell_packed_apart};
pub use extract::{Json, Path, Query};
pub use headers::secure;
pub use idempotency::{IDEMPOTENCY_KEY, once, once_of_form};
pub use problem::{Problem, ProblemBody, ProblemKind};
pub use query::parameters::{Parameters, refuse_unknown_parameters, refuse_unread_parameters};
pub use query::{CursorForm, Page, PageQuery};
pub use streams::{
    Beat, Looks, Made, Part, Place, StreamLimits, Streams, event, event_stream, guard_streams,
    last_event_id,
};
pub use watched::{
    Actor, Detail, Lifecycle, Operations, RequestId, Subject, health_routes, metrics_routes,
    observe,
};
