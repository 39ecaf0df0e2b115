//! What a run has spent on models, as pages tell it. Pure.

use super::dollars;
use crate::desk::server::spend::nameless;
use crate::model::UsdNanos;
use crate::store::spend::sums::SpendRow;
use crate::ui::form::encoded;

/// What all stages have spent together, and each of them.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ui) struct Spend {
    /// Address of the calls.
    pub(in crate::ui) traces: String,
    pub(in crate::ui) cost: String,
    pub(in crate::ui) attempts: usize,
    pub(in crate::ui) input: String,
    pub(in crate::ui) output: String,
    /// What caches and recordings have saved, where that is something.
    pub(in crate::ui) saved: Option<String>,
    /// What was reported of use elsewhere, and what that cost, where it is something.
    pub(in crate::ui) reported: Option<(usize, String)>,
    pub(in crate::ui) stages: Vec<StageSpend>,
}

/// What one stage has spent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ui) struct StageSpend {
    pub(in crate::ui) name: String,
    /// Whether that is a stage, whose calls can be looked at.
    pub(in crate::ui) is_stage: bool,
    pub(in crate::ui) attempts: i64,
    pub(in crate::ui) input: String,
    pub(in crate::ui) output: String,
    pub(in crate::ui) cost: String,
}

impl Spend {
    /// `None` when no model was called.
    pub(in crate::ui) fn of(rows: &[SpendRow], run: &str) -> Option<Self> {
        if rows.is_empty() {
            return None;
        }
        let sum = |of: fn(&SpendRow) -> i64| rows.iter().map(of).sum::<i64>();
        let reports = usize::try_from(sum(|it| it.reports)).unwrap_or_default();
        let reported = money(UsdNanos(sum(|it| it.reported.0)));
        let saved = UsdNanos(sum(|it| it.avoided.0));
        Some(Self {
            traces: format!("/traces?run={}", encoded(run)),
            cost: money(UsdNanos(sum(|it| it.cost.0))),
            attempts: usize::try_from(sum(|it| it.attempts)).unwrap_or_default(),
            input: grouped(sum(|it| it.input_tokens)),
            output: grouped(sum(|it| it.output_tokens)),
            saved: (saved.0 > 0).then(|| money(saved)),
            reported: (reports > 0).then_some((reports, reported)),
            stages: rows.iter().map(StageSpend::of).collect(),
        })
    }
}

impl StageSpend {
    fn of(row: &SpendRow) -> Self {
        Self {
            name: if row.name.is_empty() {
                nameless(row).replace("none", "no stage")
            } else {
                row.name.clone()
            },
            is_stage: !row.name.is_empty(),
            attempts: row.attempts,
            input: grouped(row.input_tokens),
            output: grouped(row.output_tokens),
            cost: money(row.cost),
        }
    }
}

/// `$12.50`
#[expect(clippy::cast_precision_loss, reason = "what is shown has fewer digits")]
pub(in crate::ui) fn money(cost: UsdNanos) -> String {
    dollars(cost.0 as f64 / UsdNanos::PER_USD as f64)
}

/// `12,345`
pub(in crate::ui) fn grouped(count: i64) -> String {
    let digits = count.max(0).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cost: i64, avoided: i64) -> SpendRow {
        SpendRow {
            name: name.to_owned(),
            attempts: 2,
            answered_here: 0,
            input_tokens: 1_234_567,
            output_tokens: 89,
            cost: UsdNanos(cost),
            avoided: UsdNanos(avoided),
            lost: UsdNanos(0),
            reports: 3,
            reported: UsdNanos(250_000),
        }
    }

    #[test]
    fn stages_are_summed() {
        let spend =
            Spend::of(&[row("eval", 12_500_000, 0), row("chat", 500_000, 2_000_000)], "01k");
        let spend = spend.unwrap();
        assert_eq!(spend.traces, "/traces?run=01k");
        assert_eq!((spend.cost.as_str(), spend.attempts), ("$0.013", 4));
        assert_eq!((spend.input.as_str(), spend.output.as_str()), ("2,469,134", "178"));
        assert_eq!(spend.saved.as_deref(), Some("$0.0020"));
        assert_eq!(spend.reported, Some((6, "$0.00050".to_owned())));
        assert_eq!(spend.stages[1].cost, "$0.00050");
        assert_eq!(Spend::of(&[], "01k"), None);
        let dead = SpendRow { attempts: 0, reports: 0, lost: UsdNanos(9), ..row("", 9, 0) };
        let both = SpendRow { lost: UsdNanos(9), ..row("", 18, 0) };
        let names = [row("", 9, 0), dead, both, row("eval", 1, 0)];
        let names = names.map(|it| StageSpend::of(&it)).map(|it| (it.name, it.is_stage));
        let told = [
            ("no stage", false),
            ("processes that died", false),
            ("no stage, and processes that died", false),
            ("eval", true),
        ];
        assert_eq!(names, told.map(|it| (it.0.to_owned(), it.1)));
    }
}
