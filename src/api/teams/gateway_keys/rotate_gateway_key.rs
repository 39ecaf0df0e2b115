//! `POST …/gateway-keys/{key}/rotate`: another key in its place, while it works for a while yet.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::server::app_keys::view::MadeKeyView;
use crate::desk::server::app_keys::{self, OVERLAP_HOURS};
use crate::http::{App, Json, Path, Problem, Subject, Visitor};

/// How a key is replaced.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateGatewayKey {
    /// For how many hours the one before still works: 0 to 720.
    #[serde(default = "a_day")]
    #[schema(maximum = 720)]
    overlap_hours: u32,
}

fn a_day() -> u32 {
    OVERLAP_HOURS
}

/// Makes a key that takes the place of one, which works for a day yet, or for as long as it is said
#[utoipa::path(
    post, path = "/teams/{team}/gateway-keys/{key}/rotate", tag = "gateway-keys",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("key" = String, Path, description = "Name of the key"),
    ),
    request_body = RotateGatewayKey,
    responses((status = 201, body = MadeKeyView)),
)]
pub(super) async fn rotate_gateway_key(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, key)): Path<(String, String)>,
    Json(request): Json<RotateGatewayKey>,
) -> Result<(StatusCode, Extension<Subject>, Json<MadeKeyView>), Problem> {
    let named = (team.as_str(), key.as_str());
    let (made, until) = app_keys::rotate(&app, &visitor, (named, request.overlap_hours)).await?;
    let subject = Extension(Subject(format!("{team}/{key}")));
    Ok((StatusCode::CREATED, subject, Json(MadeKeyView::new(made, Some(until)))))
}
