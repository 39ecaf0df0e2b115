//! Who waits, for what, and in which place.

use std::collections::{BTreeMap, HashMap};

use super::{LoadedRun, Runs, RunsError};
use crate::engine::{Claim, Shares, WaitsFor};
use crate::model::{RunId, RunStatus, StageIndex, TeamId, Timestamp};
use crate::store::fleet::takeable::TakeableRun;
use crate::store::fleet::workers::WorkerRow;
use crate::store::runs::{RunFilter, RunRow};

/// Runs that are looked at.
const RUNS_MAX: u32 = 200;
/// Reasons that are named for one run.
const REASONS_MAX: usize = 20;

/// A run that waits for something.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// Its row.
    pub row: RunRow,
    /// Its place among the runs that no worker has taken yet, from 1.
    pub position: Option<usize>,
    /// What it waits for.
    pub reasons: Vec<Reason>,
}

/// What a run, or a stage of it, waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A worker with a free slot.
    Worker,
    /// A worker at all: none that runs stages gives a sign of life.
    NoWorker,
    /// The end of a draining: all workers that could take it take nothing new.
    Draining {
        /// Their names; one at least.
        workers: Vec<String>,
    },
    /// A worker with these labels: none has them.
    Labels {
        /// They.
        labels: BTreeMap<String, String>,
    },
    /// The end of a dead worker's lease.
    Lease {
        /// That worker.
        owner: String,
        /// When others may take the run.
        until: Timestamp,
    },
    /// Something that a stage, or the run as a whole, waits for by itself.
    Stage {
        /// Key of the stage; `None` for the run as a whole.
        stage: Option<String>,
        /// What it is.
        waits_for: WaitsFor,
    },
}

impl Reason {
    /// Whether it is true of a run that nobody drives: people can answer, and who is missing is missing.
    fn is_without_driver(&self) -> bool {
        match self {
            Self::NoWorker | Self::Labels { .. } | Self::Draining { .. } => true,
            Self::Stage { waits_for, .. } => matches!(waits_for, WaitsFor::People { .. }),
            Self::Worker | Self::Lease { .. } => false,
        }
    }
}

impl Runs {
    /// Runs that wait for something, those that no worker has taken first, in their order.
    pub async fn queue(&self, now: Timestamp) -> Result<Vec<Queued>, RunsError> {
        let workers = self.store.list_workers().await?;
        let workers: Vec<_> = workers.into_iter().filter(|it| it.is_alive(now)).collect();
        let wants = self.store.list_wants_of_new_runs().await?;
        let new = self.store.list_new_runs(&wants, RUNS_MAX).await?;
        let places = places(&new, &workers);
        let wanted: HashMap<_, _> = new.into_iter().map(|it| (it.id, it.wants)).collect();
        let statuses =
            vec![RunStatus::Queued, RunStatus::Running, RunStatus::Waiting, RunStatus::Cancelling];
        let filter = RunFilter { statuses, limit: RUNS_MAX, ..RunFilter::default() };
        let mut queue = Vec::new();
        for row in self.store.list_runs(&filter).await? {
            let reasons = match wanted.get(&row.id) {
                Some(wants) => vec![reason_of_new(wants, &workers)],
                None if row.lease_epoch == 0 => vec![Reason::Worker],
                None => match self.load_listed(row.clone()).await {
                    Ok(loaded) => reasons_of_begun(&loaded, &workers, now),
                    Err(RunsError::NotFound(_)) => continue,
                    Err(error) => return Err(error),
                },
            };
            if !reasons.is_empty() {
                queue.push(Queued { position: places.get(&row.id).copied(), row, reasons });
            }
        }
        queue.sort_by_key(|it| (it.position.unwrap_or(usize::MAX), it.row.number));
        Ok(queue)
    }

