//! Periods that people ask for, UTC, and the spans that they consist of. Pure.

use super::forecast::Rest;
use crate::gateway::budget::scope::Window;
use crate::model::Timestamp;
use crate::store::spend::points::SpendStep;

const DAY: i64 = 86_400_000;

/// A period that has a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Period {
    /// The present day.
    Today,
    /// Seven days, today included.
    Week,
    /// The present month.
    #[default]
    Month,
    /// The month before it.
    LastMonth,
    /// Thirty days, today included.
    ThirtyDays,
    /// Ninety days, today included.
    NinetyDays,
}

/// When a period is, and how it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// What it is cut into.
    pub step: SpendStep,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Month, Self::Today, Self::Week, Self::ThirtyDays, Self::NinetyDays, Self::LastMonth];

    /// The word in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Week => "7d",
            Self::Month => "month",
            Self::LastMonth => "last-month",
            Self::ThirtyDays => "30d",
            Self::NinetyDays => "90d",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Today => "Today",
            Self::Week => "7 days",
            Self::Month => "This month",
            Self::LastMonth => "Last month",
            Self::ThirtyDays => "30 days",
            Self::NinetyDays => "90 days",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// When it is.
    #[must_use]
    pub fn span(self, now: Timestamp) -> Span {
        let today = SpendStep::Day.start(now);
        let tomorrow = Timestamp(today.0 + DAY);
        let back = |days: i64| Timestamp(tomorrow.0 - days * DAY);
        let month = Window::Month.start(now);
        let next = Window::Month.end(month).unwrap_or(tomorrow);
        let (from, to, step) = match self {
            Self::Today => (today, tomorrow, SpendStep::Hour),
            Self::Week => (back(7), tomorrow, SpendStep::Day),
            Self::ThirtyDays => (back(30), tomorrow, SpendStep::Day),
            Self::NinetyDays => (back(90), tomorrow, SpendStep::Day),
            Self::Month => (month, next, SpendStep::Day),
            Self::LastMonth => {
                let before = Window::Month.start(Timestamp(month.0 - 1));
                (before, month, SpendStep::Day)
            }
        };
        Span { from, to, step }
    }

    /// The window of budgets that is the same, if there is one.
    #[must_use]
    pub fn window(self) -> Option<Window> {
        match self {
            Self::Today => Some(Window::Day),
            Self::Month => Some(Window::Month),
            Self::Week | Self::LastMonth | Self::ThirtyDays | Self::NinetyDays => None,
        }
    }
}

impl Span {
    /// That of a window of budgets; `None` for the one that never ends.
    #[must_use]
    pub fn of_window(window: Window, now: Timestamp) -> Option<Self> {
        let step = match window {
            Window::Hour => SpendStep::FiveMinutes,
            Window::Day => SpendStep::Hour,
            Window::Month => SpendStep::Day,
            Window::Whole => return None,
        };
        let from = window.start(now);
        Some(Self { from, to: window.end(from)?, step })
    }

    /// The beginnings of what it is cut into.
    #[must_use]
    pub fn starts(self) -> Vec<Timestamp> {
        let length = usize::try_from(self.step.milliseconds()).unwrap_or(usize::MAX);
        (self.from.0..self.to.0).step_by(length).map(Timestamp).collect()
    }

    /// What is still to come of it; nothing when it is over.
    #[must_use]
    pub fn rest(self, now: Timestamp) -> Rest {
        if now >= self.to {
            return Rest { of_present: 0.0, spans: 0 };
        }
        let next = self.step.start(now).0 + self.step.milliseconds();
        let after = (self.to.0 - next).max(0) / self.step.milliseconds();
        Rest {
            of_present: share(next - now.0, self.step.milliseconds()),
            spans: usize::try_from(after).unwrap_or_default(),
        }
    }

    /// How many spans of its length make a cycle, and how many are looked at to tell what comes.
    #[must_use]
    pub fn habit(self) -> (usize, i64) {
        match self.step {
            SpendStep::FiveMinutes => (1, 36),
            SpendStep::Hour => (24, 7 * 24),
            SpendStep::Day => (7, 28),
        }
    }

    /// The moment so many spans after another.
    #[must_use]
    pub fn after(self, now: Timestamp, spans: f64) -> Timestamp {
        #[expect(clippy::cast_precision_loss, reason = "a day has few milliseconds")]
        let milliseconds = spans * self.step.milliseconds() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        let milliseconds = milliseconds as i64;
        Timestamp(now.0.saturating_add(milliseconds))
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a day")]
fn share(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::prices::rate::Date;

    /// A moment of 2026-11-29, 18:00.
    fn now() -> Timestamp {
        Timestamp(Date::from_parts(2026, 11, 29).start().0 + 18 * 3_600_000)
    }

    fn day(year: i64, month: i64, day: i64) -> Timestamp {
        Date::from_parts(year, month, day).start()
    }

    #[test]
    fn periods_end_with_today_or_with_their_month() {
        let span = |period: Period| {
            let Span { from, to, .. } = period.span(now());
            (from, to, period.span(now()).starts().len())
        };
        let tomorrow = day(2026, 11, 30);
        assert_eq!(span(Period::Today), (day(2026, 11, 29), tomorrow, 24));
        assert_eq!(span(Period::Week), (day(2026, 11, 23), tomorrow, 7));
        assert_eq!(span(Period::ThirtyDays), (day(2026, 10, 31), tomorrow, 30));
        assert_eq!(span(Period::NinetyDays), (day(2026, 9, 1), tomorrow, 90));
        assert_eq!(span(Period::Month), (day(2026, 11, 1), day(2026, 12, 1), 30));
        assert_eq!(span(Period::LastMonth), (day(2026, 10, 1), day(2026, 11, 1), 31));
        for period in Period::ALL {
            assert_eq!(Period::parse(period.as_str()), Some(period));
        }
    }

    #[test]
    fn what_is_left_is_a_part_of_today_and_the_days_after_it() {
        let rest = |period: Period| period.span(now()).rest(now());
        assert_eq!(rest(Period::Month), Rest { of_present: 0.25, spans: 1 });
        assert_eq!(rest(Period::Today), Rest { of_present: 1.0, spans: 5 });
        assert_eq!(rest(Period::LastMonth), Rest { of_present: 0.0, spans: 0 });
        let hour = Span::of_window(Window::Hour, now()).unwrap();
        assert_eq!((hour.starts().len(), hour.rest(now()).spans), (12, 11));
        assert_eq!(Span::of_window(Window::Whole, now()), None);
        let month = Period::Month.span(now());
        assert_eq!(month.after(now(), 1.25), day(2026, 12, 1).plus(crate::model::Milliseconds(0)));
    }
}
