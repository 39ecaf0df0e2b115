//! People of the installation: for its owners.

use crate::auth::{NewPerson, PersonChange};
use crate::http::{App, Detail, Problem, ProblemKind, Visitor};
use crate::store::access::people::PersonRow;

/// Everybody, by login.
pub async fn list(app: &App, visitor: &Visitor) -> Result<Vec<PersonRow>, Problem> {
    visitor.require_owner()?;
    Ok(app.store.list_people().await?)
}

/// Makes somebody who may sign in.
pub async fn create(app: &App, visitor: &Visitor, new: NewPerson) -> Result<PersonRow, Problem> {
    visitor.require_owner()?;
    Ok(app.auth.create_person(new).await?)
}

/// What the audit log is to say of a change: what it does to who may what.
#[must_use]
pub fn noted(change: &PersonChange) -> Detail {
    let password = change.password.is_some().then_some(true);
    [("is_owner", change.is_owner), ("is_disabled", change.is_disabled), ("new_password", password)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(Detail::default(), |detail, (name, value)| detail.with(name, value))
}

/// Changes a person.
pub async fn change(
    app: &App,
    visitor: &Visitor,
    (login, change): (&str, PersonChange),
) -> Result<PersonRow, Problem> {
    visitor.require_owner()?;
    let steps_down = change.is_owner == Some(false) || change.is_disabled == Some(true);
    if steps_down && login.to_lowercase() == visitor.0.login {
        // So there is always an owner left.
        let title = "an owner cannot step down or shut themselves out";
        let help = "Ask another owner, or use `trunkline person` on the server.";
        return Err(Problem::new(ProblemKind::Refused, title).with_help(help));
    }
    Ok(app.auth.change_person(login, change).await?)
}
