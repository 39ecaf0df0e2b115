//! From what was noted of a call to the rows of the store. Made by whoever writes them, and not by the call.

use serde_json::Value;

use super::content::{self, Content};
use super::settings::Keep;
use super::trails::Trails;
use super::{Facts, Noted, take_said};
use crate::gateway::call::headers;
use crate::gateway::ledger::row::{count, owner};
use crate::model::trace::{CallAttempt, TraceId};
use crate::model::{SpanId, Timestamp, UsdNanos};
use crate::provider::said;
use crate::store::spend::requests::traces::{TraceContentRow, TraceRow};

/// A call that is over.
#[derive(Debug)]
pub struct Record {
    pub(super) facts: Facts,
    pub(super) noted: Noted,
    pub(super) keep: Keep,
    /// How long it took until the last who held it let go.
    pub(super) now_us: u64,
}

impl Record {
    /// What it takes of memory, with what it holds of requests and answers.
    pub(super) fn bytes(&self) -> usize {
        let noted = &self.noted;
        let held = [&noted.request, &noted.answer].into_iter().flatten().map(bytes::Bytes::len);
        let attempts = noted.trail.attempts.len() * size_of::<CallAttempt>();
        size_of::<Self>() + attempts + held.sum::<usize>() + noted.heard.bytes()
    }

    /// As rows.
    pub(super) fn rows(
        mut self,
        trails: &Trails,
        now: Timestamp,
    ) -> (TraceRow, Option<TraceContentRow>) {
        let answer = self.noted.answer.take();
        let answer = answer.and_then(|it| serde_json::from_slice::<Value>(&it).ok());
        if let Some(answer) = &answer {
            let said = self.facts.operation.operation().map(|it| said::of_answer(it, answer));
            take_said(&mut self.noted.trail, said.unwrap_or_default());
        }
        let content = (self.keep != Keep::Off).then(|| self.content(trails, answer.as_ref()));
        let row = self.row(now);
        let content = content.flatten().map(|it| TraceContentRow {
            id: row.id.clone(),
            written_at: now,
            kept: self.keep.as_str().to_owned(),
            is_cut: it.is_cut,
            content: serde_json::to_string(&it).unwrap_or_default(),
        });
        (row, content)
    }

    fn content(&self, trails: &Trails, answer: Option<&Value>) -> Option<Content> {
        let noted = &self.noted;
        let request: Value = serde_json::from_slice(noted.request.as_ref()?).ok()?;
        let scrub = |text: &str| trails.scrubbed(text, self.keep == Keep::Redacted);
        let mut content = Content::of_request(&request);
        match answer {
            Some(answer) => content.output = content::of_answer(answer),
            None => content.output = noted.heard.messages(&noted.trail.tools),
        }
        Some(content.scrubbed(&scrub).cut(trails.settings().content_bytes))
    }

    fn row(&self, now: Timestamp) -> TraceRow {
        let Self { facts, noted, .. } = self;
        let attempts = &noted.trail.attempts;
        let last = attempts.last();
        let text = |of: fn(&CallAttempt) -> &String| last.map(of).cloned().unwrap_or_default();
        let sum =
            |of: fn(&CallAttempt) -> i64| attempts.iter().map(of).fold(0, i64::saturating_add);
        TraceRow {
            id: headers::request_id(facts.id),
            trace: facts.parent.map_or(TraceId(facts.id), |it| it.trace).to_string(),
            span: span_of(facts.id).to_string(),
            parent: facts.parent.map(|it| it.span.to_string()).unwrap_or_default(),
            at: facts.at,
            written_at: now,
            key_name: facts.key.clone(),
            owner: owner(&facts.subject),
            operation: facts.operation.word().to_owned(),
            provider: text(|it| &it.provider),
            model: facts.model.clone(),
            answered_by: text(|it| &it.answered_by),
            origin: last.map_or_else(|| "gateway".to_owned(), |it| it.origin.clone()),
            status: noted.status.map(i64::from),
            error: self.error(),
            attempts: count(attempts.len() as u64),
            input_tokens: sum(|it| count(it.usage.input_tokens())),
            output_tokens: sum(|it| count(it.usage.output_tokens())),
            cost: UsdNanos(sum(|it| it.cost.0)),
            avoided: UsdNanos(sum(|it| it.avoided.0)),
            first_token_us: last.and_then(|it| it.first_us).map(count),
            total_us: count(self.total_us()),
            flags: self.flags().join(" "),
            detail: serde_json::to_string(&noted.trail).unwrap_or_default(),
        }
    }

    /// What went wrong for the client: a stream may break after its head said that all is well.
    fn error(&self) -> String {
        let noted = &self.noted;
        if !noted.error.is_empty() {
            return noted.error.clone();
        }
        match (noted.status, noted.trail.attempts.last()) {
            (Some(status), _) if status >= 400 => status.to_string(),
            (Some(_), Some(last)) if last.flags.iter().any(|it| it == "blocked") => {
                "guardrail".to_owned()
            }
            (Some(_), Some(last)) => last.error.clone(),
            (Some(_), None) => String::new(),
            // Its task broke off.
            (None, _) => "lost".to_owned(),
        }
    }

    fn total_us(&self) -> u64 {
        let ended = self.noted.trail.attempts.iter().map(|it| it.ended_us);
        match ended.max().unwrap_or_default().max(self.noted.ended_us) {
            0 => self.now_us,
            ended => ended,
        }
    }

    fn flags(&self) -> Vec<&str> {
        let mut flags = Vec::new();
        let attempts = self.noted.trail.attempts.iter().flat_map(|it| &it.flags);
        let found = self.noted.trail.findings.iter().map(|it| &it.what);
        for flag in attempts.chain(found) {
            if !flags.contains(&flag.as_str()) {
                flags.push(flag.as_str());
            }
        }
        flags
    }
}

/// The span of a request: the random part of its id.
pub(in crate::gateway) fn span_of(id: u128) -> SpanId {
    let low = u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default();
    SpanId(low.max(1))
}
