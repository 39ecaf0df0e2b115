//! `trunkline team`: the teams of a server, changed on its machine.

use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::model::access::is_name;
use crate::model::{Role, TeamId};
use crate::store::access::teams::TeamRow;

/// Arguments of `trunkline team`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`.

Examples:
  trunkline team add search --title 'Search and ranking'
  trunkline team member search ada admin
  trunkline team list")]
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
}

fn role(word: &str) -> Result<Role, Usage> {
    let unknown = || Usage::new("must be one of viewer, developer, approver, admin", "");
    Role::parse(word).ok_or_else(unknown)
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &TeamArgs) -> anyhow::Result<Exit> {
    let state = State::open_server(&session.settings).await?;
    match &args.action {
        Action::Add { name, title } => add(session, &state, name, title.as_ref()).await?,
        Action::List => list(session, &state).await?,
        Action::Member { team, login, role } => {
            let found = find(&state, team).await?;
            let person = access::find_person(&state, login).await?;
            state.store.save_member(&found.id, &person.id, *role, session.now()).await?;
            let subject = format!("{team}/{login} {role}");
            access::note(session, &state, ("member.save", &subject)).await?;
            session.output.line(&format!("`{login}` is `{role}` in `{team}`"))?;
        }
    }
    Ok(Exit::Passed)
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
    session.output.line(&format!("added `{name}`"))?;
    Ok(())
}

async fn find(state: &State, name: &str) -> anyhow::Result<TeamRow> {
    let known = state.store.list_teams().await?;
    let names: Vec<_> = known.iter().map(|it| format!("`{}`", it.name)).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let help = format!("there are {names}; `trunkline team add` makes one");
    let unknown = || Usage::new(format!("there is no team `{name}`"), help);
    Ok(known.into_iter().find(|it| it.name == name).ok_or_else(unknown)?)
}

async fn list(session: &Session, state: &State) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for team in state.store.list_teams().await? {
        let members = state.store.list_members(&team.id).await?;
        let members: Vec<_> = members.into_iter().map(|it| (it.login, it.role)).collect();
        all.push((team, members));
    }
    if session.output.json {
        let json = all.iter().map(|(team, members)| {
            let members = members.iter().map(|(login, role)| {
                serde_json::json!({ "login": login, "role": role.as_str() })
            });
            let members: Vec<_> = members.collect();
            serde_json::json!({ "id": team.id, "name": team.name, "title": team.title, "members": members })
        });
        session.output.json(&json.collect::<Vec<_>>())?;
        return Ok(());
    }
    for (team, members) in all {
        let members: Vec<_> =
            members.iter().map(|(login, role)| format!("{login} ({role})")).collect();
        session.output.line(&format!("{:20}  {}  {}", team.name, team.id, members.join(", ")))?;
    }
    Ok(())
}
