//! `GET /api/v1/sessions`: those of the person who calls, newest first.

use axum::extract::State;

use crate::auth::Proof;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};

/// A session.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct SessionBody {
    /// Its id.
    id: String,
    /// Where the person signed in from.
    address: String,
    /// With which browser, in its own words.
    agent: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
    /// When it was last refreshed.
    refreshed_at: i64,
    /// When it ends unless it is refreshed.
    expires_at: i64,
    /// Whether it is the one that asks.
    is_this: bool,
}

/// Lists sessions.
#[utoipa::path(
    get, path = "/sessions", tag = "sign-in",
    extensions(("x-access" = json!("signed-in"))),
    params(PageQuery),
    responses((status = 200, body = Page<SessionBody>)),
)]
pub(super) async fn list_sessions(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SessionBody>>, Problem> {
    visitor.require_whole()?;
    let rows = app.store.list_sessions(&visitor.0.person, app.now()).await?;
    let items = rows.into_iter().map(|row| SessionBody {
        is_this: visitor.0.proof == Proof::Session(row.id.clone()),
        id: row.id,
        address: row.address,
        agent: row.agent,
        created_at: row.created_at.0,
        refreshed_at: row.refreshed_at.0,
        expires_at: row.expires_at.0,
    });
    Ok(Json(Page::newest_of_all(
        items.collect(),
        &page.checked(CursorForm::Id)?,
        |it: &SessionBody| it.id.clone(),
    )))
}
