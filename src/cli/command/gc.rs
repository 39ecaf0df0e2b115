//! `trunkline gc`: removes what nothing needs any more. Never what an unfinished run needs.

use serde::Serialize;

use crate::blobs::garbage::GRACE;
use crate::cli::drive::workers;
use crate::cli::failure::Exit;
use crate::cli::local::include;
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::cli::view::format;
use crate::model::{RunId, Timestamp};
use crate::retention::{self, Mode, Retention};
use crate::source::{SourceError, prune_checkouts};
use crate::store::StoreError;
use crate::store::runs::{RunFilter, RunRow};

/// Runs that are looked at at once.
const PAGE: u32 = 200;
const DAY: u64 = 24 * 3600;
/// How long a checkout that nobody asked for is kept.
const CHECKOUT_DAYS: u64 = 3;
/// How long a mirror of a repository is kept from which nothing was included.
const MIRROR_DAYS: u64 = 30;

/// Arguments of `trunkline gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline gc --dry-run
  trunkline gc
  trunkline gc --runs-older-than 90 --cache-limit 20
  trunkline gc --of-server  what `retention` of the server's configuration says, now")]
pub struct GcArgs {
    /// Only say what could go
    #[arg(long)]
    pub dry_run: bool,
    /// Also remove finished runs of every repository that are older than this many days, with their logs
    #[arg(long, value_name = "DAYS")]
    pub runs_older_than: Option<u32>,
    /// Work on the database of the server, with its configuration
    #[arg(long)]
    pub of_server: bool,
    /// The most that caches may take, in GB; the longest unused go first
    #[arg(long, value_name = "GB", default_value_t = 10)]
    pub cache_limit: u32,
}

/// What went, or could go.
#[derive(Debug, Default, Serialize)]
struct Removed {
    dry_run: bool,
    #[serde(flatten)]
    kept: retention::Removed,
    caches: u64,
    checkouts: u64,
    containers: u64,
    images: u64,
    objects: u64,
}

/// Collects the garbage.
pub async fn execute(session: &Session, args: &GcArgs) -> anyhow::Result<Exit> {
    let state = if args.of_server {
        State::open_present(&session.settings, Needed::Folder).await?
    } else {
        State::open(&session.settings).await?
    };
    let gc = Gc { state: &state, now: session.now() };
    let mut removed = Removed { dry_run: args.dry_run, ..Removed::default() };
    if !args.dry_run {
        let quota = i64::from(args.cache_limit) * 1_000_000_000;
        removed.caches = state.store.delete_unused_caches(quota).await?;
    }
    let mode = if args.dry_run { Mode::Count } else { Mode::Remove };
    removed.kept = retention(session, &state, args.runs_older_than).sweep(mode).await?;
    if !args.dry_run {
        // Last: what the runs that are gone have left.
        removed.checkouts = gc.checkouts().await?;
        removed.objects = gc.objects().await?;
        let swept = workers::sweep(session, &state).await;
        (removed.containers, removed.images) = (swept.attempts as u64, swept.images as u64);
    }
    if session.output.json {
        session.output.json(&removed)?;
    } else {
        session.output.line(&as_text(&removed))?;
    }
    Ok(Exit::Passed)
}

/// What removes by age; with `all_runs_days` also every finished run that is older.
pub fn retention(session: &Session, state: &State, all_runs_days: Option<u32>) -> Retention {
    Retention {
        store: state.store.clone(),
        blobs: state.blobs.clone(),
        logs: state.logs.clone(),
        clock: std::sync::Arc::clone(&session.clock),
        settings: session.settings.server.retention,
        all_runs_days,
        folder: state.folder.clone(),
    }
}

fn as_text(removed: &Removed) -> String {
    let mut parts = Vec::new();
    for (number, noun) in [
        (removed.kept.runs, "run"),
        (removed.kept.artifacts, "expired artifact"),
        (removed.kept.results, "old result"),
        (removed.kept.logs, "log folder"),
        (removed.kept.deliveries, "forge event"),
        (removed.kept.audit_events, "audit line"),
        (removed.kept.model_calls, "model call"),
        (removed.kept.traces, "trace"),
        (removed.caches, "unused cache"),
        (removed.checkouts, "checkout"),
        (removed.containers, "left-over attempt"),
        (removed.images, "built image"),
        (removed.objects, "git object"),
    ] {
        if number > 0 {
            parts.push(format::count(number, noun));
        }
    }
    if removed.kept.blobs > 0 {
        let size = format::bytes(removed.kept.blob_bytes);
        parts.push(format!("{} ({size})", format::count(removed.kept.blobs, "blob")));
    }
    let word = if removed.dry_run { "could go" } else { "removed" };
    if parts.is_empty() {
        "nothing to remove".to_owned()
    } else {
        format!("{word}: {}", parts.join(", "))
    }
}

struct Gc<'a> {
    state: &'a State,
    now: Timestamp,
}

impl Gc<'_> {
    fn days_ago(&self, days: u64) -> Timestamp {
        let span = i64::try_from(days.saturating_mul(DAY).saturating_mul(1000)).unwrap_or(i64::MAX);
        Timestamp(self.now.0.saturating_sub(span))
    }

    async fn all_runs(&self) -> Result<Vec<RunRow>, StoreError> {
        let mut rows: Vec<RunRow> = Vec::new();
        loop {
            let before: Option<RunId> = rows.last().map(|it| it.id.clone());
            let filter = RunFilter { limit: PAGE, before, ..RunFilter::default() };
            let page = self.state.store.list_runs(&filter).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }

    /// Checkouts that were not asked for lately, but for those of unfinished runs; and mirrors of
    /// repositories that nothing includes any more.
    async fn checkouts(&self) -> anyhow::Result<u64> {
        let rows = self.all_runs().await?;
        let keep: Vec<_> =
            rows.iter().filter(|it| !it.status.is_finished()).map(|it| it.tree.clone()).collect();
        let folder = self.state.folder.join("checkouts");
        let mirrors = include::mirrors(&self.state.folder);
        let (before, unused) = (self.days_ago(CHECKOUT_DAYS), self.days_ago(MIRROR_DAYS));
        let pruned = tokio::task::spawn_blocking(move || {
            let checkouts = prune_checkouts(&folder, &keep, before)?;
            Ok::<_, SourceError>(checkouts + prune_checkouts(&mirrors, &[], unused)?)
        });
        Ok(pruned.await?? as u64)
    }
    /// Objects of working trees that no run was made from, or none that is still known.
    async fn objects(&self) -> anyhow::Result<u64> {
        let keep: Vec<_> = self.all_runs().await?.into_iter().map(|it| it.tree).collect();
        let folder = self.state.folder.join("objects");
        let before = Timestamp(self.now.0.saturating_sub_unsigned(GRACE.0));
        let pruned = tokio::task::spawn_blocking(move || {
            crate::source::prune_objects(&folder, &keep, before)
        });
        Ok(pruned.await?? as u64)
    }
}
