//! `trunkline serve`: API, webhooks, scheduler and worker in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::cli::access;
use crate::cli::drive::signals::Signals;
use crate::cli::drive::{self, DriveArgs, executor};
use crate::cli::failure::Exit;
use crate::cli::forges;
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::http::App;
use crate::secrets::{SecretSource, TeamSecrets};
use crate::triggers::Triggers;

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
    let app = app(session, &state, triggers.clone())?;
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
    let (served, worked, (), ()) = tokio::join!(
        async { server.await },
        worker.serve(&shutdown),
        triggers.serve(&shutdown),
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

fn app(session: &Session, state: &State, triggers: Triggers) -> anyhow::Result<App> {
    let (store, clock) = (state.store.clone(), Arc::clone(&session.clock));
    Ok(App {
        store: state.store.clone(),
        runs: state.runs.clone(),
        blobs: state.blobs.clone(),
        logs: state.logs.clone(),
        auth: access::auth(session, state)?,
        clock: Arc::clone(&session.clock),
        triggers,
        secrets: TeamSecrets::new(store, keys::sealer(session, state)?, clock),
    })
}
