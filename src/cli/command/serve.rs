//! `trunkline serve`: API, webhooks, scheduler and worker in one process.

pub(in crate::cli) mod forges;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::blobs::Archives;
use crate::cli::access;
use crate::cli::command::gc;
use crate::cli::drive::args::EngineArgs;
use crate::cli::drive::fleet::{self, HereArgs, PlaceArgs, ServerLock};
use crate::cli::drive::signals::Signals;
use crate::cli::drive::{executor, gateway, workers};
use crate::cli::failure::Exit;
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::config::ExecutorKind;
use crate::executor::{DockerExecutor, Executor, HostExecutor};
use crate::gateway::server::stages::Stages;
use crate::http::{self, App, Beside, Lifecycle, StreamLimits, Streams, guard_streams};
use crate::outgoing::Outgoing;
use crate::secrets::{Sealer, SecretSource, TeamSecrets, random_bytes};
use crate::traces::Exporter;
use crate::triggers::Triggers;
use crate::ui;
use crate::worker::WorkerSettings;

/// Between two looks whether the keys are to be rotated.
const ROTATION_LOOK: Duration = Duration::from_hours(1);

/// Between two looks whether what runs stages answers.
const EXECUTOR_LOOK: Duration = Duration::from_secs(5);
/// How long requests that are being answered may take when the process is to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(20);

/// Arguments of `trunkline serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline serve                                   SQLite in the state folder, http://127.0.0.1:7080
  trunkline serve --listen 0.0.0.0:7080
  trunkline serve --config /etc/trunkline/server.toml
  DATABASE_URL=postgres://ci@db/ci trunkline serve  a database that several processes share
  trunkline serve --slots 0                         drives nothing; `trunkline worker` does, elsewhere")]
pub struct ServeArgs {
    /// Where to listen [default: the setting, or 127.0.0.1:7080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Its place among the workers.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// What runs stages.
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    here: HereArgs,
}

/// Serves until SIGTERM or Ctrl-C; what runs then goes on and is adopted by the next process.
pub async fn execute(session: &Session, args: &ServeArgs) -> anyhow::Result<Exit> {
    let state = State::open_server(&session.settings).await?;
    let lock = ServerLock::take(&state)?;
    let settings = fleet::worker_settings(session, &state, (&args.engine, &args.place), "server")?;
    let serving = Serving { session, args, state: &state, probe: None };
    if settings.slots == 0 {
        Box::pin(serving.serve::<HostExecutor>(None, (lock, settings))).await?;
        return end(session, &state).await;
    }
    let kind = args.engine.executor.map_or(session.settings.executor, ExecutorKind::from);
    match kind {
        ExecutorKind::Docker => {
            let docker = executor::docker(session, &state).await?;
            let probe = Some(docker.clone());
            let serving = Serving { probe, ..serving };
            Box::pin(serving.serve(Some(docker), (lock, settings))).await?;
        }
        ExecutorKind::Host => {
            tracing::warn!("stages run as processes of this machine, without isolation");
            let host = executor::host(session, &state)?;
            Box::pin(serving.serve(Some(host), (lock, settings))).await?;
        }
    }
    end(session, &state).await
}

async fn end(session: &Session, state: &State) -> anyhow::Result<Exit> {
    access::note(session, state, ("server.stop", "")).await?;
    state.store.close().await;
    Ok(Exit::Passed)
}

/// A server about to begin.
struct Serving<'a> {
    session: &'a Session,
    args: &'a ServeArgs,
    state: &'a State,
    /// What is asked whether it answers.
    probe: Option<DockerExecutor>,
}

impl Serving<'_> {
    /// Without an executor nothing is driven here.
    async fn serve<E: Executor>(
        &self,
        executor: Option<E>,
        (mut lock, settings): (ServerLock, WorkerSettings),
    ) -> anyhow::Result<()> {
        let Self { session, args, state, .. } = *self;
        let projects = forges::projects(session, state)?;
        let triggers = forges::triggers(session, state, projects.clone());
        let triggers = triggers.with_notifications(forges::notifications(session, state)?);
        let app = app(session, state, triggers.clone())?;
        let listen = args.listen.unwrap_or(session.settings.server.listen);
        let listeners = Listeners::bind(session, listen).await?;
        lock.sign(&listeners.address)?;
        let source = SecretSource::Team(app.secrets.clone());
        let gateway = start_gateway(session, state).await?;
        let worker = executor
            .map(|it| workers::server_worker(session, state, it, (projects, source, settings)));
        let worker =
            worker.map(|it| it.with_identity(app.auth.clone()).with_gateway(gateway.clone()));
        // Only who really serves has started, and tells how to own it.
        access::note(session, state, ("server.start", &listeners.address)).await?;
        announce_setup(session, &app).await?;
        // Who reads that it listens may end it.
        let signals = Signals::listen()?;
        session.announce(&format!("listening on http://{}", listeners.address))?;
        let (life, shutdown) = (app.lifecycle.clone(), CancellationToken::new());
        let (served, worked, (), (), (), ()) = tokio::join!(
            listeners.serve(session, &app, &shutdown),
            fleet::work_beside(worker, &shutdown),
            state.runs.share_news(&shutdown),
            triggers.serve(&shutdown),
            self.housekeeping(&app, &shutdown),
            stop((session, signals), &life, &shutdown),
        );
        gateway::close(gateway.as_ref()).await;
        served?;
        worked
    }

    /// What nobody waits for.
    async fn housekeeping(&self, app: &App, shutdown: &CancellationToken) {
        let (session, state) = (self.session, self.state);
        let keys = async {
            match keys::sealer(session, state) {
                Ok(sealer) => rotate_monthly(&sealer, shutdown).await,
                Err(error) => tracing::error!(%error, "the keys cannot be rotated"),
            }
        };
        let traces = async {
            match exporter(session, state) {
                Ok(Some(exporter)) => exporter.serve(shutdown).await,
                Ok(None) => (),
                Err(error) => tracing::error!(%error, "no traces are sent"),
            }
        };
        let retention = gc::retention(session, state, None);
        let probe = async {
            if let Some(docker) = &self.probe {
                watch_executor(docker, &app.lifecycle, shutdown).await;
            }
        };
        let guard = guard_streams(app.clone(), shutdown.clone());
        tokio::join!(keys, traces, retention.serve(shutdown), probe, guard);
    }
}

