//! `trunkline person`: the people of a server, changed on its machine, so that nobody is locked out for good; or
//! from elsewhere by its owners.

use crate::auth::{NewPerson, PersonChange};
use crate::cli::access::{self, auth};
use crate::cli::failure::Exit;
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::people::PersonShown;
use crate::store::access::people::PersonRow;

/// Arguments of `trunkline person`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`. With `--server` or
`TRUNKLINE_SERVER` it asks that server, for which you have to own it.

Examples:
  trunkline person add ada --owner            asks for a password
  trunkline person add grace < password.txt   reads it from standard input
  trunkline person password ada               a new one; ends all sessions of ada
  trunkline person disable grace
  trunkline person list --server ci.example.org")]
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

/// Where the people are.
enum Place {
    Here(Box<State>),
    Server(Remote),
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &PersonArgs) -> anyhow::Result<Exit> {
    let place = match Remote::chosen(session)? {
        Some(remote) => Place::Server(remote),
        None => Place::Here(Box::new(access::open(session).await?)),
    };
    let (named, change, (action, done)) = match &args.action {
        Action::Add(args) => return add(session, &place, args).await,
        Action::List => return list(session, &place).await,
        Action::Disable(named) => {
            let is_disabled = Some(true);
            (
                named,
                PersonChange { is_disabled, ..PersonChange::default() },
                ("person.disable", "is shut out"),
            )
        }
        Action::Enable(named) => {
            let is_disabled = Some(false);
            let change = PersonChange { is_disabled, ..PersonChange::default() };
            (named, change, ("person.enable", "may sign in again"))
        }
        Action::Password(named) => {
            let password = Some(access::read_password()?);
            let change = PersonChange { password, ..PersonChange::default() };
            (named, change, ("password.change", "has a new password"))
        }
    };
    let login = change_person(session, &place, (&named.login, change)).await?;
    if let Place::Here(state) = &place {
        access::note(session, state, (action, &named.login)).await?;
    }
    session.output.told(&format!("`{login}` {done}"))?;
    Ok(Exit::Passed)
}

async fn add(session: &Session, place: &Place, args: &AddArgs) -> anyhow::Result<Exit> {
    let password = if args.no_password { None } else { Some(access::read_password()?) };
    let new = NewPerson {
        login: args.login.clone(),
        name: args.name.clone(),
        email: args.email.clone(),
        password,
        is_owner: args.owner,
    };
    let login = match place {
        Place::Here(state) => {
            let person = auth(session, state)?.create_person(new).await?;
            access::note(session, state, ("person.create", &person.login)).await?;
            person.login
        }
        Place::Server(remote) => {
            let body = serde_json::json!({
                "login": new.login, "name": new.name, "email": new.email,
                "password": new.password, "is_owner": new.is_owner,
            });
            let call = Call::post(&["people"]).body(&body);
            remote.client.fetch::<PersonShown>(&call).await?.login
        }
    };
    session.output.told(&format!("added `{login}`"))?;
    Ok(Exit::Passed)
}

/// Changes a person; gives their login.
async fn change_person(
    session: &Session,
    place: &Place,
    (login, change): (&str, PersonChange),
) -> anyhow::Result<String> {
    match place {
        Place::Here(state) => Ok(auth(session, state)?.change_person(login, change).await?.login),
        Place::Server(remote) => {
            let mut body = serde_json::Map::new();
            body.extend(change.is_disabled.map(|it| ("is_disabled".to_owned(), it.into())));
            body.extend(change.password.map(|it| ("password".to_owned(), it.into())));
            let call = Call::new(reqwest::Method::PATCH, &["people", login]).body(&body);
            Ok(remote.client.fetch::<PersonShown>(&call).await?.login)
        }
    }
}

async fn list(session: &Session, place: &Place) -> anyhow::Result<Exit> {
    let people: Vec<PersonShown> = match place {
        Place::Here(state) => state.store.list_people().await?.into_iter().map(shown).collect(),
        Place::Server(remote) => remote.client.list(&Call::get(&["people"]), ROWS_MAX).await?,
    };
    if session.output.json {
        session.output.json(&people)?;
        return Ok(Exit::Passed);
    }
    for person in people {
        session.output.line(&person.line())?;
    }
    Ok(Exit::Passed)
}

fn shown(person: PersonRow) -> PersonShown {
    PersonShown {
        login: person.login,
        name: person.name,
        email: person.email,
        is_owner: person.is_owner,
        is_disabled: person.disabled_at.is_some(),
    }
}
