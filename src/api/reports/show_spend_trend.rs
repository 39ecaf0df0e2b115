//! `GET /api/v1/spend/trend`: what calls to models have cost over a period, and what they come to.

use axum::extract::State;

use crate::desk::server::spend::Wanted;
use crate::desk::server::spend::period::Period;
use crate::desk::server::spend::trend::{self, Asked, SERIES_MAX};
use crate::desk::server::spend::view::SpendTrendView;
use crate::http::{App, Json, Problem, Query, Visitor};

/// Which calls, when, and what is told apart.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TrendQuery {
    /// `month` (this one, unless it is said), `today`, `7d`, `30d`, `90d` or `last-month`; days and months are UTC.
    period: Option<String>,
    /// `team` (unless it is said), `project`, `pipeline`, `run`, `stage`, `endpoint`, `model` or `tag`.
    by: Option<String>,
    /// Only of this team.
    team: Option<String>,
    /// Only of this project: `team/name`.
    project: Option<String>,
    /// Only of this pipeline.
    pipeline: Option<String>,
    /// Only of this run: its id.
    run: Option<String>,
    /// Only of this stage.
    stage: Option<String>,
    /// Only of this endpoint of deployed apps.
    endpoint: Option<String>,
    /// Only of this model.
    model: Option<String>,
    /// Only with this tag of apps.
    tag: Option<String>,
}

/// Shows what calls to models have cost over a period, as far as you may know of them, and what they come to at its end
#[utoipa::path(
    get, path = "/spend/trend", tag = "budgets",
    extensions(("x-access" = json!("signed-in"))),
    params(TrendQuery),
    responses((status = 200, body = SpendTrendView)),
)]
pub(super) async fn show_spend_trend(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<TrendQuery>,
) -> Result<Json<SpendTrendView>, Problem> {
    let period = query.period.as_deref().unwrap_or(Period::default().as_str());
    let period = Period::parse(period).ok_or_else(|| {
        let words = Period::ALL.map(|it| format!("`{}`", it.as_str())).join(", ");
        Problem::bad_request(format!("`period` is one of {words}"))
    })?;
    let word = |it: Option<String>| it.unwrap_or_default();
    let wanted = Wanted {
        by: query.by.unwrap_or_else(|| "team".to_owned()),
        team: query.team,
        project: word(query.project),
        pipeline: word(query.pipeline),
        run: word(query.run),
        stage: word(query.stage),
        endpoint: word(query.endpoint),
        model: word(query.model),
        tag: word(query.tag),
        limit: u32::try_from(SERIES_MAX).unwrap_or(u32::MAX),
        ..Wanted::default()
    };
    let trend = trend::load(&app, &visitor, &Asked { period, wanted }).await?;
    Ok(Json(SpendTrendView::new(period, &trend)))
}
