//! `trunkline gc`: removes what nothing needs any more. Never what an unfinished run needs.

use std::collections::HashSet;

use serde::Serialize;

use crate::blobs::garbage::{GRACE, garbage};
use crate::cli::drive::{self, executor};
use crate::cli::failure::Exit;
use crate::cli::local::include;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::model::{RunId, Timestamp};
use crate::source::{SourceError, prune_checkouts};
use crate::store::StoreError;
use crate::store::runs::{RunFilter, RunRow};

/// Runs that are looked at at once.
const PAGE: u32 = 200;
const DAY: u64 = 24 * 3600;
/// How long a green result may be reused.
const RESULTS_DAYS: u64 = 90;
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
  trunkline gc --runs-older-than 90 --cache-limit 20")]
pub struct GcArgs {
    /// Only say what could go
    #[arg(long)]
    pub dry_run: bool,
    /// Also remove finished runs of every repository that are older than this many days, with their logs
    #[arg(long, value_name = "DAYS")]
    pub runs_older_than: Option<u64>,
    /// The most that caches may take, in GB; the longest unused go first
    #[arg(long, value_name = "GB", default_value_t = 10)]
    pub cache_limit: u32,
}

/// What went, or could go.
#[derive(Debug, Default, Serialize)]
struct Removed {
    dry_run: bool,
    runs: u64,
    artifacts: u64,
    results: u64,
    caches: u64,
    blobs: u64,
    blob_bytes: u64,
    checkouts: u64,
    containers: u64,
    images: u64,
    objects: u64,
}

/// Collects the garbage.
pub async fn execute(session: &Session, args: &GcArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let gc = Gc { state: &state, args, now: session.now() };
    let mut removed = Removed { dry_run: args.dry_run, ..Removed::default() };
    removed.runs = gc.runs().await?;
    if args.dry_run {
        removed.artifacts = gc.count_expired_artifacts().await?;
    } else {
        let quota = i64::from(args.cache_limit) * 1_000_000_000;
        removed.artifacts = state.store.delete_expired_artifacts(gc.now).await?;
        removed.results = state.store.delete_old_results(gc.days_ago(RESULTS_DAYS)).await?;
        removed.caches = state.store.delete_unused_caches(quota).await?;
        removed.checkouts = gc.checkouts().await?;
        removed.objects = gc.objects().await?;
        let swept = drive::sweep(session, &state).await;
        (removed.containers, removed.images) = (swept.attempts as u64, swept.images as u64);
    }
    (removed.blobs, removed.blob_bytes) = gc.blobs().await?;
    if session.output.json {
        session.output.json(&removed)?;
    } else {
        session.output.line(&as_text(&removed))?;
    }
    Ok(Exit::Passed)
}

fn as_text(removed: &Removed) -> String {
    let mut parts = Vec::new();
    for (number, noun) in [
        (removed.runs, "run"),
        (removed.artifacts, "expired artifact"),
        (removed.results, "old result"),
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
    if removed.blobs > 0 {
        let size = format::bytes(removed.blob_bytes);
        parts.push(format!("{} ({size})", format::count(removed.blobs, "blob")));
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
    args: &'a GcArgs,
    now: Timestamp,
}

impl Gc<'_> {
    fn days_ago(&self, days: u64) -> Timestamp {
        let span = i64::try_from(days.saturating_mul(DAY).saturating_mul(1000)).unwrap_or(i64::MAX);
        Timestamp(self.now.0.saturating_sub(span))
    }

    /// Finished runs that are too old. The logs first: a run without its logs is found again, logs
    /// without their run would not be.
    async fn runs(&self) -> anyhow::Result<u64> {
        let Some(days) = self.args.runs_older_than else { return Ok(0) };
        let before = self.days_ago(days);
        let mut removed = 0;
        for row in self.all_runs().await? {
            if row.created_at >= before || !row.status.is_finished() {
                continue;
            }
            removed += 1;
            if !self.args.dry_run {
                self.state.logs.delete_run(&row.id).await?;
                self.state.store.delete_run(&row.id).await?;
                let _none = std::fs::remove_file(executor::note(self.state, &row.id));
            }
        }
        Ok(removed)
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

    async fn count_expired_artifacts(&self) -> anyhow::Result<u64> {
        let mut expired = 0;
        for row in self.all_runs().await?.iter().filter(|it| it.status.is_finished()) {
            let artifacts = self.state.store.list_artifacts(&row.id).await?;
            expired += artifacts.iter().filter(|it| it.expires_at <= self.now).count() as u64;
        }
        Ok(expired)
    }

    /// Blobs that nothing refers to and that are old enough that nobody is about to.
    async fn blobs(&self) -> anyhow::Result<(u64, u64)> {
        let stored = self.state.blobs.list().await?;
        let referenced: HashSet<_> =
            self.state.store.list_referenced_blobs().await?.into_iter().collect();
        let before = Timestamp(self.now.0.saturating_sub_unsigned(GRACE.0));
        let (mut count, mut bytes) = (0, 0);
        for blob in garbage(&stored, &referenced, self.now, GRACE) {
            let is_gone =
                self.args.dry_run || self.state.blobs.delete_garbage(&blob.digest, before).await?;
            if is_gone {
                count += 1;
                bytes += blob.size_bytes;
            }
        }
        if !self.args.dry_run {
            self.state.blobs.sweep_temporary(before).await?;
        }
        Ok((count, bytes))
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
