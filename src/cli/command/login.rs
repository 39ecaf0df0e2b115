//! `trunkline login`: a token of a server, made for this machine and kept on it.

use std::io::IsTerminal as _;

use crate::auth::Scope;
use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::output;
use crate::cli::remote::accounts::{self, TokenOrder};
use crate::cli::remote::servers::{Servers, StoredServer};
use crate::cli::remote::{Address, Remote, RemoteError};
use crate::cli::session::Session;
use crate::config::ApiToken;

/// Arguments of `trunkline login`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The password is asked for, or is the first line of standard input. What is kept is not the password but a token
that only this machine has; nobody else may read the file it is in.

Examples:
  trunkline login https://ci.example.org             as the user of this machine
  trunkline login https://ci.example.org --login ada
  trunkline login https://ci.example.org --token < token.txt
  trunkline login --status                           where you are signed in")]
pub struct LoginArgs {
    /// Address of the server [default: `--server`, or the one of the last time]
    pub url: Option<String>,
    /// Who you are there [default: the user of this machine]
    #[arg(long, value_name = "LOGIN")]
    pub login: Option<String>,
    /// Give a token instead of a password; asked for, or the first line of standard input
    #[arg(long, conflicts_with_all = ["login", "scopes"])]
    pub token: bool,
    /// What the token is to be good for at most: viewer, developer, approver, admin (each also with
    /// `:<team id>`) or owner [default: admin, which is whatever you may do in your teams]
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// How many days the token is good
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// Only say where you are signed in
    #[arg(long, conflicts_with_all = ["login", "token", "scopes"])]
    pub status: bool,
}

fn scope(word: &str) -> Result<Scope, Usage> {
    let known =
        "must be viewer, developer, approver or admin, each also with `:<team id>`, or owner";
    Scope::parse(word).ok_or_else(|| Usage::new(known, ""))
}

/// Signs in.
pub async fn execute(session: &Session, args: &LoginArgs) -> anyhow::Result<Exit> {
    let mut servers = Servers::load(session)?;
    if args.status {
        return status(session, &servers);
    }
    let (address, before) = wanted(session, &servers, args)?;
    if address.is_open_to_listeners() {
        output::note(&format!("`{address}` is not encrypted: who listens on the way reads along"));
    }
    let made = if args.token {
        with_token(session, (&address, before.as_ref())).await?
    } else {
        with_password(session, (&address, before.as_ref()), args).await?
    };
    let login = made.login.clone();
    servers.insert(address.clone(), made);
    servers.save()?;
    if let Some(before) = before {
        revoke(session, &address, &before).await;
    }
    if session.output.json {
        session.output.json(&serde_json::json!({ "server": address, "login": login }))?;
    } else {
        session.output.line(&format!("signed in to `{address}` as `{login}`"))?;
    }
    if session.settings.client.token.is_some() {
        output::note("`TRUNKLINE_TOKEN` is set, and is used before the token that was stored");
    }
    Ok(Exit::Passed)
}

fn wanted(
    session: &Session,
    servers: &Servers,
    args: &LoginArgs,
) -> Result<(Address, Option<StoredServer>), Usage> {
    let named = args.url.as_deref().or(session.server.as_deref());
    match (named, servers.current()) {
        (Some(name), _) => servers.find(name),
        (None, Some((address, stored))) => Ok((address.clone(), Some(stored.clone()))),
        (None, None) => Err(Usage::new(
            "no server is named",
            "give its address, as in `trunkline login https://ci.example.org`",
        )),
    }
}

/// A server, and what is known of it from an earlier time.
type Known<'a> = (&'a Address, Option<&'a StoredServer>);

fn ca(session: &Session, (_, before): Known<'_>) -> Option<std::path::PathBuf> {
    session.ca.clone().or_else(|| before.and_then(|it| it.ca.clone()))
}

async fn with_token(session: &Session, known: Known<'_>) -> anyhow::Result<StoredServer> {
    let token = ApiToken(access::read_hidden("Token")?.trim().to_owned());
    let me = Remote::with_token(session, known, token.clone())?.me().await?;
    let ca = ca(session, known);
    Ok(StoredServer { login: me.login, token, token_id: None, expires_at: None, ca })
}

async fn with_password(
    session: &Session,
    known: Known<'_>,
    args: &LoginArgs,
) -> anyhow::Result<StoredServer> {
    let login = args.login.clone().unwrap_or_else(|| session.settings.user.clone());
    let client = Remote::as_nobody(session, known)?;
    if std::io::stdin().is_terminal() {
        output::note(&format!("Signing in to `{}` as `{login}`", known.0));
    }
    let password = access::read_hidden("Password")?;
    let scopes = match args.scopes.as_slice() {
        [] => vec!["admin".to_owned()],
        scopes => scopes.iter().map(Scope::to_word).collect(),
    };
    let name = format!("trunkline on {}", accounts::machine());
    let order = TokenOrder { name, scopes, days: args.days };
    let made = client.make_token((&login, &password), &order).await.map_err(|error| {
        let RemoteError::Refused { server, status: 401, title, .. } = error else { return error };
        let help = format!(
            "`--login` says who you are; whoever has no password signs in with a token: `trunkline \
             login {server} --token`"
        );
        RemoteError::Refused { server, status: 401, title, help }
    })?;
    Ok(StoredServer {
        login,
        token: made.token,
        token_id: Some(made.id),
        expires_at: Some(made.expires_at),
        ca: ca(session, known),
    })
}

/// A token that was replaced is not left behind; one that we have not made is not ours to end.
async fn revoke(session: &Session, address: &Address, before: &StoredServer) {
    let Some(id) = &before.token_id else { return };
    let Ok(client) = Remote::with_token(session, (address, Some(before)), before.token.clone())
    else {
        return;
    };
    let _is_ended = client.order(&crate::cli::remote::Call::delete(&["tokens", id])).await;
}

fn status(session: &Session, servers: &Servers) -> anyhow::Result<Exit> {
    let current = servers.current().map(|(address, _)| address.clone());
    if session.output.json {
        let all = servers.all().map(|(address, stored)| {
            serde_json::json!({
                "server": address, "login": stored.login, "expires_at": stored.expires_at,
                "is_current": current.as_ref() == Some(address), "ca": stored.ca,
            })
        });
        session.output.json(&all.collect::<Vec<_>>())?;
        return Ok(Exit::Passed);
    }
    let now = session.now();
    for (address, stored) in servers.all() {
        let mark = if current.as_ref() == Some(address) { "*" } else { " " };
        let until = match stored.expires_at {
            Some(at) if at <= now => format!(", ended {}", session.output.date_time(at)),
            Some(at) => format!(", until {}", session.output.date_time(at)),
            None => String::new(),
        };
        session.output.line(&format!("{mark} {address}  {}{until}", stored.login))?;
    }
    if servers.all().next().is_none() {
        session.output.line("not signed in anywhere; `trunkline login URL` signs in")?;
    }
    Ok(Exit::Passed)
}
