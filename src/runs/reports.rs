//! What the reports of a run say by name. A stage that reuses a result has the reports of the attempt it is of.

use super::view::{CaseView, FindingView};
use super::{LoadedRun, Runs, RunsError};
use crate::model::{AttemptName, StageIndex};

impl Runs {
    /// The test cases that are stored of a run: by stage, the attempt that counts first, failures first.
    pub async fn cases(&self, loaded: &LoadedRun) -> Result<Vec<CaseView>, RunsError> {
        let rows = self.store.list_cases(&loaded.row.id, None).await?;
        let mut cases: Vec<_> = rows.into_iter().map(CaseView::from).collect();
        for it in &mut cases {
            it.counts = counts(loaded, it.stage, it.attempt);
        }
        for (stage, from) in reused(loaded) {
            let rows = self.store.list_cases(&from.run, Some((from.stage, from.attempt))).await?;
            cases.extend(rows.into_iter().map(|row| CaseView {
                stage,
                counts: true,
                reused_from: Some(from.run.clone()),
                ..CaseView::from(row)
            }));
        }
        cases.sort_by_key(|it| (it.stage.0, !it.counts, u32::MAX - it.attempt, it.rank()));
        Ok(cases)
    }

    /// The findings that are stored of a run: by stage, the attempt that counts first, the worst first.
    pub async fn findings(&self, loaded: &LoadedRun) -> Result<Vec<FindingView>, RunsError> {
        let rows = self.store.list_findings(&loaded.row.id, None).await?;
        let mut findings: Vec<_> = rows.into_iter().map(FindingView::from).collect();
        for it in &mut findings {
            it.counts = counts(loaded, it.stage, it.attempt);
        }
        for (stage, from) in reused(loaded) {
            let only = Some((from.stage, from.attempt));
            let rows = self.store.list_findings(&from.run, only).await?;
            findings.extend(rows.into_iter().map(|row| FindingView {
                stage,
                counts: true,
                reused_from: Some(from.run.clone()),
                ..FindingView::from(row)
            }));
        }
        findings.sort_by_key(|it| (it.stage.0, !it.counts, u32::MAX - it.attempt, it.level));
        Ok(findings)
    }
}

/// Whether an attempt is the last one since the last re-run of its stage, whose result nothing stands for.
fn counts(loaded: &LoadedRun, stage: StageIndex, attempt: u32) -> bool {
    let Some(stage) = loaded.run.stage(stage) else { return false };
    let number = usize::try_from(attempt).unwrap_or(usize::MAX);
    number == stage.attempts.len() && number > stage.earlier_attempts && stage.reused_from.is_none()
}

/// Stages that reuse the result of an attempt.
fn reused(loaded: &LoadedRun) -> Vec<(StageIndex, AttemptName)> {
    let stages = loaded.run.stages();
    stages.filter_map(|(index, stage)| Some((index, stage.reused_from.clone()?))).collect()
}
