//! `GET /api/v1/runs/{run}/graph`: a picture of its stages and where each stands.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::http::{App, Path, Problem, Visitor};
use crate::model::Role;
use crate::pipeline::graph::Graph;

/// A picture may bring its own styles, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'; sandbox";

/// Draws the graph of a run's stages with the status of each.
#[utoipa::path(
    get, path = "/runs/{run}/graph", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id")),
    responses((status = 200, body = String, content_type = "image/svg+xml")),
)]
pub(super) async fn show_graph(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let loaded = super::load(&app, &visitor, &run, Role::Viewer).await?;
    let statuses: Vec<_> = loaded.run.stages().map(|(_, it)| it.status).collect();
    let svg = Graph::of(loaded.run.plan()).to_svg(Some(&statuses));
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    Ok((headers, svg))
}
