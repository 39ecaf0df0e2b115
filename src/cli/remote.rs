//! A server that commands are for: which one, how it is reached, and what it answers. Everything goes through
//! its API; nothing here looks at a database.

mod address;
mod call;
pub mod connect;
mod error;
mod sse;
pub mod accounts;
pub mod client;
pub mod follow;
pub mod logs;
pub mod runs;
pub mod servers;
pub mod watch;

use crate::config::ApiToken;

use super::failure::Usage;
use super::output::note;
use super::session::Session;

pub use address::Address;
pub use call::Call;
pub use client::Client;
pub use error::{RemoteError, TokenOrigin};
use servers::{Servers, StoredServer};

/// A server, and who speaks to it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Speaks to it.
    pub client: Client,
    /// How commands for a person have to name it; empty when they need not.
    pub hint: String,
}

impl Remote {
    /// The server that was chosen with `--server` or `TRUNKLINE_SERVER`; `None` means this machine.
    pub fn chosen(session: &Session) -> anyhow::Result<Option<Self>> {
        match session.server.as_deref() {
            Some(name) => Self::open(session, name).map(Some),
            None => Ok(None),
        }
    }

    /// The server that was chosen, else the one of the last `trunkline login`: for what only servers have.
    pub fn required(session: &Session) -> anyhow::Result<Self> {
        if let Some(remote) = Self::chosen(session)? {
            return Ok(remote);
        }
        let servers = Servers::load(session)?;
        let current = servers.current().map(|(address, _)| address.as_str().to_owned());
        let missing = || {
            Usage::new(
                "no server is chosen",
                "`trunkline login https://ci.example.org` signs in to one; `--server` or \
                 `TRUNKLINE_SERVER` names one",
            )
        };
        let current = current.ok_or_else(missing)?;
        note(&format!("at `{current}`, where you signed in last; `--server` names another"));
        Self::open(session, &current)
    }

    /// Says that a command works on this machine, to somebody who is signed in elsewhere.
    pub fn note_here(session: &Session, database: &str) {
        // Whoever has no settings is signed in nowhere.
        let Ok(servers) = Servers::load(session) else { return };
        if let Some((address, _)) = servers.current() {
            let place = address.short();
            note(&format!("on `{database}` of this machine; `--server {place}` asks that server"));
        }
    }

    fn open(session: &Session, name: &str) -> anyhow::Result<Self> {
        let servers = Servers::load(session)?;
        let (address, stored) = servers.find(name)?;
        let client = Self::client(session, &address, stored.as_ref())?;
        let is_ambient = session.settings.client.server.as_deref() == Some(name);
        let hint = if is_ambient { String::new() } else { address.short().to_owned() };
        Ok(Self { client, hint })
    }

    /// Speaks to a server with the token of the environment, else the stored one.
    fn client(
        session: &Session,
        address: &Address,
        stored: Option<&StoredServer>,
    ) -> anyhow::Result<Client> {
        let given = session.settings.client.token.clone();
        let (token, origin) = match (given, stored) {
            (Some(token), _) => (Some(token), TokenOrigin::Environment),
            (None, Some(stored)) => (Some(stored.token.clone()), TokenOrigin::Stored),
            (None, None) => (None, TokenOrigin::Missing),
        };
        Self::client_with(session, (address, stored), (token, origin))
    }

    /// Speaks to a server with this token, or as nobody.
    pub fn client_with(
        session: &Session,
        (address, stored): (&Address, Option<&StoredServer>),
        (token, origin): (Option<ApiToken>, TokenOrigin),
    ) -> anyhow::Result<Client> {
        let ca = session.ca.clone().or_else(|| stored.and_then(|it| it.ca.clone()));
        let http = connect::client(&session.settings.client.proxies, ca.as_deref())?;
        Ok(Client::new(http, address.clone(), (token, origin)))
    }
}
