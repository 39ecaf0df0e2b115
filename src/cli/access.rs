//! What the commands share that change people, teams and tokens on the server's machine.

use std::io::{BufRead as _, IsTerminal as _};

use super::failure::Usage;
use super::keys;
use super::session::Session;
use super::state::State;
use crate::auth::Auth;
use crate::model::{ProjectId, TeamId};
use crate::outgoing::Outgoing;
use crate::store::access::people::PersonRow;
use crate::store::audit::AuditRow;

/// Sign-in of this installation.
pub fn auth(session: &Session, state: &State) -> anyhow::Result<Auth> {
    let clock = std::sync::Arc::clone(&session.clock);
    let auth = Auth::new(state.store.clone(), clock, keys::sealer(session, state)?);
    let outgoing = Outgoing::new(session.settings.forges.private_hosts.clone())?;
    Ok(auth.with_settings(session.settings.sign_in.clone()).with_outgoing(outgoing))
}

/// Writes down what somebody at this machine did: an action and what it was done to.
pub async fn note(
    session: &Session,
    state: &State,
    (action, subject): (&str, &str),
) -> anyhow::Result<()> {
    let now = session.now();
    let row = AuditRow {
        id: crate::secrets::new_id(now),
        at: now,
        actor: format!("machine:{}", session.settings.user),
        address: String::new(),
        action: action.to_owned(),
        team: TeamId(String::new()),
        project: ProjectId(String::new()),
        subject: subject.to_owned(),
        detail: "{}".to_owned(),
    };
    Ok(state.store.insert_audit_events(&[row]).await?)
}

/// The person of this login.
pub async fn find_person(state: &State, login: &str) -> anyhow::Result<PersonRow> {
    let unknown = || {
        Usage::new(
            format!("there is no person `{login}`"),
            "`trunkline person list` shows who is there",
        )
    };
    Ok(state.store.find_person(&login.to_lowercase()).await?.ok_or_else(unknown)?)
}

/// A password: asked for twice on a terminal, else the first line of standard input.
pub fn read_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let terminal = console::Term::stderr();
    let ask = |prompt: &str| -> std::io::Result<String> {
        terminal.write_str(prompt)?;
        terminal.read_secure_line()
    };
    let password = ask("Password: ")?;
    if ask("Again: ")? != password {
        return Err(Usage::new("the passwords differ", "").into());
    }
    Ok(password)
}
