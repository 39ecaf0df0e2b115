//! What a period comes to at its end, by what was spent before: of the spend page and of budgets. Pure.

pub mod forecast;
pub mod period;

use crate::model::Timestamp;
use crate::store::spend::points::SpendPoint;
use forecast::{Forecast, Pace};
use period::Span;

/// Rows of points: more than the spans of a period times the names.
pub const POINTS_MAX: u32 = 4_000;

/// What will have been spent.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// At the end.
    pub forecast: Forecast,
    /// At the end of each span from the present one on.
    pub path: Vec<f64>,
    /// Spans that it was told from.
    pub spans: usize,
    /// When the budget is used up, where it will be.
    pub used_up_at: Option<Timestamp>,
}

/// What a period comes to, unless it is over or too little is known. `limit` is what it may come to.
#[must_use]
pub fn outlook(
    (span, now): (Span, Timestamp),
    complete: &[f64],
    (spent, limit): (f64, Option<f64>),
) -> Option<Outlook> {
    if now >= span.to {
        return None;
    }
    let (cycle, _) = span.habit();
    let pace = Pace::of(complete, cycle)?;
    let rest = span.rest(now);
    let after = limit.and_then(|it| pace.used_up_after(it - spent, rest));
    Some(Outlook {
        forecast: pace.forecast(spent, rest),
        path: pace.path(spent, rest),
        spans: pace.spans,
        used_up_at: after.map(|it| span.after(now, it)),
    })
}

/// What each complete span before now has brought, oldest first: so many as are looked at.
pub fn complete(
    span: Span,
    (points, now): (&[SpendPoint], Timestamp),
    of: impl Fn(&SpendPoint) -> i64,
) -> Vec<f64> {
    let (_, kept) = span.habit();
    let length = span.step.milliseconds();
    let present = span.step.start(now).0;
    let starts = (0..kept).map(|it| Timestamp(present - (kept - it) * length));
    starts.map(|at| find(points, at).map_or(0.0, |it| float(of(it)))).collect()
}

/// The point that begins at a moment; they are sorted by that.
#[must_use]
pub fn find(points: &[SpendPoint], at: Timestamp) -> Option<&SpendPoint> {
    let place = points.binary_search_by_key(&at, |it| it.begun_at).ok()?;
    points.get(place)
}

/// For what is only estimated.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
#[must_use]
pub fn float(amount: i64) -> f64 {
    amount as f64
}
