//! One imagined attempt: all that it will do is known when it begins, and cut short by a signal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::executor::fake::files::{self, Content, FakeFile};
use crate::executor::fake::program::{self, Action};
use crate::executor::fake::{Files, millis};
use crate::executor::{
    AttemptState, ExecutorError, Exit, Label, LogItem, Published, Signal, StepSpec,
};
use crate::model::Timestamp;

#[derive(Debug)]
pub(super) struct Attempt {
    label: Label,
    /// The workspace as it was before the begin; later changes are in the life.
    pub(super) files: Files,
    life: Option<Life>,
    is_stopped: bool,
    is_vanished: bool,
}

/// What happens after the begin, and when.
#[derive(Debug)]
struct Life {
    begun: Instant,
    begun_at: Timestamp,
    events: Vec<(Duration, Event)>,
    end: Duration,
    exit: Exit,
}

#[derive(Debug, Clone)]
enum Event {
    Started(u32),
    Finished(u32, i32),
    Printed(String),
    Metric(String),
    Output(String),
    Written(PathBuf, FakeFile),
    IgnoresSignal,
    Vanished,
}

/// What comes next in a log.
pub(super) enum Next {
    Item(LogItem),
    /// Nothing before this moment, if it is known.
    Later(Option<Instant>),
    Ended,
    Failed(ExecutorError),
}

impl Attempt {
    pub(super) fn new(label: Label, checkout: Option<&Path>) -> Result<Self, ExecutorError> {
        let files = checkout.map(files::read_checkout).transpose()?.unwrap_or_default();
        Ok(Self { label, files, life: None, is_stopped: false, is_vanished: false })
    }

    pub(super) fn stage(&self) -> &str {
        &self.label.stage
    }

    pub(super) fn is_of(&self, instance: &str) -> bool {
        self.label.instance == instance
    }

    pub(super) fn is_begun(&self) -> bool {
        self.life.is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        !self.is_gone() && self.life.as_ref().is_none_or(|it| it.begun.elapsed() < it.end)
    }

    pub(super) fn vanish(&mut self) {
        self.is_vanished = true;
    }

    /// Whether its containers have disappeared, by themselves or not.
    pub(super) fn is_gone(&self) -> bool {
        let has_vanished = |life: &Life| life.past().any(|event| matches!(event, Event::Vanished));
        self.is_vanished || self.life.as_ref().is_some_and(has_vanished)
    }

    pub(super) fn begin(&mut self, steps: &[StepSpec], has_markers: bool, begun_at: Timestamp) {
        let mut plan = Plan::new(self.files.clone(), has_markers);
        if self.is_stopped {
            plan.exit.code = 143;
        } else {
            (0_u32..).zip(steps).for_each(|(index, step)| plan.run(index, step));
        }
        self.life = Some(Life {
            begun: Instant::now(),
            begun_at,
            end: plan.clock,
            events: plan.events,
            exit: plan.exit,
        });
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.is_stopped = true;
        let Some(life) = &mut self.life else {
            return;
        };
        let now = life.begun.elapsed();
        if now >= life.end {
            return;
        }
        match signal {
            Signal::Kill => life.cut(now, 137),
            Signal::Terminate => life.terminate(now),
        }
    }

    pub(super) fn next_item(&self, index: usize) -> Next {
        let Some(life) = &self.life else {
            return Next::Later(None);
        };
        let items = life.events.iter().filter_map(|(after, event)| Some((after, event.item()?)));
        let now = life.begun.elapsed();
        match items.into_iter().nth(index) {
            Some((after, item)) if *after <= now => {
                Next::Item(item(Timestamp(life.begun_at.0 + millis(*after))))
            }
            Some((after, _)) => Next::Later(Some(life.begun + *after)),
            None if life.end <= now => Next::Ended,
            None => Next::Later(Some(life.begun + life.end)),
        }
    }

    /// How it ended, or when it will.
    pub(super) fn end(&self) -> Result<Exit, Option<Instant>> {
        match &self.life {
            Some(life) if life.begun.elapsed() >= life.end => {
                let ended_at = Some(Timestamp(life.begun_at.0 + millis(life.end)));
                Ok(Exit { ended_at, ..life.exit.clone() })
            }
            Some(life) => Err(Some(life.begun + life.end)),
            None => Err(None),
        }
    }

    pub(super) fn state(&self) -> AttemptState {
        match (self.is_gone(), self.is_begun(), self.end()) {
            (true, true, _) => AttemptState::Lost,
            (true, false, _) => AttemptState::Absent,
            (false, false, _) => AttemptState::Prepared,
            (false, true, Ok(exit)) => AttemptState::Exited(exit),
            (false, true, Err(_)) => AttemptState::Begun,
        }
    }

    pub(super) fn published(&self) -> Published {
        let mut published = Published::default();
        for event in self.life.iter().flat_map(Life::past) {
            match event {
                Event::Metric(line) => published.metrics.extend_from_slice(line.as_bytes()),
                Event::Output(line) => published.outputs.extend_from_slice(line.as_bytes()),
                Event::Started(_)
                | Event::Finished(..)
                | Event::Printed(_)
                | Event::Written(..)
                | Event::IgnoresSignal
                | Event::Vanished => {}
            }
        }
        published
    }

