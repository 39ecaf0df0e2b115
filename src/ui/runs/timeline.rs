//! A run over time: what waited and what ran when, as bars on an axis. Pure.

mod axis;
mod bars;
mod rounds;

#[cfg(test)]
mod tests;

use crate::model::{Milliseconds, StageStatus, Timestamp};
use crate::runs::view::RunView;
use crate::store::runs::StoredEvent;

pub(in crate::ui) use axis::Tick;
pub(in crate::ui) use bars::{Bar, BarKind};
pub(in crate::ui) use rounds::Round;

/// The shortest time that is drawn, so that nothing is divided by zero.
const SPAN_MIN: Milliseconds = Milliseconds::from_seconds(1);

/// One round of a run: from its start, or a re-run, to its end or the next re-run.
#[derive(Debug)]
pub(in crate::ui) struct Timeline {
    pub(in crate::ui) ticks: Vec<Tick>,
    /// What the run as a whole waited for before its first stage.
    pub(in crate::ui) queued: Option<Drawn>,
    /// Stages in the order in which they began; those without bars last.
    pub(in crate::ui) rows: Vec<Row>,
    pub(in crate::ui) span: Milliseconds,
    pub(in crate::ui) started_at: Timestamp,
    /// All rounds, oldest first.
    pub(in crate::ui) rounds: Vec<Round>,
    /// Which of them this is, from 1.
    pub(in crate::ui) round: usize,
}

/// A stage in a round.
#[derive(Debug)]
pub(in crate::ui) struct Row {
    pub(in crate::ui) key: String,
    /// Where it stands now.
    pub(in crate::ui) status: StageStatus,
    pub(in crate::ui) bars: Vec<Drawn>,
    /// How long it waited for its turn, in this round.
    pub(in crate::ui) waited: Milliseconds,
    /// How long its attempts took, or people; in this round.
    pub(in crate::ui) ran: Milliseconds,
    pub(in crate::ui) attempts: usize,
}

/// A bar with its place on the axis, in percent.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ui) struct Drawn {
    pub(in crate::ui) x: String,
    pub(in crate::ui) width: String,
    pub(in crate::ui) class: &'static str,
    pub(in crate::ui) title: String,
    pub(in crate::ui) steps: Vec<Drawn>,
}

impl Timeline {
    /// Draws a round (from 1), or the last one.
    pub(in crate::ui) fn new(
        view: &RunView,
        events: &[StoredEvent],
        (wanted, now): (Option<usize>, Timestamp),
    ) -> Self {
        let rounds = rounds::of(view, events, now);
        let last = rounds.len();
        let round = wanted.filter(|it| (1..=last).contains(it)).unwrap_or(last);
        let known = rounds.get(round.saturating_sub(1)).copied();
        let window = known.unwrap_or(Round { from: view.created_at, to: now, is_open: true });
        let span = window.to.since(window.from).max(SPAN_MIN);
        let scale = Scale { from: window.from, span };
        let found = bars::of(view, events, &window);
        let mut rows: Vec<_> = view
            .stages
            .iter()
            .zip(found.stages)
            .map(|(stage, bars)| {
                let first = bars.first().map_or(Timestamp(i64::MAX), |it| it.from);
                let row = Row {
                    key: stage.key.clone(),
                    status: stage.status,
                    waited: total(&bars, BarKind::is_wait),
                    ran: total(&bars, |it| !it.is_wait()),
                    attempts: bars.iter().filter(|it| it.kind.is_attempt()).count(),
                    bars: bars.iter().map(|it| scale.draw(it)).collect(),
                };
                (first, row)
            })
            .collect();
        rows.sort_by_key(|(first, _)| *first);
        Self {
            ticks: axis::ticks(span),
            queued: found.queued.map(|it| scale.draw(&it)),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            span,
            started_at: window.from,
            rounds,
            round,
        }
    }
}

fn total(bars: &[Bar], counts: impl Fn(BarKind) -> bool) -> Milliseconds {
    let spans = bars.iter().filter(|it| counts(it.kind)).map(|it| it.to.since(it.from).0);
    Milliseconds(spans.sum())
}

/// From moments to percent of the axis.
struct Scale {
    from: Timestamp,
    span: Milliseconds,
}

impl Scale {
    fn draw(&self, bar: &Bar) -> Drawn {
        let (x, end) = (self.percent(bar.from), self.percent(bar.to));
        let x = x.min(100.0 - axis::NARROWEST);
        Drawn {
            x: axis::percent(x),
            width: axis::percent((end - x).max(axis::NARROWEST)),
            class: bar.kind.class(),
            title: bar.title.clone(),
            steps: bar.steps.iter().map(|it| self.draw(it)).collect(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    fn percent(&self, at: Timestamp) -> f64 {
        let share = at.since(self.from).0 as f64 / self.span.0 as f64;
        (share * 100.0).clamp(0.0, 100.0)
    }
}
