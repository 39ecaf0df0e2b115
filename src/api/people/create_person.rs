//! `POST /api/v1/people`: somebody who may sign in.

use axum::extract::State;
use axum::http::StatusCode;

use super::PersonBody;
use crate::auth::NewPerson;
use crate::http::{App, Json, Problem, Visitor};

/// A person to make.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatePerson {
    /// Login: `[a-z0-9_-]{1,63}`.
    login: String,
    /// Name for people.
    #[serde(default)]
    name: String,
    /// Address.
    #[serde(default)]
    email: String,
    /// Password: 15 to 256 characters. Without one they can only use tokens.
    #[serde(default)]
    password: Option<String>,
    /// Whether they own the installation.
    #[serde(default)]
    is_owner: bool,
}

/// Makes a person.
#[utoipa::path(
    post, path = "/people", tag = "people",
    extensions(("x-access" = json!("owner"))),
    request_body = CreatePerson,
    responses((status = 201, body = PersonBody)),
)]
pub(super) async fn create_person(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<CreatePerson>,
) -> Result<(StatusCode, Json<PersonBody>), Problem> {
    let CreatePerson { login, name, email, password, is_owner } = request;
    let new = NewPerson { login, name, email, password, is_owner };
    let person = crate::desk::server::people::create(&app, &visitor, new).await?;
    Ok((StatusCode::CREATED, Json(person.into())))
}
