//! Skip-if-unchanged: one digest over everything that decides about a stage's result, and the green
//! result that was stored under it.

use sha2::{Digest as _, Sha256};

use crate::engine::{AttemptOutcome, Command};
use crate::executor::Executor;
use crate::model::{AttemptName, Digest, StageIndex};
use crate::pipeline::PlannedStage;
use crate::pipeline::plan::{Program, Work};
use crate::runs::view::{JudgedGate, judge_gates};
use crate::runs::{LoadedRun, RunsError};
use crate::source::digest_of_globs;
use crate::store::results::trends::GateRow;
use crate::worker::attempt::files;
use crate::worker::driver::Driver;
use crate::worker::{Worker, WorkerError};

/// Changes with what goes into the digest, so that old results are not found.
const VERSION: &str = "inputs 1";

impl<E: Executor> Driver<'_, E> {
    /// The command that lets an earlier green result stand for the stage, if there is one.
    pub(in crate::worker) async fn find_reusable(
        &self,
        stage: StageIndex,
    ) -> Result<Option<Command>, WorkerError> {
        if !self.worker.settings.reuse || !self.loaded.run.may_reuse() {
            return Ok(None);
        }
        let Some(digest) = self.worker.digest_of_inputs(&self.loaded, stage).await else {
            return Ok(None);
        };
        let store = self.worker.parts.runs.store();
        let found = store.find_result(&digest).await.map_err(RunsError::from)?;
        let Some((from, outcome)) = found else { return Ok(None) };
        for artifact in &outcome.artifacts {
            if !self.worker.parts.blobs.contains(&artifact.digest).await? {
                return Ok(None);
            }
        }
        if !self.has_image(stage, &outcome).await? {
            return Ok(None);
        }
        self.own_artifacts(stage, &outcome).await?;
        Ok(Some(Command::Reuse { stage, from, outcome }))
    }

    /// Whether the image that the stage built then is still here; true for a stage that builds none.
    async fn has_image(
        &self,
        stage: StageIndex,
        outcome: &AttemptOutcome,
    ) -> Result<bool, WorkerError> {
        let planned = self.loaded.run.plan().stages.get(stage.as_usize());
        if !planned.is_some_and(|it| matches!(it.work, Work::Image(_))) {
            return Ok(true);
        }
        let Some(reference) = outcome.outputs.get("reference") else { return Ok(false) };
        Ok(self.worker.parts.executor.image_digest(reference).await?.is_some())
    }

    /// The artifacts belong to this run too: they stay when the run that made them goes.
    async fn own_artifacts(
        &self,
        stage: StageIndex,
        outcome: &AttemptOutcome,
    ) -> Result<(), WorkerError> {
        let Some(planned) = self.loaded.run.plan().stages.get(stage.as_usize()) else {
            return Ok(());
        };
        let Work::Container(work) = &planned.work else { return Ok(()) };
        let Some(artifacts) = &work.artifacts else { return Ok(()) };
        // No attempt of this run made them: they stand under the attempt that would have.
        let attempts = self.loaded.run.stage(stage).map_or(0, |it| it.attempts.len());
        let attempt = u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1);
        let name = AttemptName { run: self.loaded.row.id.clone(), stage, attempt };
        let expires_at = self.worker.parts.clock.now().plus(artifacts.expire);
        let row = |it| files::row(&name, &planned.key, it, expires_at);
        let rows: Vec<_> = outcome.artifacts.iter().map(row).collect();
        let store = self.worker.parts.runs.store();
        Ok(store.insert_artifacts(&rows).await.map_err(RunsError::from)?)
    }

    /// Writes down, for trends, how the gates of an attempt are judged. Before its end is stored, so that it is
    /// done again after a crash.
    pub(in crate::worker) async fn store_gates(
        &self,
        name: &AttemptName,
        outcome: &AttemptOutcome,
    ) -> Result<(), WorkerError> {
        let planned = self.loaded.run.plan().stages.get(name.stage.as_usize());
        let Some(planned) = planned.filter(|it| !it.gates.is_empty() && outcome.is_passed()) else {
            return Ok(());
        };
        let judged = judge_gates(&self.loaded.run, name.stage, planned, outcome);
        let row = |it: JudgedGate| GateRow {
            run: name.run.clone(),
            stage_key: planned.key.clone(),
            metric: it.metric,
            comparison: it.comparison,
            value: it.value,
            baseline: it.baseline,
            passed: it.passed,
        };
        let rows: Vec<_> = judged.into_iter().map(row).collect();
        let store = self.worker.parts.runs.store();
        let saved = store.save_gates(&name.run, &planned.key, &rows).await;
        saved.map_err(RunsError::from).map_err(WorkerError::from)
    }

    /// Writes down what later runs may ask for: a green result by its inputs, and metrics.
    pub(in crate::worker) async fn remember_result(
        &mut self,
        name: &AttemptName,
    ) -> Result<(), WorkerError> {
        let Some(stage) = self.loaded.run.stage(name.stage) else { return Ok(()) };
        let attempt = usize::try_from(name.attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let outcome = stage.attempts.get(attempt).and_then(|it| it.outcome.clone());
        let Some(outcome) = outcome else { return Ok(()) };
        let Some(planned) = self.loaded.run.plan().stages.get(name.stage.as_usize()) else {
            return Ok(());
        };
        let now = self.worker.parts.clock.now();
        let store = self.worker.parts.runs.store();
        if !outcome.metrics.is_empty() {
            let saved = store.save_metrics(&name.run, &planned.key, &outcome.metrics, now).await;
            saved.map_err(RunsError::from)?;
        }
        if !outcome.is_passed() {
            return Ok(());
        }
        if let Some(digest) = self.worker.digest_of_inputs(&self.loaded, name.stage).await {
            store.insert_result(&digest, name, &outcome, now).await.map_err(RunsError::from)?;
        }
        Ok(())
    }
}

