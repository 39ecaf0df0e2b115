//! What pairs say of a candidate: figures of both sides, and how they compare. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::UsdNanos;
use crate::store::spend::requests::shadow::PairRow;

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Report {
    /// Pairs that were looked at.
    pub(super) pairs: usize,
    /// Those of which both sides have an answer; only they are compared.
    pub(super) compared: usize,
    /// The calls.
    pub(super) primary: Side,
    /// Their copies.
    pub(super) candidate: Side,
    /// How much their texts have in common.
    pub(super) similarity: Option<Similarity>,
    /// How many hits of two indexes are the same.
    pub(super) overlap: Option<Similarity>,
    /// Why copies have no answer, and how many.
    pub(super) missing: BTreeMap<String, usize>,
}

/// One side.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Side {
    /// Shares from 0 to 1: no answer, of all pairs.
    pub(super) error_rate: f64,
    /// Of those that are compared, from here on: the model refuses.
    pub(super) refusal_rate: f64,
    /// The answer fits, of those that are to.
    pub(super) schema_valid_rate: Option<f64>,
    /// Until the end of the answer.
    pub(super) p50_ms: i64,
    /// The same.
    pub(super) p95_ms: i64,
    /// Until its first piece.
    pub(super) first_p50_ms: i64,
    /// The same.
    pub(super) first_p95_ms: i64,
    /// Dollars for a thousand calls.
    pub(super) cost_per_1k_requests_usd: f64,
    /// Tokens of an answer, on average.
    pub(super) output_tokens: f64,
}

/// How much texts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Similarity {
    /// On average.
    pub(super) mean: f64,
    /// Nine in ten have at least this.
    pub(super) p10: f64,
}

/// What is looked at of a side.
struct Figures {
    total_ms: Vec<i64>,
    first_ms: Vec<i64>,
    cost: UsdNanos,
    tokens: i64,
    refused: usize,
    fits: Vec<bool>,
}

/// Reads pairs.
pub(super) fn of(rows: &[PairRow]) -> Report {
    let is_answer = |status: i64| (200..300).contains(&status);
    let compared: Vec<_> =
        rows.iter().filter(|it| is_answer(it.status) && is_answer(it.copy_status)).collect();
    let failed = |status: fn(&PairRow) -> i64| {
        let failed = rows.iter().filter(|it| !is_answer(status(it))).count();
        share(failed, rows.len())
    };
    let primary = Figures::of(&compared, |it| {
        (it.total_ms, it.first_ms, it.cost, it.output_tokens, it.refused, it.fits)
    });
    let candidate = Figures::of(&compared, |it| {
        let (total, first) = (it.copy_total_ms, it.copy_first_ms);
        (total, first, it.copy_cost, it.copy_output_tokens, it.copy_refused, it.copy_fits)
    });
    let mut missing = BTreeMap::new();
    for row in rows.iter().filter(|it| !it.reason.is_empty()) {
        *missing.entry(row.reason.clone()).or_default() += 1;
    }
    Report {
        pairs: rows.len(),
        compared: compared.len(),
        primary: Side { error_rate: failed(|it| it.status), ..primary.side() },
        candidate: Side { error_rate: failed(|it| it.copy_status), ..candidate.side() },
        similarity: similarity(&compared, |it| it.similarity),
        overlap: similarity(&compared, |it| it.overlap),
        missing,
    }
}

fn similarity(compared: &[&PairRow], of: impl Fn(&PairRow) -> Option<f64>) -> Option<Similarity> {
    let mut all: Vec<f64> = compared.iter().filter_map(|it| of(it)).collect();
    all.sort_unstable_by(f64::total_cmp);
    let p10 = *all.get(all.len() / 10)?;
    Some(Similarity { mean: all.iter().sum::<f64>() / float(all.len()), p10 })
}

type Row = (i64, i64, UsdNanos, i64, bool, Option<bool>);

impl Figures {
    fn of(compared: &[&PairRow], side: impl Fn(&PairRow) -> Row) -> Self {
        let rows: Vec<_> = compared.iter().map(|it| side(it)).collect();
        let sorted = |value: fn(&Row) -> i64| {
            let mut all: Vec<_> = rows.iter().map(value).collect();
            all.sort_unstable();
            all
        };
        Self {
            total_ms: sorted(|it| it.0),
            first_ms: sorted(|it| it.1),
            cost: UsdNanos(rows.iter().map(|it| it.2.0).fold(0, i64::saturating_add)),
            tokens: rows.iter().map(|it| it.3).fold(0, i64::saturating_add),
            refused: rows.iter().filter(|it| it.4).count(),
            fits: rows.iter().filter_map(|it| it.5).collect(),
        }
    }

    fn side(&self) -> Side {
        let count = self.total_ms.len();
        let fitting = self.fits.iter().filter(|it| **it).count();
        Side {
            error_rate: 0.0,
            refusal_rate: share(self.refused, count),
            schema_valid_rate: Some(share(fitting, self.fits.len()))
                .filter(|_| !self.fits.is_empty()),
            p50_ms: percentile(&self.total_ms, 50),
            p95_ms: percentile(&self.total_ms, 95),
            first_p50_ms: percentile(&self.first_ms, 50),
            first_p95_ms: percentile(&self.first_ms, 95),
            cost_per_1k_requests_usd: ratio(dollars(self.cost) * 1000.0, float(count))
                .unwrap_or(0.0),
            output_tokens: ratio(number(self.tokens), float(count)).unwrap_or(0.0),
        }
    }
}

