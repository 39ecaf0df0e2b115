//! `trunkline token`: the API tokens of a server's people, made on its machine.

use crate::auth::{NewToken, Scope};
use crate::cli::access::{self, auth};
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::model::Milliseconds;

const DAY_SECONDS: u64 = 24 * 3600;

/// Arguments of `trunkline token`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`.

Examples:
  trunkline token create ada --name laptop --scope developer
  trunkline token create ada --name setup --scope owner --days 1
  trunkline token list ada
  trunkline token revoke ada 01k2…")]
pub struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token, and show it this once
    Create(CreateArgs),
    /// List the tokens of a person
    List {
        /// Their login
        login: String,
    },
    /// End a token, at once
    Revoke {
        /// Login of its person
        login: String,
        /// Its id
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Login of its person
    login: String,
    /// What it is for
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it is good for: viewer, developer, approver or admin, each also with `:<team id>`; or owner
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// How many days it is good
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
}

fn scope(word: &str) -> Result<Scope, Usage> {
    let known =
        "must be viewer, developer, approver or admin, each also with `:<team id>`, or owner";
    Scope::parse(word).ok_or_else(|| Usage::new(known, ""))
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &TokenArgs) -> anyhow::Result<Exit> {
    let state = State::open_server(&session.settings).await?;
    match &args.action {
        Action::Create(args) => create(session, &state, args).await?,
        Action::List { login } => list(session, &state, login).await?,
        Action::Revoke { login, id } => {
            let person = access::find_person(&state, login).await?;
            if !state.store.revoke_token(&person.id, id, session.now()).await? {
                let help = format!("`trunkline token list {login}` shows what there is");
                return Err(Usage::new(format!("`{login}` has no token `{id}`"), help).into());
            }
            access::note(session, &state, ("token.revoke", id)).await?;
            session.output.line(&format!("`{id}` is good for nothing now"))?;
        }
    }
    Ok(Exit::Passed)
}

async fn create(session: &Session, state: &State, args: &CreateArgs) -> anyhow::Result<()> {
    let person = access::find_person(state, &args.login).await?;
    let now = session.now();
    let new = NewToken {
        id: crate::secrets::new_id(now),
        person: person.id,
        name: args.name.clone(),
        scopes: args.scopes.clone(),
        expires_at: now.plus(Milliseconds::from_seconds(u64::from(args.days) * DAY_SECONDS)),
    };
    let (id, expires_at) = (new.id.clone(), new.expires_at);
    let token = auth(session, state)?.create_token(new).await?.0;
    access::note(session, state, ("token.create", &format!("{} {id}", args.login))).await?;
    if session.output.json {
        let json = serde_json::json!({ "id": id, "token": token, "expires_at": expires_at.0 });
        session.output.json(&json)?;
    } else {
        session.output.line(&token)?;
    }
    Ok(())
}

async fn list(session: &Session, state: &State, login: &str) -> anyhow::Result<()> {
    let person = access::find_person(state, login).await?;
    let tokens = state.store.list_tokens(&person.id).await?;
    if session.output.json {
        let json = tokens.iter().map(|it| {
            serde_json::json!({
                "id": it.id, "name": it.name, "scopes": it.scopes, "created_at": it.created_at.0,
                "expires_at": it.expires_at.0, "used_at": it.used_at.map(|it| it.0),
                "revoked_at": it.revoked_at.map(|it| it.0),
            })
        });
        session.output.json(&json.collect::<Vec<_>>())?;
        return Ok(());
    }
    for token in tokens {
        let end = match token.revoked_at {
            Some(at) => format!("revoked {}", session.output.date_time(at)),
            None => format!("until {}", session.output.date_time(token.expires_at)),
        };
        let scopes = token.scopes.join(" ");
        session.output.line(&format!("{}  {end}  {scopes}  {}", token.id, token.name))?;
    }
    Ok(())
}
