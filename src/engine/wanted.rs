//! What the world should be doing for a run.

use crate::model::{AttemptName, StageIndex, Timestamp};

use super::Run;
use look_ahead::LookAhead;

mod look_ahead;

/// One thing the world should be doing now. Derived from state alone, so it is right after a
/// restart with nothing to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Ask the run's concurrency group to let it in.
    Admission,
    /// Keep this attempt going: start or adopt its container, follow it, report its end.
    Attempt(AttemptName),
    /// Ask this attempt to end (SIGTERM).
    Stop(AttemptName),
    /// End this attempt by force (SIGKILL).
    Kill(AttemptName),
    /// Ask the stage's concurrency group for a slot.
    Slot(StageIndex),
    /// Start an attempt as soon as there is room.
    Start(StageIndex),
    /// A container for this attempt will be needed soon: create it if there is room. Attempts of
    /// stages that are ready come first, for the case that they found no room to start.
    Prepare(AttemptName),
    /// Look again (`Tick`) at this moment, or at once when it has passed.
    WakeAt(Timestamp),
}

impl Run {
    /// What should be happening now, most urgent first. Lazy: the caller takes as much as it has
    /// room for. Nothing is wanted of a run that no driver has, but its admission.
    pub fn wanted(&self, now: Timestamp) -> impl Iterator<Item = Wanted> + '_ {
        let agenda = &self.agenda;
        let name = |stage: &StageIndex| self.name_last_attempt(*stage);
        let is_late = move |(kill_at, _): &&(Timestamp, StageIndex)| *kill_at <= now;
        let kills = agenda.stopping.iter().take_while(is_late);
        let stops = agenda.stopping.iter().skip_while(is_late);
        self.wants_admission()
            .then_some(Wanted::Admission)
            .into_iter()
            .chain(kills.map(move |(_, stage)| Wanted::Kill(name(stage))))
            .chain(stops.map(move |(_, stage)| Wanted::Stop(name(stage))))
            .chain(agenda.open.iter().map(move |stage| Wanted::Attempt(name(stage))))
            .chain(self.next_moment(now).map(Wanted::WakeAt))
            .chain(agenda.without_slot.iter().map(|stage| Wanted::Slot(*stage)))
            .chain(agenda.ready.iter().map(|(_, stage)| Wanted::Start(*stage)))
            .chain(self.look_ahead().map(Wanted::Prepare))
    }

    fn wants_admission(&self) -> bool {
        self.plan().concurrency.is_some() && !self.admitted && self.finished.is_none()
    }

    /// When something is due that nobody outside will tell us about.
    fn next_moment(&self, now: Timestamp) -> Option<Timestamp> {
        let agenda = &self.agenda;
        let firsts = [&agenda.limited, &agenda.delayed, &agenda.waiting].map(|set| set.first());
        let behind_now = (Timestamp(now.0.saturating_add(1)), StageIndex(0));
        let kill = agenda.stopping.range(behind_now..).next();
        let moments = firsts.into_iter().chain([kill]).flatten().map(|(moment, _)| *moment);
        moments.chain(self.deadline()).min()
    }

    fn name_last_attempt(&self, stage: StageIndex) -> AttemptName {
        let attempts = self.stage(stage).map_or(0, |it| it.attempts.len());
        self.name_attempt(stage, u32::try_from(attempts).unwrap_or(u32::MAX))
    }

    /// Attempts whose containers are worth creating before their turn, the next ones first: what
    /// [`Wanted::Prepare`] names, for a caller without room who need not see every [`Wanted::Start`].
    pub fn look_ahead(&self) -> impl Iterator<Item = AttemptName> + '_ {
        let is_calm = self.halt.is_none() && self.finished.is_none();
        let next = |stage| {
            let made = self.stage(stage).map_or(0, |it| it.attempts.len());
            self.name_attempt(stage, u32::try_from(made + 1).unwrap_or(u32::MAX))
        };
        is_calm.then(|| LookAhead::new(self)).into_iter().flatten().map(next)
    }
}
