//! Tokens of the person who calls.

mod list_tokens;
mod create_token;
mod revoke_token;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::account::MadeToken;
use crate::http::App;

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
impl From<MadeToken> for CreatedToken {
    fn from(it: MadeToken) -> Self {
        Self {
            id: it.id,
            token: it.token,
            name: it.name,
            scopes: it.scopes,
            expires_at: it.expires_at.0,
        }
    }
}
