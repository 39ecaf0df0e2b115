//! `POST /api/v1/runs/{run}/stages/{stage}/reject`: a person says no.

use axum::Extension;
use axum::extract::State;

use super::AnswerRequest;
use crate::desk::approvals::{self, Answer};
use crate::http::{App, Detail, Json, Path, Problem, Visitor};
use crate::runs::view::RunView;

/// Says no to a stage that waits for people.
#[utoipa::path(
    post, path = "/runs/{run}/stages/{stage}/reject", tag = "approvals",
    extensions(("x-access" = json!("approver"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        ("stage" = String, Path, description = "Key or name of the stage"),
    ),
    request_body = AnswerRequest,
    responses((status = 200, body = RunView)),
)]
pub(super) async fn reject_stage(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Json(request): Json<AnswerRequest>,
) -> Result<(Extension<Detail>, Json<RunView>), Problem> {
    let said = (Answer::Reject, request.comment.as_str());
    let answered = approvals::answer(&app, &visitor, (&run, &stage), said).await?;
    Ok((Extension(answered.noted), Json(RunView::of(&answered.loaded, app.now()))))
}
