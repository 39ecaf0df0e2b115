//! What comes back from a provider: a whole answer, a stream, or the refusal of either, which lets another way be tried.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::response::Parts as Head;
use hyper::{Response, StatusCode};

use crate::gateway::call::answer::meter::Meter;
use crate::gateway::call::answer::{Answer, Live, Parts, Source};
use crate::gateway::call::headers::{self, Told};
use crate::gateway::call::money::Prepared;
use crate::gateway::call::upstream::{self, UpstreamError, opening};
use crate::gateway::call::{Call, Failure};
use crate::gateway::ledger::Origin;
use crate::gateway::route::{self, Fate, Step};
use crate::gateway::settlement::Settled;
use crate::model::UsdNanos;
use crate::provider;
use crate::provider::refusal::Refusal;

/// The largest answer of a provider that refuses.
const ERROR_BYTES: u64 = 1 << 20;

impl Call {
    /// Reads an answer from its head on.
    pub(in crate::gateway::call) async fn received(
        &self,
        response: Response<Incoming>,
        mut prepared: Prepared,
        step: &Step<'_>,
        sent: Instant,
    ) -> Result<Response<Answer>, Failure> {
        let status = response.status().as_u16();
        prepared.settlement.status(status);
        let fate = route::fate_of_status(status);
        if fate != Fate::Answered {
            let refused = self.refused_by_provider(response, prepared, step, fate);
            return Err(Box::pin(refused).await);
        }
        if response.status().is_success()
            && let Some(word) = headers::compression(response.headers())
        {
            return Err(self.lost(&UpstreamError::compressed(&word), prepared, step));
        }
        if self.asked.is_stream && response.status().is_success() && headers::is_stream(&response) {
            return self.stream(response, prepared, step, sent).await;
        }
        let (mut head, body) = response.into_parts();
        let whole = upstream::read_all(body, self.limits.answer_bytes, self.left());
        let body = match self.unless_stopped(whole).await {
            Ok(body) => self.without_key(step, &mut head, body),
            Err(error) => return Err(self.lost(&error, prepared, step)),
        };
        let is_good = head.status.is_success();
        let metered = is_good.then(|| provider::read_answer(self.operation, &body)).flatten();
        if (metered.is_none() || self.operation.is_free())
            && head.status == StatusCode::OK
            && let Some(error) = upstream::no_answer(&body)
        {
            return Err(self.lost(&error, prepared, step));
        }
        self.note_answer(step);
        let upstream_time = sent.elapsed();
        prepared.settlement.first_piece();
        self.record_whole(&prepared.recorded, &head, &body);
        let reserved = prepared.reserved;
        let mut screened = Ok(body.clone());
        let settled = if is_good {
            let Prepared { settlement, flags, .. } = &mut prepared;
            screened = self.screened(&body, flags);
            for flag in &*flags {
                settlement.flag(flag);
            }
            if screened.is_err() {
                self.means_nothing();
            }
            self.keep_whole(step, &head, &body);
            self.settle_whole(*prepared.settlement, (metered, &body), &mut prepared.flags)
                .settled()
                .await
        } else {
            prepared.settlement.cancel();
            Settled::default()
        };
        self.tries.settles(settled);
        let cost = settled.cost;
        let told = Told {
            attempt: prepared.attempt,
            overhead: self.started.elapsed().saturating_sub(upstream_time),
            origin: Origin::Live,
            reserved: Some(reserved),
            cost: Some(cost),
            remaining: prepared.remaining.map(|it| after(it, reserved, cost)),
            flags: prepared.flags,
        };
        let screened = screened.map_err(Failure::Final)?;
        Ok(headers::to_client(&head, Answer::full(screened), &self.asked.model, &told))
    }

