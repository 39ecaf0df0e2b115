//! Who calls: read from the request, before any handler looks at it.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;

use crate::auth::{Caller, Verdict};
use crate::http::{App, Problem};
use crate::model::{Role, TeamId};

/// Somebody who is signed in, or shows a token.
#[derive(Debug, Clone)]
pub struct Visitor(pub Caller);

/// Somebody or nobody.
pub type MaybeCaller = Option<Visitor>;

impl Visitor {
    /// Refuses what the caller may not do in a team; what they may not know of is "not there".
    pub fn require(&self, team: &TeamId, needed: Role, what: &str) -> Result<(), Problem> {
        match self.0.judge(team, needed) {
            Verdict::Allowed => Ok(()),
            Verdict::Forbidden => Err(Problem::forbidden(needed)),
            Verdict::Hidden => Err(Problem::not_found(what)),
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(parts).ok_or_else(Problem::unauthenticated)?;
        Ok(Self(app.auth.caller_by_token(&token).await?))
    }
}

impl OptionalFromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Problem> {
        match bearer(parts) {
            Some(token) => Ok(Some(Self(app.auth.caller_by_token(&token).await?))),
            None => Ok(None),
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
