//! `PATCH /api/v1/people/{login}`: name, password, ownership, and whether they may sign in.

use axum::Extension;
use axum::extract::State;

use super::PersonBody;
use crate::auth::PersonChange;
use crate::desk::server::people;
use crate::http::{App, Detail, Json, Path, Problem, Visitor};

/// What changes; what is left out stays.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePerson {
    /// Name for people.
    name: Option<String>,
    /// Address.
    email: Option<String>,
    /// A new password, which ends all their sessions.
    password: Option<String>,
    /// Whether they own the installation.
    is_owner: Option<bool>,
    /// Whether they are shut out, which ends all their sessions; their tokens are good for nothing meanwhile.
    is_disabled: Option<bool>,
}

/// Changes a person.
#[utoipa::path(
    patch, path = "/people/{login}", tag = "people",
    extensions(("x-access" = json!("owner"))),
    params(("login" = String, Path, description = "Their login")),
    request_body = ChangePerson,
    responses((status = 200, body = PersonBody)),
)]
pub(super) async fn change_person(
    State(app): State<App>,
    visitor: Visitor,
    Path(login): Path<String>,
    Json(request): Json<ChangePerson>,
) -> Result<(Extension<Detail>, Json<PersonBody>), Problem> {
    let ChangePerson { name, email, password, is_owner, is_disabled } = request;
    let change = PersonChange { name, email, password, is_owner, is_disabled };
    let noted = people::noted(&change);
    let person = people::change(&app, &visitor, (&login, change)).await?;
    Ok((Extension(noted), Json(person.into())))
}
