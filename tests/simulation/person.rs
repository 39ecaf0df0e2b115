//! Somebody who watches a run, decides about its approvals, and may cancel it.

use std::sync::Arc;
use std::time::Duration;

use trunkline::engine::Command;
use trunkline::model::Clock;
use trunkline::model::{RunId, StageIndex, StageStatus};
use trunkline::pipeline::plan::{Approval, Work};
use trunkline::runs::{LoadedRun, Runs, RunsError};

use crate::chance::Seed;
use crate::world::World;

/// What a person thinks of an approval stage. It depends on nothing that happens in the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Opinion {
    Yes,
    No,
    None,
}

/// One who never sleeps for long.
pub(crate) struct Person {
    pub(crate) world: Arc<World>,
    /// Not those of the driver: what it stores is not announced here, and both meet in the store.
    pub(crate) runs: Runs,
    pub(crate) seed: Seed,
    /// How often they may cancel.
    pub(crate) cancels: u32,
}

impl Opinion {
    pub(crate) fn about(seed: Seed, stage: &str) -> Self {
        seed.dice(("opinion", stage)).pick(&[Self::Yes, Self::Yes, Self::Yes, Self::No, Self::None])
    }
}

impl Person {
    /// Attends to a run until it has ended, and gives what they know of it.
    pub(crate) async fn attend(mut self, run: RunId) -> LoadedRun {
        let mut dice = self.seed.dice("person");
        let mut loaded = self.runs.load(&run).await.unwrap();
        let mut cancel_in = dice.between(1, 12);
        while !loaded.run.status().is_finished() {
            tokio::time::sleep(Duration::from_millis(dice.between(100, 900))).await;
            self.runs.refresh(&mut loaded).await.unwrap();
            self.decide_approvals(&mut loaded).await;
            cancel_in = cancel_in.saturating_sub(1);
            if cancel_in == 0 && self.cancels > 0 {
                self.cancels -= 1;
                cancel_in = dice.between(1, 8);
                let command = Command::Cancel { by: "p0".to_owned(), reason: String::new() };
                self.say(&mut loaded, &command).await;
            }
        }
        loaded
    }

    async fn decide_approvals(&self, loaded: &mut LoadedRun) {
        let waiting: Vec<StageIndex> = loaded
            .run
            .stages()
            .filter(|(_, stage)| stage.status == StageStatus::Waiting)
            .map(|(index, _)| index)
            .collect();
        for stage in waiting {
            let planned = &loaded.run.plan().stages[stage.as_usize()];
            let Work::Approval(Approval { count, .. }) = &planned.work else { continue };
            let opinion = Opinion::about(self.seed, &planned.key);
            for person in 0..*count {
                let (by, teams, comment) = (format!("p{person}"), Vec::new(), String::new());
                match opinion {
                    Opinion::Yes => {
                        let names = Vec::new();
                        let yes = Command::Approve { stage, by, teams, names, comment };
                        self.say(loaded, &yes).await;
                    }
                    Opinion::No => {
                        self.say(loaded, &Command::Reject { stage, by, teams, comment }).await;
                    }
                    Opinion::None => (),
                }
            }
        }
    }

    /// A refusal is normal: the run has gone on since they looked.
    async fn say(&self, loaded: &mut LoadedRun, command: &Command) {
        match self.runs.execute(loaded, command, self.world.now()).await {
            Ok(_) | Err(RunsError::Refused(_)) => (),
            Err(error) => self.world.blame(format!("{command:?}: {error}")),
        }
    }
}