    /// What one run waits for, and its place among those that no worker has taken.
    pub async fn waits(&self, loaded: &LoadedRun, now: Timestamp) -> Result<Queued, RunsError> {
        let row = loaded.row.clone();
        let mut queued = Queued { row, position: None, reasons: Vec::new() };
        if queued.row.status.is_finished() {
            return Ok(queued);
        }
        let workers = self.store.list_workers().await?;
        let workers: Vec<_> = workers.into_iter().filter(|it| it.is_alive(now)).collect();
        if queued.row.lease_epoch > 0 {
            queued.reasons = reasons_of_begun(loaded, &workers, now);
            return Ok(queued);
        }
        let wants = self.store.list_wants_of_new_runs().await?;
        let new = self.store.list_new_runs(&wants, RUNS_MAX).await?;
        let own = new.iter().find(|it| it.id == queued.row.id).map(|it| it.wants.clone());
        queued.position = places(&new, &workers).get(&queued.row.id).copied();
        queued.reasons = vec![own.map_or(Reason::Worker, |it| reason_of_new(&it, &workers))];
        Ok(queued)
    }
}

/// The order in which workers would take new runs if each had room for all of them.
fn places(new: &[TakeableRun], workers: &[WorkerRow]) -> HashMap<RunId, usize> {
    let mut running: BTreeMap<TeamId, u32> = BTreeMap::new();
    for (team, count) in workers.iter().flat_map(|it| &it.running) {
        *running.entry(TeamId(team.clone())).or_default() += count;
    }
    let mut shares = Shares::default();
    shares.set_elsewhere(&running);
    let mut waiting: Vec<_> = new.iter().collect();
    let mut claims: Vec<_> = new.iter().map(claim_of).collect();
    let mut places = HashMap::new();
    while let Some(next) = shares.next(&claims) {
        shares.grant(&claims.swap_remove(next));
        places.insert(waiting.swap_remove(next).id.clone(), places.len() + 1);
    }
    places
}

/// What a new run counts for in the line for slots.
#[must_use]
pub fn claim_of(run: &TakeableRun) -> Claim {
    Claim { team: run.team.clone(), weight: run.weight, priority: run.priority, place: run.number }
}

fn reason_of_new(wants: &str, workers: &[WorkerRow]) -> Reason {
    let labels: BTreeMap<String, String> = serde_json::from_str(wants).unwrap_or_default();
    let has_all =
        |it: &&WorkerRow| labels.iter().all(|(name, value)| it.labels.get(name) == Some(value));
    let runs_stages: Vec<_> = workers.iter().filter(|it| it.slots > 0).collect();
    if runs_stages.is_empty() {
        return Reason::NoWorker;
    }
    let (draining, able): (Vec<_>, Vec<_>) =
        runs_stages.into_iter().filter(has_all).partition(|it| it.draining);
    if !able.is_empty() {
        Reason::Worker
    } else if draining.is_empty() {
        Reason::Labels { labels }
    } else {
        Reason::Draining { workers: draining.into_iter().map(|it| it.name.clone()).collect() }
    }
}

/// What a run waits for that somebody has taken before. While nobody has it, that, but for what people can
/// answer in the meantime.
fn reasons_of_begun(loaded: &LoadedRun, workers: &[WorkerRow], now: Timestamp) -> Vec<Reason> {
    let lease = reason_of_lease(&loaded.row, workers, now);
    let mut own = reasons_of(loaded, workers);
    own.retain(|it| lease.is_none() || it.is_without_driver());
    let lease = lease.filter(|_| own.is_empty());
    lease.into_iter().chain(own).collect()
}

/// A run that nobody holds, or somebody who gives no sign of life.
fn reason_of_lease(row: &RunRow, workers: &[WorkerRow], now: Timestamp) -> Option<Reason> {
    if row.lease_owner.is_empty() {
        return Some(reason_of_new("", workers));
    }
    let is_held = workers.iter().any(|it| it.name == row.lease_owner);
    let (owner, until) = (row.lease_owner.clone(), row.lease_until);
    (!is_held && until > now).then_some(Reason::Lease { owner, until })
}

