//! `POST /api/v1/setup`: the first person of a new installation, who owns it.

use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::tokens::CreatedToken;
use crate::auth::{NewOwner, Scope};
use crate::desk::account::make_token;
use crate::http::{App, Json, Newcomer, Problem};
use crate::model::PersonId;

/// How long the token is good that the owner gets.
const TOKEN_DAYS: u32 = 30;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set_up))
}

/// Who will own the installation.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// The set-up token from the server's log.
    token: String,
    /// Login: `[a-z0-9_-]{1,63}`.
    login: String,
    /// Password: 15 to 256 characters.
    password: String,
}

/// Makes the first person, and a token for them.
#[utoipa::path(
    post, path = "/setup", tag = "sign-in",
    extensions(("x-access" = json!("public"))),
    request_body = SetUp,
    responses((status = 201, body = CreatedToken)),
)]
async fn set_up(
    State(app): State<App>,
    _newcomer: Newcomer,
    Json(request): Json<SetUp>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let id = PersonId(app.new_id());
    let owner = NewOwner { id, login: request.login, password: request.password };
    let owner = app.auth.finish_setup(&request.token, owner).await?;
    let name = "set-up".to_owned();
    let created = make_token(&app, owner.id, (name, vec![Scope::Owner]), TOKEN_DAYS).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}
