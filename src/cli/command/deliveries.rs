//! `trunkline deliveries`: what came in for a project of a server.

use serde::{Deserialize, Serialize};

use super::project::Slug;
use crate::cli::failure::Exit;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::model::Timestamp;

/// Letters of a commit's id that are shown.
const REVISION_CHARS: usize = 8;

/// Arguments of `trunkline deliveries`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline deliveries list shop/web
  trunkline deliveries replay shop/web 01k2…    what it has started is not started again")]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List them, newest first
    List {
        /// The project
        #[arg(value_name = "TEAM/NAME")]
        project: Slug,
        /// At most this many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Have one processed once more
    Replay {
        /// The project
        #[arg(value_name = "TEAM/NAME")]
        project: Slug,
        /// Its id
        delivery: String,
    },
}

/// A delivery.
#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    id: String,
    forge: String,
    delivery: String,
    event: String,
    status: String,
    outcome: String,
    attempts: i64,
    received_at: Timestamp,
    #[serde(default)]
    processed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<About>,
}

/// What it is about.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    branch: String,
    revision: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
}

impl About {
    /// `#3 rain 22222222 Sell umbrellas`, where all of it is known.
    fn line(&self) -> String {
        let number = self.request.map(|it| format!("#{it}")).unwrap_or_default();
        let revision = self.revision.get(..REVISION_CHARS).unwrap_or(&self.revision);
        let parts = [number.as_str(), self.branch.as_str(), revision, self.subject.as_str()];
        parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Lists or replays.
pub async fn execute(session: &Session, args: &DeliveriesArgs) -> anyhow::Result<Exit> {
    let remote = Remote::required(session)?;
    match &args.action {
        Action::List { project, limit } => {
            let call = Call::get(&project.below(&["deliveries"]));
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            show(session, &remote.client.list(&call, limit).await?)?;
        }
        Action::Replay { project, delivery } => {
            let call = Call::post(&project.below(&["deliveries", delivery, "replay"]));
            remote.client.order(&call).await?;
            session.output.told(&format!("`{delivery}` waits for its turn"))?;
        }
    }
    Ok(Exit::Passed)
}

fn show(session: &Session, deliveries: &[Shown]) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(&deliveries)?);
    }
    if deliveries.is_empty() {
        session.output.line("nothing came in")?;
    }
    for it in deliveries {
        let at = session.output.date_time(it.received_at);
        let (id, status, outcome) = (&it.id, &it.status, &it.outcome);
        let about = it.about.as_ref().map(|it| it.line() + "  ").unwrap_or_default();
        session.output.line(&format!("{at}  {id}  {status:9}  {}  {about}{outcome}", it.event))?;
    }
    Ok(())
}
