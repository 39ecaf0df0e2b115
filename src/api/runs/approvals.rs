//! Approvals: which wait, and what people say. Who may is decided by the pipeline's rules and the role.

mod list_approvals;
mod approve_stage;
mod reject_stage;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::engine::Command;
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, StageIndex};
use crate::runs::view::RunView;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_approvals::list_approvals))
        .routes(routes!(approve_stage::approve_stage))
        .routes(routes!(reject_stage::reject_stage))
}

/// What somebody says to a stage that waits.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerRequest {
    /// Why.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    comment: String,
}

/// A person who answers, in the words of the engine.
struct Voice {
    stage: StageIndex,
    by: String,
    teams: Vec<String>,
    comment: String,
}

/// Records an answer to a stage of a run.
async fn answer(
    app: &App,
    visitor: Visitor,
    (run, stage): (&str, &str),
    request: AnswerRequest,
    command: impl FnOnce(Voice) -> Command,
) -> Result<RunView, Problem> {
    let mut loaded = super::load(app, &visitor, run, Role::Approver).await?;
    let voice = Voice {
        stage: loaded.find_stage(stage)?,
        teams: teams(app, &visitor).await?,
        by: visitor.0.login,
        comment: request.comment.chars().take(super::TEXT_CHARS_MAX).collect(),
    };
    app.runs.execute(&mut loaded, &command(voice), app.now()).await?;
    Ok(RunView::of(&loaded, app.now()))
}

/// Names of the teams that a person is in.
async fn teams(app: &App, visitor: &Visitor) -> Result<Vec<String>, Problem> {
    let memberships = app.store.list_memberships(&visitor.0.person).await?;
    Ok(memberships.into_iter().map(|it| it.team_name).collect())
}
