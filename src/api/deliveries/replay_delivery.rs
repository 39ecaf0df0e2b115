//! `POST /api/v1/projects/{team}/{name}/deliveries/{delivery}/replay`: processes it once more.

use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::projects::{self, deliveries};
use crate::http::{App, Path, Problem, Visitor};

/// Has a delivery processed once more; what it has started is not started again.
#[utoipa::path(
    post, path = "/projects/{team}/{name}/deliveries/{delivery}/replay", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("name" = String, Path), ("delivery" = String, Path)),
    responses((status = 202, description = "It waits for its turn")),
)]
pub(super) async fn replay_delivery(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name, delivery)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let slug = format!("{team}/{name}");
    let project = projects::find_to_change(&app, &visitor, &slug).await?;
    deliveries::replay(&app, &project, &delivery).await?;
    Ok(StatusCode::ACCEPTED)
}
