//! `GET /api/v1/spend/trend`: what calls to models have cost over a period, and what they come to.

use axum::extract::State;

use super::show_spend::OfQuery;
use crate::desk::server::outlook::period::Period;
use crate::desk::server::spend::Wanted;
use crate::desk::server::spend::trend::{self, Asked, SERIES_MAX};
use crate::desk::server::spend::view::SpendTrendView;
use crate::http::{App, Json, Problem, Query, Visitor};

/// When, and what is told apart.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TrendQuery {
    /// `month` (this one, unless it is said), `today`, `7d`, `30d`, `90d` or `last-month`; days and months are UTC.
    period: Option<String>,
    /// `team` (unless it is said), `project`, `pipeline`, `run`, `stage`, `endpoint`, `model` or `tag`.
    by: Option<String>,
}

/// Shows what calls to models have cost over a period, as far as you may know of them, and what they come to at its end
#[utoipa::path(
    get, path = "/spend/trend", tag = "budgets",
    extensions(("x-access" = json!("signed-in"))),
    params(TrendQuery, OfQuery),
    responses((status = 200, body = SpendTrendView)),
)]
pub(super) async fn show_spend_trend(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<TrendQuery>,
    Query(of): Query<OfQuery>,
) -> Result<Json<SpendTrendView>, Problem> {
    let period = query.period.as_deref().unwrap_or(Period::default().as_str());
    let period = Period::parse(period).ok_or_else(|| {
        let words = Period::ALL.map(|it| format!("`{}`", it.as_str())).join(", ");
        Problem::bad_request(format!("`period` is one of {words}"))
    })?;
    let (team, of) = of.read(u32::try_from(SERIES_MAX).unwrap_or(u32::MAX));
    let by = query.by.unwrap_or_else(|| "team".to_owned());
    let wanted = Wanted { by, team, of, ..Wanted::default() };
    let trend = trend::load(&app, &visitor, &Asked { period, wanted }).await?;
    Ok(Json(SpendTrendView::new(period, &trend)))
}
