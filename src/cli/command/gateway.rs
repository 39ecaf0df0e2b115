//! `trunkline gateway`: the LLM gateway alone, with its own file of providers, keys and budgets.

pub mod key;
mod export;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::drive::signals::Signals;
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::gateway::ledger::{Ledger, Sum, SumName};
use crate::gateway::server::journal::Journal;
use crate::gateway::server::queue::QueueParts;
use crate::gateway::server::set_up::{self, MissingKeys, Outside};
use crate::gateway::server::{self, Core};
use crate::gateway::settings::{self, Settings};
use crate::outgoing::Outgoing;
use crate::secrets::keys::{KeyFile, KeyProvider};
use crate::secrets::{Keyring, Sealer};
use crate::store::Store;

/// Where it listens when nobody says.
const LISTEN: &str = "127.0.0.1:4100";
/// The keys that seal what the queue keeps, beside the gateway's file.
const QUEUE_KEYS: &str = "queue.keys";

/// Arguments of `trunkline gateway`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The file (TOML) that `--config` names has providers, routes, keys, budgets and prices: docs/gateway.md has one to
start from. The keys of providers are in the variables and files that it names, and have to be there, but for a replay.
Apps use it with OPENAI_BASE_URL=http://ADDRESS/v1, ANTHROPIC_BASE_URL=http://ADDRESS and one of its keys. Stopped by
Ctrl-C or SIGTERM, it says what was spent.

`trunkline gateway key` is about the gateway of a server: it works on its database, or with `--server` asks that server.

Examples:
  trunkline gateway --config gateway.toml
  trunkline gateway --config gateway.toml --listen 127.0.0.1:4100
  trunkline gateway key create --team search shop --endpoint search --per-minute 600
  trunkline gateway key list --team search --server ci.example.org
  trunkline gateway key rotate --team search shop --overlap-hours 48
  trunkline gateway key revoke --team search shop"
)]
pub struct GatewayArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Where to listen [default: `listen` of the file, or 127.0.0.1:4100]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make, list, rotate and end the keys of deployed apps
    #[command(subcommand)]
    Key(key::Action),
}

impl GatewayArgs {
    /// Whether it is about the gateway of a server, and not one alone.
    #[must_use]
    pub fn is_about_a_server(&self) -> bool {
        self.action.is_some()
    }
}

/// Serves until it is stopped, and then says what was spent.
pub async fn execute(session: &Session, args: &GatewayArgs) -> anyhow::Result<Exit> {
    if let Some(Action::Key(action)) = &args.action {
        return key::execute(session, action).await;
    }
    if let Some(Err(why)) = args.listen.as_deref().map(settings::check_address) {
        return Err(Usage::new(why, "`trunkline gateway --help` has examples").into());
    }
    let (settings, core) = core(session).await?;
    let address = args.listen.as_ref().or(settings.listen.as_ref());
    let address = address.map_or(LISTEN, String::as_str);
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("`{address}` cannot be listened on"))?;
    let journal = match &settings.ledger {
        Some(name) => Some(open_journal(session, name, &core).await?),
        None => None,
    };
    let traces = export::Traces::new(session, &settings)?;
    session.output.line(&format!("the gateway listens on http://{}", listener.local_addr()?))?;
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let mut signals = Signals::listen()?;
    let serve = async {
        server::serve(core.clone(), listener, stop.clone()).await;
        over.cancel();
    };
    let obey = async {
        tokio::select! {
            _ = signals.next() => stop.cancel(),
            () = over.cancelled() => {}
        }
    };
    let keep = async {
        match journal {
            Some(journal) => journal.keep(over.clone()).await,
            None => Ok(()),
        }
    };
    let trace = traces.send(&core, &over);
    let ((), (), kept, ()) = tokio::join!(serve, obey, keep, trace);
    kept.context("the ledger could not be written to its end")?;
    say_spend(session, &core.ledger)?;
    Ok(Exit::Passed)
}

