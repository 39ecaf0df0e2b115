//! `PATCH /api/v1/people/{login}`: name, password, ownership, and whether they may sign in.

use axum::extract::State;

use super::PersonBody;
use crate::auth::PersonChange;
use crate::http::{App, Json, Path, Problem, ProblemKind, Visitor};

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
) -> Result<Json<PersonBody>, Problem> {
    visitor.require_owner()?;
    let ChangePerson { name, email, password, is_owner, is_disabled } = request;
    let steps_down = is_owner == Some(false) || is_disabled == Some(true);
    if steps_down && login.to_lowercase() == visitor.0.login {
        // So there is always an owner left.
        let title = "an owner cannot step down or shut themselves out";
        let help = "Ask another owner, or use `trunkline person` on the server.";
        return Err(Problem::new(ProblemKind::Refused, title).with_help(help));
    }
    let change = PersonChange { name, email, password, is_owner, is_disabled };
    Ok(Json(app.auth.change_person(&login, change).await?.into()))
}
