//! Runs and other rows.

use std::collections::HashSet;

use super::{BATCH, DAY_MILLISECONDS, RetentionError, Sweep};
use crate::model::{RunId, Timestamp};
use crate::store::StoreError;
use crate::store::retention::{RunAge, RunFamily};

/// How long a green result may be reused.
const RESULTS_DAYS: i64 = 90;
/// How long rows of the ledger are kept, and what was used of budgets.
const CALLS_DAYS: i64 = 400;
/// How long a process that was taken for dead may come back and take back what was charged for it.
const LAPSED_DAYS: i64 = 30;
/// Runs of one family that are looked at at once.
const RUNS: u32 = 100;

/// A name that comes after all ids.
fn all() -> RunId {
    RunId("~".to_owned())
}

impl Sweep<'_> {
    pub(super) async fn runs(&self) -> Result<u64, RetentionError> {
        let mut removed = 0;
        for family in self.of.store.list_run_families().await? {
            if let Some(days) = self.of.all_runs_days {
                let before = self.now.0.saturating_sub(i64::from(days) * DAY_MILLISECONDS);
                let before = Timestamp(before.saturating_add(i64::from(days == 0)));
                let age =
                    RunAge { before, cutoff: all(), after: RunId(String::new()), limit: RUNS };
                removed += self.runs_of_age(&family, age, &HashSet::new()).await?;
                continue;
            }
            let own = &self.of.settings;
            let days = Some(family.keep_days).filter(|it| *it >= 0);
            let Some(before) = self.days_ago(days.unwrap_or(i64::from(own.runs_days))) else {
                continue;
            };
            let count = Some(family.keep_count).filter(|it| *it >= 0);
            let keep_count = count.unwrap_or(i64::from(own.runs_count));
            removed += self.runs_of(&family, before, keep_count).await?;
        }
        Ok(removed)
    }

    async fn runs_of(
        &self,
        family: &RunFamily,
        before: Timestamp,
        keep_count: i64,
    ) -> Result<u64, RetentionError> {
        let store = &self.of.store;
        let Some(cutoff) = store.find_cutoff(family, keep_count).await? else { return Ok(0) };
        let green: HashSet<_> = store.list_last_green_runs(family).await?.into_iter().collect();
        let age = RunAge { before, cutoff, after: RunId(String::new()), limit: RUNS };
        self.runs_of_age(family, age, &green).await
    }

    async fn runs_of_age(
        &self,
        family: &RunFamily,
        mut age: RunAge,
        green: &HashSet<RunId>,
    ) -> Result<u64, RetentionError> {
        let mut removed = 0;
        loop {
            let old = self.of.store.list_old_runs(family, &age).await?;
            for run in old.iter().filter(|it| !self.needed.contains(it) && !green.contains(it)) {
                removed += u64::from(self.run(run).await?);
            }
            let Some(last) = old.into_iter().next_back() else { return Ok(removed) };
            age.after = last;
        }
    }

    /// The logs first: a run without its logs is found again, logs without their run would not be.
    async fn run(&self, run: &RunId) -> Result<bool, RetentionError> {
        if !self.is_real() {
            return Ok(true);
        }
        self.of.logs.delete_run(run).await?;
        match self.of.store.delete_run(run).await {
            Ok(()) => (),
            // Somebody has asked for it once more.
            Err(StoreError::Unfinished { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        for notes in ["executors", "started-with"] {
            let note = self.of.folder.join(notes).join(run.to_string());
            let _runs_of_a_server_have_none = std::fs::remove_file(note);
        }
        self.pause().await;
        Ok(true)
    }

    /// Those whose time is over, by the pipeline or by the settings.
    pub(super) async fn artifacts(&self) -> Result<u64, RetentionError> {
        let store = &self.of.store;
        let mut removed =
            if self.is_real() { store.delete_expired_artifacts(self.now).await? } else { 0 };
        let by_age = self.days_ago(i64::from(self.of.settings.artifacts_days));
        let mut after = RunId(String::new());
        loop {
            let runs = store.list_runs_with_artifacts(&after, BATCH).await?;
            for run in &runs {
                removed += self.artifacts_of(run, by_age).await?;
            }
            let Some(last) = runs.into_iter().next_back() else { return Ok(removed) };
            after = last;
            self.pause().await;
        }
    }

    async fn artifacts_of(
        &self,
        run: &RunId,
        by_age: Option<Timestamp>,
    ) -> Result<u64, RetentionError> {
        let store = &self.of.store;
        let is_old = match by_age {
            Some(before) => store.has_ended_before(run, before).await? == Some(true),
            None => false,
        };
        if is_old && !self.needed.contains(run) && !store.is_last_green(run).await? {
            if self.is_real() {
                return Ok(store.delete_artifacts_of(run).await?);
            }
            return Ok(store.list_artifacts(run).await?.len() as u64);
        }
        if self.is_real() {
            return Ok(0);
        }
        let has_ended = store.has_ended_before(run, Timestamp(i64::MAX)).await? == Some(true);
        let expired = store.list_artifacts(run).await?;
        let expired = expired.iter().filter(|it| has_ended && it.expires_at <= self.now).count();
        Ok(expired as u64)
    }

    pub(super) async fn results(&self) -> Result<u64, RetentionError> {
        match self.days_ago(RESULTS_DAYS).filter(|_| self.is_real()) {
            Some(before) => Ok(self.of.store.delete_old_results(before).await?),
            None => Ok(0),
        }
    }

    pub(super) async fn deliveries(&self) -> Result<u64, RetentionError> {
        let days = i64::from(self.of.settings.deliveries_days);
        let Some(before) = self.days_ago(days).filter(|_| self.is_real()) else { return Ok(0) };
        let mut removed = 0;
        loop {
            let gone = self.of.store.delete_old_deliveries(before, BATCH).await?;
            removed += gone;
            if gone < u64::from(BATCH) {
                break;
            }
            self.pause().await;
        }
        // Only after the deliveries that have told of them.
        self.of.store.forget_gone_refs(before).await?;
        Ok(removed)
    }

    pub(super) async fn audit_events(&self) -> Result<u64, RetentionError> {
        let days = i64::from(self.of.settings.audit_days);
        let Some(before) = self.days_ago(days).filter(|_| self.is_real()) else { return Ok(0) };
        let mut removed = 0;
        loop {
            let gone = self.of.store.delete_audit_events(before, BATCH).await?;
            removed += gone;
            if gone < u64::from(BATCH) {
                return Ok(removed);
            }
            self.pause().await;
        }
    }

    /// The ledger of calls to models, and what was used of budgets in windows long past.
    pub(super) async fn model_calls(&self) -> Result<u64, RetentionError> {
        let days = (self.days_ago(CALLS_DAYS), self.days_ago(LAPSED_DAYS));
        let (Some(before), Some(lapsed), true) = (days.0, days.1, self.is_real()) else {
            return Ok(0);
        };
        self.of.store.delete_lapsed_spenders(lapsed).await?;
        self.of.store.delete_spend_hours(before).await?;
        while self.of.store.delete_accounts(before, BATCH).await? == u64::from(BATCH) {
            self.pause().await;
        }
        let mut removed = 0;
        loop {
            let gone = self.of.store.delete_calls(before, BATCH).await?;
            removed += gone;
            if gone < u64::from(BATCH) {
                return Ok(removed);
            }
            self.pause().await;
        }
    }

    /// Traces of those calls, spans of apps, and sooner what was said in them.
    pub(super) async fn traces(&self) -> Result<u64, RetentionError> {
        let (own, store) = (&self.of.settings, &self.of.store);
        let contents = self.days_ago(i64::from(own.trace_contents_days));
        if let Some(before) = contents.filter(|_| self.is_real()) {
            while store.delete_trace_contents(before, BATCH).await? == u64::from(BATCH) {
                self.pause().await;
            }
        }
        let before = self.days_ago(i64::from(own.traces_days));
        let Some(before) = before.filter(|_| self.is_real()) else { return Ok(0) };
        while store.delete_spans(before, BATCH).await? == u64::from(BATCH) {
            self.pause().await;
        }
        let mut removed = 0;
        loop {
            let gone = store.delete_traces(before, BATCH).await?;
            removed += gone;
            if gone < u64::from(BATCH) {
                return Ok(removed);
            }
            self.pause().await;
        }
    }
}
