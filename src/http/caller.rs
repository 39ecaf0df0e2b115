//! Who calls: read from the request, before any handler looks at it.

mod cookies;
pub(in crate::http) mod cross_site;
pub(in crate::http) mod client;

pub use client::Newcomer;
pub use cookies::{Cookies, SetCookies, set_theme, theme};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::auth::{AuthError, Caller, Csrf, Proof, Verdict};
use crate::http::{Actor, App, Problem, ProblemKind};
use crate::model::{Role, RunId, TeamId};
use cross_site::CSRF_HEADER;

/// Somebody who is signed in, or shows a token.
#[derive(Debug, Clone)]
pub struct Visitor(pub Caller, Actor);

/// Somebody or nobody.
pub type MaybeCaller = Option<Visitor>;

impl Visitor {
    /// The request is about this run, however its path calls it: the audit log has it by its id.
    pub fn note_run(&self, run: &RunId) {
        self.1.note_run(run);
    }

    /// Where a request comes from that changes something, and what its sender has shown, as the audit log has them.
    #[must_use]
    pub fn origin(&self) -> (String, String) {
        self.1.origin()
    }

    /// Refuses who does not own the installation.
    pub fn require_owner(&self) -> Result<(), Problem> {
        let title = "this takes an owner of the installation";
        let refused = || Problem::new(ProblemKind::Forbidden, title);
        self.0.may_own().then_some(()).ok_or_else(refused)
    }

    /// Refuses a token that speaks only for a part of what its person may do.
    pub fn require_whole(&self) -> Result<(), Problem> {
        let title = "this token is only good for a part of what its person may do";
        let refused = || {
            Problem::new(ProblemKind::Forbidden, title)
                .with_help("Sign in, or use a token with the scope `admin`.")
        };
        self.0.is_whole().then_some(()).ok_or_else(refused)
    }

    /// That the caller's role is not enough, and what they can do about it as they come here.
    #[must_use]
    pub fn forbidden(&self, needed: Role) -> Problem {
        let problem = Problem::forbidden(needed);
        match self.0.proof {
            Proof::Session(_) => problem,
            Proof::Token(..) => problem.with_help(
                "Ask an admin of the team to give it to you, or use a token with that scope.",
            ),
        }
    }

    /// Refuses what the caller may not do in a team; what they may not know of is "not there".
    pub fn require(&self, team: &TeamId, needed: Role, what: &str) -> Result<(), Problem> {
        match self.0.judge(team, needed) {
            Verdict::Allowed => Ok(()),
            Verdict::Forbidden => Err(self.forbidden(needed)),
            Verdict::Hidden => Err(Problem::not_found(what)),
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        caller(parts, app).await?.ok_or_else(Problem::unauthenticated)
    }
}

impl OptionalFromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Problem> {
        caller(parts, app).await
    }
}

/// By a token if one is shown, else by the cookie of a session.
async fn caller(parts: &Parts, app: &App) -> Result<MaybeCaller, Problem> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(parts).ok_or_else(Problem::unauthenticated)?;
        let caller = app.auth.caller_by_token(&token).await?;
        return Ok(Some(noted(parts, caller)));
    }
    let settings = app.auth.settings();
    let Some(session) = Cookies::new(settings.is_https()).session(&parts.headers) else {
        return Ok(None);
    };
    let csrf = if cross_site::is_unsafe(&parts.method) {
        SameOrigin::check(parts, app)?;
        Csrf::Shown(parts.headers.get(CSRF_HEADER).and_then(|it| it.to_str().ok()))
    } else {
        Csrf::Safe
    };
    let caller = app.auth.caller_by_session(session, csrf).await?;
    Ok(Some(noted(parts, caller)))
}

/// Says who it is to what observes the request.
fn noted(parts: &Parts, caller: Caller) -> Visitor {
    let actor = parts.extensions.get::<Actor>().cloned().unwrap_or_default();
    let proof = match &caller.proof {
        Proof::Session(id) => format!("session {id}"),
        Proof::Token(id, _) => format!("token {id}"),
    };
    actor.note(format!("person:{}", caller.login), proof);
    Visitor(caller, actor)
}

/// Proof that no other site has sent a request, for what is done with a cookie alone.
#[derive(Debug, Clone, Copy)]
pub struct SameOrigin;

impl SameOrigin {
    /// Whether these headers prove it.
    #[must_use]
    pub fn is_proved(headers: &HeaderMap, app: &App) -> bool {
        let public_url = app.auth.settings().public_url.as_deref();
        cross_site::is_same_origin(headers, public_url)
    }

    fn check(parts: &Parts, app: &App) -> Result<Self, Problem> {
        let is_ours = Self::is_proved(&parts.headers, app);
        is_ours.then_some(Self).ok_or_else(|| AuthError::CrossSite.into())
    }
}

impl FromRequestParts<App> for SameOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::check(parts, app)
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