    async fn refused_by_provider(
        &self,
        response: Response<Incoming>,
        prepared: Prepared,
        step: &Step<'_>,
        fate: Fate,
    ) -> Failure {
        let retry_after = headers::retry_after(response.headers(), self.core.clock.now());
        self.note_status(step, (response.status().as_u16(), fate), retry_after);
        let (mut head, body) = response.into_parts();
        let body =
            upstream::read_all(body, ERROR_BYTES, self.begins_within()).await.unwrap_or_default();
        let body = self.without_key(step, &mut head, body);
        let told = Told {
            attempt: prepared.attempt,
            overhead: Duration::ZERO,
            origin: Origin::Live,
            reserved: None,
            cost: None,
            remaining: None,
            flags: prepared.flags,
        };
        if head.status.is_redirection() {
            let refusal = redirected(head.status);
            self.trail.failed(prepared.attempt, &refusal);
            prepared.settlement.cancel();
            return Failure::next(Err(refusal));
        }
        prepared.settlement.cancel();
        if matches!(fate, Fate::KeyRefused | Fate::ModelRefused) {
            let provider = self.core.known.get(step.way.provider).map_or("", |it| &it.name);
            let (status, key) = (head.status.as_u16(), step.way.key + 1);
            let model = step.model;
            tracing::error!(
                status,
                provider,
                key,
                model,
                "a provider does not accept the gateway's key"
            );
            let what = "the provider does not accept the gateway's key for this";
            return Failure::next(Err(Refusal::Upstream(what.to_owned())));
        }
        let answer = headers::to_client(&head, Answer::full(body), &self.asked.model, &told);
        if fate == Fate::Elsewhere {
            return Failure::Elsewhere(Box::new(answer));
        }
        Failure::next(Ok(answer))
    }

    /// A stream begins when its first event is there: until then another way may do better.
    async fn stream(
        &self,
        response: Response<Incoming>,
        mut prepared: Prepared,
        step: &Step<'_>,
        sent: Instant,
    ) -> Result<Response<Answer>, Failure> {
        let (mut head, mut body) = response.into_parts();
        let limit = Duration::from(self.limits.first_token_ms).saturating_sub(sent.elapsed());
        let limit = limit.min(self.left());
        let first = opening::first_piece(&mut body, limit);
        let first = match self.unless_stopped(first).await {
            Ok(Some(first)) => first,
            Ok(None) => return Err(self.lost(&UpstreamError::nothing(), prepared, step)),
            Err(error) => return Err(self.lost(&error, prepared, step)),
        };
        if opening::error_at_first(&first).is_some() {
            let clean = self.without_key(step, &mut head, first);
            let error = opening::error_at_first(&clean).unwrap_or_else(UpstreamError::nothing);
            return Err(self.lost(&error, prepared, step));
        }
        self.note_answer(step);
        prepared.settlement.first_piece();
        let told = Told {
            attempt: prepared.attempt,
            overhead: self.started.elapsed().saturating_sub(sent.elapsed()),
            origin: Origin::Live,
            reserved: Some(prepared.reserved),
            cost: None,
            remaining: prepared.remaining,
            flags: prepared.flags,
        };
        let provider = self.core.providers.get(step.way.provider);
        let key = provider.and_then(|it| {
            it.take_key_out(step.way.key, &mut head.headers);
            it.key_filter(step.way.key)
        });
        let live = Live::new(Parts {
            upstream: Source::Wire(body),
            key,
            first: Some(first),
            meter: Meter::new(self.operation, prepared.cuts_usage)
                .hearing(prepared.settlement.counts()),
            settlement: prepared.settlement,
            recorder: self.recorder(&prepared.recorded, &head),
            keeper: self.stream_keeper(step, &head),
            filter: self.filter(),
            deadline: tokio::time::sleep(self.left()),
            client_gone: self.limits.client_gone,
            tasks: self.core.tasks.clone(),
            // That of its attempt is cut with that of the process.
            cut: self.notes.as_ref().and_then(|it| it.stopping()).unwrap_or(&self.core.cut).clone(),
        });
        Ok(headers::to_client(&head, Answer::Live(Box::new(live)), &self.asked.model, &told))
    }

    /// What a provider says, without the key that it was called with.
    fn without_key(&self, step: &Step<'_>, head: &mut Head, body: Bytes) -> Bytes {
        let Some(provider) = self.core.providers.get(step.way.provider) else { return body };
        provider.take_key_out(step.way.key, &mut head.headers);
        provider.without_key(step.way.key, body)
    }
}

fn redirected(status: StatusCode) -> Refusal {
    let status = status.as_u16();
    Refusal::Upstream(format!(
        "the provider answers {status}, which leads elsewhere and is not followed; its `url` in the gateway's file may be wrong"
    ))
}

/// What is left of a budget when what was reserved of it has become a cost.
fn after(UsdNanos(left): UsdNanos, reserved: UsdNanos, cost: UsdNanos) -> UsdNanos {
    UsdNanos(left.saturating_add(reserved.0).saturating_sub(cost.0))
}
