//! The simulated machine: containers, and a ledger of everything that was ever done to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use trunkline::executor::Label;
use trunkline::model::Clock;
use trunkline::model::{AttemptName, Timestamp};
use trunkline::runs::Runs;

use crate::play::Play;
use crate::weather::{Mood, Weather};

/// Files by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// When simulated time begins.
const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

#[derive(Debug)]
pub(crate) struct World {
    started: Instant,
    /// For asking what is durable.
    pub(crate) runs: Runs,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) weather: Weather,
    pub(crate) containers: BTreeMap<AttemptName, Container>,
    pub(crate) ledger: Ledger,
    calls: HashMap<(&'static str, String), u64>,
    /// By process: machines with a lower number may not make anything new.
    pub(crate) youngest_machines: HashMap<String, u32>,
}

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) label: Label,
    pub(crate) files: Files,
    pub(crate) life: Life,
    pub(crate) changed: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) enum Life {
    Waiting,
    /// It goes; at the moment it may vanish.
    Begun(Play, Option<Timestamp>),
    Lost,
}

/// What is never forgotten.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) begun: BTreeMap<AttemptName, Begun>,
    pub(crate) violations: Vec<String>,
    pub(crate) seen: Seen,
    /// Drivers that did not come to give anything back.
    pub(crate) dead: BTreeSet<String>,
}

/// How often something happened. What never happens is not tested.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) runs: u64,
    pub(crate) drivers: u64,
    pub(crate) late_answers: u64,
    /// Drivers that found themselves replaced.
    pub(crate) replaced: u64,
    pub(crate) retries: u64,
    pub(crate) cancels: u64,
    pub(crate) reused: u64,
    pub(crate) reruns: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.drivers += other.drivers;
        self.late_answers += other.late_answers;
        self.replaced += other.replaced;
        self.retries += other.retries;
        self.cancels += other.cancels;
        self.reused += other.reused;
        self.reruns += other.reruns;
    }

    pub(crate) fn is_everything(self) -> bool {
        let often = [self.replaced, self.retries, self.cancels, self.reused, self.reruns];
        self.drivers > self.runs && often.iter().all(|it| *it > 0)
    }
}

/// The go of an attempt.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) times: u32,
    pub(crate) play: Play,
    /// The files that were there.
    pub(crate) arrived: Files,
}

impl World {
    pub(crate) fn new(weather: Weather, runs: Runs) -> Self {
        let state = State {
            weather,
            containers: BTreeMap::new(),
            ledger: Ledger::default(),
            calls: HashMap::new(),
            youngest_machines: HashMap::new(),
        };
        Self { started: Instant::now(), runs, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn blame(&self, what: String) {
        self.state().ledger.violations.push(what);
    }

    /// How this call will go.
    pub(crate) fn mood(&self, call: &'static str, on: &str) -> Mood {
        let mut state = self.state();
        let number = state.count(call, on);
        state.weather.mood(call, on, number, u64::try_from(self.now().0 - EPOCH.0).unwrap())
    }

    /// The real instant at which simulated time shows this.
    pub(crate) fn instant_of(&self, moment: Timestamp) -> Instant {
        self.started + Duration::from_millis(u64::try_from(moment.0 - EPOCH.0).unwrap())
    }
}

impl State {
    /// The number of this call, from 1.
    pub(crate) fn count(&mut self, call: &'static str, on: &str) -> u64 {
        let number = self.calls.entry((call, on.to_owned())).or_default();
        *number += 1;
        *number
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(EPOCH.0 + i64::try_from(self.started.elapsed().as_millis()).unwrap())
    }
}

impl Container {
    pub(crate) fn new(label: Label) -> Self {
        Self { label, files: Files::new(), life: Life::Waiting, changed: Arc::default() }
    }

    /// Takes note of the time.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if let Life::Begun(_, Some(vanishes)) = &self.life
            && *vanishes <= now
        {
            self.life = Life::Lost;
        }
    }

    /// The next moment after `now` at which something happens by itself.
    pub(crate) fn next_moment(&self, now: Timestamp) -> Option<Timestamp> {
        let Life::Begun(play, vanishes) = &self.life else { return None };
        let items = play.items.iter().map(crate::play::at);
        let moments = items.chain([play.end]).chain(*vanishes);
        moments.filter(|it| *it > now).min()
    }
}