    pub(super) fn files_now(&self) -> Files {
        let mut files = self.files.clone();
        for event in self.life.iter().flat_map(Life::past) {
            if let Event::Written(path, file) = event {
                files.insert(path.clone(), file.clone());
            }
        }
        files
    }
}

impl Life {
    fn past(&self) -> impl Iterator<Item = &Event> {
        let now = self.begun.elapsed();
        self.events.iter().filter(move |(after, _)| *after <= now).map(|(_, event)| event)
    }

    fn cut(&mut self, now: Duration, code: i32) {
        self.events.retain(|(after, _)| *after <= now);
        self.end = now;
        self.exit = Exit::of(code);
    }

    fn terminate(&mut self, now: Duration) {
        let mut step = None;
        let mut ignores = false;
        for (_, event) in self.events.iter().filter(|(after, _)| *after <= now) {
            match event {
                Event::Started(index) => (step, ignores) = (Some(*index), false),
                Event::Finished(..) => (step, ignores) = (None, false),
                Event::IgnoresSignal => ignores = true,
                Event::Printed(_)
                | Event::Metric(_)
                | Event::Output(_)
                | Event::Written(..)
                | Event::Vanished => {}
            }
        }
        if ignores {
            return;
        }
        self.cut(now, 143);
        if let Some(step) = step {
            self.events.push((now, Event::Finished(step, 143)));
        }
    }
}

impl Event {
    /// What of it is seen in the log.
    fn item(&self) -> Option<impl FnOnce(Timestamp) -> LogItem + use<>> {
        let event = self.clone();
        let is_seen = matches!(self, Self::Started(_) | Self::Finished(..) | Self::Printed(_));
        is_seen.then_some(move |at| match event {
            Self::Started(step) => LogItem::StepStarted { at, step },
            Self::Finished(step, exit_code) => LogItem::StepFinished { at, step, exit_code },
            Self::Printed(text) => LogItem::Output { at, bytes: Bytes::from(text) },
            Self::Metric(_)
            | Self::Output(_)
            | Self::Written(..)
            | Self::IgnoresSignal
            | Self::Vanished => LogItem::Output { at, bytes: Bytes::new() },
        })
    }
}

/// Works out what will happen.
struct Plan {
    files: Files,
    has_markers: bool,
    clock: Duration,
    events: Vec<(Duration, Event)>,
    exit: Exit,
}

impl Plan {
    fn new(files: Files, has_markers: bool) -> Self {
        let exit = Exit::of(0);
        Self { files, has_markers, clock: Duration::ZERO, events: Vec::new(), exit }
    }

    fn run(&mut self, index: u32, step: &StepSpec) {
        let is_wanted = if self.exit.code == 0 { step.when_passing } else { step.when_failed };
        if !is_wanted {
            return;
        }
        if self.has_markers {
            self.push(Event::Started(index));
        }
        let code = program::actions(&step.run)
            .into_iter()
            .find_map(|action| self.act(action))
            .unwrap_or(0);
        if self.has_markers {
            self.push(Event::Finished(index, code));
        }
        if self.exit.code == 0 {
            self.exit.code = code;
        }
    }

    fn push(&mut self, event: Event) {
        self.events.push((self.clock, event));
    }

    /// Does one thing; the code, if the step ends with it.
    fn act(&mut self, action: Action) -> Option<i32> {
        match action {
            Action::Print(text) => self.push(Event::Printed(text)),
            Action::Metric(line) => self.push(Event::Metric(line)),
            Action::Output(line) => self.push(Event::Output(line)),
            Action::Write(path, text, is_added) => self.write(path, &text, is_added),
            Action::Show(path) => return self.show(&path),
            Action::Sleep(span) => self.clock += Duration::from_millis(span),
            Action::Exit(code) => return Some(code),
            Action::IgnoreSignal => self.push(Event::IgnoresSignal),
            Action::Vanish => self.push(Event::Vanished),
            Action::OutOfMemory => {
                self.exit.out_of_memory = true;
                return Some(137);
            }
            Action::Nothing => {}
        }
        None
    }

    fn write(&mut self, path: String, text: &str, is_added: bool) {
        let path = PathBuf::from(path);
        let before = if is_added { self.content(&path) } else { None };
        let bytes = [before.unwrap_or_default(), text.as_bytes().to_vec()].concat();
        let file = FakeFile::written(bytes);
        self.files.insert(path.clone(), file.clone());
        self.push(Event::Written(path, file));
    }

    fn show(&mut self, path: &str) -> Option<i32> {
        let Some(bytes) = self.content(Path::new(path)) else {
            self.push(Event::Printed(format!(
                "cat: can't open '{path}': No such file or directory\n"
            )));
            return Some(1);
        };
        self.push(Event::Printed(String::from_utf8_lossy(&bytes).into_owned()));
        None
    }

    fn content(&self, path: &Path) -> Option<Vec<u8>> {
        match &self.files.get(path)?.content {
            Content::Bytes(bytes) => Some(bytes.clone()),
            Content::Link(target) => self.content(&path.parent()?.join(target)),
        }
    }
}
