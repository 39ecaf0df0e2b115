//! What stages handed on: listed, and downloaded as an archive or file by file.

mod body;
mod list_artifacts;
mod get_artifact;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem};
use crate::model::RunId;
use crate::store::artifacts::ArtifactRow;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_artifacts::list_artifacts))
        .routes(routes!(get_artifact::get_artifact))
}

/// Artifacts of a run. Of several attempts of a stage, the last one's count.
async fn newest(app: &App, run: &RunId) -> Result<Vec<ArtifactRow>, Problem> {
    let rows = app.store.list_artifacts(run).await?;
    let is_newest = |row: &&ArtifactRow| {
        let same = rows.iter().filter(|it| it.attempt.stage == row.attempt.stage);
        same.map(|it| it.attempt.attempt).max() == Some(row.attempt.attempt)
    };
    Ok(rows.iter().filter(is_newest).cloned().collect())
}
