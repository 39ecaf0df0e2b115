//! Code from forks: whether it runs is what the default branch says, and it gets neither secrets nor
//! caches. Pure.

use std::collections::BTreeMap;

use crate::model::{Milliseconds, StageIndex};
use crate::pipeline::Plan;
use crate::pipeline::expression::Expression;
use crate::pipeline::file::trigger::ForkPolicy;
use crate::pipeline::plan::{Approval, PlannedNeed, PlannedStage, RetryPolicy, Work};

/// The stage that holds a fork's run until somebody has looked at the code. No file can name a stage so.
pub(super) const APPROVAL_STAGE: &str = "fork approval";
/// How long somebody has for it.
const APPROVAL_TIMEOUT: Milliseconds = Milliseconds::from_seconds(7 * 24 * 60 * 60);

/// Takes from a plan what a fork must not have, and lets it wait for people where the policy says so.
pub(super) fn confine(plan: &mut Plan, policy: ForkPolicy) {
    for stage in &mut plan.stages {
        stage.secrets.clear();
        if let Work::Container(work) = &mut stage.work {
            work.caches.clear();
        }
    }
    if policy == ForkPolicy::Approval {
        await_approval(plan);
    }
}

/// Every stage waits for the approval, not only those without needs: `if: always()` must not pass it by.
fn await_approval(plan: &mut Plan) {
    let gate = StageIndex(u32::try_from(plan.stages.len()).unwrap_or(u32::MAX));
    let is_approved = format!("needs['{APPROVAL_STAGE}'].status == 'passed'");
    for stage in &mut plan.stages {
        stage.needs.push(PlannedNeed { stage: gate, optional: false });
        if let Some(own) = &stage.condition {
            let both = format!("{is_approved} && ({})", own.source());
            // Without a condition a stage waits for all its needs: that is the safe side.
            stage.condition = Expression::parse(&both).ok();
        }
    }
    plan.stages.push(PlannedStage {
        key: APPROVAL_STAGE.to_owned(),
        name: APPROVAL_STAGE.to_owned(),
        matrix: BTreeMap::new(),
        needs: Vec::new(),
        condition: None,
        work: Work::Approval(Approval {
            by: Vec::new(),
            count: 1,
            not_author: true,
            timeout: APPROVAL_TIMEOUT,
            approve_on_timeout: false,
        }),
        env: BTreeMap::new(),
        secrets: Vec::new(),
        retry: RetryPolicy::default(),
        timeout: APPROVAL_TIMEOUT,
        allow_failure: None,
        gates: Vec::new(),
        inputs: None,
        concurrency: None,
        interruptible: true,
        labels: BTreeMap::new(),
        environment: None,
        budget: None,
    });
}
