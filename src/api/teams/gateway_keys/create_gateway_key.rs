//! `POST …/gateway-keys`: a key for an app. It is shown this once.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::server::app_keys::view::MadeKeyView;
use crate::desk::server::app_keys::{self, WantedKey};
use crate::http::{App, Json, Path, Problem, Subject, Visitor};

/// A key to make.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateGatewayKey {
    /// Its name, by which it is rotated and revoked, and that its calls have in the ledger.
    #[schema(min_length = 1, max_length = 63)]
    name: String,
    /// The project whose calls it makes, as `team/name`; absent: of none.
    #[serde(default)]
    project: Option<String>,
    /// The endpoint whose calls it makes; absent: each call may say it with `x-trunkline-endpoint`.
    #[serde(default)]
    endpoint: Option<String>,
    /// The models it may call, such as `gpt-*`; all, without any.
    #[serde(default)]
    models: Vec<String>,
    /// Calls a minute; absent: as many as it likes.
    #[serde(default)]
    #[schema(minimum = 1)]
    per_minute: Option<u32>,
    /// How many days it is good, 1 to 3660; absent: until it is revoked.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3660)]
    days: Option<u32>,
}

/// Makes a key for an app of a team. It is shown this once
#[utoipa::path(
    post, path = "/teams/{team}/gateway-keys", tag = "gateway-keys",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path, description = "Name of the team")),
    request_body = CreateGatewayKey,
    responses((status = 201, body = MadeKeyView)),
)]
pub(super) async fn create_gateway_key(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Json(request): Json<CreateGatewayKey>,
) -> Result<(StatusCode, Extension<Subject>, Json<MadeKeyView>), Problem> {
    let CreateGatewayKey { name, project, endpoint, models, per_minute, days } = request;
    let subject = Extension(Subject(format!("{team}/{name}")));
    let wanted = WantedKey { name, project, endpoint, models, per_minute, days };
    let made = app_keys::create(&app, &visitor, (&team, wanted)).await?;
    Ok((StatusCode::CREATED, subject, Json(MadeKeyView::new(made, None))))
}
