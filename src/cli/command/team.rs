//! `trunkline team`: the teams of a server, changed on its machine or from elsewhere.

use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::people::{MemberShown, TeamShown};
use crate::model::access::{TITLE_CHARS_MAX, is_name, is_reserved_for_pages};
use crate::model::{Role, TeamId};
use crate::store::access::teams::TeamRow;

/// Arguments of `trunkline team`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`. With `--server` or
`TRUNKLINE_SERVER` it asks that server: owners add teams, admins of a team its members.

Examples:
  trunkline team add search --title 'Search and ranking'
  trunkline team member search ada admin
  trunkline team list
  trunkline team remove search ada --server ci.example.org")]
pub struct TeamArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a team
    Add {
        /// Its name: 1 to 63 of `a-z`, `0-9`, `-` and `_`
        name: String,
        /// Its name for people
        #[arg(long, value_name = "TITLE")]
        title: Option<String>,
    },
    /// List teams with their members
    List,
    /// Make a person a member, or change their role
    Member {
        /// Name of the team
        team: String,
        /// Login of the person
        login: String,
        /// viewer, developer, approver or admin
        #[arg(value_parser = role)]
        role: Role,
    },
    /// End a membership
    Remove {
        /// Name of the team
        team: String,
        /// Login of the person
        login: String,
    },
}

fn role(word: &str) -> Result<Role, Usage> {
    let unknown = || Usage::new("must be one of viewer, developer, approver, admin", "");
    Role::parse(word).ok_or_else(unknown)
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &TeamArgs) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::chosen(session)? {
        at_server(session, &remote, &args.action).await?;
    } else {
        let state = access::open(session).await?;
        here(session, &state, &args.action).await?;
    }
    Ok(Exit::Passed)
}

async fn here(session: &Session, state: &State, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Add { name, title } => add(session, state, name, title.as_ref()).await,
        Action::List => show(session, &list(state).await?),
        Action::Member { team, login, role } => {
            let found = find(state, team).await?;
            let person = access::find_person(state, login).await?;
            let who = (&person.id, person.login.as_str());
            state.store.change_member(&found, who, Some(*role), session.now()).await?;
            let subject = format!("{team}/{login} {role}");
            access::note(session, state, ("member.save", &subject)).await?;
            Ok(session.output.told(&format!("`{login}` is `{role}` in `{team}`"))?)
        }
        Action::Remove { team, login } => {
            let found = find(state, team).await?;
            let person = access::find_person(state, login).await?;
            let who = (&person.id, person.login.as_str());
            state.store.change_member(&found, who, None, session.now()).await?;
            access::note(session, state, ("member.delete", &format!("{team}/{login}"))).await?;
            Ok(session.output.told(&format!("`{login}` is not in `{team}` any more"))?)
        }
    }
}

async fn at_server(session: &Session, remote: &Remote, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Add { name, title } => {
            let title = title.clone().unwrap_or_default();
            let body = serde_json::json!({ "name": name, "title": title });
            remote.client.order(&Call::post(&["teams"]).body(&body)).await?;
            Ok(session.output.told(&format!("added `{name}`"))?)
        }
        Action::List => {
            let mut teams: Vec<TeamShown> =
                remote.client.list(&Call::get(&["teams"]), ROWS_MAX).await?;
            for team in &mut teams {
                let call = Call::get(&["teams", &team.name, "members"]);
                team.members = remote.client.list(&call, ROWS_MAX).await?;
            }
            show(session, &teams)
        }
        Action::Member { team, login, role } => {
            let body = serde_json::json!({ "role": role.as_str() });
            let call = Call::put(&["teams", team, "members", login]).body(&body);
            remote.client.order(&call).await?;
            Ok(session.output.told(&format!("`{login}` is `{role}` in `{team}`"))?)
        }
        Action::Remove { team, login } => {
            remote.client.order(&Call::delete(&["teams", team, "members", login])).await?;
            Ok(session.output.told(&format!("`{login}` is not in `{team}` any more"))?)
        }
    }
}

async fn add(
    session: &Session,
    state: &State,
    name: &str,
    title: Option<&String>,
) -> anyhow::Result<()> {
    if !is_name(name) {
        let help = "a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`";
        return Err(Usage::new(format!("`{name}` cannot be the name of a team"), help).into());
    }
    if is_reserved_for_pages(name) {
        let message = format!("no team can be called `{name}`: it is a page of the server");
        return Err(Usage::new(message, "choose another name").into());
    }
    if title.is_some_and(|it| it.chars().count() > TITLE_CHARS_MAX) {
        let message = format!("a title has at most {TITLE_CHARS_MAX} characters");
        return Err(Usage::new(message, "choose a shorter one").into());
    }
    let now = session.now();
    let team = TeamRow {
        id: TeamId(crate::secrets::new_id(now)),
        name: name.to_owned(),
        title: title.cloned().unwrap_or_else(|| name.to_owned()),
        weight: 1,
        created_at: now,
    };
    state.store.insert_team(&team).await?;
    access::note(session, state, ("team.create", name)).await?;
    session.output.told(&format!("added `{name}`"))?;
    Ok(())
}

pub(in crate::cli::command) async fn find(state: &State, name: &str) -> anyhow::Result<TeamRow> {
    let known = state.store.list_teams().await?;
    let names: Vec<_> = known.iter().map(|it| format!("`{}`", it.name)).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let help = format!("there are {names}; `trunkline team add` makes one");
    let unknown = || Usage::new(format!("there is no team `{name}`"), help);
    Ok(known.into_iter().find(|it| it.name == name).ok_or_else(unknown)?)
}

async fn list(state: &State) -> anyhow::Result<Vec<TeamShown>> {
    let mut all = Vec::new();
    for team in state.store.list_teams().await? {
        let members = state.store.list_members(&team.id).await?.into_iter();
        let members =
            members.map(|it| MemberShown { login: it.login, role: it.role.to_string() }).collect();
        all.push(TeamShown { id: team.id.0, name: team.name, title: team.title, members });
    }
    Ok(all)
}

fn show(session: &Session, teams: &[TeamShown]) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(&teams)?);
    }
    for team in teams {
        session.output.line(&team.line())?;
    }
    Ok(())
}
