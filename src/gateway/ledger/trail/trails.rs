//! The trails of a gateway that wait to be written, and the spans that apps have sent. There is room for so many, and
//! so many a second: calls beyond are lost, counted and told; spans beyond are refused.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::rates::Rates;
use super::record::Record;
use super::settings::TrailSettings;
use crate::gateway::cassette::redact::Redactor;
use crate::gateway::guard::pii::{Finder, Kind};
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::TraceContentRow;

/// Records that may wait.
const RECORDS_AT_MOST: usize = 8_192;
/// What they may take of memory.
const BYTES_AT_MOST: usize = 32 << 20;
/// Spans of apps that may wait, and their bytes.
const SPANS_AT_MOST: usize = 16_384;
const SPAN_BYTES_AT_MOST: usize = 32 << 20;

/// The trails of a gateway.
#[derive(Debug)]
pub struct Trails {
    settings: TrailSettings,
    redactor: Redactor,
    finder: Option<Finder>,
    began: Instant,
    calls: Rate,
    /// Whether somebody writes them.
    is_on: AtomicBool,
    waiting: Mutex<Waiting>,
    spans: Mutex<WaitingSpans>,
    rates: Rates,
    lost: AtomicU64,
}

/// A span that an app has sent, and what was said in it.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    /// It, without when it was written.
    pub row: SpanRow,
    /// What was said, where that is kept.
    pub content: Option<TraceContentRow>,
}

impl ReceivedSpan {
    fn bytes(&self) -> usize {
        let said = self.content.as_ref().map_or(0, |it| it.content.len());
        self.row.detail.len() + self.row.name.len() + said
    }
}

#[derive(Debug, Default)]
struct WaitingSpans {
    spans: Vec<ReceivedSpan>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    bytes: usize,
}

/// Counts what is taken in each second.
#[derive(Debug, Default)]
struct Rate {
    /// The second, in the upper half, and how many were taken in it.
    taken: AtomicU64,
}

impl Rate {
    fn takes_one(&self, began: Instant, most: u32) -> bool {
        let second = began.elapsed().as_secs() & u64::from(u32::MAX);
        let next = |taken: u64| match (taken >> 32 == second, taken & u64::from(u32::MAX)) {
            (true, count) => (count < u64::from(most)).then_some(taken + 1),
            (false, _) => (most > 0).then_some(second << 32 | 1),
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

impl Trails {
    /// With what knows the gateway's secrets.
    #[must_use]
    pub fn new(settings: TrailSettings, redactor: Redactor) -> Self {
        Self {
            settings,
            redactor,
            finder: Finder::new(&Kind::ALL).ok(),
            began: Instant::now(),
            calls: Rate::default(),
            is_on: AtomicBool::new(false),
            waiting: Mutex::default(),
            spans: Mutex::default(),
            rates: Rates::default(),
            lost: AtomicU64::new(0),
        }
    }

    /// How calls are traced.
    #[must_use]
    pub fn settings(&self) -> &TrailSettings {
        &self.settings
    }

    /// Whether somebody writes them.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Whether one more call is traced.
    #[must_use]
    pub fn takes_one(&self) -> bool {
        if !self.is_on() {
            return false;
        }
        let is_taken = self.calls.takes_one(self.began, self.settings.per_second);
        if !is_taken && self.settings.per_second > 0 {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }

    /// Takes one in, or counts it as lost.
    pub(super) fn take(&self, record: Record) {
        let bytes = record.bytes();
        let mut waiting = self.lock();
        let has_room = waiting.records.len() < RECORDS_AT_MOST
            && waiting.bytes.saturating_add(bytes) <= BYTES_AT_MOST;
        if has_room && self.is_on() {
            waiting.bytes += bytes;
            waiting.records.push_back(record);
        } else {
            drop(waiting);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many spans each key may send.
    pub(in crate::gateway) fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Takes in spans, all or none; whether there was room.
    pub(in crate::gateway) fn take_spans(&self, spans: Vec<ReceivedSpan>) -> bool {
        let bytes = spans.iter().map(ReceivedSpan::bytes).sum::<usize>();
        let mut waiting = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = waiting.spans.len().saturating_add(spans.len()) <= SPANS_AT_MOST
            && waiting.bytes.saturating_add(bytes) <= SPAN_BYTES_AT_MOST;
        if has_room {
            waiting.bytes += bytes;
            waiting.spans.extend(spans);
        }
        has_room
    }

    /// The spans that wait.
    pub(super) fn take_waiting_spans(&self) -> Vec<ReceivedSpan> {
        let mut waiting = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).spans
    }

    /// From now on somebody writes them, or nobody does any more.
    pub(super) fn turn(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// What waits: the oldest, so many at most.
    pub(in crate::gateway) fn take_waiting(&self, most: usize) -> Vec<Record> {
        let mut waiting = self.lock();
        let count = most.min(waiting.records.len());
        let taken: Vec<_> = waiting.records.drain(..count).collect();
        waiting.bytes -= taken.iter().map(Record::bytes).sum::<usize>();
        if waiting.records.is_empty() {
            // Room for a burst is not kept for the next.
            waiting.records = VecDeque::new();
        }
        taken
    }

    /// Whether something waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.lock().records.is_empty()
    }

    /// How many were lost since the last time.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// A text without the secrets that are known; with `is_redacted`, without what tells who somebody is.
    pub(in crate::gateway) fn scrubbed(&self, text: &str, is_redacted: bool) -> String {
        let Some(finder) = self.finder.as_ref().filter(|_| is_redacted) else {
            return self.redactor.known(text);
        };
        let text = self.redactor.known(text);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for found in finder.find(&text) {
            out.push_str(text.get(at..found.range.start).unwrap_or_default());
            out.push('[');
            out.push_str(found.kind.label());
            out.push(']');
            at = found.range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trails(per_second: u32) -> Trails {
        let settings = TrailSettings { per_second, ..TrailSettings::default() };
        Trails::new(settings, Redactor::new(vec!["my-own-secret".to_owned()]))
    }

    #[test]
    fn nothing_is_traced_that_nobody_writes_and_no_more_than_so_many_a_second() {
        let trails = trails(3);
        assert!(!trails.takes_one());
        trails.turn(true);
        let taken = (0..100).filter(|_| trails.takes_one()).count();
        // The second may end in between.
        assert!((3..=6).contains(&taken), "{taken}");
        assert_eq!(trails.take_lost(), 100 - taken as u64);
        assert_eq!(trails.take_lost(), 0);
    }

    #[test]
    fn what_is_kept_of_a_text_has_no_secret_and_says_nobodys_name_where_it_shall_not() {
        let (trails, text) = (trails(1), "my-own-secret of ada@example.org");
        assert_eq!(trails.scrubbed(text, false), "[redacted] of ada@example.org");
        assert_eq!(trails.scrubbed("call 192.168.17.4", true), "call [IP]");
        assert_eq!(trails.scrubbed(text, true), "[redacted] of [EMAIL]");
        let key = format!("tl-{}", "9f".repeat(32));
        for is_redacted in [false, true] {
            assert_eq!(trails.scrubbed(&format!("as {key}."), is_redacted), "as [redacted].");
        }
    }
}