/// What a run's stages wait for, but for their needs and the end of what runs.
#[must_use]
pub fn reasons_of(loaded: &LoadedRun, workers: &[WorkerRow]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (index, _) in loaded.run.stages() {
        let Some(waits_for) = loaded.run.waits_for(index) else { continue };
        let reason = match waits_for {
            WaitsFor::Driver | WaitsFor::Needs(_) | WaitsFor::Attempt => continue,
            WaitsFor::Admission { .. } => {
                reasons.push(Reason::Stage { stage: None, waits_for });
                break;
            }
            WaitsFor::Room => room(loaded, index, workers),
            WaitsFor::Slot { .. } | WaitsFor::Retry { .. } | WaitsFor::People { .. } => {
                Reason::Stage { stage: key(loaded, index), waits_for }
            }
        };
        reasons.push(reason);
        if reasons.len() == REASONS_MAX {
            break;
        }
    }
    reasons
}

/// A ready stage waits for a slot, or for somebody who has its labels and takes something.
fn room(loaded: &LoadedRun, index: StageIndex, workers: &[WorkerRow]) -> Reason {
    let stage = loaded.run.plan().stages.get(index.as_usize());
    let wants = stage.map(|it| super::wants_of(&it.labels)).unwrap_or_default();
    match reason_of_new(&wants, workers) {
        reason @ (Reason::Labels { .. } | Reason::Draining { .. }) => reason,
        Reason::NoWorker | Reason::Worker | Reason::Lease { .. } | Reason::Stage { .. } => {
            Reason::Stage { stage: key(loaded, index), waits_for: WaitsFor::Room }
        }
    }
}

fn key(loaded: &LoadedRun, index: StageIndex) -> Option<String> {
    loaded.run.plan().stages.get(index.as_usize()).map(|it| it.key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: i64, team: &str, priority: i64) -> TakeableRun {
        TakeableRun {
            id: RunId(format!("r{number}")),
            number,
            team: TeamId(team.to_owned()),
            weight: 1,
            priority,
            wants: String::new(),
            created_at: Timestamp(number),
        }
    }

    fn worker(slots: i64, labels: &[(&str, &str)]) -> WorkerRow {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        WorkerRow {
            name: "w".to_owned(),
            instance: String::new(),
            session: String::new(),
            kind: "worker".to_owned(),
            labels: labels.iter().map(own).collect(),
            slots,
            version: String::new(),
            running: BTreeMap::new(),
            started_at: Timestamp(0),
            seen_at: Timestamp(0),
            draining: false,
        }
    }

    #[test]
    fn teams_take_turns_and_priority_counts_within_a_team() {
        let new = [run(1, "big", 0), run(2, "big", 0), run(3, "big", 1), run(4, "small", 0)];
        let places = places(&new, &[]);
        let mut line: Vec<_> = places.iter().collect();
        line.sort_by_key(|it| it.1);
        let line: Vec<_> = line.iter().map(|(id, _)| id.0.as_str()).collect();
        assert_eq!(line, ["r3", "r4", "r1", "r2"]);
    }

    #[test]
    fn who_waits_is_told_what_is_missing() {
        let wants = r#"{"gpu":"true"}"#;
        assert_eq!(reason_of_new(wants, &[]), Reason::NoWorker);
        assert_eq!(reason_of_new("", &[worker(0, &[])]), Reason::NoWorker);
        assert_eq!(reason_of_new("", &[worker(2, &[])]), Reason::Worker);
        let labels = [("gpu".to_owned(), "true".to_owned())].into();
        assert_eq!(reason_of_new(wants, &[worker(2, &[])]), Reason::Labels { labels });
        let able = worker(2, &[("gpu", "true")]);
        assert_eq!(reason_of_new(wants, std::slice::from_ref(&able)), Reason::Worker);
        let draining = WorkerRow { name: "old".to_owned(), draining: true, ..able };
        let workers = vec!["old".to_owned()];
        let is_draining = Reason::Draining { workers };
        assert_eq!(reason_of_new(wants, std::slice::from_ref(&draining)), is_draining);
        assert_eq!(reason_of_new(wants, &[draining.clone(), worker(2, &[])]), is_draining);
        assert_eq!(reason_of_new("", &[draining, worker(2, &[])]), Reason::Worker);
    }
}
