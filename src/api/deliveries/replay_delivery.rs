//! `POST /api/v1/projects/{team}/{name}/deliveries/{delivery}/replay`: processes it once more.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Path, Problem, Visitor};
use crate::model::Role;

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
    let project = crate::desk::projects::find(&app, &visitor, &slug).await?;
    visitor.require(&project.team, Role::Admin, "this project")?;
    let found = app.store.find_delivery(&delivery).await?;
    let found = found.filter(|it| it.project == project.id);
    let row = found.ok_or_else(|| Problem::not_found("this delivery"))?;
    app.triggers.replay(&row.id).await?;
    Ok(StatusCode::ACCEPTED)
}
