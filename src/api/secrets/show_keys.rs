//! `GET /api/v1/keys`: how the keys stand that secrets are sealed under; never a key.

use axum::extract::State;

use crate::http::{App, Json, Problem, Visitor};
use crate::secrets::rotation::KeyStatus;

/// Shows how the keys stand.
#[utoipa::path(
    get, path = "/keys", tag = "secrets",
    extensions(("x-access" = json!("owner"))),
    responses((status = 200, body = KeyStatus)),
)]
pub(super) async fn show_keys(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<KeyStatus>, Problem> {
    visitor.require_owner()?;
    app.sealer.status().await.map(Json).map_err(|it| Problem::internal(&it))
}
