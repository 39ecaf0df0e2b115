//! Random small pipelines.

use std::collections::BTreeMap;

use trunkline::model::{FailureClass, Milliseconds, StageIndex};
use trunkline::pipeline::plan::{
    AllowFailure, Approval, Artifacts, ContainerWork, Gate, Network, OnNew, PlannedNeed,
    PlannedStage, Program, PullPolicy, Resources, RetryPolicy, RunConcurrency, SecretUse,
    SlotOrder, StageConcurrency, Step, Work,
};
use trunkline::pipeline::{Expression, Plan, Template};

use crate::chance::Dice;
use crate::script::Script;

/// What a stage group lets in.
pub(crate) const GROUPS: [(&str, u32); 2] = [("single", 1), ("pair", 2)];
/// The only secret, which some steps print.
pub(crate) const SECRET: &str = "correct-horse-battery";
/// A step that takes this long runs into every limit.
pub(crate) const ENDLESS_MS: u64 = 600_000;

/// A plan of one to eight stages. One that may be cut short has a time limit now and then.
pub(crate) fn random_plan(dice: &mut Dice, may_time_out: bool) -> Plan {
    let count = dice.count(1, 8);
    let is_backwards = dice.percent(30);
    let place = |index: usize| if is_backwards { count - 1 - index } else { index };
    let mut stages = vec![None; count];
    for index in 0..count {
        let mut stage = random_stage(dice, &format!("s{index}"));
        for need in 0..index {
            if dice.percent(60 / u32::try_from(index).unwrap() + 5) {
                let optional = dice.percent(20);
                let stage_index = StageIndex(u32::try_from(place(need)).unwrap());
                stage.needs.push(PlannedNeed { stage: stage_index, optional });
            }
        }
        stages[place(index)] = Some(stage);
    }
    let timeout = may_time_out && dice.percent(15);
    let is_grouped = dice.percent(25);
    Plan {
        pipeline: "simulated".to_owned(),
        team: None,
        timeout: timeout.then(|| Milliseconds(dice.between(1_000, 30_000))),
        concurrency: is_grouped
            .then(|| RunConcurrency { group: "runs".to_owned(), on_new: OnNew::default() }),
        budget: None,
        release: None,
        stages: stages.into_iter().flatten().collect(),
    }
}

fn random_stage(dice: &mut Dice, key: &str) -> PlannedStage {
    let conditions = [(10, "always()"), (7, "failed()"), (5, "!failed()")];
    let condition = conditions.iter().find(|(percent, _)| dice.percent(*percent));
    let is_approval = dice.percent(12);
    let has_gate = !is_approval && dice.percent(15);
    let (group, limit) = dice.pick(&GROUPS);
    let has_group = !is_approval && dice.percent(20);
    let is_short = dice.percent(10);
    let work = if is_approval { approval(dice) } else { container(dice, key, has_gate) };
    PlannedStage {
        key: key.to_owned(),
        name: key.to_owned(),
        matrix: BTreeMap::new(),
        needs: Vec::new(),
        condition: condition.map(|(_, source)| Expression::parse(source).unwrap()),
        work,
        env: BTreeMap::new(),
        secrets: vec![SecretUse { name: "TOKEN".to_owned(), env: "TOKEN".to_owned() }],
        retry: random_retry(dice),
        timeout: Milliseconds(if is_short { 2_500 } else { 120_000 }),
        allow_failure: dice
            .percent(10)
            .then(|| AllowFailure { until: None, reason: String::new() }),
        gates: if has_gate { vec![gate()] } else { Vec::new() },
        inputs: dice.percent(20).then(|| vec!["**".to_owned()]),
        concurrency: has_group.then(|| StageConcurrency {
            group: group.to_owned(),
            limit,
            order: SlotOrder::OldestFirst,
            skip_outdated: false,
        }),
        interruptible: true,
        labels: BTreeMap::new(),
        environment: None,
        budget: None,
    }
}

fn random_retry(dice: &mut Dice) -> RetryPolicy {
    let known = [
        FailureClass::User,
        FailureClass::Infra,
        FailureClass::ImagePull,
        FailureClass::Timeout,
        FailureClass::OutOfMemory,
        FailureClass::Gate,
    ];
    let on = known.into_iter().filter(|_| dice.percent(50)).collect();
    RetryPolicy {
        max: u32::try_from(dice.count(0, 2)).unwrap(),
        on,
        delay: Milliseconds(dice.between(50, 1_500)),
    }
}

fn gate() -> Gate {
    let comparison = ">= 0.5".to_owned();
    let expression = Expression::parse_gate("score >= 0.5").unwrap();
    Gate { metric: "score".to_owned(), comparison, expression }
}

fn approval(dice: &mut Dice) -> Work {
    Work::Approval(Approval {
        by: Vec::new(),
        count: u32::try_from(dice.count(1, 2)).unwrap(),
        not_author: false,
        timeout: Milliseconds(dice.between(10_000, 20_000)),
        approve_on_timeout: dice.percent(50),
    })
}

fn container(dice: &mut Dice, key: &str, has_gate: bool) -> Work {
    let count = dice.count(1, 3);
    let mut steps: Vec<Step> = (0..count).map(|number| random_step(dice, number)).collect();
    if has_gate {
        let mut script = Script::parse(&steps[0].run);
        script.scores = dice.pick(&[vec![0.9], vec![0.1], vec![0.1, 0.9], vec![]]);
        steps[0].run = script.text();
    }
    let artifacts = dice.percent(50).then(|| Artifacts {
        paths: vec![format!("out-{key}")],
        expire: Milliseconds::from_seconds(3600),
        reports: BTreeMap::new(),
        on_failure: dice.percent(50),
    });
    Work::Container(Box::new(ContainerWork {
        image: Template::literal("image"),
        pull: PullPolicy::IfMissing,
        program: Program::Steps(steps),
        user: None,
        read_only: false,
        network: Network::None,
        resources: Resources::default(),
        services: BTreeMap::new(),
        caches: Vec::new(),
        artifacts,
    }))
}

fn random_step(dice: &mut Dice, number: usize) -> Step {
    let exits = [(75, vec![0]), (9, vec![1]), (8, vec![3, 0]), (8, vec![2, 2, 0])];
    let exits = exits.iter().find(|(percent, _)| dice.percent(*percent));
    let is_endless = dice.percent(4);
    let script = Script {
        takes_ms: if is_endless { ENDLESS_MS } else { dice.between(5, 600) },
        lines: u32::try_from(dice.count(0, 6)).unwrap(),
        exits: exits.map(|(_, exits)| exits.clone()).unwrap_or_default(),
        scores: Vec::new(),
        out_of_memory: dice.percent(2),
        ignores_terminate: dice.percent(25),
    };
    let conditions = [(8, "always()"), (5, "failed()")];
    let condition = conditions.iter().find(|(percent, _)| number > 0 && dice.percent(*percent));
    Step {
        name: format!("step {number}"),
        run: script.text(),
        image: None,
        condition: condition.map(|(_, source)| Expression::parse(source).unwrap()),
        timeout: (is_endless || dice.percent(5)).then(|| Milliseconds(dice.between(1_000, 3_000))),
        env: BTreeMap::new(),
    }
}
