//! `POST /api/v1/teams/{team}/subscriptions/{subscription}/test`: does it arrive?

use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::projects::subscriptions;
use crate::http::{App, Json, Path, Problem, Visitor};

/// A notification that is on its way.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct TestBody {
    /// Its id: the `webhook-id`.
    notification: String,
}

/// Sends a test, as any other notification is sent.
#[utoipa::path(
    post, path = "/teams/{team}/subscriptions/{subscription}/test", tag = "notifications",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("subscription" = String, Path)),
    responses((status = 202, body = TestBody)),
)]
pub(super) async fn try_subscription(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<TestBody>), Problem> {
    let notification = subscriptions::send_test(&app, &visitor, (&team, &id)).await?;
    Ok((StatusCode::ACCEPTED, Json(TestBody { notification })))
}
