//! `trunkline serve`: API, webhooks, scheduler and worker in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::blobs::Archives;
use crate::cli::access;
use crate::cli::drive::signals::Signals;
use crate::cli::drive::{self, DriveArgs, executor};
use crate::cli::failure::Exit;
use crate::cli::forges;
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::http::{App, StreamLimits, Streams};
use crate::secrets::{Sealer, SecretSource, TeamSecrets, random_bytes};
use crate::triggers::Triggers;

/// Between two looks whether the keys are to be rotated.
const ROTATION_LOOK: Duration = Duration::from_hours(1);

/// Arguments of `trunkline serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline serve                                   SQLite in the state folder, http://127.0.0.1:7080
  trunkline serve --listen 0.0.0.0:7080
  DATABASE_URL=postgres://ci@db/ci trunkline serve  a database that several processes share")]
pub struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    pub listen: SocketAddr,
    /// How runs are driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// Serves until SIGTERM or Ctrl-C; what runs then goes on and is adopted by the next process.
pub async fn execute(session: &Session, args: &ServeArgs) -> anyhow::Result<Exit> {
    let state = State::open_server(&session.settings).await?;
    let docker = executor::docker(session, &state).await?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("`{}` cannot be listened on", args.listen))?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let projects = forges::projects(session, &state)?;
    let triggers = forges::triggers(session, &state, projects.clone());
    let streams = Streams::new(StreamLimits::default(), shutdown.clone());
    let app = app(session, &state, (triggers.clone(), streams))?;
    announce_setup(session, &app).await?;
    let source = SecretSource::Team(app.secrets.clone());
    let service = api::service(app).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service);
    let server = server.with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let settings = drive::worker_settings(session, &state, &args.drive, drive::Reuse::default());
    let worker = drive::server_worker(session, &state, docker, (projects, source, settings));
    session.output.line(&format!("listening on http://{address}"))?;
    let mut signals = Signals::listen()?;
    let stop = async {
        signals.next().await;
        shutdown.cancel();
    };
    let sealer = keys::sealer(session, &state)?;
    let (served, worked, (), (), ()) = tokio::join!(
        async { server.await },
        worker.serve(&shutdown),
        triggers.serve(&shutdown),
        rotate_monthly(&sealer, &shutdown),
        stop,
    );
    served.context("the listener broke")?;
    worked?;
    Ok(Exit::Passed)
}

/// Whoever reads this line may become the owner.
async fn announce_setup(session: &Session, app: &App) -> anyhow::Result<()> {
    if let Some(token) = app.auth.begin_setup().await? {
        let token = token.0;
        session.output.line(&format!("nobody owns this server yet; set-up token: {token}"))?;
    }
    Ok(())
}

/// Looks every hour whether the keys are to be rotated. One process does it; a failure waits for the next
/// look.
async fn rotate_monthly(sealer: &Sealer, shutdown: &CancellationToken) {
    let owner = format!("process {} {}", std::process::id(), hex::encode(random_bytes::<4>()));
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = shutdown.cancelled() => return,
            rotated = sealer.rotate_when_due(&owner) => match rotated {
                Ok(Some(rotated)) => tracing::info!(?rotated, "the keys were rotated"),
                Ok(None) => (),
                Err(error) => tracing::error!(%error, "the keys could not be rotated"),
            },
        }
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = tokio::time::sleep(ROTATION_LOOK) => (),
        }
    }
}

fn app(
    session: &Session,
    state: &State,
    (triggers, streams): (Triggers, Streams),
) -> anyhow::Result<App> {
    let (store, clock) = (state.store.clone(), Arc::clone(&session.clock));
    let sealer = keys::sealer(session, state)?;
    Ok(App {
        store: state.store.clone(),
        runs: state.runs.clone(),
        archives: Archives::new(state.blobs.clone()),
        blobs: state.blobs.clone(),
        logs: state.logs.clone(),
        auth: access::auth(session, state)?,
        clock: Arc::clone(&session.clock),
        triggers,
        streams,
        sealer: sealer.clone(),
        secrets: TeamSecrets::new(store, sealer, clock),
    })
}
