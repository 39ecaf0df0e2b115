//! What must become of a run when nothing goes wrong, worked out from its plan by other means than the
//! engine's.

use trunkline::model::{FailureClass, RunStatus, StageStatus};
use trunkline::pipeline::plan::{ContainerWork, Program, Work};
use trunkline::pipeline::{Expression, Plan, PlannedStage};

use crate::chance::Seed;
use crate::person::Opinion;
use crate::plans::ENDLESS_MS;
use crate::script::Script;

/// A stage as it must end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Foretold {
    pub(crate) status: StageStatus,
    pub(crate) attempts: usize,
    is_bad: bool,
    is_after_bad: bool,
}

pub(crate) fn foretell(plan: &Plan, seed: Seed) -> (RunStatus, Vec<Foretold>) {
    let mut known: Vec<Option<Foretold>> = vec![None; plan.stages.len()];
    while known.iter().any(Option::is_none) {
        for (index, stage) in plan.stages.iter().enumerate() {
            let needs = stage.needs.iter().map(|it| known[it.stage.as_usize()]);
            let needs: Option<Vec<Foretold>> = needs.collect();
            if let (None, Some(needs)) = (known[index], needs) {
                known[index] = Some(foretell_stage(stage, &needs, seed));
            }
        }
    }
    let stages: Vec<_> = known.into_iter().flatten().collect();
    let is_bad = stages.iter().any(|it| it.is_bad);
    (if is_bad { RunStatus::Failed } else { RunStatus::Passed }, stages)
}

fn foretell_stage(stage: &PlannedStage, needs: &[Foretold], seed: Seed) -> Foretold {
    let is_after_bad = needs.iter().any(|it| it.is_bad || it.is_after_bad);
    let skips = |(need, planned): (&Foretold, &trunkline::pipeline::plan::PlannedNeed)| {
        need.is_bad || (need.status == StageStatus::Skipped && !planned.optional)
    };
    let runs = match stage.condition.as_ref().map(Expression::source) {
        None => !needs.iter().zip(&stage.needs).any(skips),
        Some("always()") => true,
        Some("failed()") => is_after_bad,
        Some("!failed()") => !is_after_bad,
        Some(other) => panic!("no stage has the condition `{other}`"),
    };
    if !runs {
        let status = StageStatus::Skipped;
        return Foretold { status, attempts: 0, is_bad: false, is_after_bad };
    }
    let (passes, attempts) = match &stage.work {
        Work::Container(work) => run_attempts(stage, work),
        Work::Approval(approval) => match Opinion::about(seed, &stage.key) {
            Opinion::Yes => (true, 0),
            Opinion::No => (false, 0),
            Opinion::None => (approval.approve_on_timeout, 0),
        },
        other @ (Work::Image(_) | Work::Builtin { .. }) => panic!("no stage does {other:?}"),
    };
    let status = if passes { StageStatus::Passed } else { StageStatus::Failed };
    Foretold { status, attempts, is_bad: !passes && stage.allow_failure.is_none(), is_after_bad }
}

fn run_attempts(stage: &PlannedStage, work: &ContainerWork) -> (bool, usize) {
    let mut attempt = 1;
    loop {
        match failure(stage, work, attempt) {
            None => return (true, attempt as usize),
            Some(class) if attempt <= stage.retry.max && stage.retry.on.contains(&class) => {
                attempt += 1;
            }
            Some(_) => return (false, attempt as usize),
        }
    }
}

fn failure(stage: &PlannedStage, work: &ContainerWork, attempt: u32) -> Option<FailureClass> {
    let Program::Steps(steps) = &work.program else { panic!("only steps are simulated") };
    let mut failed = None;
    let mut score = None;
    for step in steps {
        let runs = match step.condition.as_ref().map(Expression::source) {
            None => failed.is_none(),
            Some("always()") => true,
            Some("failed()") => failed.is_some(),
            Some(other) => panic!("no step has the condition `{other}`"),
        };
        let script = Script::parse(&step.run);
        if !runs {
            continue;
        }
        if script.takes_ms == ENDLESS_MS {
            return Some(FailureClass::Timeout);
        }
        score = script.score(attempt).or(score);
        if script.out_of_memory {
            failed.get_or_insert(FailureClass::OutOfMemory);
        } else if script.exit(attempt) != 0 {
            failed.get_or_insert(FailureClass::User);
        }
    }
    let misses_gate = !stage.gates.is_empty() && !score.is_some_and(|it| it >= 0.5);
    failed.or(misses_gate.then_some(FailureClass::Gate))
}
