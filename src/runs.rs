//! Use cases on a run: create, load, decide, commit, announce. The only module that writes run events.

use std::collections::BTreeSet;
use std::slice;
use std::sync::Arc;

use crate::engine::{Command, Event, Refused, Run};
use crate::metrics;
use crate::model::{FailureClass, ProjectId, RunId, StageIndex, Timestamp};
use crate::pipeline::{Context, Plan};
use crate::store::runs::{Append, NewRun, RunFilter, RunRow, StoredEvent};
use crate::store::{Store, StoreError};

pub mod news;
pub mod people;
pub mod queue;
pub mod view;
mod listed;
mod noted;
mod reports;
mod stages;
mod watch;

pub use news::{Change, News};

/// How often a commit is tried when others append to the same run at the same time.
const COMMIT_TRIES: u32 = 20;
/// Runs that are named when the beginning of an id means several.
const CANDIDATES_SHOWN: u32 = 5;

/// Letters of a commit's subject by which a run is called: nobody reads more of it in a list.
const TITLE_LETTERS_MAX: usize = 250;

/// Everything that can be done with runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runs {
    store: Store,
    wire: news::Wire,
    listed: listed::Listed,
}

/// A run as it stood when it was read.
#[derive(Debug, Clone)]
pub struct LoadedRun {
    /// Its state.
    pub run: Run,
    /// Its row; `status` and `events` are those of the moment it was read.
    pub row: RunRow,
    /// Sequence number of the next event.
    pub seq: i64,
}

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// There is no such run.
    #[error("there is no run `{0}`")]
    NotFound(String),
    /// More than one run is meant.
    #[error("`{reference}` is the beginning of several ids: {}", told(candidates))]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// Number and id of the runs that may be meant, newest first; one more than are named when there
        /// are too many.
        candidates: Vec<(i64, RunId)>,
    },
    /// No stage is called so, or several are.
    #[error("run #{number} has no stage with the key `{wanted}`")]
    NoStage {
        /// Number of the run.
        number: i64,
        /// What was asked for.
        wanted: String,
        /// Keys that may be meant.
        known: Vec<String>,
    },
    /// The run refuses the command.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The stored plan or context cannot be read by this version.
    #[error("the stored plan of run `{run}` cannot be read")]
    Unreadable {
        /// Which run.
        run: RunId,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run to create.
#[derive(Debug, Clone)]
pub struct CreateRun {
    /// Its id, a new ULID in lower case.
    pub id: RunId,
    /// Where the code comes from: a folder or an address.
    pub repository: String,
    /// Git tree that is checked out.
    pub tree: String,
    /// Whose run it is on a server; empty from a terminal.
    pub project: ProjectId,
    /// What asked for it, so that nothing asks twice; or empty.
    pub cause: String,
    /// First-parent commits up to the revision; 0 when not known.
    pub height: i64,
    /// What it will do.
    pub plan: Plan,
    /// Its facts.
    pub context: Context,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Runs {
    /// The runs of this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, wire: news::Wire::new(), listed: listed::Listed::new() }
    }

    /// The store below, for reading.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a new run and gives its number.
    pub async fn create(&self, create: &CreateRun) -> Result<i64, RunsError> {
        let unreadable = |source| RunsError::Unreadable { run: create.id.clone(), source };
        let new = NewRun {
            id: create.id.clone(),
            pipeline: create.plan.pipeline.clone(),
            repository: create.repository.clone(),
            event: create.context.event.clone(),
            branch: create.context.git.branch.clone(),
            revision: create.context.git.sha.clone(),
            tree: create.tree.clone(),
            title: title_of(&create.context.git.message),
            project: create.project.clone(),
            cause: create.cause.clone(),
            height: create.height,
            wants: wants_of(&create.plan.first_labels()),
            plan: serde_json::to_string(&create.plan).map_err(unreadable)?,
            context: serde_json::to_string(&create.context).map_err(unreadable)?,
            created_at: create.created_at,
        };
        let number = self.store.insert_run(&new).await?;
        metrics::run_created();
        self.announce(News::Run(create.id.clone(), 0));
        Ok(number)
    }

    /// The run a person means: `last`, a number (`12`, `#12`), an id, or the beginning of one that no
    /// other id has. `last` is the newest run of `repository`, or of all when that is `None`.
    pub async fn find(
        &self,
        reference: &str,
        repository: Option<&str>,
    ) -> Result<RunRow, RunsError> {
        let not_found = || RunsError::NotFound(reference.to_owned());
        if reference == "last" {
            let repository = repository.map(str::to_owned);
            let filter = RunFilter { repository, limit: 1, ..RunFilter::default() };
            return self.store.list_runs(&filter).await?.pop().ok_or_else(not_found);
        }
        if let Some(number) = number(reference) {
            return self.store.find_run_by_number(number).await?.ok_or_else(not_found);
        }
        if reference.is_empty() {
            return Err(not_found());
        }
        let id_prefix = Some(reference.to_lowercase());
        let limit = CANDIDATES_SHOWN + 1;
        let filter = RunFilter { id_prefix, limit, ..RunFilter::default() };
        let mut rows = self.store.list_runs(&filter).await?;
        if rows.len() > 1 {
            let candidates = rows.into_iter().map(|it| (it.number, it.id)).collect();
            return Err(RunsError::Ambiguous { reference: reference.to_owned(), candidates });
        }
        rows.pop().ok_or_else(not_found)
    }

    /// Reads a run with everything that has happened to it.
    pub async fn load(&self, id: &RunId) -> Result<LoadedRun, RunsError> {
        Ok(self.load_with_events(id).await?.0)
    }

    /// The same, and the events themselves.
    pub async fn load_with_events(
        &self,
        id: &RunId,
    ) -> Result<(LoadedRun, Vec<StoredEvent>), RunsError> {
        let not_found = || RunsError::NotFound(id.to_string());
        let row = self.store.find_run(id).await?.ok_or_else(not_found)?;
        let (plan, context) = self.store.find_plan(id).await?.ok_or_else(not_found)?;
        let unreadable = |source| RunsError::Unreadable { run: id.clone(), source };
        let plan: Plan = serde_json::from_str(&plan).map_err(unreadable)?;
        let context: Context = serde_json::from_str(&context).map_err(unreadable)?;
        let run = Run::new(id.clone(), Arc::new(plan), Arc::new(context));
        let mut loaded = LoadedRun { run, row, seq: 0 };
        let events = self.refresh(&mut loaded).await?;
        Ok((loaded, events))
    }

    /// Applies what has happened since the run was read, and gives it.
    pub async fn refresh(&self, loaded: &mut LoadedRun) -> Result<Vec<StoredEvent>, RunsError> {
        let events = self.store.list_events(loaded.run.id(), loaded.seq).await?;
        for stored in &events {
            loaded.run.apply(&stored.event, stored.at);
            loaded.seq = stored.seq + 1;
        }
        Ok(events)
    }

    /// Decides a command, stores the events that follow and applies them; gives those events. When
    /// somebody else was faster, decides again on what they left.
    pub async fn execute(
        &self,
        loaded: &mut LoadedRun,
        command: &Command,
        now: Timestamp,
    ) -> Result<Vec<Event>, RunsError> {
        let (events, refused) = self.execute_all(loaded, slice::from_ref(command), now).await?;
        refused.into_iter().next().map_or(Ok(events), |it| Err(it.into()))
    }

    /// As [`Self::execute`], for commands that came together: their events are stored at once. Gives
    /// also what was refused, for one that is refused does not keep the others back.
    pub async fn execute_all(
        &self,
        loaded: &mut LoadedRun,
        commands: &[Command],
        now: Timestamp,
    ) -> Result<(Vec<Event>, Vec<Refused>), RunsError> {
        let mut tries = 0;
        loop {
            let (events, refused) = decide_all(&mut loaded.run, commands, now);
            let Err(error) = self.commit(loaded, &events, now).await else {
                return Ok((events, refused));
            };
            // The state in memory is ahead of the store: only what is stored counts.
            *loaded = self.load(&loaded.row.id).await?;
            let is_conflict = matches!(error, RunsError::Store(StoreError::Conflict { .. }));
            if !is_conflict || tries == COMMIT_TRIES {
                return Err(error);
            }
            tries += 1;
        }
    }

    /// Stores events that were applied.
    async fn commit(
        &self,
        loaded: &mut LoadedRun,
        events: &[Event],
        now: Timestamp,
    ) -> Result<(), RunsError> {
        if events.is_empty() {
            return Ok(());
        }
        let notes = noted::list(&self.store, loaded, events, now).await?;
        let append = Append {
            run: &loaded.row.id,
            seq: loaded.seq,
            events,
            at: now,
            status: loaded.run.status(),
            finished_at: loaded.run.times().1,
            failed_stages: loaded.run.failed_stages().count(),
            notes: &notes,
        };
        self.store.append_events(&append).await?;
        count(loaded.row.created_at, events, now);
        loaded.seq += i64::try_from(events.len()).unwrap_or(0);
        self.announce(News::Run(loaded.row.id.clone(), loaded.seq));
        if append.status.is_finished() {
            for group in groups_of(loaded) {
                self.announce_freed(&group);
            }
        }
        Ok(())
    }
}

/// Labels as the store keeps them: JSON, or empty when there are none.
#[must_use]
pub fn wants_of(labels: &std::collections::BTreeMap<String, String>) -> String {
    if labels.is_empty() { String::new() } else { serde_json::json!(labels).to_string() }
}

/// The name of a run's concurrency group, among all repositories.
#[must_use]
pub fn run_group(loaded: &LoadedRun) -> Option<String> {
    let group = loaded.run.plan().concurrency.as_ref()?;
    Some(format!("run:{}:{}", loaded.row.repository, group.group))
}

/// The name of a stage's concurrency group, among all repositories.
#[must_use]
pub fn stage_group(loaded: &LoadedRun, stage: StageIndex) -> Option<String> {
    let planned = loaded.run.plan().stages.get(stage.as_usize())?;
    let group = planned.concurrency.as_ref()?;
    Some(format!("stage:{}:{}", loaded.row.repository, group.group))
}

/// Every concurrency group that a run may have a slot of.
fn groups_of(loaded: &LoadedRun) -> BTreeSet<String> {
    let stages = loaded.run.stages().filter_map(|(index, _)| stage_group(loaded, index));
    stages.chain(run_group(loaded)).collect()
}

/// Counts what has happened.
fn count(created_at: Timestamp, events: &[Event], now: Timestamp) {
    for event in events {
        #[expect(clippy::wildcard_enum_match_arm, reason = "most events are not counted")]
        match event {
            Event::RunStarted => metrics::run_started(now.since(created_at).into()),
            Event::RunFinished { status } => metrics::run_finished(status.as_str()),
            Event::AttemptFinished { outcome, .. } => {
                metrics::attempt_finished(outcome.class.map_or("passed", FailureClass::as_str));
            }
            _ => (),
        }
    }
}

/// A run's number: digits that do not begin with a zero, as all ids of this millennium do.
fn number(reference: &str) -> Option<i64> {
    let digits = reference.strip_prefix('#').unwrap_or(reference);
    let is_number = digits.bytes().all(|it| it.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_number || digits != reference)
}

/// `#7 01k9…, #5 01k8… and more`
fn told(candidates: &[(i64, RunId)]) -> String {
    let shown = usize::try_from(CANDIDATES_SHOWN).unwrap_or(usize::MAX);
    let named = candidates.iter().take(shown).map(|(number, id)| format!("#{number} `{id}`"));
    let more = if candidates.len() > shown { " and more" } else { "" };
    named.collect::<Vec<_>>().join(", ") + more
}

/// Decides each command on what those before it have left.
fn decide_all(run: &mut Run, commands: &[Command], now: Timestamp) -> (Vec<Event>, Vec<Refused>) {
    let (mut events, mut refused) = (Vec::new(), Vec::new());
    for command in commands {
        match run.decide(command, now) {
            Ok(decided) => {
                for event in &decided {
                    run.apply(event, now);
                }
                events.extend(decided);
            }
            Err(refusal) => refused.push(refusal),
        }
    }
    (events, refused)
}

/// What a run is called: the subject of its commit, cut where it goes on and on.
fn title_of(subject: &str) -> String {
    match subject.char_indices().nth(TITLE_LETTERS_MAX) {
        Some((end, _)) => format!("{}…", subject.get(..end).unwrap_or_default().trim_end()),
        None => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_number_unless_they_begin_as_ids_do() {
        let numbers = ["12", "#12", "#012", "012", "01k3", "#01k3", "-1", "", "#"].map(number);
        assert_eq!(numbers, [Some(12), Some(12), Some(12), None, None, None, None, None, None]);
    }

    #[test]
    fn five_candidates_are_named() {
        let ids =
            |count: i64| (0..count).map(|it| (it, RunId(format!("r{it}")))).collect::<Vec<_>>();
        assert_eq!(told(&ids(2)), "#0 `r0`, #1 `r1`");
        assert_eq!(told(&ids(6)), "#0 `r0`, #1 `r1`, #2 `r2`, #3 `r3`, #4 `r4` and more");
    }
}