/// The LLM gateway, for the stages that run here and for apps.
async fn start_gateway(session: &Session, state: &State) -> anyhow::Result<Option<Arc<Stages>>> {
    let Some(path) = session.settings.gateway_file.clone() else { return Ok(None) };
    let origin = gateway::Origin::Named(path);
    let queue = gateway::QueuePart::OfServer;
    let set_up = gateway::SetUp { origin: &origin, model_calls: None, queue };
    let (gateway, settings) = gateway::start(session, state, (set_up, "server")).await?;
    gateway::listen_for_apps(&gateway, &settings).await?;
    Ok(Some(gateway))
}

fn exporter(session: &Session, state: &State) -> anyhow::Result<Option<Exporter>> {
    let settings = &session.settings;
    let Some(traces) = settings.server.traces.clone() else { return Ok(None) };
    let outgoing = Outgoing::new(settings.forges.private_hosts.clone())?;
    let places = (traces, settings.sign_in.public_url.clone());
    let clock = Arc::clone(&session.clock);
    Ok(Some(Exporter::new(state.runs.clone(), &outgoing, places, clock)?))
}

/// What is listened on: everything, and `/metrics` where it has an address of its own.
struct Listeners {
    main: TcpListener,
    metrics: Option<TcpListener>,
    address: String,
}

impl Listeners {
    async fn bind(session: &Session, listen: SocketAddr) -> anyhow::Result<Self> {
        let main = listener(listen).await?;
        let metrics = match session.settings.server.metrics_listen {
            Some(address) => Some(listener(address).await?),
            None => None,
        };
        let address = main.local_addr()?.to_string();
        Ok(Self { main, metrics, address })
    }

    /// Until `shutdown`, and then until what is being answered is.
    async fn serve(
        self,
        session: &Session,
        app: &App,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let token = session.settings.server.metrics_token.as_ref().map(|it| it.0.clone());
        let metrics = http::metrics_routes(token);
        let routes = ui::routes();
        let routes = if self.metrics.is_some() { routes } else { routes.merge(metrics.clone()) };
        let beside = Beside { routes, operations: ui::OPERATIONS.concat(), dress: ui::dress };
        let main = listen(self.main, api::service_with(app.clone(), beside), shutdown);
        let own = async {
            match self.metrics {
                Some(listener) => listen(listener, metrics.with_state(app.clone()), shutdown).await,
                None => Ok(()),
            }
        };
        let (main, own) = tokio::join!(main, own);
        main.and(own).context("the listener broke")
    }
}

async fn listener(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("`{address}` cannot be listened on"))
}

async fn listen(
    listener: TcpListener,
    router: Router,
    shutdown: &CancellationToken,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service);
    let server = server.with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        served = async { server.await } => served,
        () = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        } => {
            tracing::warn!("requests that took too long were cut off");
            Ok(())
        }
    }
}

/// First `/readyz` says no and streams end; once that was seen, the listener closes and the worker leaves its
/// runs. A second signal does not wait.
async fn stop(
    (session, mut signals): (&Session, Signals),
    life: &Lifecycle,
    shutdown: &CancellationToken,
) {
    tokio::select! {
        _asked = signals.next() => (),
        // The worker broke.
        () = shutdown.cancelled() => return,
    }
    life.begin_drain();
    let drain = Duration::from_secs(session.settings.server.drain_seconds);
    tracing::info!(seconds = drain.as_secs(), "about to stop");
    tokio::select! {
        () = tokio::time::sleep(drain) => (),
        _again = signals.next() => (),
    }
    shutdown.cancel();
}

/// Tells `/readyz` whether Docker answers.
async fn watch_executor(docker: &DockerExecutor, life: &Lifecycle, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        let problem = docker.ping().await.err();
        if let Some(error) = &problem {
            tracing::warn!(%error, "stages cannot be run");
        }
        life.note_executor(problem.map(|_| "Docker does not answer".to_owned()));
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = tokio::time::sleep(EXECUTOR_LOOK) => (),
        }
    }
}

/// Whoever reads this line may become the owner.
async fn announce_setup(session: &Session, app: &App) -> anyhow::Result<()> {
    if let Some(token) = app.auth.begin_setup().await? {
        let token = token.0;
        session.announce(&format!("nobody owns this server yet; set-up token: {token}"))?;
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

fn app(session: &Session, state: &State, triggers: Triggers) -> anyhow::Result<App> {
    let (store, clock) = (state.store.clone(), Arc::clone(&session.clock));
    let sealer = keys::sealer(session, state)?;
    let lifecycle = Lifecycle::default();
    Ok(App {
        store: state.store.clone(),
        runs: state.runs.clone(),
        archives: Archives::new(state.blobs.clone()),
        blobs: state.blobs.clone(),
        logs: state.logs.clone(),
        auth: access::auth(session, state)?,
        clock: Arc::clone(&session.clock),
        triggers,
        streams: Streams::new(StreamLimits::default(), lifecycle.draining()),
        sealer: sealer.clone(),
        secrets: TeamSecrets::new(store, sealer, clock),
        lifecycle,
    })
}
