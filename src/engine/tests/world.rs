//! A run, a clock, and a small language for both.
//!
//! A plan is written as `key <- need, need?; word value; word value | key …`. A script is commands
//! with commas between, such as `start build, fail build user`; the driver's epoch is the run's unless
//! `@2` stands behind the command. `wait 10` moves the clock without telling the run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::engine::{AttemptOutcome, Command, Event, Refused, RerunScope, Run, SkipReason, Wanted};
use crate::model::{AttemptName, FailureClass, Milliseconds, RunId, StageIndex, Timestamp};
use crate::pipeline::plan::{
    AllowFailure, Approval, ContainerWork, Gate, Plan, PlannedNeed, PlannedStage, Program,
    Resources, RetryPolicy, RunConcurrency, StageConcurrency, Step, Work,
};
use crate::pipeline::{Context, Expression, Template};

/// Plays a script and tells what followed from each command, and what is wanted at the end.
pub(super) fn story(plan: &str, script: &str) -> String {
    let mut world = World::new(plan);
    for line in script.split([',', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        world.play(line);
    }
    world.told
}

/// The facts of the run that stories are told in.
fn context() -> Context {
    let mut context = Context { event: "push".to_owned(), ..Context::default() };
    context.git.author = "Ada".to_owned();
    let baseline = BTreeMap::from([("f1".to_owned(), 0.9)]);
    context.baselines.insert("eval".to_owned(), baseline);
    context
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) run: Run,
    pub(super) now: Timestamp,
    pub(super) log: Vec<(Timestamp, Event)>,
    told: String,
}

impl World {
    pub(super) fn new(plan: &str) -> Self {
        Self::of(parse_plan(plan))
    }

    pub(super) fn of(plan: Plan) -> Self {
        let run = Run::new(RunId("r".to_owned()), Arc::new(plan), Arc::new(context()));
        Self { run, now: Timestamp(0), log: Vec::new(), told: String::new() }
    }

    /// Decides, applies and keeps what follows.
    pub(super) fn order(&mut self, command: &Command) -> Result<Vec<Event>, Refused> {
        let events = self.run.decide(command, self.now)?;
        self.record(&events);
        Ok(events)
    }

    pub(super) fn record(&mut self, events: &[Event]) {
        for event in events {
            self.run.apply(event, self.now);
            self.log.push((self.now, event.clone()));
        }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(Milliseconds::from_seconds(seconds));
    }

    /// The run as a restarted process would see it.
    pub(super) fn replayed(&self) -> Run {
        let (plan, context) = (Arc::clone(self.run.plan()), Arc::clone(self.run.context()));
        let mut run = Run::new(self.run.id().clone(), plan, context);
        for (at, event) in &self.log {
            run.apply(event, *at);
        }
        run
    }

    pub(super) fn play(&mut self, line: &str) {
        if let Some(seconds) = line.strip_prefix("wait ") {
            return self.wait(seconds.parse().unwrap());
        }
        if line == "wanted" {
            let wanted: Vec<_> =
                self.run.wanted(self.now).map(|it| self.tell_wanted(&it)).collect();
            writeln!(self.told, "wanted: {}", wanted.join(", ")).unwrap();
            return;
        }
        if line == "status" {
            writeln!(self.told, "status: {}", self.run.status()).unwrap();
            return;
        }
        let command = self.parse_command(line);
        let told = match self.order(&command) {
            Ok(events) if events.is_empty() => "nothing".to_owned(),
            Ok(events) => {
                events.iter().map(|event| self.tell(event)).collect::<Vec<_>>().join("; ")
            }
            Err(refused) => format!("refused, {refused}"),
        };
        writeln!(self.told, "{line}: {told}").unwrap();
        assert_eq!(self.run, self.replayed(), "replay rebuilds the run");
    }

