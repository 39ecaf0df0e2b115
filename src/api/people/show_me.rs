//! `GET /api/v1/me`: who calls, and what they may do.

use axum::extract::State;

use crate::auth::{Proof, Scope};
use crate::http::{App, Json, Problem, Visitor};

/// The person who calls.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct MeBody {
    /// Login.
    login: String,
    /// Whether what they showed lets them do what concerns the whole installation.
    is_owner: bool,
    /// What they showed: `session` or `token`.
    proof: String,
    /// What a token is good for; empty for a session, which is good for everything.
    scopes: Vec<String>,
    /// The teams they are members of.
    teams: Vec<MembershipBody>,
}

/// A team of the person who calls.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct MembershipBody {
    /// Name of the team.
    team: String,
    /// `viewer`, `developer`, `approver` or `admin`.
    role: String,
}

/// Says who calls.
#[utoipa::path(
    get, path = "/me", tag = "people",
    extensions(("x-access" = json!("signed-in"))),
    responses((status = 200, body = MeBody)),
)]
pub(super) async fn show_me(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<MeBody>, Problem> {
    let memberships = app.store.list_memberships(&visitor.0.person).await?;
    let teams = memberships
        .into_iter()
        .map(|it| MembershipBody { team: it.team_name, role: it.role.to_string() });
    let (proof, scopes) = match &visitor.0.proof {
        Proof::Session(_) => ("session", Vec::new()),
        Proof::Token(_, scopes) => ("token", scopes.iter().map(Scope::to_word).collect()),
    };
    Ok(Json(MeBody {
        is_owner: visitor.0.may_own(),
        login: visitor.0.login,
        proof: proof.to_owned(),
        scopes,
        teams: teams.collect(),
    }))
}
