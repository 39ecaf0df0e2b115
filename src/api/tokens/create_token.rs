//! `POST /api/v1/tokens`: a token of the person who calls.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use super::CreatedToken;
use crate::desk::account::{self, WantedToken};
use crate::http::{App, Detail, Json, Problem, Visitor};

/// A token to make.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it is good for: `viewer`, `developer`, `approver` or `admin`, each alone for all teams of the
    /// person or with `:<team id>` for one; `owner` for the whole installation.
    scopes: Vec<String>,
    /// How many days it is good: 1 to 366.
    #[serde(default = "three_months")]
    #[schema(minimum = 1, maximum = 366)]
    days: u32,
}

fn three_months() -> u32 {
    90
}

/// Makes a token. A token makes none that can do more than itself.
#[utoipa::path(
    post, path = "/tokens", tag = "tokens",
    extensions(("x-access" = json!("signed-in"))),
    request_body = CreateToken,
    responses((status = 201, body = CreatedToken)),
)]
pub(super) async fn create_token(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<CreateToken>,
) -> Result<(StatusCode, Extension<Detail>, Json<CreatedToken>), Problem> {
    let CreateToken { name, scopes, days } = request;
    let wanted = WantedToken { name, scopes, days };
    let created = account::create_token(&app, &visitor, wanted).await?;
    let noted = Extension(account::noted(&app, &created).await);
    Ok((StatusCode::CREATED, noted, Json(created.into())))
}
