//! What scanners have found, rule by rule. Pure.

use std::collections::BTreeMap;

use crate::model::FindingLevel;
use crate::runs::view::FindingView;

/// Places of one rule that are shown, and of all rules together.
const PLACES_MAX: usize = 50;
const ALL_MAX: usize = 300;

/// A rule that something breaks.
#[derive(Debug, Clone)]
pub(super) struct FoundRule {
    pub(super) level: FindingLevel,
    pub(super) rule: String,
    pub(super) count: usize,
    /// Where and what, by file.
    pub(super) places: Vec<FoundPlace>,
}

/// One finding.
#[derive(Debug, Clone)]
pub(super) struct FoundPlace {
    /// `src/x.rs:7`, or empty.
    pub(super) place: String,
    pub(super) message: String,
    pub(super) stage_key: String,
}

impl FoundRule {
    /// The icon of its level.
    pub(super) fn icon(&self) -> &'static str {
        match self.level {
            FindingLevel::Error => "failed",
            FindingLevel::Warning => "warning",
            FindingLevel::Note => "unknown",
        }
    }
}

/// The findings that count, by rule: the worst first, then the most frequent.
pub(super) fn by_rule(findings: &[FindingView]) -> Vec<FoundRule> {
    let mut rules: BTreeMap<(FindingLevel, &str), Vec<&FindingView>> = BTreeMap::new();
    for it in findings.iter().filter(|it| it.counts) {
        rules.entry((it.level, &it.rule)).or_default().push(it);
    }
    let mut rules: Vec<_> = rules.into_iter().collect();
    rules.sort_by_key(|((level, _), found)| (*level, std::cmp::Reverse(found.len())));
    let mut room = ALL_MAX;
    let seen = rules.into_iter().map(|((level, rule), mut found)| {
        found.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let shown = found.len().min(PLACES_MAX).min(room);
        room -= shown;
        FoundRule {
            level,
            rule: rule.to_owned(),
            count: found.len(),
            places: found.into_iter().take(shown).map(place).collect(),
        }
    });
    seen.collect()
}

fn place(it: &FindingView) -> FoundPlace {
    let line = it.line.map(|it| format!(":{it}")).unwrap_or_default();
    FoundPlace {
        place: if it.file.is_empty() { String::new() } else { format!("{}{line}", it.file) },
        message: it.message.clone(),
        stage_key: it.stage_key.clone(),
    }
}

/// How many of each level count.
pub(super) fn levels(findings: &[FindingView]) -> [(&'static str, usize); 3] {
    [FindingLevel::Error, FindingLevel::Warning, FindingLevel::Note].map(|level| {
        let count = findings.iter().filter(|it| it.counts && it.level == level).count();
        (level.as_str(), count)
    })
}
