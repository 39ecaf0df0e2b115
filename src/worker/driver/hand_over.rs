//! A run in the hands of several workers, one after the other: what its work counts for, when it goes on
//! elsewhere, and how it is left.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::engine::Claim;
use crate::executor::Executor;
use crate::model::{Milliseconds, RunStatus, TeamId};
use crate::runs::{News, RunsError, wants_of};
use crate::store::Store;
use crate::store::fleet::workers::WorkerRow;
use crate::store::runs::RunRow;
use crate::worker::driver::Driver;
use crate::worker::{WorkerError, covers};

/// How often it is looked again whether somebody has the labels that are lacking.
const LOOK_EVERY: Milliseconds = Milliseconds::from_seconds(5);

/// What a run's work counts for.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Standing {
    /// In the line for slots.
    pub(in crate::worker) claim: Claim,
    /// The trunk of the run's project.
    pub(in crate::worker) default_branch: Option<String>,
}

impl Standing {
    pub(in crate::worker) async fn of(store: &Store, row: &RunRow) -> Result<Self, WorkerError> {
        let share = match row.project.0.as_str() {
            "" => None,
            _ => store.find_share(&row.project).await.map_err(RunsError::from)?,
        };
        let place = row.number;
        Ok(match share {
            Some(share) => Self {
                claim: Claim {
                    team: share.team,
                    weight: share.weight,
                    priority: share.priority,
                    place,
                },
                default_branch: Some(share.default_branch),
            },
            None => Self {
                claim: Claim { team: TeamId(String::new()), weight: 1, priority: 0, place },
                default_branch: None,
            },
        })
    }

    /// The place in trunk of a run of the same project; 0 for one that is not of trunk. Branches are
    /// pushed anew over their own history, so there the height says nothing.
    pub(in crate::worker) fn height(&self, row: &RunRow) -> i64 {
        let is_of_trunk = row.event != "pull_request"
            && self.default_branch.as_ref().is_some_and(|it| *it == row.branch);
        if is_of_trunk { row.height } else { 0 }
    }

    /// Whether a run of the same group is newer than another: by trunk where both are of it, else by when
    /// they were asked for.
    pub(in crate::worker) fn is_newer(&self, row: &RunRow, than: &RunRow) -> bool {
        let (ours, theirs) = (self.height(row), self.height(than));
        let heights = if ours > 0 && theirs > 0 { (ours, theirs) } else { (0, 0) };
        (heights.0, row.number) > (heights.1, than.number)
    }
}

impl<E: Executor> Driver<'_, E> {
    /// The labels that the run's next driver needs, when it is to go on elsewhere now: this worker is
    /// drained, or lacks what the next stage asks for and somebody else has it.
    pub(in crate::worker) async fn wants_elsewhere(
        &mut self,
    ) -> Result<Option<String>, WorkerError> {
        if !self.attempts.is_empty() || self.worker.settings.place.is_none() {
            return Ok(None);
        }
        if *self.worker.draining.borrow() {
            return Ok(Some(wants_of(&self.next_labels())));
        }
        if self.spare_slot.is_some() || self.line.is_some() {
            // There is work for us first.
            return Ok(None);
        }
        let Some(lacking) = self.lacking.clone() else { return Ok(None) };
        let now = self.worker.parts.clock.now();
        let workers = self.worker.parts.runs.store().list_workers().await;
        let workers = workers.map_err(RunsError::from)?;
        let can = |it: &WorkerRow| {
            it.is_alive(now)
                && !it.draining
                && it.slots > 0
                && it.name != self.worker.settings.owner
                && covers(&it.labels, &lacking)
        };
        if workers.iter().any(can) {
            return Ok(Some(wants_of(&lacking)));
        }
        let again = now.plus(LOOK_EVERY);
        self.wake_at = Some(self.wake_at.map_or(again, |it| it.min(again)));
        Ok(None)
    }

    /// The labels of the first stage that is ready.
    fn next_labels(&self) -> BTreeMap<String, String> {
        let plan = self.loaded.run.plan();
        let is_ready = |status| status == crate::model::StageStatus::Ready;
        let mut ready = self.loaded.run.stages().filter(|(_, it)| is_ready(it.status));
        let next = ready.next().and_then(|(index, _)| plan.stages.get(index.as_usize()));
        next.map(|it| it.labels.clone()).unwrap_or_default()
    }

    /// Removes what was made ready, and lets somebody with these labels go on.
    pub(in crate::worker) async fn hand_over(
        mut self,
        wants: &str,
    ) -> Result<Option<RunStatus>, WorkerError> {
        self.look_ahead.close();
        self.finish_tasks().await?;
        for name in self.look_ahead.names() {
            self.look_ahead.discard(&name);
            self.remove(name);
        }
        self.finish_tasks().await?;
        self.worker.hand_over_lease(&self.loaded.row.id, self.lease, wants).await;
        if self.worker.is_draining() {
            self.worker.handed_over.fetch_add(1, Ordering::Relaxed);
        }
        Ok(None)
    }

    async fn finish_tasks(&mut self) -> Result<(), WorkerError> {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.handle_end(ended).await?;
        }
        Ok(())
    }

    /// Leaves the run as it is. Where attempts of it are under way the lease is kept until it runs out:
    /// the next process of this state folder takes it over at once and adopts them, and only if none comes
    /// does somebody else go on without them.
    pub(in crate::worker) async fn leave(mut self) -> Result<Option<RunStatus>, WorkerError> {
        let has_attempts = !self.attempts.is_empty();
        self.tasks.shutdown().await;
        if !(has_attempts && self.worker.settings.is_shared) {
            self.worker.release_lease(&self.loaded.row.id, self.lease).await;
        }
        self.worker.parts.runs.announce(News::Takeable);
        Ok(None)
    }
}
