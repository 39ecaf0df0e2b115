//! How a fact about one stage moves the stages around it. One rule serves both [`Run::apply`],
//! on the real state, and `decide`, on a forecast of it, so the two can never disagree.
//!
//! [`Run::apply`]: crate::engine::Run::apply

use std::collections::HashMap;

use super::Stage;
use super::graph::Graph;
use crate::engine::Event;
use crate::model::{StageIndex, StageStatus};

/// Where a stage stands, as far as other stages and the end of the run depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Standing {
    pub(in crate::engine) status: StageStatus,
    pub(in crate::engine) allowed: bool,
    pub(in crate::engine) unmet_needs: u32,
    pub(in crate::engine) failed_before: bool,
}

impl Standing {
    /// Whether it failed, and nobody has allowed it to.
    pub(in crate::engine) fn has_failed(self) -> bool {
        self.status == StageStatus::Failed && !self.allowed
    }
}

/// Stages counted by what the status of the run depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::engine) struct Totals {
    pub(in crate::engine) unfinished: usize,
    pub(in crate::engine) failed: usize,
    pub(in crate::engine) cancelled: usize,
}

impl Totals {
    fn add(&mut self, standing: Standing) {
        self.unfinished += usize::from(!standing.status.is_finished());
        self.failed += usize::from(standing.has_failed());
        self.cancelled += usize::from(standing.status == StageStatus::Cancelled);
    }

    fn remove(&mut self, standing: Standing) {
        self.unfinished -= usize::from(!standing.status.is_finished());
        self.failed -= usize::from(standing.has_failed());
        self.cancelled -= usize::from(standing.status == StageStatus::Cancelled);
    }
}

/// Somewhere standings are kept.
pub(in crate::engine) trait Standings {
    /// Where a stage stands; `None` when there is no such stage.
    fn standing(&self, stage: StageIndex) -> Option<Standing>;
    /// Puts an existing stage elsewhere, without minding the totals.
    fn put(&mut self, stage: StageIndex, standing: Standing);
    /// The totals, to be kept right.
    fn totals_mut(&mut self) -> &mut Totals;
}

/// The stages of a run as they are.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine) struct Progress {
    pub(in crate::engine) stages: Vec<Stage>,
    pub(in crate::engine) totals: Totals,
}

impl Standings for Progress {
    fn standing(&self, stage: StageIndex) -> Option<Standing> {
        let stage = self.stages.get(stage.as_usize())?;
        Some(Standing {
            status: stage.status,
            allowed: stage.allowed,
            unmet_needs: stage.unmet_needs,
            failed_before: stage.failed_before,
        })
    }

    fn put(&mut self, stage: StageIndex, standing: Standing) {
        if let Some(stage) = self.stages.get_mut(stage.as_usize()) {
            stage.status = standing.status;
            stage.allowed = standing.allowed;
            stage.unmet_needs = standing.unmet_needs;
            stage.failed_before = standing.failed_before;
        }
    }

    fn totals_mut(&mut self) -> &mut Totals {
        &mut self.totals
    }
}

/// The stages of a run as they would be after some facts. Costs only what is touched.
#[derive(Debug)]
pub(in crate::engine) struct Forecast<'a> {
    present: &'a Progress,
    touched: HashMap<StageIndex, Standing>,
    totals: Totals,
}

impl<'a> Forecast<'a> {
    pub(in crate::engine) fn new(present: &'a Progress) -> Self {
        Self { present, touched: HashMap::new(), totals: present.totals }
    }

    pub(in crate::engine) fn totals(&self) -> Totals {
        self.totals
    }
}

impl Standings for Forecast<'_> {
    fn standing(&self, stage: StageIndex) -> Option<Standing> {
        self.touched.get(&stage).copied().or_else(|| self.present.standing(stage))
    }

    fn put(&mut self, stage: StageIndex, standing: Standing) {
        self.touched.insert(stage, standing);
    }

    fn totals_mut(&mut self) -> &mut Totals {
        &mut self.totals
    }
}

