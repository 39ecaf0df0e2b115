//! What expressions of a stage can see. Built when asked for, from that stage's needs alone.

use std::collections::BTreeMap;

use super::{Run, Standings};
use crate::engine::AttemptOutcome;
use crate::model::{StageIndex, StageStatus};
use crate::pipeline::Scope;
use crate::pipeline::context::NeedResult;

/// An outcome that is decided but not applied yet.
pub(in crate::engine) type FreshOutcome<'a> = Option<(StageIndex, &'a AttemptOutcome)>;

impl Run {
    /// What an expression of this stage can see now: needs, matrix, context, whether one failed.
    #[must_use]
    pub fn scope(&self, stage: StageIndex) -> Scope<'_> {
        scope_of(self, &self.progress, None, stage)
    }
}

/// The scope of a stage when its needs stand as `standings` say.
pub(in crate::engine) fn scope_of<'a>(
    run: &'a Run,
    standings: &impl Standings,
    fresh: FreshOutcome<'_>,
    stage: StageIndex,
) -> Scope<'a> {
    let mut needs = BTreeMap::new();
    for need in run.graph.needs(stage) {
        let (Some(planned), Some(standing)) = (run.planned(*need), standings.standing(*need))
        else {
            continue;
        };
        let outcome = match fresh {
            Some((index, outcome)) if index == *need => Some(outcome),
            _ => run.stage(*need).and_then(|stage| stage.outcome()),
        };
        let result = NeedResult {
            status: standing.status,
            outputs: outcome.map(|it| it.outputs.clone()).unwrap_or_default(),
            metrics: outcome.map(|it| it.metrics.clone()).unwrap_or_default(),
        };
        if planned.key != planned.name {
            fold(&mut needs, planned.name.clone(), result.clone());
        }
        needs.insert(planned.key.clone(), result);
    }
    let planned = run.planned(stage);
    Scope {
        context: Some(run.context()),
        matrix: planned.map(|it| &it.matrix),
        env: run.known(stage).map(|it| &it.env),
        needs,
        any_failed: standings.standing(stage).is_some_and(|it| it.failed_before),
        metrics: BTreeMap::new(),
        baseline: None,
    }
}

/// Adds one cell to what is said of a matrix stage as a whole. The worst status wins; where two cells
/// publish the same name, the later cell does.
fn fold(needs: &mut BTreeMap<String, NeedResult>, name: String, cell: NeedResult) {
    let Some(whole) = needs.get_mut(&name) else {
        needs.insert(name, cell);
        return;
    };
    if badness(cell.status) > badness(whole.status) {
        whole.status = cell.status;
    }
    whole.outputs.extend(cell.outputs);
    whole.metrics.extend(cell.metrics);
}

fn badness(status: StageStatus) -> u8 {
    match status {
        StageStatus::Failed => 4,
        StageStatus::Cancelled => 3,
        StageStatus::Pending
        | StageStatus::Ready
        | StageStatus::Running
        | StageStatus::Delayed
        | StageStatus::Waiting => 2,
        StageStatus::Passed => 1,
        StageStatus::Skipped => 0,
    }
}
