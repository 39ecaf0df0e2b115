//! What outlives an attempt on purpose: containers of failed stages, for `trunkline shell`. And what does
//! not: everything with our label that no unfinished run wants.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::executor::Executor;
use crate::model::{AttemptName, Milliseconds, RunId, RunStatus, StageStatus, Timestamp};
use crate::runs::{LoadedRun, Runs, RunsError};
use crate::worker::driver::Driver;
use crate::worker::{Worker, WorkerError};

/// Failed attempts whose containers are kept, the newest ones.
const KEPT_MAX: usize = 16;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// How long the images that an ended run has built are kept.
const IMAGES_KEPT_FOR: Milliseconds = Milliseconds::from_seconds(24 * 3600);
/// How often a worker sweeps, roughly.
const SWEEP_EVERY: Duration = Duration::from_mins(5);
/// How long one sweep may take.
const SWEEP_MAX: Duration = Duration::from_mins(2);

/// Rounds in which all is removed: what was being made in one is there in the next.
const REMOVALS_MAX: u32 = 3;

/// Which images of ended runs a sweep leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltImages {
    /// Those of the last day: somebody may re-run a part of the run.
    KeepRecent,
    /// Of these only those of runs that did not pass.
    KeepFailed,
}

/// What a sweep has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attempts of which something was left.
    pub attempts: usize,
    /// Images that attempts had built.
    pub images: usize,
}

impl<E: Executor> Driver<'_, E> {
    /// Lets a failed attempt stay until it is decided whether it does: once its end is stored, the sweep of
    /// another process would remove it.
    pub(in crate::worker) fn keep_for_now(&self, name: &AttemptName) {
        if self.worker.settings.keep_failed
            && let Err(error) = self.worker.keep(name)
        {
            tracing::warn!(attempt = %name, %error, "it cannot be kept");
        }
    }

    /// Whether the container of a finished attempt stays for a person to look at.
    pub(in crate::worker) fn keeps(&self, name: &AttemptName) -> bool {
        let stage = self.loaded.run.stage(name.stage);
        let has_failed = stage.is_some_and(|it| {
            it.status == StageStatus::Failed && it.attempts.len() == name.attempt as usize
        });
        has_failed && self.worker.settings.keep_failed && self.worker.keep(name).is_ok()
    }
}

impl<E: Executor> Worker<E> {
    fn kept_folder(&self) -> PathBuf {
        self.settings.state_folder.join("kept")
    }

    fn keep(&self, name: &AttemptName) -> std::io::Result<()> {
        std::fs::create_dir_all(self.kept_folder())?;
        std::fs::write(self.kept_folder().join(name.slug()), b"")
    }

    /// Keeps an attempt no longer.
    pub(in crate::worker) fn forget(&self, name: &AttemptName) {
        let _none = std::fs::remove_file(self.kept_folder().join(name.slug()));
        self.forget_tokens(name);
    }

