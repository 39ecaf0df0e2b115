//! What happens in one call, noted as it happens and handed over when the last who holds it lets go: the call,
//! its settlement, its stream. Off, or when more calls come than are traced, it notes nothing.

pub mod settings;
pub mod rates;
pub mod trails;
pub mod record;
pub mod content;
pub mod heard;
pub mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::{Row, What};
use crate::gateway::budget::scope::Subject;
use crate::gateway::call::Call;
use crate::model::Timestamp;
use crate::model::trace::{CacheStep, CallAttempt, CallTrail, Finding, TraceParent};
use crate::provider::Operation;
use crate::provider::refusal::Refusal;
use crate::provider::said::Said;
use heard::Heard;
use settings::Keep;
use trails::Trails;

/// Attempts, findings and steps of a cache that are noted, each.
const NOTES_AT_MOST: usize = 64;
/// The largest answer that is held until it was looked at.
const ANSWER_BYTES: usize = 1 << 20;

/// What happens in one call. Clones note to the same.
#[derive(Debug, Clone, Default)]
pub struct Trail(Option<Arc<Open>>);

/// Whose call it is, and what for.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Id of the request.
    pub id: u128,
    /// When it came.
    pub at: Timestamp,
    /// The span that it was made in.
    pub parent: Option<TraceParent>,
    /// Name of its key.
    pub key: String,
    /// Whose it is.
    pub subject: Subject,
    /// What it is.
    pub operation: What,
    /// The model that was asked for.
    pub model: String,
}

#[derive(Debug)]
struct Open {
    trails: Arc<Trails>,
    facts: Facts,
    started: Instant,
    keep: Keep,
    state: Mutex<Noted>,
}

/// What was noted.
#[derive(Debug, Default)]
pub struct Noted {
    /// What is told as it is.
    pub trail: CallTrail,
    /// The status that the client got.
    pub status: Option<u16>,
    /// Why the gateway refused.
    pub error: String,
    /// When the head of the answer, or all of it, was there.
    pub ended_us: u64,
    /// The request, where its content is kept.
    pub request: Option<Bytes>,
    /// An answer that came whole: what it says is read later.
    pub answer: Option<Bytes>,
    /// The texts of a stream, where they are kept.
    pub heard: Heard,
    /// It is told otherwise.
    pub is_forgotten: bool,
}

impl Trail {
    /// Of a call that was admitted; `parent` is where it was made, if it does not say so itself.
    #[must_use]
    pub fn start(call: &Call, parent: Option<TraceParent>) -> Self {
        let trails = &call.core.trails;
        if !trails.takes_one() {
            return Self(None);
        }
        let said = call.headers.get("traceparent").and_then(|it| it.to_str().ok());
        let facts = Facts {
            id: call.id,
            at: call.at,
            parent: said.and_then(TraceParent::parse).or(parent),
            key: call.key.clone(),
            subject: call.subject.clone(),
            operation: What::Call(call.operation),
            model: call.asked.model.clone(),
        };
        let trail = CallTrail {
            is_stream: call.asked.is_stream,
            max_output: call.asked.max_output,
            ..CallTrail::default()
        };
        let keep = trails.settings().keep_of(&call.subject);
        let state = Mutex::new(Noted { trail, ..Noted::default() });
        let trails = trails.clone();
        Self(Some(Arc::new(Open { trails, facts, started: call.started, keep, state })))
    }

    /// Notes what an app reports of something that it has used elsewhere, and that took so long.
    pub fn report(trails: &Trails, facts: Facts, row: &Row) {
        if !trails.takes_one() {
            return;
        }
        let took_us = row.total_ms.saturating_mul(1000);
        let attempt = CallAttempt {
            number: row.attempt,
            provider: row.provider.clone(),
            model: row.model.clone(),
            origin: row.origin.as_str().to_owned(),
            ended_us: took_us,
            ..CallAttempt::default()
        };
        let trail = CallTrail { attempts: vec![told(attempt, row)], ..CallTrail::default() };
        let noted = Noted { trail, status: Some(200), ended_us: took_us, ..Noted::default() };
        trails.take(record::Record { facts, noted, keep: Keep::Off, now_us: took_us });
    }

    /// Tells nothing of it after all.
    pub fn forget(&self) {
        let Some((_, mut noted)) = self.noted() else { return };
        noted.is_forgotten = true;
    }

    /// An attempt goes out, or is answered from here.
    pub fn begin(&self, row: &Row) {
        let Some((open, mut noted)) = self.noted() else { return };
        if noted.trail.attempts.len() < NOTES_AT_MOST {
            noted.trail.attempts.push(CallAttempt {
                number: row.attempt,
                provider: row.provider.clone(),
                model: row.model.clone(),
                origin: row.origin.as_str().to_owned(),
                began_us: open.elapsed(),
                ..CallAttempt::default()
            });
        }
    }

    /// The first piece of its answer is there.
    pub fn first_piece(&self, attempt: u32) {
        let Some((open, mut noted)) = self.noted() else { return };
        let now = open.elapsed();
        if let Some(it) = open_attempt(&mut noted, attempt) {
            it.first_us.get_or_insert(now);
        }
    }

    /// It failed, in a way that no status says.
    pub fn failed(&self, attempt: u32, refusal: &Refusal) {
        let Some((_, mut noted)) = self.noted() else { return };
        if let Some(it) = open_attempt(&mut noted, attempt) {
            refusal.code().clone_into(&mut it.error);
            it.why = words(refusal);
        }
    }

