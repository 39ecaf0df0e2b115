//! What a container does from its go to its end, known in advance but for signals.

use std::fmt::Write as _;

use bytes::Bytes;
use trunkline::executor::{BeginSpec, CommandSpec, Exit, LogItem, Signal, StepSpec};
use trunkline::model::{AttemptName, Milliseconds, Timestamp};

use crate::plans::SECRET;
use crate::script::Script;

/// How long a polite process takes to end.
const POLITE_MS: u64 = 50;

/// One go of a container.
#[derive(Debug, Clone)]
pub(crate) struct Play {
    pub(crate) items: Vec<LogItem>,
    pub(crate) end: Timestamp,
    pub(crate) exit: Exit,
    /// Whether nothing but SIGKILL ends it, step by step: from when it holds.
    stubborn: Vec<(Timestamp, bool)>,
    pub(crate) metrics: String,
    pub(crate) outputs: String,
}

impl Play {
    pub(crate) fn new(name: &AttemptName, spec: &BeginSpec, now: Timestamp) -> Self {
        let CommandSpec::Steps(steps) = &spec.command else { panic!("only steps are simulated") };
        let exit = Exit::of(0);
        let mut play = Self {
            items: Vec::new(),
            end: now,
            exit,
            stubborn: Vec::new(),
            metrics: String::new(),
            outputs: format!("made={}\n", name.slug()),
        };
        for (number, step) in steps.iter().enumerate() {
            play.add_step(name, u32::try_from(number).unwrap(), step);
        }
        play
    }

    fn add_step(&mut self, name: &AttemptName, step: u32, spec: &StepSpec) {
        let any_failed = self.exit.code != 0;
        if !(if any_failed { spec.when_failed } else { spec.when_passing }) {
            return;
        }
        let script = Script::parse(&spec.run);
        self.items.push(LogItem::StepStarted { at: self.end, step });
        self.stubborn.push((self.end, script.ignores_terminate));
        let pause = Milliseconds(script.takes_ms / u64::from(script.lines + 1));
        let begun = self.end;
        for line in 0..script.lines {
            self.end = self.end.plus(pause);
            let text = format!("{} step {step} line {line} {SECRET}\n", name.slug());
            self.items.push(LogItem::Output { at: self.end, bytes: Bytes::from(text) });
        }
        self.end = begun.plus(Milliseconds(script.takes_ms));
        let code = if script.out_of_memory { 137 } else { script.exit(name.attempt) };
        self.items.push(LogItem::StepFinished { at: self.end, step, exit_code: code });
        if let Some(score) = script.score(name.attempt) {
            writeln!(self.metrics, "{{\"score\": {score}}}").unwrap();
        }
        if self.exit.code == 0 {
            self.exit = Exit { out_of_memory: script.out_of_memory, ..Exit::of(code) };
        }
    }

    /// Ends early, if it listens.
    pub(crate) fn interrupt(&mut self, signal: Signal, now: Timestamp) {
        let is_stubborn =
            self.stubborn.iter().rev().find(|(from, _)| *from <= now).is_some_and(|it| it.1);
        let (end, code) = match signal {
            Signal::Kill => (now, 137),
            Signal::Terminate if is_stubborn => return,
            Signal::Terminate => (now.plus(Milliseconds(POLITE_MS)), 143),
        };
        if end >= self.end {
            return;
        }
        self.items.retain(|it| at(it) <= end);
        self.end = end;
        self.exit = Exit::of(code);
    }

    /// Everything it prints, as it may be stored.
    pub(crate) fn printed(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            if let LogItem::Output { bytes, .. } = item {
                text += std::str::from_utf8(bytes).unwrap();
            }
        }
        text.replace(SECRET, "***")
    }
}

pub(crate) fn at(item: &LogItem) -> Timestamp {
    match item {
        LogItem::Output { at, .. }
        | LogItem::StepStarted { at, .. }
        | LogItem::StepFinished { at, .. } => *at,
    }
}
