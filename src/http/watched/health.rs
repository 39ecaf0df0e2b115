//! What those who watch the server ask: does it live, may requests be sent to it, and how does it do.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use subtle::ConstantTimeEq as _;

use crate::http::App;
use crate::metrics;

/// The longest the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `/healthz` and `/readyz`.
pub fn health_routes() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// `/metrics`; with `token`, for those who show it.
pub fn metrics_routes(token: Option<String>) -> Router<App> {
    Router::new().route(
        "/metrics",
        get(move |State(app): State<App>, headers: HeaderMap| async move {
            let is_allowed = token.as_deref().is_none_or(|it| shows(&headers, it));
            if is_allowed {
                metrics_of(&app).await
            } else {
                StatusCode::UNAUTHORIZED.into_response()
            }
        }),
    )
}

/// The process answers; no more is said.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(app): State<App>) -> (StatusCode, String) {
    let mut problems = Vec::new();
    if app.lifecycle.is_draining() {
        problems.push("it is about to stop".to_owned());
    }
    match tokio::time::timeout(PATIENCE, app.store.check_ready()).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database is not ready");
            problems.push("the database is not ready".to_owned());
        }
        Err(_) => problems.push("the database does not answer".to_owned()),
    }
    if let Some(problem) = app.lifecycle.executor_problem() {
        problems.push(problem);
    }
    if problems.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
}

async fn metrics_of(app: &App) -> Response {
    let stock = tokio::time::timeout(PATIENCE, app.store.take_stock(app.now())).await;
    let stock = match stock {
        Ok(Ok(stock)) => stock,
        // What the process itself counts is told all the same.
        Ok(Err(error)) => {
            tracing::warn!(%error, "what waits in the database is not known");
            metrics::Stock::default()
        }
        Err(_) => metrics::Stock::default(),
    };
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::as_text(&stock)).into_response()
}

fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let shown = shown.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
    shown.as_bytes().ct_eq(token.as_bytes()).into()
}
