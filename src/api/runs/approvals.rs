//! Approvals: which wait, what they let through, and what people say. Who may is decided by the pipeline's rules and the role.

mod list_approvals;
mod approve_stage;
mod reject_stage;
mod show_approval;
mod show_changes;
mod content;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_approvals::list_approvals))
        .routes(routes!(approve_stage::approve_stage))
        .routes(routes!(reject_stage::reject_stage))
        .routes(routes!(show_approval::show_approval))
        .routes(routes!(show_changes::show_changes))
}

/// What somebody says to a stage that waits.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerRequest {
    /// Why.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    comment: String,
}
