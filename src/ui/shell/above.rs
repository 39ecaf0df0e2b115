//! What stands above every page of a run: the way to it, and what it is called.

use crate::store::runs::RunRow;
use crate::ui::form::encoded;

/// Where a run belongs.
#[derive(Debug, Clone)]
pub(in crate::ui) struct AboveRun {
    /// Its project, as `team/name`; empty for runs from a terminal.
    pub(in crate::ui) project: String,
    /// Name of its pipeline, and the list of its runs.
    pub(in crate::ui) pipeline: String,
    pub(in crate::ui) pipeline_path: String,
    pub(in crate::ui) number: i64,
    /// Path of the run.
    pub(in crate::ui) path: String,
    /// What it is called: the subject of its commit.
    pub(in crate::ui) title: String,
}

impl AboveRun {
    pub(in crate::ui) fn of(row: &RunRow) -> Self {
        let project = if row.project.0.is_empty() { String::new() } else { row.repository.clone() };
        let of_project = if project.is_empty() {
            String::new()
        } else {
            format!("project={}&", encoded(&project))
        };
        let title = if row.title.is_empty() {
            format!("{} #{}", row.pipeline, row.number)
        } else {
            row.title.clone()
        };
        Self {
            pipeline_path: format!("/runs?{of_project}pipeline={}", encoded(&row.pipeline)),
            pipeline: row.pipeline.clone(),
            project,
            number: row.number,
            path: format!("/runs/{}", encoded(&row.id.0)),
            title,
        }
    }
}
