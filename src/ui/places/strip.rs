//! The last runs of a pipeline as a row of bars: as high as they took, coloured as they ended. Pure.

use crate::model::{RunStatus, Timestamp};
use crate::store::runs::RunRow;

/// Bars at most.
const BARS_MAX: usize = 30;
/// Width of a bar with its gap, and heights.
const STEP: usize = 9;
const HEIGHT: u64 = 36;
const LOWEST: u64 = 5;

/// A row of bars, the newest last.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) width: usize,
    pub(super) height: u64,
    pub(super) bars: Vec<StripBar>,
    /// How many of those that ended have passed, and how many ended; cancelled ones do not count.
    pub(super) passed: usize,
    pub(super) ended: usize,
}

/// A run in the row.
#[derive(Debug)]
pub(super) struct StripBar {
    pub(super) href: String,
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) status: RunStatus,
    pub(super) number: i64,
    pub(super) title: String,
}

impl Strip {
    /// `rows` are newest first.
    pub(super) fn of(rows: &[RunRow], now: Timestamp) -> Self {
        let shown: Vec<_> = rows.iter().take(BARS_MAX).rev().collect();
        let took = |it: &RunRow| it.finished_at.unwrap_or(now).since(it.created_at).0;
        let longest = shown.iter().map(|it| took(it)).max().unwrap_or(0).max(1);
        let bar = |(place, row): (usize, &&RunRow)| {
            let share = took(row).saturating_mul(HEIGHT - LOWEST) / longest;
            let height = LOWEST + share;
            StripBar {
                href: format!("/runs/{}", row.id),
                x: place * STEP,
                y: HEIGHT - height,
                height,
                status: row.status,
                number: row.number,
                title: row.title.clone(),
            }
        };
        let is = |status| move |it: &&&RunRow| it.status == status;
        let passed = shown.iter().filter(is(RunStatus::Passed)).count();
        let failed = shown.iter().filter(is(RunStatus::Failed)).count();
        Self {
            width: shown.len() * STEP,
            height: HEIGHT,
            bars: shown.iter().enumerate().map(bar).collect(),
            passed,
            ended: passed + failed,
        }
    }
}
