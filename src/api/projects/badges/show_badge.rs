//! `GET /badges/{team}/{name}/{pipeline}.svg`: how a branch stands, as a picture.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq as _;

use super::svg::{self, Standing};
use crate::http::{App, MaybeCaller, Path, Problem, Query};
use crate::model::{Digest, Role, RunStatus};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::badges::BadgeAccess;
use crate::store::runs::RunFilter;

/// Ended runs that are looked through for one that is none of a request.
const RUNS_MAX: u32 = 20;
/// How long a picture may be shown without asking again.
const CACHE: &str = "max-age=60, must-revalidate";

/// Of what.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BadgeQuery {
    /// Which branch; the trunk without it.
    #[serde(default)]
    branch: Option<String>,
    /// What shows that somebody who is not signed in may see it.
    #[serde(default)]
    token: Option<String>,
}

/// Shows how a branch stands, as a picture. What the caller may not see is not there
#[utoipa::path(
    get, path = "/badges/{team}/{name}/{pipeline}", tag = "badges",
    extensions(("x-access" = json!("public"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("name" = String, Path, description = "Name of the project"),
        ("pipeline" = String, Path, description = "Name of the pipeline, and `.svg`"),
        BadgeQuery,
    ),
    responses((status = 200, content_type = "image/svg+xml", body = String)),
)]
pub(super) async fn show_badge(
    State(app): State<App>,
    caller: MaybeCaller,
    Path((team, name, file)): Path<(String, String, String)>,
    Query(query): Query<BadgeQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let not_found = || Problem::not_found("this badge");
    let pipeline = file.strip_suffix(".svg").ok_or_else(not_found)?;
    let project = app.store.find_project_by_name(&team, &name).await?.ok_or_else(not_found)?;
    let access = app.store.find_badge_access(&project.id).await?.unwrap_or_default();
    let is_member = caller.is_some_and(|it| it.require(&project.team, Role::Viewer, "it").is_ok());
    if !is_member && !admits(&access, query.token.as_deref()) {
        return Err(not_found());
    }
    let branch = query.branch.unwrap_or_else(|| project.default_branch.clone());
    let standing = standing(&app, &project, (pipeline, branch)).await?;
    Ok(answer(&svg::draw(pipeline, standing), &headers))
}

fn admits(access: &BadgeAccess, shown: Option<&str>) -> bool {
    let is_same = |shown: &str| -> bool {
        !access.token.is_empty() && shown.as_bytes().ct_eq(access.token.as_bytes()).into()
    };
    access.is_public || shown.is_some_and(is_same)
}

/// Requests do not count: a fork may call its branch as it likes.
async fn standing(
    app: &App,
    project: &ProjectRow,
    (pipeline, branch): (&str, String),
) -> Result<Standing, Problem> {
    let filter = RunFilter {
        project: Some(project.id.clone()),
        pipeline: Some(pipeline.to_owned()),
        branch: Some(branch),
        statuses: vec![RunStatus::Passed, RunStatus::Failed],
        limit: RUNS_MAX,
        ..RunFilter::default()
    };
    let rows = app.store.list_runs(&filter).await?;
    let newest = rows.into_iter().find(|it| it.event != "pull_request");
    Ok(match newest.map(|it| it.status) {
        Some(RunStatus::Passed) => Standing::Passing,
        Some(_) => Standing::Failing,
        None => Standing::Unknown,
    })
}

fn answer(picture: &str, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", Digest::of(picture.as_bytes()).hex());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let is_known = known.is_some_and(|it| it.split(',').any(|it| it.trim() == tag || it == "*"));
    // Pages of others show it.
    let sharing = (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    let common = [(header::CACHE_CONTROL, CACHE), sharing];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common, [(header::ETAG, tag)]).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "image/svg+xml")];
    (common, kind, [(header::ETAG, tag)], picture.to_owned()).into_response()
}
