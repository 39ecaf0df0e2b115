//! `GET` and `PUT /api/v1/projects/{team}/{name}/retention`: how long the project's runs are kept.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::desk::projects::settings;
use crate::http::{App, Json, Path, Problem, Visitor, check_if_match};

/// How long runs are kept. What is left out is as the server's settings say.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    /// Finished runs go after so many days; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 36_500)]
    runs_days: Option<u32>,
    /// The newest so many runs stay whatever their age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    runs_count: Option<u32>,
}

/// Says what is set for a project; what is absent is as the server's settings say
#[utoipa::path(
    get, path = "/projects/{team}/{name}/retention", tag = "projects",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Retention)),
)]
pub(super) async fn show_retention(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
) -> Result<Json<Retention>, Problem> {
    let project = super::find(&app, &visitor, &format!("{team}/{name}")).await?;
    let (runs_days, runs_count) = settings::show_retention(&app, &project).await?;
    Ok(Json(Retention { runs_days, runs_count }))
}

/// Says how long the runs of a project are kept, in place of what the server's settings say.
#[utoipa::path(
    put, path = "/projects/{team}/{name}/retention", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path),
        ("name" = String, Path),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    request_body = Retention,
    responses((status = 204)),
)]
pub(super) async fn save_retention(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(request): Json<Retention>,
) -> Result<StatusCode, Problem> {
    let project = super::find_to_change(&app, &visitor, &format!("{team}/{name}")).await?;
    let (runs_days, runs_count) = settings::show_retention(&app, &project).await?;
    check_if_match(&headers, &Retention { runs_days, runs_count })?;
    let Retention { runs_days, runs_count } = request;
    settings::save_retention(&app, &project, (runs_days, runs_count)).await?;
    Ok(StatusCode::NO_CONTENT)
}
