//! `GET /api/v1/spend/load`: how large the load of a model was.

use axum::extract::State;

use crate::desk::server::spend::Wanted;
use crate::desk::server::spend::load::{self, LoadView};
use crate::http::{App, Json, Problem, Query, Visitor};
use crate::model::Timestamp;
use crate::store::spend::sums::SpendFilter;

/// Which calls.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LoadQuery {
    /// From this moment on, in milliseconds since 1970-01-01 UTC; for the last 30 days unless it is said.
    from: Option<i64>,
    /// Before this moment.
    to: Option<i64>,
    /// Only of this team.
    team: Option<String>,
    /// Only of this endpoint of deployed apps.
    endpoint: Option<String>,
    /// Only of this model.
    model: Option<String>,
}

/// Measures the load of calls that providers have answered: how many, how long, how many tokens, at the busiest
///
/// As far as you may know of them, and of the newest 200,000.
#[utoipa::path(
    get, path = "/spend/load", tag = "budgets",
    extensions(("x-access" = json!("signed-in"))),
    params(LoadQuery),
    responses((status = 200, body = LoadView)),
)]
pub(super) async fn show_load(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<LoadQuery>,
) -> Result<Json<LoadView>, Problem> {
    let wanted = Wanted {
        by: "model".to_owned(),
        from: query.from.map(Timestamp),
        to: query.to.map(Timestamp),
        team: query.team,
        of: SpendFilter {
            endpoint: query.endpoint.unwrap_or_default(),
            model: query.model.unwrap_or_default(),
            ..SpendFilter::default()
        },
    };
    Ok(Json(load::measure(&app, &visitor, wanted).await?))
}
