//! What is different: files by part of the release, and metrics. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Run;
use crate::pipeline::plan::Release;
use crate::source::{FileStat, Globs};

/// Metrics that are compared; a run with more has them in its stages.
const METRICS_MAX: usize = 200;

/// Metrics by stage key and name.
pub(super) type Metrics = BTreeMap<(String, String), f64>;

/// What a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// Code; everything when the pipeline names no release.
    Code,
    /// What it runs on.
    Infra,
    /// What models are told.
    Prompts,
    /// Which models.
    Models,
    /// Which vector indexes.
    Indexes,
    /// No part of what is released.
    Other,
}

/// The changed files of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which part.
    pub kind: PartKind,
    /// Lines that are new, of all its files.
    pub added: u64,
    /// Lines that are gone.
    pub removed: u64,
    /// The files, by path.
    pub files: Vec<FileStat>,
    /// How many more there are that are not listed.
    pub more_files: usize,
}

/// A metric then and now.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricChange {
    /// Key of the stage that published it.
    pub stage: String,
    /// Its name.
    pub metric: String,
    /// In the run that is compared with.
    pub before: Option<f64>,
    /// In this run, as far as it has come.
    pub now: Option<f64>,
}

impl PartKind {
    /// All there are, in the order they are shown.
    pub const ALL: [Self; 6] =
        [Self::Code, Self::Infra, Self::Prompts, Self::Models, Self::Indexes, Self::Other];

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// The word in JSON and on pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Infra => "infra",
            Self::Prompts => "prompts",
            Self::Models => "models",
            Self::Indexes => "indexes",
            Self::Other => "other",
        }
    }
}

/// Tells which part of a release a file belongs to.
pub(super) struct Sorter<'a> {
    release: Option<&'a Release>,
    code: Globs,
    infra: Globs,
    prompts: Globs,
}

impl<'a> Sorter<'a> {
    pub(super) fn new(release: Option<&'a Release>) -> Self {
        let globs = |of: fn(&Release) -> &Vec<String>| {
            let named = release.map(|it| of(it).as_slice());
            Globs::new(named.unwrap_or_default())
        };
        Self {
            release,
            code: globs(|it| &it.code),
            infra: globs(|it| &it.infra),
            prompts: globs(|it| &it.prompts),
        }
    }

    /// The narrower part wins: globs of code are often wide.
    pub(super) fn part_of(&self, path: &str) -> PartKind {
        let Some(release) = self.release else { return PartKind::Code };
        let is = |file: &Option<String>| file.as_deref() == Some(path);
        match () {
            () if is(&release.models) => PartKind::Models,
            () if is(&release.indexes) => PartKind::Indexes,
            () if self.prompts.is_match(path) => PartKind::Prompts,
            () if self.infra.is_match(path) => PartKind::Infra,
            () if self.code.is_match(path) => PartKind::Code,
            () => PartKind::Other,
        }
    }
}

/// Changed files by the part of the release they belong to.
pub(super) fn sorted(files: Vec<FileStat>, release: Option<&Release>) -> Vec<Part> {
    let sorter = Sorter::new(release);
    let mut parts: BTreeMap<PartKind, Part> = BTreeMap::new();
    for file in files {
        let kind = sorter.part_of(&file.path);
        let empty = Part { kind, added: 0, removed: 0, files: Vec::new(), more_files: 0 };
        let part = parts.entry(kind).or_insert(empty);
        part.added += file.added;
        part.removed += file.removed;
        part.files.push(file);
    }
    parts.into_values().collect()
}

/// What the stages of a run have published so far.
pub(super) fn metrics(run: &Run) -> Metrics {
    let mut metrics = Metrics::new();
    for (planned, (_, stage)) in run.plan().stages.iter().zip(run.stages()) {
        let published = stage.outcome().map(|it| &it.metrics).into_iter().flatten();
        let named = published.map(|(name, value)| ((planned.key.clone(), name.clone()), *value));
        metrics.extend(named);
    }
    metrics
}

/// Metrics that are not what they were, by stage and name.
pub(super) fn compared(before: &Metrics, now: &Metrics) -> Vec<MetricChange> {
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let change = |name: &&(String, String)| MetricChange {
        stage: name.0.clone(),
        metric: name.1.clone(),
        before: before.get(*name).copied(),
        now: now.get(*name).copied(),
    };
    let changes = names.iter().map(change).filter(|it| it.before != it.now);
    changes.take(METRICS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, added: u64, removed: u64) -> FileStat {
        FileStat { path: path.to_owned(), added, removed, is_binary: false }
    }

    #[test]
    fn files_belong_to_the_narrowest_part_of_the_release() {
        let globs = |it: &str| vec![it.to_owned()];
        let release = Release {
            code: globs("**"),
            infra: globs("deploy/**"),
            prompts: globs("src/prompts/**"),
            models: Some("models.lock".to_owned()),
            indexes: None,
        };
        let files = vec![
            file("src/shop.py", 3, 1),
            file("src/prompts/sell.md", 2, 2),
            file("deploy/compose.yaml", 1, 0),
            file("models.lock", 1, 1),
            file("README.md", 1, 0),
        ];
        let parts = sorted(files.clone(), Some(&release));
        let shown: Vec<_> = parts
            .iter()
            .map(|it| (it.kind.as_str(), it.files.len(), it.added, it.removed))
            .collect();
        assert_eq!(
            shown,
            [("code", 2, 4, 1), ("infra", 1, 1, 0), ("prompts", 1, 2, 2), ("models", 1, 1, 1)]
        );
        let narrow = Release { code: globs("src/**"), ..release };
        let parts = sorted(files.clone(), Some(&narrow));
        assert_eq!(parts.last().unwrap().kind, PartKind::Other);
        assert_eq!(sorted(files, None).len(), 1);
    }

    #[test]
    fn only_metrics_that_differ_are_told() {
        let metrics = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(name, it)| (("eval".to_owned(), (*name).to_owned()), *it)).collect()
        };
        let before = metrics(&[("f1", 0.9), ("cost", 0.1), ("gone", 1.0)]);
        let now = metrics(&[("f1", 0.8), ("cost", 0.1), ("new", 2.0)]);
        let shown: Vec<_> =
            compared(&before, &now).into_iter().map(|it| (it.metric, it.before, it.now)).collect();
        let text = str::to_owned;
        assert_eq!(
            shown,
            [
                (text("f1"), Some(0.9), Some(0.8)),
                (text("gone"), Some(1.0), None),
                (text("new"), None, Some(2.0)),
            ]
        );
    }
}