impl Report {
    /// As metrics for gates: those that have no value are left out, so that a gate on them fails.
    pub(super) fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mut metrics =
            vec![("shadow_pairs", float(self.pairs)), ("shadow_compared", float(self.compared))];
        if self.pairs > 0 {
            metrics.push(("shadow_error_rate", self.candidate.error_rate));
        }
        if self.compared == 0 {
            return metrics;
        }
        let (primary, candidate) = (&self.primary, &self.candidate);
        metrics.extend([
            ("shadow_p50_ms", number(candidate.p50_ms)),
            ("shadow_p95_ms", number(candidate.p95_ms)),
            ("shadow_cost_per_1k_requests_usd", candidate.cost_per_1k_requests_usd),
        ]);
        // An index does not refuse, and its hits come at once.
        if self.overlap.is_none() {
            metrics.extend([
                ("shadow_refusal_rate", candidate.refusal_rate),
                ("shadow_refusal_rate_delta", candidate.refusal_rate - primary.refusal_rate),
                ("shadow_ttft_p95_ms", number(candidate.first_p95_ms)),
            ]);
        }
        let maybe = [
            ("shadow_p95_ratio", ratio(number(candidate.p95_ms), number(primary.p95_ms))),
            (
                "shadow_cost_ratio",
                ratio(candidate.cost_per_1k_requests_usd, primary.cost_per_1k_requests_usd),
            ),
            ("shadow_schema_valid_rate", candidate.schema_valid_rate),
            ("shadow_similarity", self.similarity.map(|it| it.mean)),
            ("shadow_similarity_p10", self.similarity.map(|it| it.p10)),
            ("shadow_overlap", self.overlap.map(|it| it.mean)),
            ("shadow_overlap_p10", self.overlap.map(|it| it.p10)),
        ];
        metrics.extend(maybe.into_iter().filter_map(|it| Some((it.0, it.1?))));
        metrics
    }
}

/// The nearest rank.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn share(part: usize, whole: usize) -> f64 {
    ratio(float(part), float(whole)).unwrap_or(0.0)
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds and tokens are far below 2^53")]
fn number(count: i64) -> f64 {
    count as f64
}

fn dollars(amount: UsdNanos) -> f64 {
    number(amount.0) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(number: i64) -> PairRow {
        PairRow {
            status: 200,
            copy_status: 200,
            total_ms: 100 * number,
            copy_total_ms: 50 * number,
            first_ms: 10,
            copy_first_ms: 20,
            cost: UsdNanos(4_000_000),
            copy_cost: UsdNanos(1_000_000),
            output_tokens: 10,
            copy_output_tokens: 20,
            copy_refused: number == 1,
            fits: Some(true),
            copy_fits: Some(number != 2),
            similarity: Some(if number == 1 { 0.0 } else { 1.0 }),
            ..PairRow::default()
        }
    }

    #[test]
    fn both_sides_are_told_and_compared() {
        let mut rows: Vec<_> = (1..=10).map(pair).collect();
        let reason = "budget".to_owned();
        rows.push(PairRow { copy_status: 402, reason, similarity: None, ..pair(3) });
        rows.push(PairRow { status: 500, similarity: None, ..pair(4) });
        let report = of(&rows);
        assert_eq!((report.pairs, report.compared), (12, 10));
        assert_eq!((report.primary.p50_ms, report.candidate.p95_ms), (500, 500));
        assert_eq!(report.missing, [("budget".to_owned(), 1)].into());
        let metrics: BTreeMap<_, _> = report.metrics().into_iter().collect();
        let check = |name: &str, value: f64| {
            assert!((metrics[name] - value).abs() < 1e-9, "{name}: {}", metrics[name]);
        };
        check("shadow_error_rate", 1.0 / 12.0);
        check("shadow_refusal_rate", 0.1);
        check("shadow_refusal_rate_delta", 0.1);
        check("shadow_p95_ratio", 0.5);
        check("shadow_cost_ratio", 0.25);
        check("shadow_cost_per_1k_requests_usd", 1.0);
        check("shadow_schema_valid_rate", 0.9);
        check("shadow_similarity", 0.9);
        check("shadow_similarity_p10", 1.0);
    }

    #[test]
    fn what_nobody_has_seen_has_no_value() {
        let names = |rows: &[PairRow]| {
            of(rows).metrics().into_iter().map(|it| it.0).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[]), "shadow_pairs shadow_compared");
        let lost = PairRow { copy_status: 0, ..pair(1) };
        assert_eq!(names(&[lost]), "shadow_pairs shadow_compared shadow_error_rate");
        let hits = PairRow { similarity: None, overlap: Some(0.7), ..pair(1) };
        let told = names(&[hits]);
        assert!(told.contains("shadow_overlap") && !told.contains("refusal"), "{told}");
        let plain = PairRow { fits: None, copy_fits: None, ..pair(1) };
        assert!(!names(&[plain]).contains("schema"));
    }
}
