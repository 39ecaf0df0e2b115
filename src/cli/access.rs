//! What the commands share that change people, teams and tokens on the server's machine.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use super::failure::Usage;
use super::session::Session;
use super::state::{State, absent_database};
use super::{keys, output};
use crate::auth::Auth;
use crate::cli::remote::Remote;
use crate::model::{ProjectId, TeamId};
use crate::outgoing::Outgoing;
use crate::store::DatabaseKind;
use crate::store::access::people::PersonRow;
use crate::store::audit::AuditRow;

/// The longest value that is read.
const VALUE_BYTES_MAX: u64 = 1 << 20;

/// Opens the database of a server. One may be made before the server first starts, and that is said.
pub async fn open(session: &Session) -> anyhow::Result<State> {
    let absent = absent_database(&session.settings);
    let state = State::open_server(&session.settings).await?;
    if let Some(made) = absent {
        output::note(&format!("note: the database `{}` is new", made.display()));
    }
    let database = match state.store.database_kind() {
        DatabaseKind::Postgres => "DATABASE_URL".to_owned(),
        DatabaseKind::Sqlite => state.folder.display().to_string(),
    };
    Remote::note_here(session, &database);
    Ok(state)
}

/// Sign-in of this installation.
pub fn auth(session: &Session, state: &State) -> anyhow::Result<Auth> {
    let clock = std::sync::Arc::clone(&session.clock);
    let auth = Auth::new(state.store.clone(), clock, keys::sealer(session, state)?);
    let outgoing = Outgoing::new(session.settings.forges.private_hosts.clone())?;
    Ok(auth.with_settings(session.settings.sign_in.clone()).with_outgoing(outgoing))
}

/// Writes down what somebody at this machine did: an action and what it was done to.
pub async fn note(session: &Session, state: &State, act: (&str, &str)) -> anyhow::Result<()> {
    note_more(session, state, act, &serde_json::json!({})).await
}

/// The same, with more of it.
pub async fn note_more(
    session: &Session,
    state: &State,
    (action, subject): (&str, &str),
    detail: &serde_json::Value,
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
        detail: detail.to_string(),
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

/// Something that is not to be seen: asked for on a terminal, else the first line of standard input.
pub fn read_hidden(what: &str) -> anyhow::Result<String> {
    let text = if std::io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str(&format!("{what}: "))?;
        terminal.read_secure_line()?
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if text.is_empty() {
        let help = "type it, or send it to standard input";
        return Err(Usage::new(format!("no {} was given", what.to_lowercase()), help).into());
    }
    Ok(text)
}

/// A value that may have several lines: asked for on a terminal, else all of standard input without the line
/// feed at its end.
pub fn read_value(what: &str) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        return read_hidden(what);
    }
    let mut text = String::new();
    std::io::stdin().lock().take(VALUE_BYTES_MAX).read_to_string(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
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
