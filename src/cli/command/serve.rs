//! `trunkline serve`: API, webhooks, scheduler and worker in one process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::auth::Auth;
use crate::cli::drive::signals::Signals;
use crate::cli::drive::{self, DriveArgs, executor};
use crate::cli::failure::Exit;
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::forge::{GithubApp, Outgoing};
use crate::http::App;
use crate::projects::{AddressRule, ProjectParts, Projects};
use crate::triggers::{TriggerSettings, Triggers};

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
    let projects = projects(session, &state)?;
    let triggers = triggers(session, &state, projects.clone());
    let app = app(session, &state, triggers.clone());
    let (router, _document) = api::router();
    let server = axum::serve(listener, router.with_state(app));
    let server = server.with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let settings = drive::worker_settings(session, &state, &args.drive, drive::Reuse::default());
    let worker = drive::server_worker(session, &state, docker, (projects, settings));
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

/// The repositories and forges of the server's projects.
fn projects(session: &Session, state: &State) -> anyhow::Result<Projects> {
    let settings = &session.settings;
    let outgoing = Outgoing::new(settings.private_hosts.clone())?;
    let app = match &settings.github_app {
        Some((id, file)) => Some(github_app(id, file)?),
        None => None,
    };
    Ok(Projects::new(ProjectParts {
        store: state.store.clone(),
        sealer: keys::sealer(session, state)?,
        state_folder: state.folder.clone(),
        addresses: AddressRule::new(outgoing, settings.repositories.clone()),
        app,
        clock: Arc::clone(&session.clock),
    }))
}

fn github_app(id: &str, file: &Path) -> anyhow::Result<GithubApp> {
    let shown = file.display();
    let key = std::fs::read(file).with_context(|| format!("`{shown}` cannot be read"))?;
    GithubApp::new(id.to_owned(), &key)
        .with_context(|| format!("`{shown}` is no private RSA key in PEM form"))
}

fn triggers(session: &Session, state: &State, projects: Projects) -> Triggers {
    let settings = TriggerSettings {
        public_url: session.settings.public_url.clone(),
        ..TriggerSettings::default()
    };
    Triggers::new(state.runs.clone(), projects, settings, Arc::clone(&session.clock))
}

fn app(session: &Session, state: &State, triggers: Triggers) -> App {
    App {
        store: state.store.clone(),
        runs: state.runs.clone(),
        blobs: state.blobs.clone(),
        logs: state.logs.clone(),
        auth: Auth::new(state.store.clone(), Arc::clone(&session.clock)),
        clock: Arc::clone(&session.clock),
        triggers,
    }
}
