//! `trunkline key`: the keys of the server on this machine.

use crate::cli::failure::{Exit, Usage};
use crate::cli::keys;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::secrets::rotation::KeyStatus;

/// Arguments of `trunkline key`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline key status
  trunkline key status --server ci.example.org
  trunkline key rotate    while the server runs; an interrupted rotation is gone on with")]
pub struct KeyArgs {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with keys.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum Action {
    /// Make new keys, and seal everything anew with them
    Rotate,
    /// Show which keys there are, and what is sealed with them
    Status,
}

/// Rotates or shows.
pub async fn execute(session: &Session, args: &KeyArgs) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::chosen(session)? {
        return at_server(session, &remote, args.action).await;
    }
    let state = State::open_present(&session.settings, Needed::Folder).await?;
    let sealer = keys::sealer(session, &state)?;
    match args.action {
        Action::Rotate => {
            let user = &session.settings.user;
            let owner = format!("process {} of {user}", std::process::id());
            let rotated = sealer.rotate(&owner, &format!("person:{user}")).await?;
            if session.output.json {
                session.output.json(&rotated)?;
            } else {
                session.output.line(&format!("wrapping key: {}", rotated.wrapped_by))?;
                session.output.line(&format!("data key: {}", rotated.data_key))?;
                session.output.line(&format!("sealed anew: {}", rotated.resealed))?;
            }
            let is_whole = rotated.unreadable == 0;
            if !is_whole {
                session
                    .output
                    .line(&format!("unreadable, left as they are: {}", rotated.unreadable))?;
            }
            Ok(if is_whole { Exit::Passed } else { Exit::Broken })
        }
        Action::Status => {
            show(session, &sealer.status().await?)?;
            Ok(Exit::Passed)
        }
    }
}

async fn at_server(session: &Session, remote: &Remote, action: Action) -> anyhow::Result<Exit> {
    if let Action::Rotate = action {
        let help = "`trunkline key rotate` on the server's machine does it, while the server runs";
        return Err(
            Usage::new("keys are rotated where they are, and not from elsewhere", help).into()
        );
    }
    show(session, &remote.client.fetch(&Call::get(&["keys"])).await?)?;
    Ok(Exit::Passed)
}

fn show(session: &Session, status: &KeyStatus) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(status)?);
    }
    let rotated = match (status.is_under_way, status.rotated_at) {
        (true, _) => "under way".to_owned(),
        (false, Some(at)) => session.output.date_time(at),
        (false, None) => "never".to_owned(),
    };
    session.output.line(&format!("new data keys are wrapped by: {}", status.provider))?;
    session.output.line(&format!("last rotation: {rotated}"))?;
    for key in &status.data_keys {
        let use_of = if key.retired_at.is_some() { "retired" } else { "current" };
        let (id, by, texts) = (&key.id, &key.wrapped_by, key.texts);
        session.output.line(&format!("{id}  {use_of}  {texts} texts  wrapped by {by}"))?;
    }
    Ok(())
}
