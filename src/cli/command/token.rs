//! `trunkline token`: the API tokens of a server's people, made on its machine; from elsewhere, one's own.

use crate::auth::{NewToken, Scope};
use crate::cli::access::{self, auth};
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::accounts::{MadeToken, TokenOrder};
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::people::TokenShown;
use crate::config::ApiToken;
use crate::model::Milliseconds;

const DAY_SECONDS: u64 = 24 * 3600;

/// Arguments of `trunkline token`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`. With `--server` or
`TRUNKLINE_SERVER` it asks that server, about your own tokens; the login may be left out then.

Examples:
  trunkline token create ada --name laptop --scope developer
  trunkline token create ada --name setup --scope owner --days 1
  trunkline token list ada
  trunkline token revoke ada 01k2…
  trunkline token create --name deploy-bot --scope developer --server ci.example.org")]
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
        login: Option<String>,
    },
    /// End a token, at once
    Revoke {
        /// Login of its person (of a server: leave it out), and its id
        #[arg(required = true, num_args = 1..=2, value_names = ["LOGIN", "ID"])]
        which: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Login of its person
    login: Option<String>,
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
    let state = match Remote::chosen(session)? {
        Some(remote) => {
            at_server(session, &remote, &args.action).await?;
            return Ok(Exit::Passed);
        }
        None => access::open(session).await?,
    };
    match &args.action {
        Action::Create(args) => {
            let login = given(args.login.as_ref())?;
            let made = create(session, &state, (login, args)).await?;
            show_made(session, &made)?;
        }
        Action::List { login } => {
            let person = access::find_person(&state, given(login.as_ref())?).await?;
            let tokens = state.store.list_tokens(&person.id).await?;
            let shown = tokens.into_iter().map(|it| TokenShown {
                id: it.id,
                name: it.name,
                scopes: it.scopes,
                created_at: it.created_at,
                expires_at: it.expires_at,
                used_at: it.used_at,
                revoked_at: it.revoked_at,
            });
            show(session, &shown.collect::<Vec<_>>())?;
        }
        Action::Revoke { which } => revoke(session, &state, which).await?,
    }
    Ok(Exit::Passed)
}

/// On the server's machine anybody's tokens can be meant.
fn given(login: Option<&String>) -> Result<&str, Usage> {
    let missing = || Usage::new("no login is given", "name the person whose token it is");
    login.map(String::as_str).ok_or_else(missing)
}

async fn revoke(session: &Session, state: &State, which: &[String]) -> anyhow::Result<()> {
    let [login, id] = which else {
        let help = "name the person and the token: `trunkline token revoke ada 01k2…`";
        return Err(Usage::new("no login is given", help).into());
    };
    let person = access::find_person(state, login).await?;
    if !state.store.revoke_token(&person.id, id, session.now()).await? {
        let help = format!("`trunkline token list {login}` shows what there is");
        return Err(Usage::new(format!("`{login}` has no token `{id}`"), help).into());
    }
    access::note(session, state, ("token.revoke", id)).await?;
    Ok(session.output.told(&format!("`{id}` is good for nothing now"))?)
}

async fn at_server(session: &Session, remote: &Remote, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Create(args) => {
            check_own(remote, args.login.as_ref()).await?;
            let scopes = args.scopes.iter().map(Scope::to_word).collect();
            let order = TokenOrder { name: args.name.clone(), scopes, days: args.days };
            let made = remote.client.fetch(&Call::post(&["tokens"]).body(&order)).await?;
            show_made(session, &made)
        }
        Action::List { login } => {
            check_own(remote, login.as_ref()).await?;
            let tokens: Vec<TokenShown> =
                remote.client.list(&Call::get(&["tokens"]), ROWS_MAX).await?;
            show(session, &tokens)
        }
        Action::Revoke { which } => {
            let login = which.first().filter(|_| which.len() > 1);
            check_own(remote, login).await?;
            let id = which.last().map(String::as_str).unwrap_or_default();
            remote.client.order(&Call::delete(&["tokens", id])).await?;
            Ok(session.output.told(&format!("`{id}` is good for nothing now"))?)
        }
    }
}

/// A server lets people see and change only their own tokens.
async fn check_own(remote: &Remote, login: Option<&String>) -> anyhow::Result<()> {
    let Some(login) = login else { return Ok(()) };
    let me = remote.client.me().await?.login;
    if *login == me {
        return Ok(());
    }
    let help = "leave the login out, or use `trunkline token` on the server's machine";
    Err(Usage::new(format!("`{login}` is somebody else: you are `{me}` there"), help).into())
}

async fn create(
    session: &Session,
    state: &State,
    (login, args): (&str, &CreateArgs),
) -> anyhow::Result<MadeToken> {
    let person = access::find_person(state, login).await?;
    let now = session.now();
    let new = NewToken {
        id: crate::secrets::new_id(now),
        person: person.id,
        name: args.name.clone(),
        scopes: args.scopes.clone(),
        expires_at: now.plus(Milliseconds::from_seconds(u64::from(args.days) * DAY_SECONDS)),
    };
    let (id, expires_at) = (new.id.clone(), new.expires_at);
    let token = ApiToken(auth(session, state)?.create_token(new).await?.0);
    let scopes: Vec<_> = args.scopes.iter().map(Scope::to_word).collect();
    let (act, detail) = (format!("{login} {id}"), serde_json::json!({ "scopes": scopes }));
    access::note_more(session, state, ("token.create", &act), &detail).await?;
    Ok(MadeToken { id, token, expires_at })
}

fn show_made(session: &Session, made: &MadeToken) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(made)?);
    }
    Ok(session.output.line(&made.token.0)?)
}

fn show(session: &Session, tokens: &[TokenShown]) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(&tokens)?);
    }
    for token in tokens {
        session.output.line(&token.line(&session.output))?;
    }
    Ok(())
}
