//! Concurrency groups across runs.

use std::collections::BTreeMap;

use trunkline::engine::Event;
use trunkline::model::{StageIndex, Timestamp};

use super::Told;
use crate::plans::GROUPS;

/// From when until when somebody had a slot.
type Spans = Vec<(Timestamp, Timestamp)>;

pub(crate) fn check(all: &[Told], is_calm: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut of_runs = Spans::new();
    let mut of_stages: BTreeMap<&str, Spans> = BTreeMap::new();
    for told in all {
        collect(told, &mut of_runs, &mut of_stages);
    }
    if most_at_once(&of_runs) > 1 {
        wrong.push(format!("the run group let too many in: {of_runs:?}"));
    }
    for (group, limit) in GROUPS {
        let spans = of_stages.remove(group).unwrap_or_default();
        if most_at_once(&spans) > limit as usize {
            wrong.push(format!("the group `{group}` let too many in: {spans:?}"));
        }
    }
    if is_calm {
        check_order(all, &mut wrong);
    }
    wrong
}

fn collect<'a>(told: &'a Told, of_runs: &mut Spans, of_stages: &mut BTreeMap<&'a str, Spans>) {
    let plan = told.loaded.run.plan();
    let mut admitted = None;
    let mut granted: BTreeMap<StageIndex, Timestamp> = BTreeMap::new();
    for stored in &told.events {
        match &stored.event {
            Event::Admitted => admitted = Some(stored.at),
            Event::RunFinished { .. } => of_runs.extend(admitted.take().map(|it| (it, stored.at))),
            Event::SlotGranted { stage } => _ = granted.insert(*stage, stored.at),
            Event::StageFinished { stage, .. } => {
                let group = plan.stages[stage.as_usize()].concurrency.as_ref();
                if let (Some(from), Some(group)) = (granted.remove(stage), group) {
                    of_stages.entry(&group.group).or_default().push((from, stored.at));
                }
            }
            _ => (),
        }
    }
}

/// Spans that only touch do not count.
fn most_at_once(spans: &Spans) -> usize {
    let at_once = |moment: Timestamp| {
        spans.iter().filter(|(from, to)| *from <= moment && moment < *to).count()
    };
    spans.iter().map(|(from, _)| at_once(*from)).max().unwrap_or(0)
}

/// Of two runs that wait, the older one is let in first.
fn check_order(all: &[Told], wrong: &mut Vec<String>) {
    for (place, older) in all.iter().enumerate() {
        for younger in &all[place + 1..] {
            let asked = older.first(|it| matches!(it, Event::LeaseTaken { .. }));
            let let_in = |told: &Told| told.first(|it| matches!(it, Event::Admitted));
            let (Some(asked), Some(first), Some(second)) = (asked, let_in(older), let_in(younger))
            else {
                continue;
            };
            if asked < second && second < first {
                wrong.push(format!("{} was let in before {}", younger.id(), older.id()));
            }
        }
    }
}
