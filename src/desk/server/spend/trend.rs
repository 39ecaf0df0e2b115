//! What calls to models have cost over a period: by spans, by names, against a budget, and until its end.

use std::cmp::Reverse;

use super::{Wanted, visible};
use crate::desk::server::budgets::{self, Holder};
use crate::desk::server::outlook::period::{Period, Span};
use crate::desk::server::outlook::{Outlook, POINTS_MAX, complete, find, float, outlook};
use crate::gateway::budget::Budget;
use crate::gateway::budget::scope::{Kind, Subject, Window};
use crate::gateway::ledger::definition;
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::{Role, Timestamp, UsdNanos};
use crate::store::spend::budgets::BudgetRow;
use crate::store::spend::points::SpendPoint;
use crate::store::spend::sums::{SpendBy, SpendFilter, SpendRow};

/// Names that are told apart over time; the rest is told together.
pub const SERIES_MAX: usize = 4;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// When.
    pub period: Period,
    /// What, and of whom. Its own moments do not count.
    pub wanted: Wanted,
}

/// What it was spent on over time.
#[derive(Debug, Clone)]
pub struct Trend {
    /// The period.
    pub span: Span,
    /// The present.
    pub now: Timestamp,
    /// What sums are made for.
    pub by: SpendBy,
    /// The sums, the dearest first.
    pub sums: Vec<SpendRow>,
    /// Everything, by span.
    pub all: Vec<SpendPoint>,
    /// The money of the dearest names, by span.
    pub series: Vec<(String, Vec<UsdNanos>)>,
    /// What it comes to at the end; `None` when it is over, or too little is known.
    pub outlook: Option<Outlook>,
    /// Complete spans before now that something was spent in, or after such.
    pub known: usize,
    /// The budget that is for just these calls and this period; of several the one nearest to its ceiling.
    pub budget: Option<OfBudget>,
}

/// How a budget stands that is for the calls of a trend and for its period.
#[derive(Debug, Clone)]
pub struct OfBudget {
    /// The budget.
    pub row: BudgetRow,
    /// Its ceiling.
    pub limit: UsdNanos,
    /// What it has counted: of the period only what came after it was made.
    pub spent: UsdNanos,
}

impl OfBudget {
    /// How much of its ceiling is spent, in percent.
    #[must_use]
    pub fn percent(&self) -> i64 {
        i64::try_from(self.share(100)).unwrap_or(i64::MAX)
    }

    /// Since when it counts, where that is in the midst of the period.
    #[must_use]
    pub fn since(&self, span: Span) -> Option<Timestamp> {
        Some(self.row.counted_from).filter(|it| *it > span.from)
    }

    fn share(&self, whole: i128) -> i128 {
        i128::from(self.spent.0) * whole / i128::from(self.limit.0.max(1))
    }

    fn nearness(&self) -> (i128, Reverse<UsdNanos>) {
        (self.share(1_000_000), Reverse(self.limit))
    }
}

impl Trend {
    /// A sum over all spans.
    #[must_use]
    pub fn total(&self, of: fn(&SpendPoint) -> i64) -> i64 {
        self.all.iter().map(of).fold(0, i64::saturating_add)
    }
}

/// Loads it, as far as the caller may know.
pub async fn load(app: &App, visitor: &Visitor, asked: &Asked) -> Result<Trend, Problem> {
    let now = app.now();
    let span = asked.period.span(now);
    let (from, to) = (Some(span.from), Some(span.to));
    let wanted = Wanted { from, to, ..asked.wanted.clone() };
    let (by, filter) = wanted.filter(now).map_err(Problem::bad_request)?;
    if by == SpendBy::Day {
        return Err(Problem::bad_request("`by` is not `day`: a trend is over time in any case"));
    }
    let budget = matching(app, visitor, (asked, &filter)).await?;
    let filter = visible(app, visitor, filter).await?;
    let sums = app.store.sum_spend(by, &filter).await?;
    let (_, kept) = span.habit();
    let past = Timestamp(span.step.start(now).0 - kept * span.step.milliseconds());
    let longer = SpendFilter { from: span.from.min(past), limit: POINTS_MAX, ..filter.clone() };
    let points = app.store.list_spend_points(span.step, None, &longer).await?;
    let names: Vec<_> = sums.iter().take(SERIES_MAX).map(|it| it.name.clone()).collect();
    let shorter = SpendFilter { limit: POINTS_MAX, ..filter };
    let named = app.store.list_spend_points(span.step, Some((by, &names)), &shorter).await?;
    let series = names.into_iter().map(|name| {
        let own: Vec<_> = named.iter().filter(|it| it.name == name).cloned().collect();
        let costs = dense(span, &own).into_iter().map(|it| it.cost).collect();
        (name, costs)
    });
    let all = dense(span, &points);
    let series = series.collect();
    let spans = complete(span, (&points, now), |it| it.cost.0);
    let spent = all.iter().map(|it| it.cost.0).fold(0, i64::saturating_add);
    // What it has not counted is not of it.
    let left = budget.as_ref().map(|it| it.limit.0.saturating_sub(it.spent.0));
    let limit = left.map(|it| float(it.saturating_add(spent)));
    let outlook = outlook((span, now), &spans, (float(spent), limit));
    let known = spans.iter().skip_while(|it| **it <= 0.0).count();
    Ok(Trend { span, now, by, sums, all, series, outlook, known, budget })
}

