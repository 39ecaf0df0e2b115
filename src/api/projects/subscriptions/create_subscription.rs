//! `POST /api/v1/teams/{team}/subscriptions`: somebody is told from now on.

use axum::extract::State;
use axum::http::StatusCode;

use super::body::SubscriptionBody;
use crate::desk::projects::subscriptions::{self, WantedSubscription};
use crate::http::{App, Json, Path, Problem, Visitor};

/// A subscription to make.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSubscription {
    /// `webhook`, `slack` or `mail`.
    form: String,
    /// Where to: an address of the web, or of mail.
    target: String,
    /// What is told: `run.failed`, `run.passed`, `run.recovered`, `approval.wanted`, `budget.alert`,
    /// `subscription.disabled`.
    events: Vec<String>,
    /// Name of the only project; every project of the team without it.
    #[serde(default)]
    project: Option<String>,
    /// Globs of branches; none for all.
    #[serde(default)]
    branches: Vec<String>,
}

/// A new subscription.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct CreatedSubscription {
    /// The subscription.
    #[serde(flatten)]
    subscription: SubscriptionBody,
    /// What webhooks are signed with. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Makes a subscription.
#[utoipa::path(
    post, path = "/teams/{team}/subscriptions", tag = "notifications",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path, description = "Name of the team")),
    request_body = CreateSubscription,
    responses((status = 201, body = CreatedSubscription)),
)]
pub(super) async fn create_subscription(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Json(request): Json<CreateSubscription>,
) -> Result<(StatusCode, Json<CreatedSubscription>), Problem> {
    let wanted = WantedSubscription {
        form: request.form,
        target: request.target,
        events: request.events,
        project: request.project,
        branches: request.branches,
    };
    let (row, secret) = subscriptions::create(&app, &visitor, (&team, wanted)).await?;
    Ok((StatusCode::CREATED, Json(CreatedSubscription { subscription: row.into(), secret })))
}
