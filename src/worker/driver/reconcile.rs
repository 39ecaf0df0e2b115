//! From what the engine wants to what the driver does. [`Driver::choose`] only looks; the rest acts.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::engine::{Command, Event, Wanted};
use crate::executor::{Executor, Signal};
use crate::model::{AttemptName, Milliseconds, StageIndex, Timestamp};

use crate::worker::WorkerError;
use crate::worker::attempt::job::{Job, Setup};
use crate::worker::attempt::{Attempt, Stops, Wishes};
use crate::worker::driver::{Driver, TaskEnd};

/// How often a concurrency group is asked again. (Changes made by this process wake the driver too.)
const ASK_EVERY: Milliseconds = Milliseconds(500);

/// How often a signal is sent until it arrives.
const SIGNAL_TRIES: u32 = 5;
const SIGNAL_PAUSE: Duration = Duration::from_secs(1);

/// One thing to do now.
#[derive(Debug)]
enum Action {
    Tick,
    Admission,
    Slot(StageIndex),
    Start(StageIndex),
    Adopt(AttemptName),
    Stop(AttemptName),
    Kill(AttemptName),
    Prepare(AttemptName),
}

/// Everything to do now, and what to wait for after.
#[derive(Debug, Default)]
struct Choice {
    actions: Vec<Action>,
    wake_at: Option<Timestamp>,
    wants_slot: bool,
    lacking: Option<BTreeMap<String, String>>,
}

impl Choice {
    fn wake_no_later_than(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Asks a concurrency group, unless it was asked a moment ago.
    fn ask(
        &mut self,
        action: Action,
        asked_at: Option<&Timestamp>,
        (now, pause): (Timestamp, Milliseconds),
    ) {
        match asked_at.map(|at| at.plus(pause)) {
            Some(next) if next > now => self.wake_no_later_than(next),
            _ => self.actions.push(action),
        }
    }
}

impl<E: Executor> Driver<'_, E> {
    /// Acts until everything wanted is under way or waits for something.
    pub(in crate::worker) async fn reconcile(&mut self) -> Result<(), WorkerError> {
        loop {
            self.release_slots().await?;
            let now = self.worker.parts.clock.now();
            let choice = self.choose(now);
            self.wake_at = choice.wake_at;
            self.lacking = choice.lacking;
            if choice.actions.is_empty() {
                // Nothing of ours starts now: other runs may have the room.
                self.spare_slot = None;
                self.stand_in_line(choice.wants_slot);
                return Ok(());
            }
            for action in choice.actions {
                self.act(action, now).await?;
            }
        }
    }

    /// Waits for a slot, or for none any more.
    fn stand_in_line(&mut self, wants_slot: bool) {
        self.queue.set_waiting(wants_slot);
        if !wants_slot {
            self.line = None;
        } else if self.line.is_none() {
            self.line = Some(self.worker.slots.wait(self.standing.claim.clone()));
        }
    }

    /// Whether this worker may begin an attempt of the stage; notes what it lacks.
    fn may_begin(&self, stage: StageIndex, lacking: &mut Option<BTreeMap<String, String>>) -> bool {
        let planned = self.loaded.run.plan().stages.get(stage.as_usize());
        let Some(planned) = planned.filter(|it| !it.labels.is_empty()) else { return true };
        let has_all = self.worker.has_labels(&planned.labels);
        if !has_all && lacking.is_none() {
            *lacking = Some(planned.labels.clone());
        }
        has_all
    }

    fn choose(&self, now: Timestamp) -> Choice {
        let mut choice = Choice::default();
        let is_draining = *self.worker.draining.borrow();
        let spare = usize::from(self.spare_slot.is_some());
        let mut free = self.worker.slots.free() + spare;
        let poll = self.worker.parts.runs.poll_pause().as_millis();
        let ask_every = ASK_EVERY.max(Milliseconds(u64::try_from(poll).unwrap_or(u64::MAX)));
        let when = (now, ask_every);
        let mut starting = HashSet::new();
        for wanted in self.loaded.run.wanted(now) {
            match wanted {
                Wanted::WakeAt(at) if at <= now => choice.actions.push(Action::Tick),
                Wanted::WakeAt(at) => choice.wake_no_later_than(at),
                Wanted::Admission => choice.ask(Action::Admission, self.asked.get(&None), when),
                Wanted::Slot(stage) => {
                    choice.ask(Action::Slot(stage), self.asked.get(&Some(stage)), when);
                }
                Wanted::Attempt(name) => {
                    if !self.attempts.contains_key(&name) {
                        choice.actions.push(Action::Adopt(name));
                    }
                }
                Wanted::Stop(name) => {
                    if self.attempts.get(&name).is_some_and(Stops::may_stop) {
                        choice.actions.push(Action::Stop(name));
                    }
                }
                Wanted::Kill(name) => {
                    if self.attempts.get(&name).is_some_and(Stops::may_kill) {
                        choice.actions.push(Action::Kill(name));
                    }
                }
                Wanted::Start(stage)
                    if is_draining || !self.may_begin(stage, &mut choice.lacking) => {}
                Wanted::Start(stage) if free > 0 => {
                    free -= 1;
                    starting.insert(stage);
                    choice.actions.push(Action::Start(stage));
                }
                Wanted::Start(_) => {
                    choice.wants_slot = true;
                    break;
                }
                // Comes last, and is asked for by itself.
                Wanted::Prepare(_) => break,
            }
        }
        let room = self.look_ahead.room();
        // One that starts now makes its own container.
        let is_new = |name: &AttemptName| {
            !starting.contains(&name.stage)
                && !self.look_ahead.contains(name)
                && self.may_begin(name.stage, &mut None)
        };
        let room = if is_draining { 0 } else { room };
        let ahead = self.loaded.run.look_ahead().filter(is_new);
        choice.actions.extend(ahead.take(room).map(Action::Prepare));
        choice
    }

