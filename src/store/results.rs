//! The tables `stage_results` (green attempts by the digest of their inputs) and `metrics` (values by
//! run and stage, for baselines and trends).

use std::collections::BTreeMap;

use super::{Store, StoreError};
use crate::engine::AttemptOutcome;
use crate::model::{AttemptName, Digest, RunId, Timestamp};

impl Store {
    /// Remembers a green attempt by the digest of its inputs.
    pub async fn insert_result(
        &self,
        _inputs: &Digest,
        _attempt: &AttemptName,
        _outcome: &AttemptOutcome,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// The newest green attempt with these inputs.
    pub async fn find_result(
        &self,
        _inputs: &Digest,
    ) -> Result<Option<(AttemptName, AttemptOutcome)>, StoreError> {
        unimplemented!()
    }

    /// Removes results older than `before`; gives how many.
    pub async fn delete_old_results(&self, _before: Timestamp) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// Writes the metrics of a finished stage down.
    pub async fn save_metrics(
        &self,
        _run: &RunId,
        _stage_key: &str,
        _metrics: &BTreeMap<String, f64>,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Metrics by stage key of the newest passed run of this pipeline, repository and branch.
    pub async fn find_baselines(
        &self,
        _repository: &str,
        _pipeline: &str,
        _branch: &str,
    ) -> Result<BTreeMap<String, BTreeMap<String, f64>>, StoreError> {
        unimplemented!()
    }
}
