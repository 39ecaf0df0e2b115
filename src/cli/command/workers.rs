//! `trunkline workers`: who drives the runs of a server.

use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::cli::view::format;
use crate::model::Timestamp;
use crate::store::fleet::workers::WorkerRow;

/// Arguments of `trunkline workers`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`.

Examples:
  trunkline workers
  trunkline workers --json")]
pub struct WorkersArgs {}

/// Lists them.
pub async fn execute(session: &Session, _: &WorkersArgs) -> anyhow::Result<Exit> {
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let workers = state.store.list_workers().await?;
    let now = session.now();
    if session.output.json {
        let all: Vec<_> = workers.iter().map(|it| json(it, now)).collect();
        session.output.json(&all)?;
        return Ok(Exit::Passed);
    }
    if workers.is_empty() {
        session.output.line("no worker has been seen")?;
    }
    for worker in &workers {
        session.output.line(&line(worker, now))?;
    }
    Ok(Exit::Passed)
}

/// `gpu-1  worker  1 of 2 slots  gpu=true  0.1.0  seen 3s ago`
fn line(worker: &WorkerRow, now: Timestamp) -> String {
    let running: u32 = worker.running.values().sum();
    let labels: Vec<_> =
        worker.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut parts = vec![
        worker.name.clone(),
        worker.kind.clone(),
        format!("{running} of {} slots", worker.slots),
    ];
    parts.extend((!labels.is_empty()).then(|| labels.join(" ")));
    parts.push(worker.version.clone());
    parts.push(format!("seen {} ago", format::duration(now.since(worker.seen_at))));
    parts.extend((!worker.is_alive(now)).then(|| "silent".to_owned()));
    parts.extend(worker.draining.then(|| "draining".to_owned()));
    parts.join("  ")
}

fn json(worker: &WorkerRow, now: Timestamp) -> serde_json::Value {
    serde_json::json!({
        "name": worker.name,
        "kind": worker.kind,
        "labels": worker.labels,
        "slots": worker.slots,
        "running": worker.running.values().sum::<u32>(),
        "version": worker.version,
        "started_at": worker.started_at,
        "seen_at": worker.seen_at,
        "alive": worker.is_alive(now),
        "draining": worker.draining,
    })
}
