//! `GET /api/v1/spend`: where the money of calls to models went.

use axum::extract::State;

use crate::desk::server::spend::{self, SpendView, Wanted};
use crate::http::{App, Json, Problem, Query, Visitor};
use crate::model::Timestamp;
use crate::store::spend::sums::SpendFilter;

/// Sums at most.
const LIMIT_MAX: u32 = 1000;

/// When, and what sums are made for.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SpendQuery {
    /// `team` (unless it is said), `project`, `pipeline`, `run`, `stage`, `endpoint`, `model`, `tag` or `day` (UTC; named by its first
    /// moment, in milliseconds since 1970-01-01).
    by: Option<String>,
    /// From this moment on, in milliseconds since 1970-01-01 UTC; for the last 30 days unless it is said.
    from: Option<i64>,
    /// Before this moment.
    to: Option<i64>,
}

/// Whose calls; what is left out does not count.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfQuery {
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

/// Sums up what calls to models have cost, as far as you may know of them
///
/// The dearest first, 1,000 at most; days in their order.
#[utoipa::path(
    get, path = "/spend", tag = "budgets",
    extensions(("x-access" = json!("signed-in"))),
    params(SpendQuery, OfQuery),
    responses((status = 200, body = Vec<SpendView>)),
)]
pub(super) async fn show_spend(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<SpendQuery>,
    Query(of): Query<OfQuery>,
) -> Result<Json<Vec<SpendView>>, Problem> {
    let (team, of) = of.read(LIMIT_MAX);
    let wanted = Wanted {
        by: query.by.unwrap_or_else(|| "team".to_owned()),
        from: query.from.map(Timestamp),
        to: query.to.map(Timestamp),
        team,
        of,
    };
    let rows = spend::sums(&app, &visitor, wanted).await?;
    Ok(Json(rows.into_iter().map(SpendView::from).collect()))
}

impl OfQuery {
    /// The team, and everything else, with so many sums at most.
    pub(super) fn read(self, limit: u32) -> (Option<String>, SpendFilter) {
        let word = |it: Option<String>| it.unwrap_or_default();
        let of = SpendFilter {
            project: word(self.project),
            pipeline: word(self.pipeline),
            run: word(self.run),
            stage: word(self.stage),
            endpoint: word(self.endpoint),
            model: word(self.model),
            tag: word(self.tag),
            limit,
            ..SpendFilter::default()
        };
        (self.team, of)
    }
}
