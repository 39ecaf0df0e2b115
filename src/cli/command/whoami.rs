//! `trunkline whoami`: who a server takes you for, and what you may do there.

use crate::cli::failure::Exit;
use crate::cli::remote::Remote;
use crate::cli::session::Session;

/// Arguments of `trunkline whoami`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  trunkline whoami --server ci.example.org")]
pub struct WhoamiArgs {}

/// Asks the server.
pub async fn execute(session: &Session, _args: &WhoamiArgs) -> anyhow::Result<Exit> {
    let remote = Remote::required(session)?;
    let me = remote.client.me().await?;
    let server = remote.client.address();
    if session.output.json {
        let mut shown = serde_json::to_value(&me)?;
        if let Some(object) = shown.as_object_mut() {
            object.insert("server".to_owned(), serde_json::json!(server));
        }
        session.output.json(&shown)?;
        return Ok(Exit::Passed);
    }
    let owner = if me.is_owner { ", an owner" } else { "" };
    session.output.line(&format!("`{}` at `{server}`{owner}", me.login))?;
    session.output.line(&format!("the token is good for: {}", me.scopes.join(" ")))?;
    for it in &me.teams {
        session.output.line(&format!("team {}: {}", it.team, it.role))?;
    }
    Ok(Exit::Passed)
}
