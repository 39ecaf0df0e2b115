//! Tokens of the person who calls.

mod list_tokens;
mod create_token;
mod revoke_token;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{NewToken, Scope};
use crate::http::{App, Problem};
use crate::model::{Milliseconds, PersonId};

const DAY_SECONDS: u64 = 24 * 3600;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_tokens::list_tokens, create_token::create_token))
        .routes(routes!(revoke_token::revoke_token))
}

/// A token that was just made. It is not shown again.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(super) struct CreatedToken {
    /// Its id.
    id: String,
    /// The token.
    token: String,
    /// What it is for.
    name: String,
    /// What it is good for.
    scopes: Vec<String>,
    /// When it ends, in milliseconds since 1970-01-01 UTC.
    expires_at: i64,
}

/// Makes a token with this name and these scopes.
pub(super) async fn make(
    app: &App,
    person: PersonId,
    (name, scopes): (String, Vec<Scope>),
    days: u32,
) -> Result<CreatedToken, Problem> {
    let expires_at = app.now().plus(Milliseconds::from_seconds(u64::from(days) * DAY_SECONDS));
    let words = scopes.iter().map(Scope::to_word).collect();
    let new = NewToken { id: app.new_id(), person, name: name.clone(), scopes, expires_at };
    let id = new.id.clone();
    let token = app.auth.create_token(new).await?.0;
    Ok(CreatedToken { id, token, name, scopes: words, expires_at: expires_at.0 })
}
