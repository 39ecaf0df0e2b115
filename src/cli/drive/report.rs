//! Shows a run while it is driven: its events, and the logs of its attempts as they grow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::follower::{self, Follower};
use super::remembered::Remembered;
use super::screen::{self, ReportArgs, Screen};
use super::standing;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::View;
use crate::cli::view::summary::Ends;
use crate::desk::server::spend::SpendView;
use crate::engine::Event;
use crate::model::{AttemptName, Milliseconds, StageIndex, StageStatus, Timestamp};
use crate::runs::LoadedRun;
use crate::runs::view::{EventView, RunView};
use crate::store::runs::StoredEvent;
use crate::store::spend::sums::{SpendBy, SpendFilter};

/// The shortest time between two looks at the run, so that looking costs little.
const PACE: Duration = Duration::from_millis(50);
/// Lines of a failed stage's log in the summary.
const FAILURE_LINES: usize = 20;
/// A wait for a concurrency group that is longer is told.
const NOTABLE_WAIT: Milliseconds = Milliseconds::from_seconds(1);
/// Chunks of one log that are shown before the others have their turn.
const TURN: usize = 16;

/// A run on show.
#[derive(Debug)]
pub struct Report {
    session: Session,
    state: State,
    loaded: LoadedRun,
    shown: RunView,
    follower: Follower,
    followed: BTreeSet<AttemptName>,
    has_begun: bool,
    /// Concurrency groups that are waited for: since when, and whether that was told.
    waits: BTreeMap<String, (Timestamp, bool)>,
    screen: Screen,
}

impl Report {
    /// A report that begins with what happens from now on.
    #[must_use]
    pub fn new(session: &Session, state: &State, loaded: LoadedRun, args: ReportArgs) -> Self {
        let outline = RunView { interrupted: false, ..standing::view_of(session, state, &loaded) };
        Self {
            session: session.clone(),
            state: state.clone(),
            follower: Follower::new(state.logs.clone()),
            followed: BTreeSet::new(),
            has_begun: false,
            waits: BTreeMap::new(),
            screen: Screen::new(session.output, args, (&outline, "")),
            loaded,
            shown: outline,
        }
    }

    /// Shows the run until `done`.
    pub async fn show(mut self, done: &CancellationToken) -> anyhow::Result<Self> {
        let mut changes = self.state.runs.subscribe();
        let runs = self.state.runs.clone();
        self.adopt_running();
        loop {
            let is_done = done.is_cancelled();
            let is_behind = self.update().await?;
            if is_done {
                break;
            }
            if !is_behind {
                tokio::select! {
                    () = done.cancelled() => continue,
                    () = tokio::time::sleep(PACE) => (),
                }
                tokio::select! {
                    () = done.cancelled() => (),
                    () = runs.changed(&mut changes, &self.loaded) => (),
                }
            }
        }
        Ok(self)
    }

    /// A run that is resumed has attempts under way already.
    fn adopt_running(&mut self) {
        let running = running_attempts(&self.loaded).collect::<Vec<_>>();
        self.followed.extend(running);
    }

    /// Shows what is new; says whether there is more to show at once.
    async fn update(&mut self) -> anyhow::Result<bool> {
        let events = self.state.runs.refresh(&mut self.loaded).await?;
        if !events.is_empty() {
            let outline = standing::view_of(&self.session, &self.state, &self.loaded);
            self.shown = RunView { interrupted: false, ..outline };
        }
        if !events.is_empty() && !self.has_begun {
            self.has_begun = true;
            self.screen.begin(&self.shown).await;
        }
        for stored in &events {
            self.show_event(stored).await?;
        }
        self.tell_waits().await;
        if self.screen.is_live() {
            self.draw().await?;
            return Ok(false);
        }
        if !self.screen.shows_logs() {
            return Ok(false);
        }
        let mut is_behind = false;
        for name in self.followed.clone() {
            let end = self.next_heading(&name).await?;
            is_behind |= self.show_log(&name, (end, TURN)).await?;
        }
        Ok(is_behind)
    }

    /// A group that keeps the run back for more than a moment is named, once.
    async fn tell_waits(&mut self) {
        let now = self.session.now();
        let mut waits = BTreeMap::new();
        for stage in &self.shown.stages {
            let Some(wait) = stage.waits_for.as_ref().filter(|it| it.group.is_some()) else {
                continue;
            };
            let known = self.waits.get(&wait.text).copied().unwrap_or((now, false));
            let is_due = !known.1 && now.since(known.0) >= NOTABLE_WAIT;
            if is_due && !waits.contains_key(&wait.text) {
                self.screen.waits(now, &wait.text).await;
            }
            waits.insert(wait.text.clone(), (known.0, known.1 || is_due));
        }
        self.waits = waits;
    }

    /// What was printed before the step, so that its heading stands where it begins.
    async fn show_log_before(&mut self, name: &AttemptName, step: u32) -> anyhow::Result<()> {
        if !self.screen.shows_logs() {
            return Ok(());
        }
        let end = self.follower.start_of(name, |it| it == step).await?;
        while end < u64::MAX && self.show_log(name, (end, TURN)).await? {}
        Ok(())
    }

