//! People of the installation: for its owners; and who calls.

mod list_people;
mod create_person;
mod change_person;
mod show_me;
mod change_password;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;
use crate::store::access::people::PersonRow;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_people::list_people, create_person::create_person))
        .routes(routes!(change_person::change_person))
        .routes(routes!(show_me::show_me))
        .routes(routes!(change_password::change_password))
}

/// A person.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct PersonBody {
    /// Their id.
    id: String,
    /// Login.
    login: String,
    /// Name for people.
    name: String,
    /// Address, or empty.
    email: String,
    /// Whether they own the installation.
    is_owner: bool,
    /// Whether they can sign in with a password.
    has_password: bool,
    /// Whether they are shut out.
    is_disabled: bool,
}

impl From<PersonRow> for PersonBody {
    fn from(row: PersonRow) -> Self {
        Self {
            id: row.id.0,
            login: row.login,
            name: row.name,
            email: row.email,
            is_owner: row.is_owner,
            has_password: !row.password_hash.is_empty(),
            is_disabled: row.disabled_at.is_some(),
        }
    }
}
