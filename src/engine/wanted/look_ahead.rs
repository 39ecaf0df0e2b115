//! Which stages come next, one generation behind the other: first what is ready, then what waits only
//! for that and for what runs, then what waits only for those, and so on. A container that is there
//! before its turn saves the time of creating it; one that is never needed is a small loss.

use std::collections::{HashMap, VecDeque};

use crate::engine::Run;
use crate::engine::decide::blocking_need;
use crate::model::{StageIndex, StageStatus};
use crate::pipeline::plan::PlannedStage;

/// The most stages and edges that are looked at, whatever the size of the graph.
const EXAMINED_MAX: usize = 1000;

/// Stages whose containers can be created now, the next ones first. Looks no further than it is
/// asked to.
pub(super) struct LookAhead<'a> {
    run: &'a Run,
    ready: Box<dyn Iterator<Item = StageIndex> + 'a>,
    /// What will end soon: stages under way, then ready ones.
    ending: Box<dyn Iterator<Item = StageIndex> + 'a>,
    /// Stages given out, whose followers come after those of everything before them.
    given: VecDeque<StageIndex>,
    followers: std::slice::Iter<'a, StageIndex>,
    /// For each follower seen, how many of its unmet needs are `ending` or `given`.
    covered: HashMap<StageIndex, u32>,
    examined: usize,
}

impl<'a> LookAhead<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        let ready = || run.agenda.ready.iter().map(|(_, stage)| *stage);
        // An attempt that was asked to end has no limit any more, and nothing good will follow it.
        let under_way = run.agenda.limited.iter().map(|(_, stage)| *stage);
        Self {
            run,
            ready: Box::new(ready()),
            ending: Box::new(under_way.chain(ready())),
            given: VecDeque::new(),
            followers: [].iter(),
            covered: HashMap::new(),
            examined: 0,
        }
    }

    /// Counts one met need of a follower; true when that was the last and the bet is a good one.
    fn is_next(&mut self, follower: StageIndex) -> bool {
        let run = self.run;
        let Some(stage) = run.stage(follower) else { return false };
        let covered = self.covered.entry(follower).or_insert(0);
        *covered += 1;
        stage.status == StageStatus::Pending
            && *covered == stage.unmet_needs
            && run.planned(follower).is_some_and(is_certain)
            && run.known(follower).is_some_and(|it| it.has_containers)
            && blocking_need(run, &run.progress, follower).is_none()
    }
}

impl Iterator for LookAhead<'_> {
    type Item = StageIndex;

    fn next(&mut self) -> Option<StageIndex> {
        while self.examined < EXAMINED_MAX {
            self.examined += 1;
            if let Some(stage) = self.ready.next() {
                if self.run.known(stage).is_some_and(|it| it.has_containers) {
                    return Some(stage);
                }
            } else if let Some(follower) = self.followers.next().copied() {
                if self.is_next(follower) {
                    self.given.push_back(follower);
                    return Some(follower);
                }
            } else {
                let before = self.ending.next().or_else(|| self.given.pop_front())?;
                self.followers = self.run.graph.followers(before).iter();
            }
        }
        None
    }
}

/// Whether the stage runs as soon as its needs have passed: nothing is asked before.
fn is_certain(planned: &PlannedStage) -> bool {
    planned.condition.is_none() && planned.concurrency.is_none()
}
