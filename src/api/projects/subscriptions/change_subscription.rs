//! `PATCH /api/v1/teams/{team}/subscriptions/{subscription}`: other events or branches, on or off.

use axum::extract::State;

use super::body::SubscriptionBody;
use crate::desk::projects::subscriptions::{self, WantedChange};
use crate::http::{App, Json, Path, Problem, Visitor};

/// What changes; what is not there stays.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeSubscription {
    /// What is told.
    #[serde(default)]
    events: Option<Vec<String>>,
    /// Globs of branches; none for all.
    #[serde(default)]
    branches: Option<Vec<String>>,
    /// Whether something is sent.
    #[serde(default)]
    enabled: Option<bool>,
}

/// Changes a subscription.
#[utoipa::path(
    patch, path = "/teams/{team}/subscriptions/{subscription}", tag = "notifications",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("subscription" = String, Path)),
    request_body = ChangeSubscription,
    responses((status = 200, body = SubscriptionBody)),
)]
pub(super) async fn change_subscription(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, id)): Path<(String, String)>,
    Json(request): Json<ChangeSubscription>,
) -> Result<Json<SubscriptionBody>, Problem> {
    let change = WantedChange {
        events: request.events,
        branches: request.branches,
        is_enabled: request.enabled,
    };
    let row = subscriptions::change(&app, &visitor, ((&team, &id), change)).await?;
    Ok(Json(row.into()))
}
