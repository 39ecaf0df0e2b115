//! One call from its first byte to the answer's head: admitted, priced, reserved, sent, tried again.
//! Once admitted it goes on to its end: a client that leaves cancels nothing half-way.

pub mod answer;
pub mod upstream;
pub mod admission;
pub mod models;
pub mod money;
pub mod headers;
pub mod replay;
pub mod cached;
pub mod embedded;
pub mod shelf;
pub mod guarded;
pub mod classifier;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Request, Response};
use tokio_util::sync::CancellationToken;

use super::budget::scope::Subject;
use super::cache::flight::Turn;
use super::cache::keeper::{Expected, Keeper};
use super::cassette::Cassette;
use super::guard::Screen;
use super::ledger::Similar;
use super::ledger::notes::Notes;
use super::ledger::trail::Trail;
use super::route::{self, Breakers, Step, Way};
use super::server::Core;
use super::settings::{CassetteMode, Limits};
use crate::model::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::{self, Operation};
use answer::Answer;
use guarded::Violation;
use upstream::UpstreamError;
use upstream::tries::Tries;

/// The first pause before a way is tried a second time; twice as long each time after.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A call that was admitted.
#[derive(Debug)]
pub struct Call {
    pub(super) core: Arc<Core>,
    pub(super) id: u128,
    pub(super) at: Timestamp,
    pub(super) started: Instant,
    pub(super) operation: Operation,
    pub(super) key: String,
    pub(super) subject: Subject,
    /// Of its address; it goes on as it is, and cassettes do not know it.
    pub(super) query: Option<Box<str>>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) asked: Asked,
    pub(super) mode: CassetteMode,
    pub(super) cassette: Option<Arc<Cassette>>,
    pub(super) notes: Option<Arc<Notes>>,
    /// Others wait for it to be recorded.
    pub(super) turn: Option<Arc<Turn>>,
    /// Keeps the answer in the cache.
    pub(super) keeping: Mutex<Option<Keeper>>,
    /// Another question whose answer is, or would have been, given.
    pub(super) similar: Option<Similar>,
    /// Tokens of texts that need not go out.
    pub(super) known_tokens: u64,
    /// The attempts that it has made.
    pub(super) tries: Tries,
    /// The rules about its content.
    pub(super) screen: Mutex<Option<Screen>>,
    /// Why its answer does not fit a schema.
    pub(super) violation: Mutex<Option<Violation>>,
    /// What was found in it before it went out.
    pub(super) flags: Vec<&'static str>,
    /// Where it is noted what happens in it.
    pub(super) trail: Trail,
    /// The gateway's limits, or those of the queue.
    pub(super) limits: Limits,
    /// Ends it; what it has used until then is settled.
    pub(super) stop: Option<CancellationToken>,
    /// Whether a candidate answers it, and nobody waits for it.
    pub(super) is_copy: bool,
}

/// What the request asks for, on its own feet.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub struct Asked {
    pub(super) model: String,
    pub(super) is_stream: bool,
    pub(super) wants_usage: bool,
    pub(super) max_output: Option<u64>,
    /// Tokens of the answer that may be spent on thoughts.
    pub(super) thinking: Option<u64>,
    pub(super) answers: u64,
    pub(super) service_tier: Option<String>,
    /// Tokens of the prompt, as they are counted here.
    pub(super) input_tokens: u64,
    pub(super) has_audio: bool,
    pub(super) has_long_cache: bool,
    /// Whether the same answer may be expected each time.
    pub(super) is_repeatable: bool,
    /// Whether it goes on with what the provider keeps.
    pub(super) has_server_state: bool,
}

/// Why an attempt gave no answer.
enum Failure {
    /// No other way would do better.
    Final(Refusal),
    /// Another way may; if none does, this is what the client gets.
    Next(Box<Result<Response<Answer>, Refusal>>),
    /// The same, and this way would do no better a second time.
    Elsewhere(Box<Response<Answer>>),
}