    /// The attempts that are kept now, newest first; forgets those that are too old or too many.
    fn list_kept(&self) -> Vec<AttemptName> {
        let Ok(entries) = std::fs::read_dir(self.kept_folder()) else { return Vec::new() };
        let mut kept: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let age = entry.metadata().ok()?.modified().ok()?.elapsed().unwrap_or_default();
                let name = AttemptName::parse_slug(entry.file_name().to_str()?)?;
                Some((age, name, entry.path()))
            })
            .collect();
        kept.sort_by_key(|it| it.0);
        let mut names = Vec::new();
        for (place, (age, name, path)) in kept.into_iter().enumerate() {
            if place < KEPT_MAX && age < KEPT_FOR {
                names.push(name);
            } else {
                let _gone = std::fs::remove_file(path);
            }
        }
        names
    }

    /// Removes what carries this instance's label and is neither kept nor wanted by an unfinished run,
    /// whichever process drives that.
    pub async fn sweep(&self, images: BuiltImages) -> Result<Swept, WorkerError> {
        // Found first, then asked about: what is made in between is not swept.
        let found = self.parts.executor.list(&self.settings.instance).await?;
        let built = self.parts.executor.list_images(&self.settings.instance).await?;
        let kept: HashSet<_> = self.list_kept().into_iter().collect();
        let names: HashSet<_> = found.into_iter().map(|it| it.name).collect();
        let mut runs = Known { runs: &self.parts.runs, loaded: HashMap::new() };
        let now = self.parts.clock.now();
        let mut swept = Swept::default();
        for name in names {
            let run = runs.load(&name.run).await?;
            if run.is_some_and(|it| kept.contains(&name) || is_wanted(it, &name)) {
                continue;
            }
            self.parts.executor.remove(&name).await?;
            self.forget(&name);
            swept.attempts += 1;
        }
        for name in built {
            let run = runs.load(&name.run).await?;
            if run.is_some_and(|it| needs_image(it, images, now)) {
                continue;
            }
            swept.images += usize::from(self.parts.executor.remove_image(&name).await?);
        }
        self.parts.executor.tidy().await?;
        Ok(swept)
    }

    /// Removes everything that carries this instance's label, for a state folder that is gone; gives how
    /// many attempts had something left. What fails is left to a person.
    pub async fn remove_all(&self) -> usize {
        let mut removed = HashSet::new();
        for _ in 0..REMOVALS_MAX {
            let found = match self.parts.executor.list(&self.settings.instance).await {
                Ok(found) if !found.is_empty() => found,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "what is left over cannot be listed");
                    break;
                }
            };
            for name in found.into_iter().map(|it| it.name) {
                match self.parts.executor.remove(&name).await {
                    Ok(()) => drop(removed.insert(name)),
                    Err(error) => tracing::warn!(attempt = %name, %error, "it is left over"),
                }
            }
        }
        removed.len()
    }

    /// Sweeps at once, and then now and again until `done`. What fails is left to the next time.
    pub async fn keep_swept(&self, done: &CancellationToken) {
        loop {
            let sweep = tokio::time::timeout(SWEEP_MAX, self.sweep(BuiltImages::KeepRecent)).await;
            match sweep {
                Ok(Ok(_)) => (),
                Ok(Err(error)) => tracing::warn!(%error, "the sweep is tried again later"),
                Err(_) => tracing::warn!("the sweep took too long; it goes on later"),
            }
            // Processes that were started together do not all ask at once.
            let pause = SWEEP_EVERY.mul_f64(fastrand::f64().mul_add(0.5, 0.75));
            tokio::select! {
                () = done.cancelled() => return,
                () = self.sweep_now.notified() => (),
                () = tokio::time::sleep(pause) => (),
            }
        }
    }
}

/// Runs that a sweep has asked about, each once.
struct Known<'a> {
    runs: &'a Runs,
    loaded: HashMap<RunId, Option<LoadedRun>>,
}

impl Known<'_> {
    /// The run, if there is one.
    async fn load(&mut self, id: &RunId) -> Result<Option<&LoadedRun>, WorkerError> {
        if !self.loaded.contains_key(id) {
            let run = match self.runs.load(id).await {
                Ok(run) => Some(run),
                Err(RunsError::NotFound(_)) => None,
                Err(error) => return Err(error.into()),
            };
            self.loaded.insert(id.clone(), run);
        }
        Ok(self.loaded.get(id).and_then(Option::as_ref))
    }
}

fn is_wanted(loaded: &LoadedRun, name: &AttemptName) -> bool {
    let Some(stage) = loaded.run.stage(name.stage) else { return false };
    let number = usize::try_from(name.attempt).unwrap_or(usize::MAX);
    let attempt = stage.attempts.get(number.saturating_sub(1));
    if loaded.run.status().is_finished() {
        return false;
    }
    let is_to_come = number > stage.attempts.len() && !stage.status.is_finished();
    is_to_come || attempt.is_some_and(|it| it.outcome.is_none())
}

/// An ended run may be re-run in parts, and its image is the cache of the next build.
fn needs_image(loaded: &LoadedRun, images: BuiltImages, now: Timestamp) -> bool {
    let status = loaded.run.status();
    let ended_at = loaded.row.finished_at.unwrap_or(loaded.row.created_at);
    let is_recent = now.since(ended_at) < IMAGES_KEPT_FOR;
    match images {
        _ if !status.is_finished() => true,
        BuiltImages::KeepRecent => is_recent,
        BuiltImages::KeepFailed => is_recent && status != RunStatus::Passed,
    }
}
