//! Moments, spans, statuses and sentences as pages show them.

mod agents;
mod prose;

use std::fmt::Write as _;

use askama::filters::Safe;
use chrono::DateTime;

use crate::model::{Digest, Milliseconds, RunStatus, Timestamp};
use crate::store::runs::RunRow;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Letters of a revision that are shown.
const REVISION_CHARS: usize = 8;
/// Digits of a digest that are shown.
const DIGEST_CHARS: usize = 12;

/// A small value, whether a template hands over it or a reference to it.
pub(in crate::ui) trait Value<T> {
    fn value(&self) -> T;
}

impl<T, V: Value<T> + ?Sized> Value<T> for &V {
    fn value(&self) -> T {
        (**self).value()
    }
}

macro_rules! values {
    ($($type:ty),*) => {
        $(impl Value<$type> for $type {
            fn value(&self) -> $type {
                *self
            }
        })*
    };
}
values!(Timestamp, Option<Timestamp>, Milliseconds, RunStatus, u64, usize);

/// How a page words things, at the moment when it is made.
#[derive(Debug, Clone, Copy)]
pub(in crate::ui) struct Words {
    now: Timestamp,
}

#[expect(clippy::unused_self, reason = "templates call all of them on what they have")]
impl Words {
    pub(in crate::ui) fn at(now: Timestamp) -> Self {
        Self { now }
    }

    /// The moment when the page was made.
    pub(in crate::ui) fn now(self) -> Timestamp {
        self.now
    }

    /// `3 min ago`; the script keeps it true, and the moment itself is its title.
    pub(in crate::ui) fn ago(self, at: impl Value<Timestamp>) -> Safe<String> {
        let at = at.value();
        time("ago", at, &ago(self.now.since(at)))
    }

    /// `in 3 min`, or `now`.
    pub(in crate::ui) fn until(self, at: impl Value<Timestamp>) -> Safe<String> {
        let at = at.value();
        let left = at.since(self.now);
        let text = if left.0 == 0 { "now".to_owned() } else { format!("in {}", span(left)) };
        time("until", at, &text)
    }

    /// `2026-11-28 19:03:07 UTC`.
    pub(in crate::ui) fn moment(self, at: impl Value<Timestamp>) -> Safe<String> {
        let at = at.value();
        time("moment", at, &moment(at))
    }

    /// How long something has taken: it still counts while it has no end.
    pub(in crate::ui) fn took(
        self,
        started_at: impl Value<Timestamp>,
        finished_at: impl Value<Option<Timestamp>>,
    ) -> Safe<String> {
        let started_at = started_at.value();
        match finished_at.value() {
            Some(end) => Safe(span(end.since(started_at))),
            None => time("since", started_at, &span(self.now.since(started_at))),
        }
    }

    /// How long a run has worked. Before its first stage could start it says that it waits, and for how long.
    pub(in crate::ui) fn ran(self, run: &RunRow) -> Safe<String> {
        match (run.started_at, run.finished_at) {
            (Some(started_at), finished_at) => self.took(started_at, finished_at),
            (None, None) => Safe(format!("waits {}", self.since(run.created_at))),
            (None, Some(_)) => Safe("not begun".to_owned()),
        }
    }

    /// How long something has gone on that has no end yet.
    pub(in crate::ui) fn since(self, started_at: impl Value<Timestamp>) -> Safe<String> {
        let started_at = started_at.value();
        time("since", started_at, &span(self.now.since(started_at)))
    }

    /// A span: `0.3 s`, `12 s`, `2 min 5 s`, `1 h 2 min`.
    pub(in crate::ui) fn span(self, span: impl Value<Milliseconds>) -> String {
        self::span(span.value())
    }

