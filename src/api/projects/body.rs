//! Projects as clients see them.

use crate::store::access::projects::ProjectRow;

/// A project.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ProjectBody {
    /// Its id.
    id: String,
    /// Name of its team.
    team: String,
    /// Its name.
    name: String,
    /// Where the code is fetched from.
    address: String,
    /// `github`, `gitlab`, `gitea` or `git`.
    forge: String,
    /// Base address of the forge's API; empty for that of the public one.
    forge_url: String,
    /// `owner/name` at the forge, or empty.
    forge_path: String,
    /// The trunk.
    default_branch: String,
    /// Higher is served first within the team.
    priority: i64,
    /// How often the remote is asked for news, in seconds; 0 for never.
    poll_seconds: i64,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
    /// Since when nothing starts its runs; null while something does.
    archived_at: Option<i64>,
}

impl From<ProjectRow> for ProjectBody {
    fn from(row: ProjectRow) -> Self {
        let address = row.shown_address();
        Self {
            id: row.id.0,
            team: row.team_name,
            name: row.name,
            address,
            forge: row.forge.to_string(),
            forge_url: row.forge_url,
            forge_path: row.forge_path,
            default_branch: row.default_branch,
            priority: row.priority,
            poll_seconds: row.poll_seconds,
            created_at: row.created_at.0,
            archived_at: row.archived_at.map(|it| it.0),
        }
    }
}

impl ProjectBody {
    /// `team/name`.
    pub(super) fn slug(&self) -> String {
        format!("{}/{}", self.team, self.name)
    }
}
