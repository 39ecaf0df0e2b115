//! `GET /api/v1/runs/{run}/changes`: what a run brings, compared with the last green run of the trunk.

use axum::extract::State;

use super::content::{PromptBody, ReleaseBody, bodies};
use super::show_approval::{BaseBody, PartBody};
use crate::desk::runs::SeenRun;
use crate::http::{App, Json, Path, Problem, Visitor};

/// What a run brings.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ChangesBody {
    /// The run that all is compared with: the last green one of the trunk before it. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<BaseBody>,
    /// What differs in the files, by part of the release. Absent when it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<PartBody>>,
    /// Why it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes_problem: Option<String>,
    /// The digests of the release. Absent when the pipeline names none, or they cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseBody>,
    /// Prompts that differ, line by line; of very many and very long ones, the beginning.
    prompts: Vec<PromptBody>,
}

/// Shows what a run brings, compared with the last green run of the trunk before it.
#[utoipa::path(
    get, path = "/runs/{run}/changes", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id")),
    responses((status = 200, body = ChangesBody)),
)]
pub(super) async fn show_changes(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
) -> Result<Json<ChangesBody>, Problem> {
    let changes = SeenRun::find(&app, &visitor, &run).await?.changes(&app).await?;
    let (release, prompts) = bodies(changes.content);
    Ok(Json(ChangesBody {
        base: changes.base.map(BaseBody::from),
        changes: changes.parts.map(|parts| parts.into_iter().map(PartBody::from).collect()),
        changes_problem: changes.problem,
        release,
        prompts,
    }))
}