    pub(super) fn parse_command(&self, line: &str) -> Command {
        let (line, epoch) = match line.split_once(" @") {
            Some((line, epoch)) => (line, epoch.parse().unwrap()),
            None => (line, self.run.epoch()),
        };
        let mut words = line.split(' ');
        let verb = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        let word = |place: usize| words.get(place).copied().unwrap_or_default();
        let stage = || self.find(word(0));
        let attempt = || self.last_attempt(self.find(word(0)));
        match verb {
            "lease" => Command::TakeLease {
                epoch: word(0).parse().unwrap(),
                owner: "w".to_owned(),
                instance: words.get(2).copied().unwrap_or_default().to_owned(),
            },
            "supersede" => Command::Supersede { by: "run 9".to_owned() },
            "admit" => Command::Admit,
            "slot" => Command::GrantSlot { stage: stage() },
            "outdated" => Command::SkipOutdated { stage: stage(), newer: "run 9".to_owned() },
            "start" => Command::StartAttempt { stage: stage(), epoch },
            "reuse" => Command::Reuse {
                stage: stage(),
                from: AttemptName { run: RunId("old".to_owned()), stage: stage(), attempt: 1 },
                outcome: outcome(None, &words[1..]),
            },
            "step" => Command::StartStep { attempt: attempt(), step: number(word(1)), epoch },
            "stepped" => Command::FinishStep {
                attempt: attempt(),
                step: number(word(1)),
                exit_code: word(2).parse().unwrap(),
                epoch,
            },
            "pass" => Command::FinishAttempt {
                attempt: attempt(),
                outcome: outcome(None, &words[1..]),
                epoch,
            },
            "fail" => Command::FinishAttempt {
                attempt: attempt(),
                outcome: outcome(Some(class(word(1))), &words[2..]),
                epoch,
            },
            "approve" | "reject" => {
                let (stage, by) = (stage(), word(1).to_owned());
                let teams = words[2..].iter().map(|it| (*it).to_owned()).collect();
                let comment = String::new();
                if verb == "approve" {
                    // `ada@example.org` says of a word that it is no team.
                    let (names, teams): (Vec<String>, Vec<String>) =
                        Vec::into_iter(teams).partition(|it| it.contains('@'));
                    Command::Approve { stage, by, teams, names, comment }
                } else {
                    Command::Reject { stage, by, teams, comment }
                }
            }
            "cancel" => Command::Cancel { by: "bob".to_owned(), reason: word(0).to_owned() },
            "rerun" => Command::Rerun {
                scope: self.rerun_scope(&words),
                by: "bob".to_owned(),
                no_reuse: false,
            },
            "tick" => Command::Tick,
            other => panic!("no command is called `{other}`"),
        }
    }

    fn rerun_scope(&self, words: &[&str]) -> RerunScope {
        match words {
            ["all"] => RerunScope::All,
            ["failed"] => RerunScope::Failed,
            stages => RerunScope::Stages(stages.iter().map(|key| self.find(key)).collect()),
        }
    }

    pub(super) fn find(&self, key: &str) -> StageIndex {
        let place = self.run.plan().stages.iter().position(|stage| stage.key == key);
        StageIndex(place.map_or(99, |place| u32::try_from(place).unwrap()))
    }

    pub(super) fn last_attempt(&self, stage: StageIndex) -> AttemptName {
        let made = self.run.stage(stage).map_or(0, |it| it.attempts.len());
        let attempt = u32::try_from(made).unwrap();
        AttemptName { run: self.run.id().clone(), stage, attempt }
    }

    fn key(&self, stage: StageIndex) -> &str {
        &self.run.plan().stages[stage.as_usize()].key
    }

    fn tell_wanted(&self, wanted: &Wanted) -> String {
        let name = |name: &AttemptName| format!("{}#{}", self.key(name.stage), name.attempt);
        match wanted {
            Wanted::Admission => "admission".to_owned(),
            Wanted::Attempt(attempt) => format!("attempt {}", name(attempt)),
            Wanted::Stop(attempt) => format!("stop {}", name(attempt)),
            Wanted::Kill(attempt) => format!("kill {}", name(attempt)),
            Wanted::Slot(stage) => format!("slot {}", self.key(*stage)),
            Wanted::Start(stage) => format!("start {}", self.key(*stage)),
            Wanted::Prepare(attempt) => format!("prepare {}", name(attempt)),
            Wanted::WakeAt(moment) => format!("wake {}", seconds(*moment)),
        }
    }

