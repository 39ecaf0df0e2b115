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
    /// `owner/name` at the forge, or empty.
    forge_path: String,
    /// The trunk.
    default_branch: String,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
}

impl From<ProjectRow> for ProjectBody {
    fn from(row: ProjectRow) -> Self {
        Self {
            id: row.id.0,
            team: row.team_name,
            name: row.name,
            address: row.address,
            forge: row.forge.to_string(),
            forge_path: row.forge_path,
            default_branch: row.default_branch,
            created_at: row.created_at.0,
        }
    }
}
