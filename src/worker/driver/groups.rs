//! Concurrency groups: asking for admission and slots, giving them back, and what a newer run does to
//! older ones.

use crate::engine::Command;
use crate::executor::Executor;
use crate::model::{RunId, StageIndex, Timestamp};
use crate::pipeline::plan::{OnNew, SlotOrder};
use crate::runs::{RunsError, run_group, stage_group};
use crate::store::groups::{SlotAnswer, SlotRequest};
use crate::worker::WorkerError;
use crate::worker::driver::Driver;

impl<E: Executor> Driver<'_, E> {
    /// Asks the run's group to let it in.
    pub(in crate::worker) async fn request_admission(
        &mut self,
        now: Timestamp,
    ) -> Result<(), WorkerError> {
        self.asked.insert(None, now);
        let (Some(group), Some(name)) =
            (&self.loaded.run.plan().concurrency, run_group(&self.loaded))
        else {
            return Ok(());
        };
        let on_new = group.on_new;
        let order = self.loaded.row.number;
        let request = SlotRequest {
            group: &name,
            run: &self.loaded.row.id,
            stage: None,
            limit: 1,
            order,
            height: self.standing.height(&self.loaded.row),
            skip_outdated: false,
            now,
        };
        let store = self.worker.parts.runs.store();
        let answer = store.request_slot(&request).await.map_err(RunsError::from)?;
        match answer {
            SlotAnswer::Granted => self.record(&Command::Admit).await,
            SlotAnswer::Waiting { behind } if on_new == OnNew::CancelRunning => {
                self.cancel_older(&behind, now).await
            }
            SlotAnswer::Waiting { .. } | SlotAnswer::Outdated { .. } => Ok(()),
        }
    }

    /// Asks the older runs of the group to end, as the pipeline says; one that must not be interrupted
    /// now is waited for. A run that is itself older than one of them ends for its sake.
    async fn cancel_older(&mut self, others: &[RunId], now: Timestamp) -> Result<(), WorkerError> {
        let runs = self.worker.parts.runs.clone();
        for run in others {
            let mut other = runs.load(run).await?;
            if other.run.status().is_finished() || other.row.id == self.loaded.row.id {
                continue;
            }
            if self.standing.is_newer(&other.row, &self.loaded.row) {
                let by = format!("run #{}", other.row.number);
                self.record(&Command::Supersede { by }).await?;
                return Ok(());
            }
            let by = format!("run #{}", self.loaded.row.number);
            // Refused where it is cancelled already, or must not be interrupted: judged on what is stored
            // in the moment it is stored, whichever process drives that run.
            match runs.execute(&mut other, &Command::Supersede { by }, now).await {
                Ok(_) | Err(RunsError::Refused(_)) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Asks a stage's group for a slot.
    pub(in crate::worker) async fn request_slot(
        &mut self,
        stage: StageIndex,
        now: Timestamp,
    ) -> Result<(), WorkerError> {
        self.asked.insert(Some(stage), now);
        self.grouped.insert(stage);
        let planned = self.loaded.run.plan().stages.get(stage.as_usize());
        let (Some(group), Some(name)) =
            (planned.and_then(|it| it.concurrency.as_ref()), stage_group(&self.loaded, stage))
        else {
            return Ok(());
        };
        // A stage that somebody tries again on purpose is not outdated.
        let is_first = self.loaded.run.stage(stage).is_some_and(|it| it.attempts.is_empty());
        let order = match group.order {
            SlotOrder::OldestFirst => self.loaded.row.number,
            SlotOrder::NewestFirst => -self.loaded.row.number,
        };
        let limit = group.limit;
        let request = SlotRequest {
            group: &name,
            run: &self.loaded.row.id,
            stage: Some(stage),
            limit,
            order,
            height: self.standing.height(&self.loaded.row),
            skip_outdated: group.skip_outdated && is_first,
            now,
        };
        let store = self.worker.parts.runs.store();
        let answer = store.request_slot(&request).await.map_err(RunsError::from)?;
        match answer {
            SlotAnswer::Granted => self.record(&Command::GrantSlot { stage }).await,
            SlotAnswer::Outdated { newer } => {
                let row = store.find_run(&newer).await.map_err(RunsError::from)?;
                let newer = row.map_or_else(
                    || "a newer run of trunk".to_owned(),
                    |row| format!("run #{} of trunk", row.number),
                );
                self.worker.parts.runs.announce_freed(&name);
                self.record(&Command::SkipOutdated { stage, newer }).await
            }
            SlotAnswer::Waiting { .. } => Ok(()),
        }
    }

    /// Gives the slots of stages back that have ended, be it without an attempt or under an earlier
    /// driver. A request that nobody takes back would block the group.
    pub(in crate::worker) async fn release_slots(&mut self) -> Result<(), WorkerError> {
        let run = &self.loaded.run;
        let has_ended = |it: &StageIndex| run.stage(*it).is_some_and(|it| it.status.is_finished());
        let ended: Vec<_> = self.grouped.iter().copied().filter(has_ended).collect();
        for stage in ended {
            self.release_slot(stage).await?;
            self.grouped.remove(&stage);
        }
        Ok(())
    }

    async fn release_slot(&mut self, stage: StageIndex) -> Result<(), WorkerError> {
        let Some(name) = stage_group(&self.loaded, stage) else { return Ok(()) };
        let store = self.worker.parts.runs.store();
        let released = store.release_slot(&name, &self.loaded.row.id, Some(stage)).await;
        released.map_err(RunsError::from)?;
        self.worker.parts.runs.announce_freed(&name);
        self.asked.remove(&Some(stage));
        Ok(())
    }
}
