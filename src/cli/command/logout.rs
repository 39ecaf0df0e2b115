//! `trunkline logout`: ends the token of this machine, and forgets it.

use crate::cli::failure::{Exit, Usage};
use crate::cli::output;
use crate::cli::remote::servers::{Servers, StoredServer};
use crate::cli::remote::{Address, Call, Remote, RemoteError};
use crate::cli::session::Session;

/// Arguments of `trunkline logout`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline logout                       of the server of the last `trunkline login`
  trunkline logout https://ci.example.org
  trunkline logout --all")]
pub struct LogoutArgs {
    /// Address or host of the server [default: `--server`, or the one of the last sign-in]
    pub url: Option<String>,
    /// Sign out everywhere
    #[arg(long, conflicts_with = "url")]
    pub all: bool,
}

/// Signs out.
pub async fn execute(session: &Session, args: &LogoutArgs) -> anyhow::Result<Exit> {
    let mut servers = Servers::load(session)?;
    let left = if args.all {
        servers.all().map(|(address, stored)| (address.clone(), stored.clone())).collect()
    } else {
        vec![wanted(session, &servers, args)?]
    };
    for (address, stored) in left {
        let ended = end_token(session, &address, &stored).await;
        servers.remove(&address);
        servers.save()?;
        if !session.output.json {
            session.output.line(&format!("signed out of `{address}`"))?;
        }
        if let Err(error) = ended {
            let login = &stored.login;
            output::note(&format!(
                "the token of `{login}` is forgotten here, but was not ended at the server: {error}"
            ));
        }
    }
    if session.output.json {
        session.output.json(&serde_json::json!({ "signed_out": true }))?;
    }
    Ok(Exit::Passed)
}

fn wanted(
    session: &Session,
    servers: &Servers,
    args: &LogoutArgs,
) -> Result<(Address, StoredServer), Usage> {
    let nowhere = || {
        let help = "`trunkline login --status` shows where you are";
        Usage::new("you are not signed in there", help)
    };
    let named = args.url.as_deref().or(session.server.as_deref());
    let (address, stored) = if let Some(name) = named {
        servers.find(name)?
    } else {
        let (address, stored) = servers.current().ok_or_else(nowhere)?;
        (address.clone(), Some(stored.clone()))
    };
    Ok((address, stored.ok_or_else(nowhere)?))
}

/// Ends a token that `trunkline login` has made; one that was given is not ours to end.
async fn end_token(
    session: &Session,
    address: &Address,
    stored: &StoredServer,
) -> anyhow::Result<()> {
    let Some(id) = &stored.token_id else { return Ok(()) };
    let token = (Some(stored.token.clone()), crate::cli::remote::TokenOrigin::Stored);
    let client = Remote::client_with(session, (address, Some(stored)), token)?;
    match client.order(&Call::delete(&["tokens", id])).await {
        // It has ended already.
        Err(RemoteError::Unauthenticated { .. }) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}
