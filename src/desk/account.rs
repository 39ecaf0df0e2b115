//! What belongs to the person who calls: their tokens and sessions.

use crate::auth::{NewToken, OwnPassword, Proof, Scope};
use crate::http::{App, Detail, Problem, ProblemKind, Visitor};
use crate::model::{Milliseconds, PersonId, Timestamp};

const NAME_CHARS_MAX: usize = 100;
const SCOPES_MAX: usize = 50;
const DAYS_MAX: u32 = 366;
const DAY_SECONDS: u64 = 24 * 3600;

/// A token to make, as somebody has written it down.
#[derive(Debug, Clone, Default)]
pub struct WantedToken {
    /// What it is for.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// How many days it is good: 1 to 366.
    pub days: u32,
}

/// A token that was just made. It is not shown again.
pub struct MadeToken {
    /// Its id.
    pub id: String,
    /// The token.
    pub token: String,
    /// What it is for.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for MadeToken {
    /// Never shows the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes a token of the caller. A token makes none that can do more than itself.
pub async fn create_token(
    app: &App,
    visitor: &Visitor,
    wanted: WantedToken,
) -> Result<MadeToken, Problem> {
    let scopes = scopes(&wanted)?;
    if let Some(scope) = scopes.iter().find(|it| !visitor.0.may_grant(it)) {
        let title = format!("this token may not make one with the scope `{}`", scope.to_word());
        let help = "Sign in, or use a token that has this scope itself.";
        return Err(Problem::new(ProblemKind::Forbidden, title).with_help(help));
    }
    if scopes.contains(&Scope::Owner) && !visitor.0.is_owner {
        let title = "the scope `owner` is for owners of this server";
        let help = "Take `admin`: it is all that you may do yourself.";
        return Err(Problem::new(ProblemKind::Forbidden, title).with_help(help));
    }
    make_token(app, visitor.0.person.clone(), (wanted.name, scopes), wanted.days).await
}

/// What the audit log is to say of a token that was made: what it is good for, with names of teams.
pub async fn noted(app: &App, made: &MadeToken) -> Detail {
    // The token is made, and is shown whatever happens here.
    let teams = app.store.list_teams().await.unwrap_or_default();
    let named = |word: &String| match word.split_once(':') {
        Some((role, id)) => {
            let team = teams.iter().find(|it| it.id.0 == id);
            format!("{role}:{}", team.map_or(id, |it| it.name.as_str()))
        }
        None => word.clone(),
    };
    let scopes: Vec<String> = made.scopes.iter().map(named).collect();
    Detail::default().with("id", made.id.as_str()).with("scopes", scopes)
}

/// Makes a token with this name and these scopes.
pub async fn make_token(
    app: &App,
    person: PersonId,
    (name, scopes): (String, Vec<Scope>),
    days: u32,
) -> Result<MadeToken, Problem> {
    let expires_at = app.now().plus(Milliseconds::from_seconds(u64::from(days) * DAY_SECONDS));
    let words = scopes.iter().map(Scope::to_word).collect();
    let new = NewToken { id: app.new_id(), person, name: name.clone(), scopes, expires_at };
    let id = new.id.clone();
    let token = app.auth.create_token(new).await?.0;
    Ok(MadeToken { id, token, name, scopes: words, expires_at })
}

/// Ends a token of the caller. One that speaks only for a part of its person can only end itself.
pub async fn revoke_token(app: &App, visitor: &Visitor, token: &str) -> Result<(), Problem> {
    let is_itself = matches!(&visitor.0.proof, Proof::Token(own, _) if *own == token);
    if !is_itself {
        visitor.require_whole()?;
    }
    let revoked = app.store.revoke_token(&visitor.0.person, token, app.now()).await?;
    revoked.then_some(()).ok_or_else(|| Problem::not_found("this token"))
}

/// Changes the password of the caller, who shows the old one; their other sessions end.
pub async fn change_password(
    app: &App,
    visitor: &Visitor,
    change: OwnPassword,
) -> Result<(), Problem> {
    visitor.require_whole()?;
    Ok(app.auth.change_own_password(&visitor.0, change).await?)
}

/// Ends a session of the caller, at once.
pub async fn revoke_session(app: &App, visitor: &Visitor, session: &str) -> Result<(), Problem> {
    visitor.require_whole()?;
    let revoked = app.store.revoke_session(&visitor.0.person, session, app.now()).await?;
    revoked.then_some(()).ok_or_else(|| Problem::not_found("this session"))
}

fn scopes(wanted: &WantedToken) -> Result<Vec<Scope>, Problem> {
    if !(1..=NAME_CHARS_MAX).contains(&wanted.name.chars().count()) {
        return Err(Problem::bad_request(format!("`name` has 1 to {NAME_CHARS_MAX} characters")));
    }
    if !(1..=SCOPES_MAX).contains(&wanted.scopes.len()) {
        return Err(Problem::bad_request(format!("`scopes` has 1 to {SCOPES_MAX} words")));
    }
    if !(1..=DAYS_MAX).contains(&wanted.days) {
        return Err(Problem::bad_request(format!("`days` is 1 to {DAYS_MAX}")));
    }
    let parse = |word: &String| {
        let unknown = || {
            Problem::bad_request(format!("`{word}` is no scope")).with_help(
                "Known are `viewer`, `developer`, `approver`, `admin`, each also with `:<team id>`, and `owner`.",
            )
        };
        Scope::parse(word).ok_or_else(unknown)
    };
    wanted.scopes.iter().map(parse).collect()
}