    async fn act(&mut self, action: Action, now: Timestamp) -> Result<(), WorkerError> {
        match action {
            Action::Tick => self.record(&Command::Tick).await,
            Action::Admission => self.request_admission(now).await,
            Action::Slot(stage) => self.request_slot(stage, now).await,
            Action::Start(stage) => self.start_stage(stage).await,
            Action::Adopt(name) => {
                self.spawn_attempt(name);
                Ok(())
            }
            Action::Stop(name) => {
                self.signal(name, Signal::Terminate);
                Ok(())
            }
            Action::Kill(name) => {
                self.signal(name, Signal::Kill);
                Ok(())
            }
            Action::Prepare(name) => {
                // It may have been started a moment ago, by another action of the same choice.
                let stage = self.loaded.run.stage(name.stage);
                if stage.is_some_and(|it| it.attempts.len() < name.attempt as usize) {
                    self.prepare(name);
                }
                Ok(())
            }
        }
    }

    async fn start_stage(&mut self, stage: StageIndex) -> Result<(), WorkerError> {
        if self.spare_slot.is_none() {
            self.spare_slot = self.worker.slots.try_take(&self.standing.claim);
        }
        if self.spare_slot.is_none() {
            // Somebody else was faster; the next choice stands in the line.
            return Ok(());
        }
        if let Some(reuse) = self.find_reusable(stage).await?
            && !self.try_record(&reuse).await?.is_empty()
        {
            return Ok(());
        }
        let epoch = self.lease.epoch;
        let events = self.try_record(&Command::StartAttempt { stage, epoch }).await?;
        for event in events {
            if let Event::AttemptStarted { stage, attempt, .. } = event {
                let run = self.loaded.row.id.clone();
                self.spawn_attempt(AttemptName { run, stage, attempt });
            }
        }
        Ok(())
    }

    fn spawn_attempt(&mut self, name: AttemptName) {
        let slot =
            self.spare_slot.take().or_else(|| self.worker.slots.try_take(&self.standing.claim));
        let stops = Stops::default();
        self.attempts.insert(name.clone(), stops.clone());
        let head = self.look_ahead.claim(&name);
        let job = Job::resolve(&self.loaded, name.stage, &self.worker.parts.secrets);
        let wishes = Wishes::of(&self.loaded, name.stage);
        let attempt = Attempt {
            worker: self.worker.clone(),
            name: name.clone(),
            reports: self.reports.clone(),
            stops,
        };
        let task = async move {
            let outcome = attempt.run(job, (wishes, head)).await;
            drop(slot);
            TaskEnd::Attempt(attempt.name, outcome)
        };
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    fn prepare(&mut self, name: AttemptName) {
        self.look_ahead.begin(name.clone());
        let setup = Setup::resolve(&self.loaded, name.stage, &self.worker.parts.secrets);
        let attempt = Attempt {
            worker: self.worker.clone(),
            name,
            reports: self.reports.clone(),
            stops: Stops::default(),
        };
        let task = async move {
            let result = attempt.look_ahead(setup).await;
            TaskEnd::Prepared(attempt.name, result)
        };
        self.tasks.spawn(task);
    }

    /// Asks an attempt to end, beside the loop. An attempt that is not reached would run on.
    fn signal(&mut self, name: AttemptName, signal: Signal) {
        let Some(stops) = self.attempts.get(&name) else { return };
        stops.send(signal);
        let executor = self.worker.parts.executor.clone();
        self.tasks.spawn(async move {
            let mut tries = 1;
            while let Err(error) = executor.signal(&name, signal).await {
                tracing::warn!(attempt = %name, %error, tries, "the signal did not arrive");
                if tries == SIGNAL_TRIES {
                    break;
                }
                tries += 1;
                tokio::time::sleep(SIGNAL_PAUSE).await;
            }
            TaskEnd::Signalled
        });
    }

    /// Removes containers that were made ready for attempts that will not come.
    pub(in crate::worker) fn discard_unwanted(&mut self) {
        let finished = self.loaded.run.status().is_finished();
        for name in self.look_ahead.names() {
            let stage = self.loaded.run.stage(name.stage);
            let is_to_come = stage.is_some_and(|it| {
                !it.status.is_finished() && it.attempts.len() < name.attempt as usize
            });
            if (finished || !is_to_come) && self.look_ahead.discard(&name) {
                self.remove(name);
            }
        }
    }

    /// Removes everything of an attempt, beside the loop.
    pub(in crate::worker) fn remove(&mut self, name: AttemptName) {
        let executor = self.worker.parts.executor.clone();
        let gateway = self.worker.gateway.clone();
        self.tasks.spawn(async move {
            if let Some(gateway) = gateway {
                gateway.end(&name).await;
            }
            let result = executor.remove(&name).await;
            TaskEnd::Removed(name, result)
        });
    }
}
