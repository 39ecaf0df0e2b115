//! `POST /api/v1/hooks/{project}`: a forge says that something has happened. Stored, and answered at once.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};

use crate::desk::projects::deliveries;
use crate::forge::{BODY_BYTES_MAX, Envelope};
use crate::http::{App, Json, Path, Problem, ProblemKind};
use crate::model::ProjectId;
use crate::projects::ProjectError;
use crate::store::access::projects::ProjectRow;
use crate::triggers::Received;

/// The delivery as it is stored.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryReceipt {
    /// Its id here.
    id: String,
}

/// Takes a delivery of a forge.
#[utoipa::path(
    post, path = "/hooks/{project}", tag = "hooks",
    extensions(("x-access" = json!("public"))),
    params(("project" = String, Path, description = "Id of the project")),
    request_body(content = String, description = "As the forge sends it", content_type = "application/json"),
    responses(
        (status = 202, body = DeliveryReceipt, description = "Stored; processed after"),
        (status = 200, body = DeliveryReceipt, description = "Stored before, under this id"),
    ),
    security(()),
)]
pub(super) async fn receive_delivery(
    State(app): State<App>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<DeliveryReceipt>), Problem> {
    let body = body.map_err(|rejection| too_large(&rejection))?;
    let envelope = Envelope { headers: &headers, body: &body };
    let project = prove(&app, ProjectId(project), &envelope).await?;
    let received = app.triggers.receive(&project, &envelope).await?;
    Ok(match received {
        Received::New(id) => (StatusCode::ACCEPTED, Json(DeliveryReceipt { id })),
        Received::Before(id) => (StatusCode::OK, Json(DeliveryReceipt { id })),
    })
}

/// The project, where the delivery proves that it comes from its forge. Nobody learns more than that it does
/// not: not even whether there is such a project.
async fn prove(
    app: &App,
    project: ProjectId,
    envelope: &Envelope<'_>,
) -> Result<ProjectRow, Problem> {
    let found = app.store.find_project(&project).await?.ok_or_else(unproven)?;
    let secret = app.triggers.projects().hook_secret(&project).await.map_err(unavailable)?;
    let why = match secret.map(|it| envelope.prove(found.forge, &it, app.now())) {
        Some(Ok(())) => return Ok(found),
        Some(Err(error)) => error.to_string(),
        None => "there is no secret yet that it could prove".to_owned(),
    };
    tracing::warn!(project = found.slug(), why, "a delivery is not proved");
    // Those who set the webhook up look at its page, and not into the log of the server.
    deliveries::note_refused(app, &found, &why).await?;
    Err(unproven())
}

fn unproven() -> Problem {
    Problem::new(ProblemKind::Unauthenticated, "the delivery does not prove who sends it")
        .with_help(
            "Compare the project's id and the secret at the forge with those of the project.",
        )
}

fn unavailable(error: ProjectError) -> Problem {
    if let ProjectError::Store(error) = error {
        return error.into();
    }
    Problem::internal(&error)
}

fn too_large(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let title = format!("the delivery has more than {BODY_BYTES_MAX} bytes");
        return Problem::new(ProblemKind::TooLarge, title);
    }
    Problem::bad_request("the body cannot be read")
}