    fn tell(&self, event: &Event) -> String {
        let key = event.stage().map(|stage| self.key(stage)).unwrap_or_default();
        match event {
            Event::LeaseTaken { epoch, .. } => format!("lease {epoch}"),
            Event::Admitted => "admitted".to_owned(),
            Event::RunStarted => "run started".to_owned(),
            Event::StageReady { .. } => format!("{key} ready"),
            Event::SlotGranted { .. } => format!("{key} has a slot"),
            Event::StageSkipped { reason, .. } => format!("{key} skipped, {}", self.why(reason)),
            Event::StageReused { from, .. } => format!("{key} reused from {from}"),
            Event::AttemptStarted { attempt, .. } => format!("{key}#{attempt} started"),
            Event::StepStarted { step, .. } => format!("{key} step {step} started"),
            Event::StepFinished { step, exit_code, .. } => {
                format!("{key} step {step} exit {exit_code}")
            }
            Event::StopRequested { class, message, kill_at, .. } => {
                format!("{key} asked to stop, {class}, {message}, kill at {}", seconds(*kill_at))
            }
            Event::AttemptFinished { attempt, outcome, .. } => match outcome.class {
                None => format!("{key}#{attempt} passed"),
                Some(class) => format!("{key}#{attempt} failed, {class} {}", outcome.message)
                    .trim_end()
                    .to_owned(),
            },
            Event::AnswerIgnored { epoch, .. } => format!("{key} answer of {epoch} ignored"),
            Event::RetryScheduled { retry_at, .. } => {
                format!("{key} again at {}", seconds(*retry_at))
            }
            Event::ApprovalRequested { until, .. } => {
                format!("{key} asks people until {}", seconds(*until))
            }
            Event::Approved { by, .. } => format!("{key} approved by {by}"),
            Event::Rejected { by, .. } => format!("{key} rejected by {by}"),
            Event::StageFinished { status, allowed, failure, .. } => {
                let allowed = if *allowed { ", allowed" } else { "" };
                let why = failure.as_ref().map(|it| format!(", {}: {}", it.class, it.message));
                format!("{key} {status}{allowed}{}", why.unwrap_or_default())
            }
            Event::CancelRequested { force, .. } => {
                format!("cancel{}", if *force { " by force" } else { "" })
            }
            Event::RunTimedOut => "run timed out".to_owned(),
            Event::RunFinished { status } => format!("run {status}"),
            Event::RerunRequested { stages, .. } => {
                let keys: Vec<_> = stages.iter().map(|stage| self.key(*stage)).collect();
                format!("again: {}", keys.join(" "))
            }
        }
    }

    fn why(&self, reason: &SkipReason) -> String {
        match reason {
            SkipReason::Condition { expression } => format!("`{expression}` is false"),
            SkipReason::NeedSkipped { stage } => format!("{} was skipped", self.key(*stage)),
            SkipReason::NeedFailed { stage } => format!("{} failed", self.key(*stage)),
            SkipReason::Outdated { newer } => format!("{newer} is newer"),
            SkipReason::NotSelected => "not selected".to_owned(),
        }
    }
}

fn seconds(moment: Timestamp) -> String {
    format!("{}s", moment.0 / 1000)
}

fn number(word: &str) -> u32 {
    word.parse().unwrap()
}

fn class(word: &str) -> FailureClass {
    *FailureClass::ALL.iter().find(|class| class.as_str() == word).unwrap()
}

/// An outcome with words such as `f1=0.9` (a metric), `tag:v1` (an output), `ended@9` (its process, in seconds)
/// and `final`.
fn outcome(class: Option<FailureClass>, words: &[&str]) -> AttemptOutcome {
    let mut outcome = AttemptOutcome { class, ..AttemptOutcome::default() };
    for word in words {
        if let Some(second) = word.strip_prefix("ended@") {
            outcome.ended_at = Some(Timestamp(second.parse::<i64>().unwrap() * 1000));
        } else if *word == "final" {
            outcome.is_final = true;
        } else if let Some((name, value)) = word.split_once('=') {
            outcome.metrics.insert(name.to_owned(), value.parse().unwrap());
        } else if let Some((name, value)) = word.split_once(':') {
            outcome.outputs.insert(name.to_owned(), value.to_owned());
        }
    }
    outcome
}

/// A plan of this many stages without anything special.
pub(super) fn plain_plan(needs: &[Vec<u32>]) -> Plan {
    let stages = needs.iter().enumerate().map(|(place, needs)| {
        let mut stage = plain_stage(&format!("s{place}"));
        let needs =
            needs.iter().map(|need| PlannedNeed { stage: StageIndex(*need), optional: false });
        stage.needs = needs.collect();
        stage
    });
    Plan {
        pipeline: "p".to_owned(),
        team: None,
        timeout: None,
        concurrency: None,
        budget: None,
        release: None,
        stages: stages.collect(),
    }
}

fn plain_stage(key: &str) -> PlannedStage {
    let step = |name: &str| Step {
        name: name.to_owned(),
        run: "true".to_owned(),
        image: None,
        condition: None,
        timeout: None,
        env: BTreeMap::new(),
    };
    PlannedStage {
        key: key.to_owned(),
        name: key.split('(').next().unwrap().to_owned(),
        matrix: BTreeMap::new(),
        needs: Vec::new(),
        condition: None,
        work: Work::Container(Box::new(ContainerWork {
            image: Template::literal("busybox"),
            pull: crate::pipeline::plan::PullPolicy::default(),
            program: Program::Steps(vec![step("one"), step("two")]),
            user: None,
            read_only: false,
            network: crate::pipeline::plan::Network::default(),
            resources: Resources::default(),
            services: BTreeMap::new(),
            caches: Vec::new(),
            artifacts: None,
        })),
        env: BTreeMap::new(),
        secrets: Vec::new(),
        identity: Vec::new(),
        retry: RetryPolicy::default(),
        timeout: Milliseconds::from_seconds(900),
        allow_failure: None,
        gates: Vec::new(),
        inputs: None,
        concurrency: None,
        interruptible: true,
        labels: BTreeMap::new(),
        environment: None,
        budget: None,
    }
}