impl<E: Executor> Worker<E> {
    /// The digest of a stage's inputs; `None` when it has not opted in, or they cannot be read now:
    /// then the stage runs.
    async fn digest_of_inputs(&self, loaded: &LoadedRun, stage: StageIndex) -> Option<Digest> {
        self.try_digest_of_inputs(loaded, stage).await.unwrap_or_else(|error| {
            tracing::warn!(run = %loaded.row.id, stage = stage.0, %error, "the inputs are unknown");
            None
        })
    }

    async fn try_digest_of_inputs(
        &self,
        loaded: &LoadedRun,
        stage: StageIndex,
    ) -> Result<Option<Digest>, WorkerError> {
        let Some(planned) = loaded.run.plan().stages.get(stage.as_usize()) else { return Ok(None) };
        let Some(globs) = &planned.inputs else { return Ok(None) };
        let files = self.list_files(loaded).await?;
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(VERSION);
        add(&loaded.row.repository);
        add(digest_of_globs(&files, globs).hex());
        add(&text_of_stage(planned));
        for image in images_of(loaded, stage, planned) {
            add(&image);
            let digest = self.parts.executor.image_digest(&image).await?;
            add(&digest.unwrap_or_default());
        }
        for need in &planned.needs {
            let outcome = loaded.run.stage(need.stage).and_then(crate::engine::Stage::outcome);
            for artifact in outcome.iter().flat_map(|it| &it.artifacts) {
                add(&artifact.path);
                add(artifact.digest.hex());
            }
            for (name, value) in outcome.iter().flat_map(|it| &it.outputs) {
                add(name);
                add(value);
            }
        }
        Ok(Some(Digest::from_hash(&hash.finalize())))
    }
}

/// Steps, environment, matrix and everything else of the stage, as stored in the plan.
fn text_of_stage(planned: &PlannedStage) -> String {
    serde_json::to_string(&(
        &planned.matrix,
        &planned.work,
        &planned.env,
        &planned.secrets,
        &planned.gates,
    ))
    .unwrap_or_default()
}

fn images_of(loaded: &LoadedRun, stage: StageIndex, planned: &PlannedStage) -> Vec<String> {
    let Work::Container(work) = &planned.work else { return Vec::new() };
    let steps = match &work.program {
        Program::Steps(steps) => steps.as_slice(),
        Program::Command(_) => &[],
    };
    let of_steps = steps.iter().filter_map(|it| it.image.as_ref());
    let of_services = work.services.values().map(|it| &it.image);
    let scope = loaded.run.scope(stage);
    let templates = std::iter::once(&work.image).chain(of_steps).chain(of_services);
    templates.filter_map(|it| it.resolve(&scope).ok()).collect()
}
