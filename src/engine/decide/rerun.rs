//! Trying again what a finished run did badly: chosen stages and everything that follows them start
//! anew; the results of all others stand.

use super::decision::Decision;
use crate::engine::{Event, Refused, RerunScope, Run, Stage};
use crate::model::{StageIndex, StageStatus, Timestamp};

/// What somebody asks for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) scope: &'a RerunScope,
    pub(super) by: &'a str,
    pub(super) no_reuse: bool,
}

pub(super) fn rerun(run: &Run, asked: Asked<'_>, now: Timestamp) -> Result<Vec<Event>, Refused> {
    let Asked { scope, by, no_reuse } = asked;
    if run.finished.is_none() {
        return Err(Refused::NotFinished);
    }
    let stages = with_followers(run, chosen(run, scope)?);
    if stages.is_empty() {
        return Err(Refused::NothingToRerun);
    }
    let mut decision = Decision::new(run, now);
    decision.halt = None;
    let (scope, by) = (scope.clone(), by.to_owned());
    decision.record(Event::RerunRequested { scope, by, stages, no_reuse });
    if run.epoch == 0 || run.plan().concurrency.is_some() {
        return Ok(decision.into_events()); // It starts when it is let in.
    }
    decision.start_run();
    Ok(decision.settle())
}

fn chosen(run: &Run, scope: &RerunScope) -> Result<Vec<StageIndex>, Refused> {
    let failed = |stage: &Stage| match stage.status {
        StageStatus::Failed => !stage.allowed,
        StageStatus::Cancelled => true,
        StageStatus::Pending
        | StageStatus::Ready
        | StageStatus::Running
        | StageStatus::Delayed
        | StageStatus::Waiting
        | StageStatus::Passed
        | StageStatus::Skipped => false,
    };
    match scope {
        RerunScope::All => Ok(run.stages().map(|(index, _)| index).collect()),
        RerunScope::Failed => {
            Ok(run.stages().filter(|(_, stage)| failed(stage)).map(|(index, _)| index).collect())
        }
        RerunScope::Stages(stages) => {
            match stages.iter().find(|index| run.stage(**index).is_none()) {
                Some(unknown) => Err(Refused::NoSuchStage(unknown.0)),
                None => Ok(stages.clone()),
            }
        }
    }
}

/// These stages and all that follow them, near or far, in the order of the plan.
fn with_followers(run: &Run, chosen: Vec<StageIndex>) -> Vec<StageIndex> {
    let mut is_in = vec![false; run.plan().stages.len()];
    let mut todo = chosen;
    while let Some(index) = todo.pop() {
        let Some(seen) = is_in.get_mut(index.as_usize()) else { continue };
        if !std::mem::replace(seen, true) {
            todo.extend_from_slice(run.graph.followers(index));
        }
    }
    let stages = run.stages().map(|(index, _)| index);
    stages.zip(is_in).filter(|(_, is_in)| *is_in).map(|(index, _)| index).collect()
}