    /// Where the first step begins that has not been announced: what it prints comes after its heading.
    async fn next_heading(&mut self, name: &AttemptName) -> anyhow::Result<u64> {
        let place = usize::try_from(name.attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let attempt = self.loaded.run.stage(name.stage).and_then(|it| it.attempts.get(place));
        let is_new = |step| attempt.is_none_or(|it| !it.steps.contains_key(&step));
        Ok(self.follower.start_of(name, is_new).await?)
    }

    async fn show_event(&mut self, stored: &StoredEvent) -> anyhow::Result<()> {
        if let Event::AttemptFinished { stage, attempt, .. } = &stored.event {
            let name = self.attempt_name(*stage, *attempt);
            self.finish_log(&name).await?;
        }
        if let Event::StepStarted { stage, attempt, step } = &stored.event {
            let name = self.attempt_name(*stage, *attempt);
            self.show_log_before(&name, *step).await?;
        }
        let event = EventView::of(&self.loaded.run, stored);
        self.screen.event(&self.shown, &event).await?;
        if let Event::AttemptStarted { stage, attempt, .. } = &stored.event {
            let name = self.attempt_name(*stage, *attempt);
            self.followed.insert(name);
        }
        Ok(())
    }

    fn attempt_name(&self, stage: StageIndex, attempt: u32) -> AttemptName {
        AttemptName { run: self.loaded.row.id.clone(), stage, attempt }
    }

    /// Shows at most `turns` chunks of a log up to `end`; says whether there may be more.
    async fn show_log(
        &mut self,
        name: &AttemptName,
        (end, turns): (u64, usize),
    ) -> anyhow::Result<bool> {
        if !self.screen.shows_logs() {
            return Ok(false);
        }
        for _ in 0..turns {
            let lines = self.follower.read(name, end).await?;
            if lines.is_empty() {
                return Ok(false);
            }
            self.write_log(name, &lines).await?;
        }
        Ok(true)
    }

    async fn finish_log(&mut self, name: &AttemptName) -> anyhow::Result<()> {
        while self.show_log(name, (u64::MAX, TURN)).await? {}
        if let Some(rest) = self.follower.finish(name) {
            self.write_log(name, &[rest]).await?;
        }
        self.followed.remove(name);
        Ok(())
    }

    async fn write_log(&self, name: &AttemptName, lines: &[String]) -> anyhow::Result<()> {
        Ok(self.screen.log(&self.shown, (name.stage, name.attempt), lines).await?)
    }

    async fn draw(&mut self) -> anyhow::Result<()> {
        let tails = self.tails().await?;
        let view = Self::view(&self.session, &self.state, (&self.shown, &tails));
        self.screen.draw(view);
        Ok(())
    }

    fn view<'a>(
        session: &Session,
        state: &State,
        (run, tails): (&'a RunView, &'a BTreeMap<StageIndex, String>),
    ) -> View<'a> {
        let keeps_containers = standing::keeps_some(state, &run.id);
        let picture = screen::picture(run, (session.now(), session.output), (tails, ""));
        View { keeps_containers, ..picture }
    }

    /// The last log line of every running stage.
    async fn tails(&self) -> anyhow::Result<BTreeMap<StageIndex, String>> {
        let mut tails = BTreeMap::new();
        for name in running_attempts(&self.loaded) {
            let last = follower::last_lines(&self.state.logs, &name, 1).await?;
            tails.extend(last.into_iter().next().map(|it| (name.stage, it)));
        }
        Ok(tails)
    }

    /// Takes a picture away that has no end, because the run could not be driven.
    pub async fn abandon(self) {
        self.screen.abandon().await;
    }

    /// Shows what became of the run; fails when some of the output could not be written.
    pub async fn end(mut self) -> anyhow::Result<()> {
        for name in self.followed.clone() {
            self.finish_log(&name).await?;
        }
        let ends = ends(&self.session, &self.state, &self.loaded).await?;
        let outline = standing::view_of(&self.session, &self.state, &self.loaded);
        let tails = BTreeMap::new();
        let given = Remembered::of_run(&self.state, &outline.id).options();
        let picture = Self::view(&self.session, &self.state, (&outline, &tails));
        let view = View { given: &given, ..picture };
        self.screen.end(view, &ends).await?;
        Ok(())
    }
}

/// The ends of the logs of failed stages, the tests that failed, and money that no attempt knows of.
pub async fn ends(session: &Session, state: &State, loaded: &LoadedRun) -> anyhow::Result<Ends> {
    let mut logs = BTreeMap::new();
    for name in last_attempts(loaded, StageStatus::Failed) {
        let lines = follower::last_lines(&state.logs, &name, FAILURE_LINES).await?;
        logs.insert(name.stage, lines);
    }
    let cases = state.runs.cases(loaded).await?;
    Ok(Ends { logs, cases, lost_usd: lost_usd(session, state, loaded).await? })
}

/// What processes that have driven the run may have spent before they died.
async fn lost_usd(
    session: &Session,
    state: &State,
    loaded: &LoadedRun,
) -> anyhow::Result<Option<String>> {
    let filter = SpendFilter {
        from: loaded.row.created_at,
        to: session.now().plus(Milliseconds::from_seconds(1)),
        run: loaded.row.id.to_string(),
        limit: 1,
        ..SpendFilter::default()
    };
    let sums = state.store.sum_spend(SpendBy::Run, &filter).await?;
    let lost = sums.into_iter().find(|it| it.lost.0 > 0);
    Ok(lost.map(|it| SpendView::from(it).lost_usd))
}

fn running_attempts(loaded: &LoadedRun) -> impl Iterator<Item = AttemptName> + '_ {
    last_attempts(loaded, StageStatus::Running)
}

/// The newest attempt of each stage that stands so.
fn last_attempts(
    loaded: &LoadedRun,
    status: StageStatus,
) -> impl Iterator<Item = AttemptName> + '_ {
    let stages = 0..u32::try_from(loaded.run.plan().stages.len()).unwrap_or(u32::MAX);
    stages.map(StageIndex).filter_map(move |index| {
        let stage = loaded.run.stage(index).filter(|it| it.status == status)?;
        let attempt = u32::try_from(stage.attempts.len()).ok().filter(|it| *it > 0)?;
        Some(AttemptName { run: loaded.row.id.clone(), stage: index, attempt })
    })
}