    /// It is over, and written down in the ledger.
    pub fn told(&self, row: &Row) {
        let Some((open, mut noted)) = self.noted() else { return };
        let now = open.elapsed();
        let Some(it) = open_attempt(&mut noted, row.attempt) else { return };
        *it = told(std::mem::take(it), row);
        it.ended_us = now;
        let is_error = |it: &u16| !(200..400).contains(it);
        if let Some(status) = row.status.filter(is_error).filter(|_| it.error.is_empty()) {
            it.error = status.to_string();
        }
        if let Some(flag) = ["cut", "lost"].into_iter().find(|flag| row.flags.contains(flag)) {
            flag.clone_into(&mut it.error);
        }
    }

    /// What the cache had to do with it.
    pub fn cache(&self, what: &str) {
        let Some((open, mut noted)) = self.noted() else { return };
        if noted.trail.cache.len() < NOTES_AT_MOST {
            noted.trail.cache.push(CacheStep { at_us: open.elapsed(), what: what.to_owned() });
        }
    }

    /// What guardrails have found.
    pub fn found(&self, findings: Vec<Finding>) {
        if findings.is_empty() {
            return;
        }
        let Some((_, mut noted)) = self.noted() else { return };
        let room = NOTES_AT_MOST.saturating_sub(noted.trail.findings.len());
        noted.trail.findings.extend(findings.into_iter().take(room));
    }

    /// What a stream has said besides its texts.
    pub fn said(&self, said: &Said) {
        let Some((_, mut noted)) = self.noted() else { return };
        take_said(&mut noted.trail, said.clone());
    }

    /// The gateway refuses the call.
    pub fn refused(&self, refusal: &Refusal) {
        let Some((_, mut noted)) = self.noted() else { return };
        refusal.code().clone_into(&mut noted.error);
        noted.trail.refusal = words(refusal);
    }

    /// The answer's head is there, and its body if it comes whole; `request` is what was asked in the end.
    pub fn answered(&self, status: u16, answer: Option<&Bytes>, request: &Bytes) {
        let Some((open, mut noted)) = self.noted() else { return };
        noted.status = Some(status);
        noted.ended_us = open.elapsed();
        let has_output = open.facts.operation.operation().is_some_and(Operation::has_output);
        let is_held = has_output || open.keep != Keep::Off;
        noted.answer = answer.filter(|it| is_held && it.len() <= ANSWER_BYTES).cloned();
        noted.request = (open.keep != Keep::Off).then(|| request.clone());
    }

    /// The same for what is said in the stream, where that is kept; else one that is off.
    #[must_use]
    pub fn listens(&self) -> Self {
        Self(self.0.clone().filter(|it| it.keep != Keep::Off))
    }

    /// Takes in a text of a stream.
    fn hear(&self, text: heard::Piece<'_>) {
        let Some((open, mut noted)) = self.noted() else { return };
        noted.heard.add(text, open.trails.settings().content_bytes);
    }

    fn operation(&self) -> Option<Operation> {
        self.0.as_ref()?.facts.operation.operation()
    }

    fn noted(&self) -> Option<(&Open, MutexGuard<'_, Noted>)> {
        let open = self.0.as_ref()?;
        Some((open, open.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Open {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Nothing more can happen.
impl Drop for Open {
    fn drop(&mut self) {
        let now = self.elapsed();
        let noted = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let noted = std::mem::take(noted);
        if noted.is_forgotten {
            return;
        }
        let facts = self.facts.clone();
        self.trails.take(record::Record { facts, noted, keep: self.keep, now_us: now });
    }
}

/// An attempt with what the ledger says of it.
fn told(attempt: CallAttempt, row: &Row) -> CallAttempt {
    CallAttempt {
        status: row.status,
        answered_by: row.answered_by.clone().unwrap_or_default(),
        usage: row.usage,
        cost: row.cost,
        avoided: row.avoided,
        reserved: row.reserved,
        price: row.price.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
        flags: row.words(),
        ..attempt
    }
}

/// The last attempt of a number that is not over.
fn open_attempt(noted: &mut Noted, number: u32) -> Option<&mut CallAttempt> {
    let mut attempts = noted.trail.attempts.iter_mut().rev();
    attempts.find(|it| it.number == number && it.ended_us == 0)
}

fn take_said(trail: &mut CallTrail, said: Said) {
    trail.response = said.id;
    trail.finish = said.finish;
    trail.tools = said.tools;
}

/// What a refusal says, unless that may be a part of what was asked.
fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::CassetteMiss { .. } => "no recorded call is like this one".to_owned(),
        Refusal::Unreadable(_) => "the request cannot be read".to_owned(),
        Refusal::Unauthorized
        | Refusal::Forbidden(_)
        | Refusal::NotFound(_)
        | Refusal::TooLarge { .. }
        | Refusal::Budget { .. }
        | Refusal::Rate { .. }
        | Refusal::Full { .. }
        | Refusal::Guardrail { .. }
        | Refusal::Upstream(_)
        | Refusal::AnswerTooLarge { .. }
        | Refusal::Unavailable { .. }
        | Refusal::Away { .. }
        | Refusal::Unreported { .. }
        | Refusal::Timeout(_) => refusal.message(),
    }
}