impl Failure {
    fn next(result: Result<Response<Answer>, Refusal>) -> Self {
        Self::Next(Box::new(result))
    }
}

impl Call {
    /// Answers it: from its cassette, or over the ways that lead to its model.
    pub async fn run(mut self: Box<Self>) -> Response<Answer> {
        let (core, dialect) = (self.core.clone(), self.operation.dialect());
        let mut sample = None;
        let result = match self.guard_request().await {
            Ok(()) => {
                sample = core.shadows.pick(&mut self);
                self.answered().await
            }
            Err(refusal) => Err(refusal),
        };
        let mut response = result.unwrap_or_else(|refusal| {
            self.trail.refused(&refusal);
            if let Some(notes) = &self.notes {
                notes.refuse(&refusal);
            }
            let mut response = headers::refused(&refusal, dialect);
            self.tell_flags(&mut response);
            response.extensions_mut().insert(refusal);
            response
        });
        self.tell_tries(&mut response).await;
        self.trail.found(self.findings());
        self.trail.answered(response.status().as_u16(), response.body().whole(), &self.body);
        if let Some(sample) = sample {
            core.shadows.follow(sample, &mut response);
        }
        response
    }

    /// Those of all calls, or of copies alone: a candidate closes no way for others.
    fn breakers(&self) -> MutexGuard<'_, Breakers> {
        if self.is_copy { self.core.shadows.breakers() } else { self.core.breakers() }
    }

    async fn answered(&mut self) -> Result<Response<Answer>, Refusal> {
        let (replayed, turn) = self.replayed().await;
        self.turn = turn.map(Arc::new);
        let result = match replayed {
            Some(result) => result,
            None => self.cached().await,
        };
        self.mended(result).await
    }

    async fn live(&self) -> Result<Response<Answer>, Refusal> {
        let turn = self.core.next_turn();
        let steps = self.steps(turn);
        if steps.is_empty() {
            return Err(Refusal::NotFound(format!(
                "no route leads to the model `{}`",
                self.asked.model
            )));
        }
        let (mut attempt, mut last) = (0, None);
        let mut open: Vec<_> = steps.iter().collect();
        for round in 0..self.limits.attempts {
            let goes_on = attempt > 0 && attempt < self.limits.attempts && !open.is_empty();
            if round > 0 && !(goes_on && self.pauses(round).await) {
                break;
            }
            for step in std::mem::take(&mut open) {
                if attempt >= self.limits.attempts || self.left().is_zero() {
                    break;
                }
                if !self.breakers().admits(self.lane(step), self.core.clock.now()) {
                    open.push(step);
                    continue;
                }
                attempt += 1;
                match self.attempt(step).await {
                    Ok(mut response) => {
                        if self.core.cache.is_some() {
                            response.extensions_mut().insert(Expected::new(step.way, step.model));
                        }
                        return Ok(response);
                    }
                    Err(Failure::Final(refusal)) => return Err(refusal),
                    Err(Failure::Next(result)) => {
                        last = Some(*result);
                        open.push(step);
                    }
                    Err(Failure::Elsewhere(answer)) => last = Some(Ok(*answer)),
                }
            }
        }
        last.unwrap_or_else(|| Err(self.not_tried(&steps)))
    }

    /// What is left of the time that it may take.
    fn left(&self) -> Duration {
        if self.stop.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return Duration::ZERO;
        }
        Duration::from(self.limits.total_ms).saturating_sub(self.started.elapsed())
    }

    /// How long a provider may take until it begins.
    fn begins_within(&self) -> Duration {
        Duration::from(self.limits.first_token_ms).min(self.left())
    }

    /// Waits before ways are tried again; not where no time would be left then.
    async fn pauses(&self, round: u32) -> bool {
        let pause = pause(round);
        let has_time = pause < self.left();
        if has_time {
            tokio::time::sleep(pause).await;
        }
        has_time
    }

    /// The ways to the model.
    fn steps(&self, turn: usize) -> Vec<Step<'_>> {
        let (core, dialect) = (&self.core, self.operation.dialect());
        route::steps(&core.routes, &core.known, &self.asked.model, dialect, turn)
    }

    /// Why no way was tried.
    fn not_tried(&self, steps: &[Step<'_>]) -> Refusal {
        if self.left().is_zero() {
            let what = "the time of the call was over before a provider was called";
            return Refusal::Timeout(what.to_owned());
        }
        let lanes = steps.iter().map(|it| self.lane(it));
        let retry_after = self.breakers().opens_in(lanes, self.core.clock.now());
        Refusal::Unavailable { retry_after }
    }

    async fn attempt(&self, step: &Step<'_>) -> Result<Response<Answer>, Failure> {
        let attempt = self.tries.made().saturating_add(1);
        let prepared = match self.prepare(step, attempt).await {
            Ok(prepared) => prepared,
            Err(refusal) => {
                self.breakers().release(self.lane(step));
                return Err(Failure::Final(refusal));
            }
        };
        let request = match self.request(step, prepared.body.clone()) {
            Ok(request) => request,
            Err(refusal) => {
                self.breakers().release(self.lane(step));
                prepared.settlement.cancel();
                return Err(Failure::Final(refusal));
            }
        };
        self.tries.goes_out(attempt);
        let sent = Instant::now();
        let sending = self.core.upstream.send(request, self.begins_within());
        match self.unless_stopped(sending).await {
            Ok(response) => self.received(response, prepared, step, sent).await,
            Err(error) => Err(self.lost(&error, prepared, step)),
        }
    }

    fn request(&self, step: &Step<'_>, body: Bytes) -> Result<Request<Full<Bytes>>, Refusal> {
        let wrong = || Refusal::Upstream("the provider's address is wrong".to_owned());
        let provider = self.core.providers.get(step.way.provider).ok_or_else(wrong)?;
        let mut address = format!("{}{}", provider.url, self.operation.path());
        if let Some(query) = &self.query {
            address.push('?');
            address.push_str(query);
        }
        let mut request = Request::post(address).body(Full::new(body)).map_err(|_| wrong())?;
        *request.headers_mut() = headers::to_provider(&self.headers);
        let key = provider.keys.get(step.way.key);
        if let Some((name, value)) = key.and_then(|it| it.as_ref()) {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        Ok(request)
    }

    /// What a provider gives, unless somebody wants the end of the call before.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let Some(stop) = &self.stop else { return work.await };
        stop.run_until_cancelled(work).await.unwrap_or(Err(UpstreamError::Stopped))
    }

    /// What breakers tell apart: a way, and the model's name there.
    fn lane<'a>(&'a self, step: &Step<'a>) -> (Way, &'a str) {
        (step.way, step.model.unwrap_or(&self.asked.model))
    }
}

fn pause(round: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << round.min(6));
    let part = u32::from(fastrand::u8(128..=255));
    longest.saturating_mul(part) / 255
}

/// What the request asks for, with its tokens counted.
pub(super) fn asked(operation: Operation, body: &[u8]) -> Result<Asked, Refusal> {
    let read = provider::read_request(operation, body);
    let read = read.map_err(|it| Refusal::Unreadable(it.to_string()))?;
    Ok(Asked {
        is_stream: read.is_stream && operation.has_output(),
        wants_usage: read.wants_usage,
        max_output: read.max_output,
        thinking: read.thinking,
        answers: read.answers,
        service_tier: read.service_tier.map(std::borrow::Cow::into_owned),
        input_tokens: provider::estimate::of_request(body),
        has_audio: contains(body, b"\"input_audio\"") || contains(body, b"\"audio\""),
        has_long_cache: contains(body, b"\"1h\""),
        is_repeatable: read.temperature == Some(0.0) || !operation.has_output(),
        has_server_state: read.has_server_state,
        model: read.model.into_owned(),
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}
