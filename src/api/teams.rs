//! Teams, who is in them, their budgets, and the keys of their apps.

mod create_team;
mod list_teams;
mod show_team;
mod change_team;
mod list_members;
mod save_member;
mod delete_member;
mod budgets;
mod gateway_keys;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::teams::find;
use crate::http::App;
use crate::store::access::teams::{MemberRow, TeamRow};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_teams::list_teams, create_team::create_team))
        .routes(routes!(show_team::show_team, change_team::change_team))
        .routes(routes!(list_members::list_members))
        .routes(routes!(save_member::save_member, delete_member::delete_member))
        .merge(budgets::routes())
        .merge(gateway_keys::routes())
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

/// A member of a team.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct MemberBody {
    /// Their login.
    login: String,
    /// `viewer`, `developer`, `approver` or `admin`.
    role: String,
}

impl From<MemberRow> for MemberBody {
    fn from(row: MemberRow) -> Self {
        Self { login: row.login, role: row.role.to_string() }
    }
}
