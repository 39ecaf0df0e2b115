//! `trunkline person`: the people of a server, changed on its machine; so nobody is locked out for good.

use crate::auth::{NewPerson, PersonChange};
use crate::cli::access::{self, auth};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::store::access::people::PersonRow;

/// Arguments of `trunkline person`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`.

Examples:
  trunkline person add ada --owner            asks for a password
  trunkline person add grace < password.txt   reads it from standard input
  trunkline person password ada               a new one; ends all sessions of ada
  trunkline person disable grace")]
pub struct PersonArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a person
    Add(AddArgs),
    /// List people
    List,
    /// Shut a person out: ends their sessions, and their tokens are good for nothing
    Disable(Named),
    /// Let a person in again
    Enable(Named),
    /// Set a new password, and end all sessions
    Password(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Their login
    login: String,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Their login: 1 to 63 of `a-z`, `0-9`, `-` and `_`
    login: String,
    /// Name for people
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    /// Mail address
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    email: String,
    /// Makes them an owner of the whole installation
    #[arg(long)]
    owner: bool,
    /// Without a password they can only use tokens, or sign in at a provider
    #[arg(long)]
    no_password: bool,
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &PersonArgs) -> anyhow::Result<Exit> {
    let state = State::open_server(&session.settings).await?;
    match &args.action {
        Action::Add(args) => add(session, &state, args).await?,
        Action::List => list(session, &state).await?,
        Action::Disable(named) => {
            let change = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
            change_person(session, &state, (&named.login, change), "is shut out").await?;
            access::note(session, &state, ("person.disable", &named.login)).await?;
        }
        Action::Enable(named) => {
            let change = PersonChange { is_disabled: Some(false), ..PersonChange::default() };
            change_person(session, &state, (&named.login, change), "may sign in again").await?;
            access::note(session, &state, ("person.enable", &named.login)).await?;
        }
        Action::Password(named) => {
            let password = Some(access::read_password()?);
            let change = PersonChange { password, ..PersonChange::default() };
            change_person(session, &state, (&named.login, change), "has a new password").await?;
            access::note(session, &state, ("password.change", &named.login)).await?;
        }
    }
    Ok(Exit::Passed)
}

async fn add(session: &Session, state: &State, args: &AddArgs) -> anyhow::Result<()> {
    let password = if args.no_password { None } else { Some(access::read_password()?) };
    let new = NewPerson {
        login: args.login.clone(),
        name: args.name.clone(),
        email: args.email.clone(),
        password,
        is_owner: args.owner,
    };
    let person = auth(session, state)?.create_person(new).await?;
    access::note(session, state, ("person.create", &person.login)).await?;
    session.output.line(&format!("added `{}`", person.login))?;
    Ok(())
}

async fn change_person(
    session: &Session,
    state: &State,
    (login, change): (&str, PersonChange),
    done: &str,
) -> anyhow::Result<()> {
    let person = auth(session, state)?.change_person(login, change).await?;
    session.output.line(&format!("`{}` {done}", person.login))?;
    Ok(())
}

async fn list(session: &Session, state: &State) -> anyhow::Result<()> {
    let people = state.store.list_people().await?;
    if session.output.json {
        let json = people.iter().map(|it| {
            serde_json::json!({
                "login": it.login, "name": it.name, "email": it.email,
                "is_owner": it.is_owner, "is_disabled": it.disabled_at.is_some(),
            })
        });
        session.output.json(&json.collect::<Vec<_>>())?;
        return Ok(());
    }
    for person in people {
        session.output.line(&line(&person))?;
    }
    Ok(())
}

fn line(person: &PersonRow) -> String {
    let owner = if person.is_owner { "owner" } else { "" };
    let disabled = if person.disabled_at.is_some() { "disabled" } else { "" };
    let words = [person.name.as_str(), person.email.as_str(), owner, disabled];
    let words: Vec<_> = words.into_iter().filter(|it| !it.is_empty()).collect();
    format!("{:20}  {}", person.login, words.join(", "))
}