/// Moves the standings as this fact says. `met` is told of each stage whose last need is over now:
/// it has come to its end, and so has everything before it.
pub(in crate::engine) fn advance(
    standings: &mut impl Standings,
    graph: &Graph,
    event: &Event,
    met: impl FnMut(StageIndex),
) {
    match event {
        Event::StageReady { stage } => set_status(standings, *stage, StageStatus::Ready),
        Event::AttemptStarted { stage, .. } => set_status(standings, *stage, StageStatus::Running),
        Event::RetryScheduled { stage, .. } => set_status(standings, *stage, StageStatus::Delayed),
        Event::ApprovalRequested { stage, .. } => {
            set_status(standings, *stage, StageStatus::Waiting);
        }
        Event::StageSkipped { stage, .. } => {
            let ending = Ending { stage: *stage, status: StageStatus::Skipped, allowed: false };
            finish(standings, graph, &ending, met);
        }
        Event::StageFinished { stage, status, allowed, .. } => {
            let ending = Ending { stage: *stage, status: *status, allowed: *allowed };
            finish(standings, graph, &ending, met);
        }
        Event::RerunRequested { stages, .. } => reset(standings, graph, stages),
        Event::LeaseTaken { .. }
        | Event::Admitted
        | Event::RunStarted
        | Event::SlotGranted { .. }
        | Event::StageReused { .. }
        | Event::StepStarted { .. }
        | Event::StepFinished { .. }
        | Event::StopRequested { .. }
        | Event::AttemptFinished { .. }
        | Event::AnswerIgnored { .. }
        | Event::Approved { .. }
        | Event::Rejected { .. }
        | Event::CancelRequested { .. }
        | Event::RunTimedOut
        | Event::RunFinished { .. } => (),
    }
}

fn set_status(standings: &mut impl Standings, stage: StageIndex, status: StageStatus) {
    change(standings, stage, |standing| standing.status = status);
}

/// Changes one standing, totals included, and gives it as it was.
fn change(
    standings: &mut impl Standings,
    stage: StageIndex,
    change: impl FnOnce(&mut Standing),
) -> Option<Standing> {
    let before = standings.standing(stage)?;
    let mut after = before;
    change(&mut after);
    standings.totals_mut().remove(before);
    standings.totals_mut().add(after);
    standings.put(stage, after);
    Some(before)
}

/// How a stage ends.
struct Ending {
    stage: StageIndex,
    status: StageStatus,
    allowed: bool,
}

fn finish(
    standings: &mut impl Standings,
    graph: &Graph,
    ending: &Ending,
    met: impl FnMut(StageIndex),
) {
    let before = change(standings, ending.stage, |standing| {
        standing.status = ending.status;
        standing.allowed = ending.allowed;
    });
    // One that had ended before has told its followers, or will once its needs are over.
    if before.is_some_and(|it| !it.status.is_finished() && it.unmet_needs == 0) {
        tell_followers(standings, graph, ending.stage, met);
    }
}

/// Counts a stage that is over as a met need of its followers. One of them that had ended already, as a
/// cancelled one does, is over now too: nothing starts while anything before it, near or far, goes on.
/// Each edge is walked once, and without recursion.
fn tell_followers(
    standings: &mut impl Standings,
    graph: &Graph,
    stage: StageIndex,
    mut met: impl FnMut(StageIndex),
) {
    let mut over = vec![stage];
    while let Some(stage) = over.pop() {
        let failed =
            standings.standing(stage).is_some_and(|it| it.failed_before || it.has_failed());
        for follower in graph.followers(stage) {
            let Some(mut standing) = standings.standing(*follower) else { continue };
            standing.unmet_needs = standing.unmet_needs.saturating_sub(1);
            standing.failed_before |= failed;
            standings.put(*follower, standing);
            match standing.unmet_needs {
                0 if standing.status.is_finished() => over.push(*follower),
                0 => met(*follower),
                _ => (),
            }
        }
    }
}

/// Sends stages back to the start. Counts afresh what they wait for, from needs that stay as they are.
fn reset(standings: &mut impl Standings, graph: &Graph, stages: &[StageIndex]) {
    for stage in stages {
        change(standings, *stage, |standing| {
            *standing = Standing {
                status: StageStatus::Pending,
                allowed: false,
                unmet_needs: 0,
                failed_before: false,
            };
        });
    }
    for stage in stages {
        let needs = graph.needs(*stage).iter().filter_map(|need| standings.standing(*need));
        let (mut unmet_needs, mut failed_before) = (0, false);
        for need in needs {
            unmet_needs += u32::from(!need.status.is_finished());
            failed_before |= need.has_failed() || need.failed_before;
        }
        change(standings, *stage, |standing| {
            standing.unmet_needs = unmet_needs;
            standing.failed_before = failed_before;
        });
    }
}
