//! What outlives an attempt on purpose: containers of failed stages, for `trunkline shell`. And what does
//! not: everything with our label that no unfinished run wants.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::executor::Executor;
use crate::model::{AttemptName, StageStatus};
use crate::runs::RunsError;
use crate::worker::driver::Driver;
use crate::worker::{Worker, WorkerError};

/// Failed attempts whose containers are kept, the newest ones.
const KEPT_MAX: usize = 4;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_hours(24);

impl<E: Executor> Driver<'_, E> {
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

    /// Removes what carries this instance's label and is neither kept nor wanted by an unfinished run;
    /// gives how many attempts it belonged to.
    pub async fn sweep(&self) -> Result<usize, WorkerError> {
        // Found first, then asked about: what is made in between is not swept.
        let found = self.parts.executor.list(&self.settings.instance).await?;
        let kept: HashSet<_> = self.list_kept().into_iter().collect();
        let names: HashSet<_> = found.into_iter().map(|it| it.name).collect();
        let mut swept = 0;
        for name in names {
            if kept.contains(&name) || self.is_wanted(&name).await? {
                continue;
            }
            self.parts.executor.remove(&name).await?;
            swept += 1;
        }
        Ok(swept)
    }

    async fn is_wanted(&self, name: &AttemptName) -> Result<bool, WorkerError> {
        let loaded = match self.parts.runs.load(&name.run).await {
            Ok(loaded) => loaded,
            Err(RunsError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if loaded.run.status().is_finished() {
            return Ok(false);
        }
        let Some(stage) = loaded.run.stage(name.stage) else { return Ok(false) };
        let number = usize::try_from(name.attempt).unwrap_or(usize::MAX);
        let is_to_come = number > stage.attempts.len() && !stage.status.is_finished();
        let is_open =
            stage.attempts.get(number.saturating_sub(1)).is_some_and(|it| it.outcome.is_none());
        Ok(is_to_come || is_open)
    }
}
