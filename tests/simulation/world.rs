//! The simulated machine: containers, and a ledger of everything that was ever done to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use trunkline::executor::Label;
use trunkline::model::{AttemptName, Timestamp};
use trunkline::runs::Runs;
use trunkline::worker::Clock;

use crate::play::Play;
use crate::weather::{Mood, Weather};

/// Files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// When simulated time begins.
const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

#[derive(Debug)]
pub struct World {
    started: Instant,
    /// For asking what is durable.
    pub runs: Runs,
    state: Mutex<State>,
}

#[derive(Debug)]
pub struct State {
    pub weather: Weather,
    pub containers: BTreeMap<AttemptName, Container>,
    pub ledger: Ledger,
    calls: HashMap<(&'static str, String), u64>,
    /// By process: machines with a lower number may not make anything new.
    pub youngest_machines: HashMap<String, u32>,
}

#[derive(Debug)]
pub struct Container {
    pub label: Label,
    pub files: Files,
    pub life: Life,
    pub changed: Arc<Notify>,
}

#[derive(Debug)]
pub enum Life {
    Waiting,
    /// It goes; at the moment it may vanish.
    Begun(Play, Option<Timestamp>),
    Lost,
}

/// What is never forgotten.
#[derive(Debug, Default)]
pub struct Ledger {
    pub begun: BTreeMap<AttemptName, Begun>,
    pub violations: Vec<String>,
}

/// The go of an attempt.
#[derive(Debug)]
pub struct Begun {
    pub times: u32,
    pub play: Play,
    /// The files that were there.
    pub arrived: Files,
}

impl World {
    pub fn new(weather: Weather, runs: Runs) -> Self {
        let state = State {
            weather,
            containers: BTreeMap::new(),
            ledger: Ledger::default(),
            calls: HashMap::new(),
            youngest_machines: HashMap::new(),
        };
        Self { started: Instant::now(), runs, state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn blame(&self, what: String) {
        self.state().ledger.violations.push(what);
    }

    /// How this call will go.
    pub fn mood(&self, call: &'static str, on: &str) -> Mood {
        let mut state = self.state();
        let number = state.count(call, on);
        state.weather.mood(call, on, number, u64::try_from(self.now().0 - EPOCH.0).unwrap())
    }

    /// The real instant at which simulated time shows this.
    pub fn instant_of(&self, moment: Timestamp) -> Instant {
        self.started + Duration::from_millis(u64::try_from(moment.0 - EPOCH.0).unwrap())
    }
}

impl State {
    /// The number of this call, from 1.
    pub fn count(&mut self, call: &'static str, on: &str) -> u64 {
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
    pub fn new(label: Label) -> Self {
        Self { label, files: Files::new(), life: Life::Waiting, changed: Arc::default() }
    }

    /// Takes note of the time.
    pub fn settle(&mut self, now: Timestamp) {
        if let Life::Begun(_, Some(vanishes)) = &self.life
            && *vanishes <= now
        {
            self.life = Life::Lost;
        }
    }

    /// The next moment after `now` at which something happens by itself.
    pub fn next_moment(&self, now: Timestamp) -> Option<Timestamp> {
        let Life::Begun(play, vanishes) = &self.life else { return None };
        let items = play.items.iter().map(crate::play::at);
        let moments = items.chain([play.end]).chain(*vanishes);
        moments.filter(|it| *it > now).min()
    }
}
