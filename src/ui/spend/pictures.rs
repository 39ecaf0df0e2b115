//! The charts of spend: by names over time, and the sum so far beside its forecast and budget. Pure.

use std::collections::HashMap;

use crate::desk::server::spend::nameless;
use crate::desk::server::spend::trend::Trend;
use crate::model::{Timestamp, UsdNanos};
use crate::store::runs::RunRow;
use crate::store::spend::points::SpendStep;
use crate::store::spend::sums::SpendBy;
use crate::ui::reports::chart::{Chart, Kind, Series, Tone, Unit};
use crate::ui::reports::{clock, short_date};

/// What was spent in each span, the dearest names apart.
pub(super) fn over_time(trend: &Trend, runs: &HashMap<String, RunRow>) -> Chart {
    let mut rest: Vec<i64> = trend.all.iter().map(|it| it.cost.0).collect();
    let mut series = Vec::new();
    for (name, costs) in &trend.series {
        for (rest, cost) in rest.iter_mut().zip(costs) {
            *rest -= cost.0;
        }
        let values = costs.iter().map(|it| Some(usd(it.0))).collect();
        series.push(Series::new(&called(trend, name, runs), values));
    }
    // More was spent by others, and not only between two looks at the ledger.
    if trend.sums.len() > trend.series.len() {
        let values = rest.iter().map(|it| Some(usd((*it).max(0)))).collect();
        series.push(Series::new("others", values));
    }
    Chart {
        id: "over-time".to_owned(),
        title: "Spent".to_owned(),
        summary: format!("What calls to models have cost, by {}", spans(trend).to_lowercase()),
        kind: Kind::Stacked,
        unit: Unit::Usd,
        over: spans(trend).to_owned(),
        labels: labels(trend),
        series,
        threshold: None,
    }
}

fn called(trend: &Trend, name: &str, runs: &HashMap<String, RunRow>) -> String {
    match runs.get(name).filter(|_| trend.by == SpendBy::Run) {
        Some(run) => format!("{} #{}", run.pipeline, run.number),
        None if name.is_empty() => {
            trend.sums.iter().find(|it| it.name.is_empty()).map_or("none", nameless).to_owned()
        }
        None => name.to_owned(),
    }
}

/// The sum so far, what it comes to, and what it may come to; nothing where there is neither forecast nor ceiling.
pub(super) fn so_far(trend: &Trend) -> Option<Chart> {
    // The sum is of the whole period: it is none of a budget that was made in its midst.
    let budget = trend.budget.as_ref().filter(|it| it.since(trend.span).is_none());
    if trend.outlook.is_none() && budget.is_none() {
        return None;
    }
    let present = trend.span.step.start(trend.now);
    let place = trend.all.iter().position(|it| it.begun_at == present);
    let mut sum = 0;
    let sums: Vec<f64> = trend.all.iter().map(|it| usd(add(&mut sum, it.cost))).collect();
    let is_past = |at: usize| place.is_none_or(|present| at <= present);
    let spent = sums.iter().enumerate().map(|(at, it)| is_past(at).then_some(*it)).collect();
    let mut series = vec![Series::new("spent", spent)];
    if let (Some(outlook), Some(present)) = (&trend.outlook, place) {
        let expected = |at: usize| {
            let of_path = outlook.path.get(at.checked_sub(present)?)?;
            Some(of_path / usd_nanos())
        };
        let values = (0..sums.len()).map(expected).collect();
        series.push(Series::new("forecast", values).in_tone(Tone::Warning));
    }
    Some(Chart {
        id: "so-far".to_owned(),
        title: "So far, and to the end".to_owned(),
        summary: "The sum of what was spent in this period, and what it is expected to come to"
            .to_owned(),
        kind: Kind::Lines,
        unit: Unit::Usd,
        over: spans(trend).to_owned(),
        labels: labels(trend),
        series,
        threshold: budget.map(|it| (format!("budget {}", it.row.id), usd(it.limit.0))),
    })
}

/// What caches and recordings have saved; nothing where that is nothing.
pub(super) fn saved(trend: &Trend) -> Option<Chart> {
    if trend.total(|it| it.avoided.0) == 0 {
        return None;
    }
    let values = trend.all.iter().map(|it| Some(usd(it.avoided.0))).collect();
    Some(Chart {
        id: "saved".to_owned(),
        title: "Saved".to_owned(),
        summary: "What calls would have cost that a cache or a recording has answered".to_owned(),
        kind: Kind::Bars,
        unit: Unit::Usd,
        over: spans(trend).to_owned(),
        labels: labels(trend),
        series: vec![Series::new("saved", values).in_tone(Tone::Good)],
        threshold: None,
    })
}

fn spans(trend: &Trend) -> &'static str {
    match trend.span.step {
        SpendStep::FiveMinutes => "Five minutes",
        SpendStep::Hour => "Hour",
        SpendStep::Day => "Day",
    }
}

fn labels(trend: &Trend) -> Vec<String> {
    let label = |at: Timestamp| match trend.span.step {
        SpendStep::Day => short_date(at),
        SpendStep::Hour | SpendStep::FiveMinutes => clock(at),
    };
    trend.all.iter().map(|it| label(it.begun_at)).collect()
}

fn add(sum: &mut i64, cost: UsdNanos) -> i64 {
    *sum = sum.saturating_add(cost.0);
    *sum
}

fn usd(nanos: i64) -> f64 {
    float(nanos) / usd_nanos()
}

fn usd_nanos() -> f64 {
    float(UsdNanos::PER_USD)
}

#[expect(clippy::cast_precision_loss, reason = "what is drawn has fewer digits")]
fn float(number: i64) -> f64 {
    number as f64
}