async fn core(session: &Session) -> anyhow::Result<(Settings, Arc<Core>)> {
    let Some(path) = &session.config else {
        let message = "the gateway needs a file of its own";
        return Err(Usage::new(message, "name it with `--config FILE`; see docs/gateway.md").into());
    };
    let wrong = |why: String| {
        let message = format!("the gateway's file `{}` is wrong: {why}", path.display());
        Usage::new(message, "docs/gateway.md shows every setting")
    };
    let text = std::fs::read_to_string(path).map_err(|it| wrong(it.to_string()))?;
    let settings = settings::read(&text).map_err(wrong)?;
    let variable = |name: &str| session.environment.get(name).map(str::to_owned);
    let folder = path.parent().unwrap_or(&session.folder).to_owned();
    let queue = queue_parts(session, &settings, &folder).await?;
    let outside = Outside {
        variables: &variable,
        folder,
        clock: session.clock.clone(),
        store: None,
        missing_keys: MissingKeys::Refuse,
        ledger: None,
        queue,
    };
    let core = set_up::core(&settings, &outside).map_err(|it| wrong(it.to_string()))?;
    Ok((settings, core))
}

/// What the queue of a gateway alone is kept with: a database, and a file with the keys that seal what is in it.
async fn queue_parts(
    session: &Session,
    settings: &Settings,
    folder: &Path,
) -> anyhow::Result<Option<QueueParts>> {
    let Some(queue) = &settings.queue else { return Ok(None) };
    let Some(url) = &queue.database else {
        let message = "`[queue]` of the gateway's file has no `database`";
        let help = "a gateway alone needs one, such as `database = \"sqlite:queue.db\"`";
        return Err(Usage::new(message, help).into());
    };
    let url = match url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{}", folder.join(file).display()),
        None => url.clone(),
    };
    let store = Store::open(&url).await?;
    let key = KeyProvider::File(KeyFile::open(&folder.join(QUEUE_KEYS))?);
    let keyring = Keyring::new(key, Vec::new());
    let sealer = Sealer::new(store.clone(), keyring, Arc::clone(&session.clock));
    let outgoing = Outgoing::new(session.settings.forges.private_hosts.clone())?;
    Ok(Some(QueueParts { store, sealer, outgoing }))
}

async fn open_journal(session: &Session, name: &str, core: &Core) -> anyhow::Result<Journal> {
    let folder = session.config.as_ref().and_then(|it| it.parent()).unwrap_or(&session.folder);
    let path = folder.join(name);
    let opened = Journal::open(&path, core.ledger.clone()).await;
    let (journal, entries) =
        opened.with_context(|| format!("the ledger `{}` cannot be opened", path.display()))?;
    if entries > 0 {
        let open = core.ledger.open_calls();
        session
            .output
            .line(&format!("{entries} entries of the ledger taken up, {open} calls open"))?;
    }
    Ok(journal)
}

fn told(sum: &Sum) -> String {
    if sum.calls == 0 && sum.reports > 0 {
        return format!("{} reports of use, {}", sum.reports, sum.reported);
    }
    format!(
        "{} calls, {} tokens in, {} out, {}, avoided {}",
        sum.calls, sum.input_tokens, sum.output_tokens, sum.cost, sum.avoided
    )
}

fn say_spend(session: &Session, ledger: &Ledger) -> anyhow::Result<()> {
    let sums = ledger.sums();
    if session.output.json {
        let row = |it: &(SumName, Sum)| {
            let ((key, provider, model), sum) = it;
            json!({"key": key, "provider": provider, "model": model, "sum": sum})
        };
        session.output.json(&sums.iter().map(row).collect::<Vec<_>>())?;
        return Ok(());
    }
    for ((key, provider, model), sum) in sums {
        session.output.line(&format!("{key}  {model} at {provider}: {}", told(&sum)))?;
    }
    Ok(())
}
