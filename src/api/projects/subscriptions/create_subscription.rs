//! `POST /api/v1/teams/{team}/subscriptions`: somebody is told from now on.

use axum::extract::State;
use axum::http::StatusCode;

use super::body::SubscriptionBody;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::{ProjectId, Role};
use crate::notifications::{Form, NewSubscription};

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
    let found = app.store.find_team(&team).await?;
    let row = found.ok_or_else(|| Problem::not_found("this team"))?;
    visitor.require(&row.id, Role::Admin, "this team")?;
    let project = match &request.project {
        Some(name) => {
            crate::desk::projects::find(&app, &visitor, &format!("{team}/{name}")).await?.id
        }
        None => ProjectId(String::new()),
    };
    let unknown = || Problem::bad_request("`form` is `webhook`, `slack` or `mail`");
    let new = NewSubscription {
        team: row.id,
        project,
        form: Form::parse(&request.form).ok_or_else(unknown)?,
        target: request.target,
        events: super::kinds(&request.events)?,
        branches: request.branches,
        author: visitor.0.login.clone(),
    };
    let (row, secret) = super::notifications(&app)?.subscribe(new).await?;
    Ok((StatusCode::CREATED, Json(CreatedSubscription { subscription: row.into(), secret })))
}
