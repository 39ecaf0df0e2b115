//! `trunkline worker`: one more process, on this or another machine, that drives the runs of servers.

use tokio_util::sync::CancellationToken;

use crate::cli::command::serve::forges;
use crate::cli::drive::args::EngineArgs;
use crate::cli::drive::fleet::{self, Engine, HereArgs, PlaceArgs, Stops};
use crate::cli::drive::signals::Signals;
use crate::cli::failure::{Exit, Usage};
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::cli::view::format;
use crate::config::keys::KeyHolder;
use crate::runs::News;
use crate::secrets::{SecretSource, TeamSecrets};
use crate::store::DatabaseKind;

/// Arguments of `trunkline worker`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Needs the Postgres of its servers (`DATABASE_URL`), a folder that all machines see (`TRUNKLINE_SHARED`), the
keys of the servers (`TRUNKLINE_KEY_FILE`, or OpenBao or KMS as they have it), and a state folder of its own.

The first SIGTERM or Ctrl-C drains: attempts under way end, their runs are handed over, and the worker leaves.
The second leaves at once: containers go on, and the next start with the same state folder adopts them.

Examples:
  trunkline worker --slots 8
  trunkline worker --slots 2 --label gpu=true --name gpu-1
  trunkline worker drain gpu-1"
)]
pub struct WorkerArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    place: PlaceArgs,
    /// What runs stages.
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    here: HereArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Let a worker take nothing new: what runs there ends, and it leaves (a server only drives nothing more)
    Drain {
        /// Its name, as `trunkline workers` shows it
        name: String,
    },
    /// Let a worker take runs again that has not left yet
    Undrain {
        /// Its name
        name: String,
    },
}

/// Works until it is drained or stopped.
pub async fn execute(session: &Session, args: &WorkerArgs) -> anyhow::Result<Exit> {
    match &args.action {
        Some(Action::Drain { name }) => drain(session, name, true).await,
        Some(Action::Undrain { name }) => drain(session, name, false).await,
        None => work(session, &State::open_server(&session.settings).await?, args).await,
    }
}

async fn work(session: &Session, state: &State, args: &WorkerArgs) -> anyhow::Result<Exit> {
    require(session, state)?;
    let settings = fleet::worker_settings(session, state, (&args.engine, &args.place), "worker")?;
    if settings.slots == 0 {
        return Err(Usage::new("a worker without slots has nothing to do", "give it one").into());
    }
    let engine = Engine::connect(session, state, &args.engine).await?;
    let projects = forges::projects(session, state)?;
    let clock = std::sync::Arc::clone(&session.clock);
    let secrets = TeamSecrets::new(state.store.clone(), keys::sealer(session, state)?, clock);
    let source = SecretSource::Team(secrets);
    let slots = format::count(settings.slots as u64, "slot");
    session.announce(&format!("worker `{}` with {}", settings.owner, slots))?;
    let (shutdown, draining) = (CancellationToken::new(), CancellationToken::new());
    let mut signals = Signals::listen()?;
    let over = CancellationToken::new();
    let obey = async {
        for stop in [&draining, &shutdown] {
            tokio::select! {
                () = over.cancelled() => return,
                _ = signals.next() => stop.cancel(),
            }
        }
        over.cancelled().await;
    };
    let stops = Stops { shutdown: &shutdown, drain: &draining };
    let work = async {
        let worked = engine.work((session, state), (projects, source, settings), stops).await;
        over.cancel();
        worked
    };
    let (worked, (), ()) = tokio::join!(work, state.runs.share_news(&over), obey);
    if let Some(count) = worked? {
        session.announce(&format!("drained: {} handed over", format::count(count, "run")))?;
    }
    Ok(Exit::Passed)
}

/// What a worker cannot do without.
fn require(session: &Session, state: &State) -> Result<(), Usage> {
    if state.store.database_kind() != DatabaseKind::Postgres {
        let message = "a worker shares a Postgres with its servers, and `DATABASE_URL` names none";
        return Err(Usage::new(message, "give both the same `DATABASE_URL=postgres://…`"));
    }
    let keys = &session.settings.keys;
    let file = keys.file.clone().unwrap_or_else(|| state.folder.join("secret.keys"));
    if keys.holder == KeyHolder::File && !file.exists() {
        let message =
            format!("the keys of the servers are not here: there is no `{}`", file.display());
        let help = "copy `secret.keys` of a server's state folder to this machine and name it with \
                    `TRUNKLINE_KEY_FILE`";
        return Err(Usage::new(message, help));
    }
    Ok(())
}

async fn drain(session: &Session, name: &str, draining: bool) -> anyhow::Result<Exit> {
    // Where there is no database yet, nobody can be drained: none is made for the question.
    let state = State::open_present(&session.settings, Needed::Database).await?;
    if !state.store.save_draining(name, draining).await? {
        let help = "`trunkline workers` shows who is there";
        return Err(Usage::new(format!("there is no worker `{name}`"), help).into());
    }
    state.runs.tell_now(&News::Workers).await?;
    let said = if draining { "takes nothing new" } else { "takes runs again" };
    session.output.line(&format!("`{name}` {said}"))?;
    Ok(Exit::Passed)
}
