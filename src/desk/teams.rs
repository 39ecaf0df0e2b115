//! Teams, found by their names, and who is in them.

use crate::auth::Verdict;
use crate::http::{App, Problem, Visitor};
use crate::model::access::{TITLE_CHARS_MAX, is_name, is_reserved_for_pages};
use crate::model::{Role, TeamId};
use crate::store::access::teams::TeamRow;

/// The team of this name, for what takes `needed`.
pub async fn find(
    app: &App,
    visitor: &Visitor,
    name: &str,
    needed: Role,
) -> Result<TeamRow, Problem> {
    let what = "this team";
    let team = app.store.find_team(name).await?.ok_or_else(|| Problem::not_found(what))?;
    visitor.require(&team.id, needed, what)?;
    Ok(team)
}

/// The teams in which the caller may do what takes `needed`.
pub async fn list(app: &App, visitor: &Visitor, needed: Role) -> Result<Vec<TeamRow>, Problem> {
    let all = app.store.list_teams().await?;
    let may = |it: &TeamRow| visitor.0.judge(&it.id, needed) == Verdict::Allowed;
    Ok(all.into_iter().filter(may).collect())
}

/// Makes a team; its maker becomes its first admin.
pub async fn create(
    app: &App,
    visitor: &Visitor,
    (name, title): (String, String),
) -> Result<TeamRow, Problem> {
    visitor.require_owner()?;
    if !is_name(&name) {
        return Err(Problem::bad_request("a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`"));
    }
    if is_reserved_for_pages(&name) {
        let text = format!("no team can be called `{name}`: it is a page of this server");
        return Err(Problem::bad_request(text).with_help("Choose another name."));
    }
    let title = if title.trim().is_empty() { name.clone() } else { title.trim().to_owned() };
    check_title(&title)?;
    let id = TeamId(app.new_id());
    let row = TeamRow { id, name, title, weight: 1, created_at: app.now() };
    app.store.insert_team(&row).await?;
    app.store.save_member(&row.id, &visitor.0.person, Role::Admin, app.now()).await?;
    Ok(row)
}

/// Changes a team's name for people.
pub async fn change_title(
    app: &App,
    visitor: &Visitor,
    (team, title): (&str, &str),
) -> Result<TeamRow, Problem> {
    let team = find(app, visitor, team, Role::Admin).await?;
    let title = title.trim();
    check_title(title)?;
    if !app.store.save_team_title(&team.id, title).await? {
        return Err(Problem::not_found("this team"));
    }
    Ok(TeamRow { title: title.to_owned(), ..team })
}

fn check_title(title: &str) -> Result<(), Problem> {
    if (1..=TITLE_CHARS_MAX).contains(&title.chars().count()) {
        return Ok(());
    }
    Err(Problem::bad_request(format!("`title` has 1 to {TITLE_CHARS_MAX} characters")))
}

/// Makes somebody a member, or changes their role; gives their login.
pub async fn save_member(
    app: &App,
    visitor: &Visitor,
    (team, login, role): (&str, &str, &str),
) -> Result<(String, Role), Problem> {
    let team = find(app, visitor, team, Role::Admin).await?;
    let unknown = || Problem::bad_request("`role` is `viewer`, `developer`, `approver` or `admin`");
    let role = Role::parse(role).ok_or_else(unknown)?;
    let person = app.store.find_person(&login.to_lowercase()).await?;
    let person = person.ok_or_else(|| Problem::not_found("this person"))?;
    let who = (&person.id, person.login.as_str());
    app.store.change_member(&team, who, Some(role), app.now()).await?;
    Ok((person.login, role))
}

/// Ends a membership, at once.
pub async fn delete_member(
    app: &App,
    visitor: &Visitor,
    (team, login): (&str, &str),
) -> Result<(), Problem> {
    let team = find(app, visitor, team, Role::Admin).await?;
    let login = login.to_lowercase();
    let members = app.store.list_members(&team.id).await?;
    let member = members.into_iter().find(|it| it.login == login);
    let member = member.ok_or_else(|| Problem::not_found("this member"))?;
    app.store.change_member(&team, (&member.person, &login), None, app.now()).await?;
    Ok(())
}
