//! Secrets that a run will ask for and nobody has given, told before it begins and all at once. A stage of
//! which it is not known yet whether it gets its turn may still fail for a missing one.

use std::collections::BTreeMap;

use crate::cli::drive::args::Reuse;
use crate::cli::failure::Usage;
use crate::engine::Run;
use crate::model::StageIndex;
use crate::pipeline::{Context, Plan, PlannedStage, Scope};

/// Stages that are named for one secret.
const STAGES_SHOWN: usize = 3;

/// Whether a stage gets its turn when all goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Comes,
    Unknown,
    Never,
}

/// Refuses a plan with stages that certainly want what is not there.
pub fn refuse(
    (plan, context): (&Plan, &Context),
    given: &BTreeMap<String, String>,
    reuse: Reuse,
) -> Result<(), Usage> {
    let lacks = |it: &PlannedStage| it.secrets.iter().any(|it| !given.contains_key(&it.name));
    if !plan.stages.iter().any(lacks) {
        return Ok(());
    }
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (stage, turn) in plan.stages.iter().zip(turns(plan, context)) {
        // An earlier result needs no secret.
        let may_be_reused = stage.inputs.is_some() && reuse == Reuse::WhereUnchanged;
        if turn != Turn::Comes || may_be_reused {
            continue;
        }
        for secret in stage.secrets.iter().filter(|it| !given.contains_key(&it.name)) {
            let stages = missing.entry(&secret.name).or_default();
            if stages.last() != Some(&stage.name.as_str()) {
                stages.push(&stage.name);
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(usage(&missing)) }
}

/// The same for what is left of a run, or is about to be done again: `again` says which stages.
pub fn refuse_rest(
    run: &Run,
    again: impl Fn(StageIndex) -> bool,
    given: &BTreeMap<String, String>,
    reuse: Reuse,
) -> Result<(), Usage> {
    let mut plan = run.plan().as_ref().clone();
    for (index, stage) in (0..).map(StageIndex).zip(&mut plan.stages) {
        if !again(index) {
            stage.secrets.clear();
        }
    }
    refuse((&plan, run.context()), given, reuse)
}

fn usage(missing: &BTreeMap<&str, Vec<&str>>) -> Usage {
    let secrets = missing.iter().map(|(name, stages)| format!("`{name}` ({})", wanted_by(stages)));
    let message = match missing.len() {
        1 => "a secret is missing: ".to_owned(),
        number => format!("{number} secrets are missing: "),
    };
    let message = message + &secrets.collect::<Vec<_>>().join(", ");
    let first = missing.keys().next().unwrap_or(&"NAME");
    Usage::new(
        message,
        format!(
            "give them with `--secret {first}=…` (`--secret {first}` takes it from the environment), or \
             with `--secrets-file FILE`, which has `NAME=value` lines"
        ),
    )
}

fn wanted_by(stages: &[&str]) -> String {
    let shown: Vec<_> = stages.iter().take(STAGES_SHOWN).map(|it| format!("`{it}`")).collect();
    let shown = shown.join(", ");
    match stages.len() {
        1 => format!("for stage {shown}"),
        number if number > STAGES_SHOWN => {
            format!("for stages {shown} and {} more", number - STAGES_SHOWN)
        }
        _ => format!("for stages {shown}"),
    }
}

/// What is known of each stage, what it needs included.
fn turns(plan: &Plan, context: &Context) -> Vec<Turn> {
    let mut turns: Vec<Turn> = plan.stages.iter().map(|it| own_turn(it, context)).collect();
    // Needs may point forwards, so this takes as many rounds as they do; one usually.
    loop {
        let mut has_changed = false;
        for (nth, stage) in plan.stages.iter().enumerate() {
            let known = turns.get(nth).copied().unwrap_or(Turn::Unknown);
            let worst =
                if minds_its_needs(stage) { known.max(worst_need(stage, &turns)) } else { known };
            if let Some(turn) = turns.get_mut(nth).filter(|it| **it != worst) {
                *turn = worst;
                has_changed = true;
            }
        }
        if !has_changed {
            return turns;
        }
    }
}

fn minds_its_needs(stage: &PlannedStage) -> bool {
    stage.condition.as_ref().is_none_or(|it| !it.overrides_needs())
}

fn worst_need(stage: &PlannedStage, turns: &[Turn]) -> Turn {
    let needs = stage.needs.iter().filter(|it| !it.optional);
    let of = |index: usize| turns.get(index).copied().unwrap_or(Turn::Unknown);
    needs.map(|it| of(it.stage.as_usize())).max().unwrap_or(Turn::Comes)
}

/// What its own condition says, as far as that is known before the run.
fn own_turn(stage: &PlannedStage, context: &Context) -> Turn {
    let Some(condition) = &stage.condition else { return Turn::Comes };
    let waits = |name: &str| matches!(name, "needs" | "failed");
    if condition.references().iter().any(|it| waits(&it.root)) {
        return Turn::Unknown;
    }
    let scope = Scope { context: Some(context), matrix: Some(&stage.matrix), ..Scope::default() };
    let known =
        stage.env.iter().filter_map(|(name, it)| Some((name.clone(), it.resolve(&scope).ok()?)));
    let env = known.collect();
    match condition.evaluate(&Scope { env: Some(&env), ..scope.clone() }) {
        Ok(true) => Turn::Comes,
        Ok(false) => Turn::Never,
        Err(_) => Turn::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::RunId;
    use crate::pipeline::{Selection, SourceFile, check};

    fn planned(stages: &str) -> (Plan, Context) {
        let text = format!("version: 1\nname: demo\ndefaults: {{ image: x }}\nstages:\n{stages}");
        let source = SourceFile { name: "demo.yml".to_owned(), text };
        let checked = check(source, &|_| Err("none".to_owned()));
        let pipeline = checked.pipeline.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
        let mut context = Context { event: "push".to_owned(), ..Context::default() };
        context.git.branch = "main".to_owned();
        (pipeline.plan(&context, &Selection::All).unwrap(), context)
    }

    fn refused(stages: &str, given: &[&str]) -> String {
        let (plan, context) = planned(stages);
        let given = given.iter().map(|it| ((*it).to_owned(), String::new())).collect();
        told(refuse((&plan, &context), &given, Reuse::WhereUnchanged))
    }

    fn told(answer: Result<(), Usage>) -> String {
        answer.map_or_else(|usage| usage.message, |()| "nothing is missing".to_owned())
    }

    #[test]
    fn only_what_is_left_of_a_run_wants_its_secrets() {
        let stages = "  a: { run: x, secrets: [KEY] }\n  b: { run: x, secrets: [TOKEN] }\n";
        let (plan, context) = planned(stages);
        let run = Run::new(RunId("r".to_owned()), Arc::new(plan), Arc::new(context));
        let none = BTreeMap::new();
        let rest = |index| refuse_rest(&run, |it| it.0 == index, &none, Reuse::default());
        assert_eq!(told(rest(1)), "a secret is missing: `TOKEN` (for stage `b`)");
        assert_eq!(told(rest(2)), "nothing is missing");
    }

    #[test]
    fn every_secret_is_named_with_the_stages_that_want_it() {
        let stages = "  a: { run: x, secrets: [KEY, TOKEN] }\n  \
                      b: { run: x, secrets: [KEY], matrix: { n: ['1', '2'] } }\n";
        assert_eq!(
            refused(stages, &[]),
            "2 secrets are missing: `KEY` (for stages `a`, `b`), `TOKEN` (for stage `a`)"
        );
        assert_eq!(refused(stages, &["KEY"]), "a secret is missing: `TOKEN` (for stage `a`)");
        assert_eq!(refused(stages, &["KEY", "TOKEN"]), "nothing is missing");
    }

    #[test]
    fn a_stage_that_does_not_come_wants_none() {
        for condition in ["git.branch == 'release'", "failed()", "needs.a.outputs.x == 'y'"] {
            let stages = format!(
                "  c: {{ run: x, needs: [b], secrets: [KEY] }}\n  a: {{ run: x }}\n  \
                 b: {{ run: x, needs: [a], secrets: [KEY], if: \"{condition}\" }}\n"
            );
            assert_eq!(refused(&stages, &[]), "nothing is missing", "{condition}");
        }
        for condition in ["git.branch == 'main'", "always()"] {
            let stages = format!("  b: {{ run: x, secrets: [KEY], if: \"{condition}\" }}\n");
            let message = "a secret is missing: `KEY` (for stage `b`)";
            assert_eq!(refused(&stages, &[]), message, "{condition}");
        }
    }

    #[test]
    fn a_stage_that_may_be_reused_wants_none_yet() {
        let stages = "  a: { run: x, secrets: [KEY], inputs: ['*'] }\n";
        assert_eq!(refused(stages, &[]), "nothing is missing");
    }
}
