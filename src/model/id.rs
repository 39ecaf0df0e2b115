//! Names of runs, stages and attempts.

use std::fmt;

/// Names one run. A ULID in lower case, so its text sorts by creation time.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a stage in its run's plan. Stable for the life of the run, as plans never change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct StageIndex(pub u32);

impl StageIndex {
    /// As an index into a slice.
    #[must_use]
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// Names one attempt of one stage of one run: of its containers, volumes, networks and log.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct AttemptName {
    /// The run.
    pub run: RunId,
    /// The stage's place in the plan.
    pub stage: StageIndex,
    /// Counts from 1.
    pub attempt: u32,
}

impl AttemptName {
    /// `<run>-<stage index>-<attempt>`: safe in file, container, volume and network names.
    #[must_use]
    pub fn slug(&self) -> String {
        format!("{}-{}-{}", self.run, self.stage.0, self.attempt)
    }

    /// Reads what [`Self::slug`] wrote.
    #[must_use]
    pub fn parse_slug(slug: &str) -> Option<Self> {
        let mut parts = slug.rsplitn(3, '-');
        let attempt = parts.next()?.parse().ok()?;
        let stage = StageIndex(parts.next()?.parse().ok()?);
        let run = RunId(parts.next()?.to_owned());
        Some(Self { run, stage, attempt })
    }
}

impl fmt::Display for AttemptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.slug())
    }
}
