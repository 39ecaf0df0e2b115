//! Code from forks: whether it runs is what the default branch says. It gets no secrets, tokens or caches, and
//! nothing that it leaves behind reaches other runs. Pure.

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

/// Arguments that Docker's builder takes without their being declared, and that do not count for its cache: a
/// layer that was made through a stranger's proxy would be used by everybody.
const PROXY_ARGUMENTS: [&str; 5] =
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// Takes from the plan of a request what a fork must not have, and lets it wait for people where the policy
/// says so.
pub(super) fn confine(plan: &mut Plan, policy: ForkPolicy, request: u64) {
    if let Some(concurrency) = &mut plan.concurrency {
        concurrency.group = own_group(request, &concurrency.group);
    }
    for stage in &mut plan.stages {
        confine_stage(stage, request);
    }
    if policy == ForkPolicy::Approval {
        await_approval(plan);
    }
}

fn confine_stage(stage: &mut PlannedStage, request: u64) {
    // The names of its secrets stay: a stage that asks for one is refused, audited, and fails with the reason.
    stage.identity.clear();
    // A green result would stand for the same stage of trunk, with artifacts of the fork's making.
    stage.inputs = None;
    stage.environment = None;
    stage.interruptible = true;
    if let Some(concurrency) = &mut stage.concurrency {
        concurrency.group = own_group(request, &concurrency.group);
    }
    match &mut stage.work {
        Work::Container(work) => work.caches.clear(),
        // A tag would take the place of an image that others run, here or in a registry.
        Work::Image(work) => {
            work.tags.clear();
            work.push = false;
            let is_proxy =
                |it: &str| PROXY_ARGUMENTS.iter().any(|word| it.eq_ignore_ascii_case(word));
            work.args.retain(|name, _| !is_proxy(name));
        }
        Work::Builtin { .. } | Work::Approval(_) => (),
    }
}

/// A group that only runs of this request are in: a fork must neither cancel runs of trunk nor make them
/// wait.
fn own_group(request: u64, group: &str) -> String {
    format!("fork of request {request}: {group}")
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
        identity: Vec::new(),
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
