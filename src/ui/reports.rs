//! What reports say: of one run, and of a project over time.

pub(super) mod chart;
mod run;
mod cases;
mod findings;
mod gates;
mod flaky;
mod metrics;

use axum::Router;
use axum::routing::get;
use chrono::DateTime;

use super::form::encoded;
use crate::http::App;
use crate::model::Timestamp;
use crate::store::access::projects::ProjectRow;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/runs/{run}/reports", get(run::show))
        .route("/live/runs/{run}/reports", get(run::watch))
        .route("/projects/{team}/{name}/tests", get(flaky::show))
        .route("/projects/{team}/{name}/metrics", get(metrics::show))
}

/// Days that a page may look back.
const SPANS: [u32; 4] = [7, 14, 30, 90];

/// Where a project is.
fn path_of(project: &ProjectRow) -> String {
    format!("/projects/{}/{}", encoded(&project.team_name), encoded(&project.name))
}

/// `28 Nov` for `2026-11-28`.
fn short_day(day: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = day.split('-').skip(1).filter_map(|it| it.parse::<usize>().ok());
    let month = parts.next().and_then(|it| MONTHS.get(it.checked_sub(1)?));
    match (month, parts.next()) {
        (Some(month), Some(day)) => format!("{day} {month}"),
        _ => day.to_owned(),
    }
}

/// `28 Nov`, in UTC.
pub(super) fn short_date(at: Timestamp) -> String {
    let day = DateTime::from_timestamp_millis(at.0);
    day.map_or_else(String::new, |it| short_day(&it.format("%Y-%m-%d").to_string()))
}

/// `14:05`, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    let moment = DateTime::from_timestamp_millis(at.0);
    moment.map_or_else(String::new, |it| it.format("%H:%M").to_string())
}

/// Counts are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

fn signed(count: i64) -> f64 {
    number(u64::try_from(count).unwrap_or(0))
}
