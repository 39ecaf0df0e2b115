//! What is known of a stage before its turn. Worked out once for a run, as it is asked for often.

use std::collections::BTreeMap;

use crate::pipeline::Expression;
use crate::pipeline::plan::{ContainerWork, PlannedStage, Program, Work};

/// What is known of one stage before its turn.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) struct Known {
    /// Its environment, without what waits for the results of needs.
    pub(in crate::engine) env: BTreeMap<String, String>,
    /// Whether it is known which containers it needs, and that it needs them: no earlier result may
    /// stand for it, and no need names an image.
    pub(in crate::engine) has_containers: bool,
    /// Whether it runs even in a cancelled run.
    pub(in crate::engine) is_always_run: bool,
}

impl Known {
    pub(in crate::engine) fn of(planned: &PlannedStage) -> Self {
        let env = planned.env.iter();
        let env = env.filter_map(|(name, value)| Some((name.clone(), value.as_text()?)));
        let has_containers = match &planned.work {
            Work::Container(work) => planned.inputs.is_none() && !is_dynamic(work),
            Work::Image(_) | Work::Builtin { .. } | Work::Approval(_) => false,
        };
        let is_always_run = planned.condition.as_ref().is_some_and(calls_always);
        Self { env: env.collect(), has_containers, is_always_run }
    }
}

fn is_dynamic(work: &ContainerWork) -> bool {
    let steps = match &work.program {
        Program::Steps(steps) => steps.as_slice(),
        Program::Command(_) => &[],
    };
    let images = steps.iter().filter_map(|step| step.image.as_ref()).chain([&work.image]);
    let services = work
        .services
        .values()
        .flat_map(|service| service.env.values().chain(&service.command).chain([&service.image]));
    images.chain(services).any(crate::pipeline::Template::is_dynamic)
}

/// Whether the condition calls `always()`. One that only says `!failed()` must not start a deploy in a
/// run that somebody has cancelled.
fn calls_always(condition: &Expression) -> bool {
    let dense: String = condition.source().chars().filter(|it| !it.is_whitespace()).collect();
    condition.overrides_needs() && dense.contains("always()")
}
