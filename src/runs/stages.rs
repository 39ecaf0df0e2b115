//! The stages that people mean, and those that wait for them.

use super::{LoadedRun, RunsError};
use crate::engine::Command;
use crate::model::{StageIndex, StageStatus, Timestamp};

/// Stages that are named when the wanted one is not there.
const SHOWN: usize = 20;

impl LoadedRun {
    /// The stage with this key, or with this name where only one has it.
    pub fn find_stage(&self, wanted: &str) -> Result<StageIndex, RunsError> {
        let stages = &self.run.plan().stages;
        let all = || (0u32..).map(StageIndex).zip(stages);
        if let Some((index, _)) = all().find(|(_, it)| it.key == wanted) {
            return Ok(index);
        }
        let named: Vec<_> = all().filter(|(_, it)| it.name == wanted).collect();
        match named.as_slice() {
            [(index, _)] => Ok(*index),
            several => {
                let known = if several.is_empty() { all().collect() } else { named.clone() };
                Err(RunsError::NoStage {
                    number: self.row.number,
                    wanted: wanted.to_owned(),
                    known: known.iter().take(SHOWN).map(|(_, it)| it.key.clone()).collect(),
                })
            }
        }
    }

    /// The stages that wait for this person (by login, and by name and address) and their teams, by the rules of the pipeline.
    #[must_use]
    pub fn waiting_for(
        &self,
        (login, names): (&str, &[String]),
        teams: &[String],
        now: Timestamp,
    ) -> Vec<StageIndex> {
        let waiting = self.run.stages().filter(|(_, it)| it.status == StageStatus::Waiting);
        let may = |stage: &StageIndex| {
            let (stage, by) = (*stage, login.to_owned());
            let (teams, names, comment) = (teams.to_vec(), names.to_vec(), String::new());
            self.run.decide(&Command::Approve { stage, by, teams, names, comment }, now).is_ok()
        };
        waiting.map(|(index, _)| index).filter(may).collect()
    }
}