    /// A status as a badge: colour, icon and word.
    pub(in crate::ui) fn status(self, word: &str) -> Safe<String> {
        let word = if is_plain(word) { word } else { "unknown" };
        let mut html = format!(r#"<span class="status s-{word}">"#);
        push_icon(&mut html, word);
        html.push_str(word);
        html.push_str("</span>");
        Safe(html)
    }

    /// Where a run stands; and that it has failed, where it goes on all the same.
    pub(in crate::ui) fn run_status(self, run: &RunRow) -> Safe<String> {
        self.stand(run.status, usize::try_from(run.failed_stages).unwrap_or_default())
    }

    /// The same of a run with so many failed stages.
    pub(in crate::ui) fn stand(
        self,
        status: impl Value<RunStatus>,
        failed_stages: impl Value<usize>,
    ) -> Safe<String> {
        let (status, failed_stages) = (status.value(), failed_stages.value());
        if status.is_finished() || failed_stages == 0 {
            return self.status(status.as_str());
        }
        let mut html = r#"<span class="status s-failed failing">"#.to_owned();
        push_icon(&mut html, "failed");
        html.push_str(&stand(status, failed_stages));
        html.push_str("</span>");
        Safe(html)
    }

    /// An icon of `base.html` that says nothing by itself.
    pub(in crate::ui) fn icon(self, name: &str) -> Safe<String> {
        let mut html = String::new();
        push_icon(&mut html, if is_plain(name) { name } else { "unknown" });
        Safe(html)
    }

    /// A text that is ours or somebody else's: what stands between backticks is code.
    pub(in crate::ui) fn prose(self, text: impl AsRef<str>) -> Safe<String> {
        Safe(prose::html(text.as_ref()))
    }

    /// A program by what it says of itself: `Firefox on Linux`.
    pub(in crate::ui) fn browser(self, agent: &str) -> String {
        agents::browser(agent)
    }

    /// The beginning of a commit id.
    pub(in crate::ui) fn revision(self, revision: &str) -> &str {
        revision.get(..REVISION_CHARS).unwrap_or(revision)
    }

    /// The beginning of a digest; all of it is its title.
    pub(in crate::ui) fn digest(self, digest: &Digest) -> Safe<String> {
        let hex = digest.hex();
        let short = hex.get(..DIGEST_CHARS).unwrap_or(hex);
        Safe(format!(r#"<code title="sha256:{hex}">{short}</code>"#))
    }

    /// `512 B`, `12.3 kB`: powers of 1,000.
    pub(in crate::ui) fn bytes(self, count: impl Value<u64>) -> String {
        let count = count.value();
        let (mut value, mut units) = (count, ["B", "kB", "MB", "GB", "TB"].iter());
        let mut unit = units.next();
        let mut tenths = 0;
        while value >= 1000
            && let Some(next) = units.next()
        {
            tenths = value % 1000 / 100;
            value /= 1000;
            unit = Some(next);
        }
        let unit = unit.copied().unwrap_or_default();
        if unit == "B" { format!("{value} B") } else { format!("{value}.{tenths} {unit}") }
    }

    /// `1 run`, `2 runs`.
    pub(in crate::ui) fn count(self, number: impl Value<usize>, noun: &str) -> String {
        let number = number.value();
        if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
    }
}

/// Where a run with so many failed stages stands, in words: `waiting, 1 failed`.
pub(in crate::ui) fn stand(status: RunStatus, failed_stages: usize) -> String {
    if status.is_finished() || failed_stages == 0 {
        return status.to_string();
    }
    format!("{status}, {failed_stages} failed")
}

fn push_icon(html: &mut String, name: &str) {
    html.push_str(r##"<svg class="icon" aria-hidden="true"><use href="#i-"##);
    html.push_str(name);
    html.push_str(r#""/></svg>"#);
}

/// Only words of ours become parts of names in HTML.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it == b'-' || it == b'_')
}

/// `text` is ours: digits and units.
fn time(kind: &str, at: Timestamp, text: &str) -> Safe<String> {
    let (iso, full) = (iso(at), moment(at));
    let mut html = String::new();
    let ms = at.0;
    let _never_fails =
        write!(html, r#"<time datetime="{iso}" data-{kind}="{ms}" title="{full}">{text}</time>"#);
    Safe(html)
}

fn iso(at: Timestamp) -> String {
    let known = DateTime::from_timestamp_millis(at.0);
    known.map_or_else(String::new, |it| it.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn moment(at: Timestamp) -> String {
    let known = DateTime::from_timestamp_millis(at.0);
    known.map_or_else(|| "unknown".to_owned(), |it| it.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn ago(span: Milliseconds) -> String {
    match span.0 {
        0..10_000 => "just now".to_owned(),
        _ => format!("{} ago", coarse(span)),
    }
}

/// One unit: `40 s`, `3 min`, `5 h`, `12 days`.
fn coarse(span: Milliseconds) -> String {
    match span.0 {
        0..MINUTE => format!("{} s", span.0 / SECOND),
        MINUTE..HOUR => format!("{} min", span.0 / MINUTE),
        HOUR..DAY => format!("{} h", span.0 / HOUR),
        _ if span.0 / DAY == 1 => "1 day".to_owned(),
        _ => format!("{} days", span.0 / DAY),
    }
}

fn span(span: Milliseconds) -> String {
    let ms = span.0;
    match ms {
        0..10_000 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        10_000..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => format!("{} min {} s", ms / MINUTE, ms % MINUTE / SECOND),
        HOUR..DAY => format!("{} h {} min", ms / HOUR, ms % HOUR / MINUTE),
        _ => format!("{} d {} h", ms / DAY, ms % DAY / HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_and_ages_one() {
        let spans = [300, 12_345, 125_000, 3_720_000, 90_000_000].map(Milliseconds);
        let texts: Vec<_> = spans.into_iter().map(span).collect();
        assert_eq!(texts, ["0.3 s", "12 s", "2 min 5 s", "1 h 2 min", "1 d 1 h"]);
        let ages: Vec<_> = spans.into_iter().map(ago).collect();
        assert_eq!(ages, ["just now", "12 s ago", "2 min ago", "1 h ago", "1 day ago"]);
    }

    #[test]
    fn a_moment_is_read_by_programs_and_people() {
        let html = Words::at(Timestamp(60_000)).ago(Timestamp(0)).0;
        let wanted = r#"<time datetime="1970-01-01T00:00:00.000Z" data-ago="0" title="1970-01-01 00:00:00 UTC">1 min ago</time>"#;
        assert_eq!(html, wanted);
    }

    #[test]
    fn only_plain_words_become_classes() {
        let words = Words::at(Timestamp(0));
        assert!(words.status("passed").0.contains("s-passed"));
        assert!(!words.status("\"><script>").0.contains("script"));
    }

    #[test]
    fn sizes_are_in_powers_of_a_thousand() {
        let words = Words::at(Timestamp(0));
        let texts = [0, 999, 1000, 12_345, 4_000_000_000].map(|it| words.bytes(it));
        assert_eq!(texts, ["0 B", "999 B", "1.0 kB", "12.3 kB", "4.0 GB"]);
    }
}
