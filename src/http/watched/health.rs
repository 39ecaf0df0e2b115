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
/// How long the ledger may wait to be written: a restart of the database is shorter.
const LEDGER_WITHIN: Duration = Duration::from_mins(1);

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
    problems.extend(metrics::ledger_unwritten_for().and_then(unwritten));
    if problems.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
}

/// What is wrong with a ledger that waits so long.
fn unwritten(waits: Duration) -> Option<String> {
    let seconds = waits.as_secs();
    let what = format!("what calls to models cost could not be written for {seconds} s");
    (waits >= LEDGER_WITHIN).then_some(what)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_waits_for_a_minute_is_told_of() {
        let told = |seconds| unwritten(Duration::from_secs(seconds));
        assert_eq!(told(59), None);
        let what = "what calls to models cost could not be written for 61 s";
        assert_eq!(told(61).as_deref(), Some(what));
    }
}
