//! Concurrency groups: asking for admission and slots, giving them back, and what a newer run does to
//! older ones.

use crate::engine::Command;
use crate::executor::Executor;
use crate::model::{RunId, RunStatus, StageIndex, Timestamp};
use crate::pipeline::plan::{OnNew, SlotOrder};
use crate::runs::RunsError;
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
        let Some(group) = &self.loaded.run.plan().concurrency else { return Ok(()) };
        let on_new = group.on_new;
        let name = format!("run:{}:{}", self.loaded.row.repository, group.group);
        let order = self.loaded.row.number;
        let request = SlotRequest {
            group: &name,
            run: &self.loaded.row.id,
            stage: None,
            limit: 1,
            order,
            now,
        };
        let store = self.worker.parts.runs.store();
        let answer = store.request_slot(&request).await.map_err(RunsError::from)?;
        match answer {
            SlotAnswer::Granted => self.record(&Command::Admit).await,
            SlotAnswer::Waiting { behind } if on_new == OnNew::CancelRunning => {
                self.cancel_older(&behind, now).await
            }
            SlotAnswer::Waiting { .. } => Ok(()),
        }
    }

    /// Asks the older runs of the group to end, as the pipeline says; one that must not be interrupted
    /// now is waited for.
    async fn cancel_older(&self, older: &[RunId], now: Timestamp) -> Result<(), WorkerError> {
        let runs = &self.worker.parts.runs;
        for run in older {
            let mut loaded = runs.load(run).await?;
            let is_over = matches!(
                loaded.run.status(),
                RunStatus::Cancelling
                    | RunStatus::Cancelled
                    | RunStatus::Passed
                    | RunStatus::Failed
            );
            if is_over
                || loaded.row.number > self.loaded.row.number
                || !loaded.run.is_interruptible()
            {
                continue;
            }
            let by = format!("run #{}", self.loaded.row.number);
            let reason = "a newer run of its concurrency group has taken its place".to_owned();
            match runs.execute(&mut loaded, &Command::Cancel { by, reason }, now).await {
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
        let Some(group) = planned.and_then(|it| it.concurrency.as_ref()) else { return Ok(()) };
        let name = format!("stage:{}:{}", self.loaded.row.repository, group.group);
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
            now,
        };
        let store = self.worker.parts.runs.store();
        let answer = store.request_slot(&request).await.map_err(RunsError::from)?;
        if answer == SlotAnswer::Granted {
            self.record(&Command::GrantSlot { stage }).await?;
        }
        Ok(())
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
        let planned = self.loaded.run.plan().stages.get(stage.as_usize());
        let Some(group) = planned.and_then(|it| it.concurrency.as_ref()) else { return Ok(()) };
        let name = format!("stage:{}:{}", self.loaded.row.repository, group.group);
        let store = self.worker.parts.runs.store();
        let released = store.release_slot(&name, &self.loaded.row.id, Some(stage)).await;
        released.map_err(RunsError::from)?;
        self.asked.remove(&Some(stage));
        Ok(())
    }
}
