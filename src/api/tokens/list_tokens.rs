//! `GET /api/v1/tokens`: those of the person who calls, newest first.

use axum::extract::State;

use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::store::access::tokens::TokenRow;

/// A token, without the token.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct TokenBody {
    /// Its id.
    id: String,
    /// What it is for.
    name: String,
    /// What it is good for.
    scopes: Vec<String>,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
    /// When it ends.
    expires_at: i64,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<i64>,
    /// Since when it is not good for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
}

impl From<TokenRow> for TokenBody {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
            used_at: row.used_at.map(|it| it.0),
            revoked_at: row.revoked_at.map(|it| it.0),
        }
    }
}

/// Lists tokens.
#[utoipa::path(
    get, path = "/tokens", tag = "tokens",
    extensions(("x-access" = json!("signed-in"))),
    params(PageQuery),
    responses((status = 200, body = Page<TokenBody>)),
)]
pub(super) async fn list_tokens(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TokenBody>>, Problem> {
    let rows = app.store.list_tokens(&visitor.0.person).await?;
    let rows = rows.into_iter().map(TokenBody::from).collect();
    Ok(Json(Page::newest_of_all(rows, &page.checked(CursorForm::Id)?, |it: &TokenBody| {
        it.id.clone()
    })))
}