/// A point for each span of a period.
fn dense(span: Span, points: &[SpendPoint]) -> Vec<SpendPoint> {
    let nothing = |begun_at| SpendPoint {
        begun_at,
        name: String::new(),
        attempts: 0,
        tokens: 0,
        cost: UsdNanos(0),
        avoided: UsdNanos(0),
    };
    let starts = span.starts().into_iter();
    starts.map(|at| find(points, at).cloned().unwrap_or_else(|| nothing(at))).collect()
}

/// The budget that the caller may know of and that is for these calls and no other, in this period: the one nearest to
/// its ceiling.
async fn matching(
    app: &App,
    visitor: &Visitor,
    (asked, filter): (&Asked, &SpendFilter),
) -> Result<Option<OfBudget>, Problem> {
    let Some(window) = asked.period.window() else { return Ok(None) };
    let holder = match &asked.wanted.team {
        Some(team) => Holder::team(app, visitor, (team, Role::Viewer)).await,
        None => Holder::installation(visitor),
    };
    let holder = match holder {
        Err(it) if matches!(it.kind(), ProblemKind::NotFound | ProblemKind::Forbidden) => {
            return Ok(None);
        }
        holder => holder?,
    };
    let parts = Kind::ALL.into_iter().filter_map(|it| Some((it, part(filter, it)?)));
    let subject = parts.fold(Subject::default(), |it, (kind, name)| it.with(kind, name));
    let mut nearest: Option<OfBudget> = None;
    for row in budgets::list(app, &holder).await? {
        let Some((budget, limit)) = fitting(&row, window, filter) else { continue };
        let used = budgets::used_by(app, &budget, &subject).await?;
        let spent = used.map_or(UsdNanos(0), |it| it.row.spent);
        let it = OfBudget { row, limit, spent };
        if nearest.as_ref().is_none_or(|other| it.nearness() > other.nearness()) {
            nearest = Some(it);
        }
    }
    Ok(nearest)
}

/// A budget and its ceiling, if it is for just what a filter asks for, in such a window.
fn fitting(row: &BudgetRow, window: Window, filter: &SpendFilter) -> Option<(Budget, UsdNanos)> {
    let budget = definition::read(row).ok().filter(|it| it.window == window)?;
    let is_for = |kind: &Kind| match (budget.scope.get(*kind), part(filter, *kind)) {
        (None, None) => true,
        (Some(wanted), Some(name)) => wanted == "*" || kind.is_same(wanted, name),
        (None, Some(_)) | (Some(_), None) => false,
    };
    let (is_fitting, limit) = (Kind::ALL.iter().all(is_for), budget.limit.money?);
    is_fitting.then_some((budget, limit))
}

/// What a filter asks for of a kind.
fn part(filter: &SpendFilter, kind: Kind) -> Option<&str> {
    let word = match kind {
        Kind::Organisation => &filter.organisation,
        Kind::Team => filter.teams.as_ref()?.first()?,
        Kind::Project => &filter.project,
        Kind::Pipeline => &filter.pipeline,
        Kind::Run => &filter.run,
        Kind::Stage => &filter.stage,
        Kind::Endpoint => &filter.endpoint,
        Kind::Model => &filter.model,
    };
    (!word.is_empty()).then_some(word)
}
