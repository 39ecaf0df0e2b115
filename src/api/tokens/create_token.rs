//! `POST /api/v1/tokens`: a token of the person who calls.

use axum::extract::State;
use axum::http::StatusCode;

use super::{CreatedToken, make};
use crate::auth::Scope;
use crate::http::{App, Json, Problem, ProblemKind, Visitor};

const NAME_CHARS_MAX: usize = 100;
const SCOPES_MAX: usize = 50;
const DAYS_MAX: u32 = 366;

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
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let scopes = scopes(&request)?;
    if let Some(scope) = scopes.iter().find(|it| !visitor.0.may_grant(it)) {
        let title = format!("this token may not make one with the scope `{}`", scope.to_word());
        let help = "Sign in, or use a token that has this scope itself.";
        return Err(Problem::new(ProblemKind::Forbidden, title).with_help(help));
    }
    let created = make(&app, visitor.0.person, (request.name, scopes), request.days).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

fn scopes(request: &CreateToken) -> Result<Vec<Scope>, Problem> {
    if !(1..=NAME_CHARS_MAX).contains(&request.name.chars().count()) {
        return Err(Problem::bad_request(format!("`name` has 1 to {NAME_CHARS_MAX} characters")));
    }
    if !(1..=SCOPES_MAX).contains(&request.scopes.len()) {
        return Err(Problem::bad_request(format!("`scopes` has 1 to {SCOPES_MAX} words")));
    }
    if !(1..=DAYS_MAX).contains(&request.days) {
        return Err(Problem::bad_request(format!("`days` is 1 to {DAYS_MAX}")));
    }
    let parse = |word: &String| {
        let unknown = || {
            Problem::bad_request(format!("`{word}` is no scope")).with_help(
                "Known are `viewer`, `developer`, `approver`, `admin`, each also with `:<team id>`, and `owner`.",
            )
        };
        Scope::parse(word).ok_or_else(unknown)
    };
    request.scopes.iter().map(parse).collect()
}