pub(super) fn parse_plan(text: &str) -> Plan {
    let mut plan = plain_plan(&[]);
    let lines = || text.split('|').map(str::trim).filter(|line| !line.is_empty());
    let key_of = |line: &str| line.split([';', '<']).next().unwrap().trim().to_owned();
    let keys: Vec<String> = lines().filter(|it| !it.starts_with("run ")).map(key_of).collect();
    for line in lines() {
        if let Some(settings) = line.strip_prefix("run ") {
            set_run(&mut plan, settings);
            continue;
        }
        let mut parts = line.split(';').map(str::trim).filter(|part| !part.is_empty());
        let (head, mut stage) = (parts.next().unwrap(), plain_stage(&key_of(line)));
        let needs = head.split_once("<-").map(|(_, needs)| needs).unwrap_or_default();
        for need in needs.split(',').map(str::trim).filter(|need| !need.is_empty()) {
            let (key, optional) = (need.trim_end_matches('?'), need.ends_with('?'));
            let place = keys.iter().position(|it| it == key).unwrap();
            let index = StageIndex(u32::try_from(place).unwrap());
            stage.needs.push(PlannedNeed { stage: index, optional });
        }
        for setting in parts {
            set_stage(&mut stage, setting);
        }
        plan.stages.push(stage);
    }
    plan
}

fn set_run(plan: &mut Plan, setting: &str) {
    match setting.split_once(' ').unwrap() {
        ("timeout", seconds) => plan.timeout = Some(span(seconds)),
        ("group", group) => {
            let on_new = crate::pipeline::plan::OnNew::default();
            plan.concurrency = Some(RunConcurrency { group: group.to_owned(), on_new });
        }
        (other, _) => panic!("a run has no `{other}`"),
    }
}

fn set_stage(stage: &mut PlannedStage, setting: &str) {
    let (word, value) = setting.split_once(' ').unwrap_or((setting, ""));
    match word {
        // As stored: what only shows in the run must be told there.
        "if" => stage.condition = Some(serde_json::from_value(value.into()).unwrap()),
        "retry" => {
            let mut words = value.split(' ');
            stage.retry.max = number(words.next().unwrap());
            stage.retry.delay = span(words.next().unwrap());
            stage.retry.on = words.map(class).collect();
        }
        "timeout" => stage.timeout = span(value),
        "step_timeout" => {
            if let Work::Container(work) = &mut stage.work
                && let Program::Steps(steps) = &mut work.program
            {
                steps[0].timeout = Some(span(value));
            }
        }
        "allow" => {
            let until = value.parse().ok().map(|seconds: i64| Timestamp(seconds * 1000));
            stage.allow_failure = Some(AllowFailure { until, reason: String::new() });
        }
        "gate" => {
            let (metric, comparison) = value.split_once(' ').unwrap();
            stage.gates.push(Gate {
                metric: metric.to_owned(),
                comparison: comparison.to_owned(),
                expression: Expression::gate(metric, comparison).unwrap(),
            });
        }
        "group" => {
            let (order, skip_outdated) = (crate::pipeline::plan::SlotOrder::default(), true);
            let group = value.to_owned();
            stage.concurrency = Some(StageConcurrency { group, limit: 1, order, skip_outdated });
        }
        "inputs" => stage.inputs = Some(vec!["**".to_owned()]),
        "uninterruptible" => stage.interruptible = false,
        "builtin" => {
            let (name, with) = (value.to_owned(), serde_json::Value::Null);
            stage.work = Work::Builtin { name, with };
        }
        "approval" => stage.work = Work::Approval(approval(value)),
        "image" => {
            if let Work::Container(work) = &mut stage.work {
                work.image = Template::parse(value).unwrap();
            }
        }
        other => panic!("a stage has no `{other}`"),
    }
}

/// `2 team/x ada not_author approve_on_timeout`, every part of which may be absent.
fn approval(text: &str) -> Approval {
    let mut approval = Approval {
        by: Vec::new(),
        count: 1,
        not_author: false,
        timeout: Milliseconds::from_seconds(60),
        approve_on_timeout: false,
    };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "not_author" => approval.not_author = true,
            "approve_on_timeout" => approval.approve_on_timeout = true,
            count if count.parse::<u32>().is_ok() => approval.count = number(count),
            by => approval.by.push(by.to_owned()),
        }
    }
    approval
}

fn span(seconds: &str) -> Milliseconds {
    Milliseconds::from_seconds(seconds.parse().unwrap())
}
