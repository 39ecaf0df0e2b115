//! Teams and who is in them.

mod create_team;
mod list_teams;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;
use crate::store::access::teams::TeamRow;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_teams::list_teams, create_team::create_team))
}

/// A team.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct TeamBody {
    /// Its id.
    id: String,
    /// Its name in addresses.
    name: String,
    /// Its name for people.
    title: String,
}

impl From<TeamRow> for TeamBody {
    fn from(row: TeamRow) -> Self {
        Self { id: row.id.0, name: row.name, title: row.title }
    }
}
