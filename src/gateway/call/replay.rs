//! Answers from cassettes, which cost nothing and say what they would have cost; and answers for cassettes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::http::HeaderValue;
use hyper::http::response::Parts as Head;
use hyper::{HeaderMap, Response, StatusCode};

use super::Call;
use super::headers::{self, Told};
use crate::gateway::budget::CallId;
use crate::gateway::budget::account::Amount;
use crate::gateway::cache::flight::Turn;
use crate::gateway::call::answer::meter::Meter;
use crate::gateway::call::answer::{Answer, Live, Parts, Source};
use crate::gateway::cassette::entry::{self, Content, Entry};
use crate::gateway::cassette::recorder::Recorder;
use crate::gateway::cassette::redact::{self, chosen_headers};
use crate::gateway::cassette::{Cassette, Missed};
use crate::gateway::ledger::{Origin, Row};
use crate::gateway::settings::CassetteMode;
use crate::gateway::settlement::{Charge, Settlement};
use crate::model::UsdNanos;
use crate::provider;
use crate::provider::refusal::Refusal;

/// Who serves what is replayed.
const PROVIDER: &str = "cassette";

type Answered = Result<Response<Answer>, Refusal>;

/// A call that its cassette does not have, by one name of its model.
struct Missing<'a> {
    model: Option<&'a str>,
    cuts_usage: bool,
    call: entry::Call,
    number: u32,
    why: Missed,
}

impl Call {
    /// The recorded answer; `None` when the call is to go out, and its turn where equal ones wait for its recording.
    pub(super) async fn replayed(&self) -> (Option<Answered>, Option<Turn>) {
        let Some(cassette) = &self.cassette else { return (None, None) };
        if matches!(self.mode, CassetteMode::Live | CassetteMode::Record) {
            return (None, None);
        }
        let mut missed = Vec::new();
        for model in self.names() {
            let (body, cuts_usage) = match self.final_body(model, None) {
                Ok(it) => it,
                Err(refusal) => return (Some(Err(refusal)), None),
            };
            let call = self.recorded(&body);
            let number = cassette.count(&call);
            match cassette.find_number(&call, number) {
                Ok(entry) => return (Some(self.replay(entry, cuts_usage, model)), None),
                Err(why) => missed.push(Missing { model, cuts_usage, call, number, why }),
            }
        }
        let Some(first) = missed.first() else { return (None, None) };
        if self.mode != CassetteMode::ReplayOrRecord {
            let message = cassette.describe(&first.call, first.why);
            return (Some(Err(Refusal::CassetteMiss { message })), None);
        }
        let turn = self.turn_of(cassette, &first.call).await;
        // Whoever went before may have recorded it.
        for Missing { model, cuts_usage, call, number, .. } in &missed {
            if let Ok(entry) = cassette.find_number(call, *number) {
                return (Some(self.replay(entry, *cuts_usage, *model)), None);
            }
        }
        (None, turn)
    }

    /// Waits as long as the call may take at most.
    async fn turn_of(&self, cassette: &Cassette, call: &entry::Call) -> Option<Turn> {
        let turn = cassette.turn(call, self.left());
        match &self.stop {
            Some(stop) => stop.run_until_cancelled(turn).await.flatten(),
            None => turn.await,
        }
    }

    /// What the model is called where it leads, each name once: an answer is recorded by the name that it came from.
    fn names(&self) -> Vec<Option<&str>> {
        let mut names: Vec<_> = self.steps(0).into_iter().map(|it| it.model).collect();
        let mut seen = HashSet::new();
        names.retain(|it| seen.insert(*it));
        if names.is_empty() { vec![None] } else { names }
    }

    fn replay(
        &self,
        entry: Entry,
        cuts_usage: bool,
        model: Option<&str>,
    ) -> Result<Response<Answer>, Refusal> {
        let status = StatusCode::from_u16(entry.response.status).unwrap_or(StatusCode::OK);
        let settlement = self.free_settlement(Origin::Cassette, model, status.as_u16());
        let mut told = self.told(Origin::Cassette);
        let mut whole =
            |settlement, body: Bytes| self.replay_whole(settlement, status, &body, &mut told.flags);
        let answer = match entry.response.content {
            Content::Json(json) => whole(settlement, redact::raw(&json))?,
            Content::Text(text) => whole(settlement, Bytes::from(text))?,
            Content::Stream(pieces) => {
                let pieces = pieces.into_iter().map(|it| (it.0, Bytes::from(it.1)));
                self.tape(pieces.collect(), cuts_usage, settlement)
            }
        };
        let mut response = Response::new(answer);
        *response.status_mut() = status;
        recorded_headers(&entry.response.headers, response.headers_mut());
        headers::tell(response.headers_mut(), &self.asked.model, &told);
        Ok(response)
    }

    /// A stream that was kept, at once or as long as it took.
    pub(super) fn tape(
        &self,
        pieces: VecDeque<(u64, Bytes)>,
        cuts_usage: bool,
        settlement: Settlement,
    ) -> Answer {
        Answer::Live(Box::new(Live::new(Parts {
            upstream: Source::tape(pieces, self.is_timed()),
            key: None,
            first: Some(Bytes::new()),
            meter: Meter::new(self.operation, cuts_usage),
            settlement: Box::new(settlement),
            recorder: None,
            keeper: None,
            filter: self.filter(),
            deadline: tokio::time::sleep(self.core.limits.total_ms.into()),
            client_gone: self.core.limits.client_gone,
            tasks: self.core.tasks.clone(),
            cut: self.core.cut.clone(),
        })))
    }

    /// Whether the client wants the recording to take as long as it did.
    fn is_timed(&self) -> bool {
        self.headers.get("x-trunkline-replay").is_some_and(|it| it == "timed")
    }

    pub(super) fn replay_whole(
        &self,
        mut settlement: Settlement,
        status: StatusCode,
        body: &Bytes,
        flags: &mut Vec<&'static str>,
    ) -> Result<Answer, Refusal> {
        if !status.is_success() {
            settlement.cancel();
            return Ok(Answer::full(body.clone()));
        }
        let screened = self.screened(body, flags);
        for flag in &*flags {
            settlement.flag(flag);
        }
        // By the rule: what was avoided is never counted on a thread of its own.
        let metered = provider::read_answer(self.operation, body);
        drop(self.settle_whole(settlement, (metered, body), flags));
        screened.map(Answer::full)
    }

    /// A settlement that charges nothing and knows what was avoided.
    pub(super) fn free_settlement(
        &self,
        origin: Origin,
        model: Option<&str>,
        status: u16,
    ) -> Settlement {
        let steps = self.steps(0);
        let step = steps.iter().find(|it| it.model == model).or(steps.first());
        let provider = step.and_then(|it| self.core.providers.get(it.way.provider));
        let model = model.unwrap_or(&self.asked.model);
        let name = match (origin, provider) {
            (Origin::Cache, Some(provider)) => provider.name.as_str(),
            _ => PROVIDER,
        };
        let row = Row { origin, status: Some(status), ..self.row(name, model, 1, &self.flags) };
        let charge = match provider {
            Some(provider) => {
                let price = self.core.prices.find(&provider.price_provider, model, self.at);
                self.charge(provider, price)
            }
            None => Charge {
                ledger: self.core.ledger.clone(),
                prices: self.core.prices.clone(),
                price: None,
                price_provider: Arc::from(PROVIDER),
            },
        };
        let id = CallId { request: self.id, attempt: 1 };
        Settlement::new(charge, id, row, (self.asked.input_tokens, Amount::default()))
    }

    /// The call as cassettes know it.
    pub(super) fn recorded(&self, body: &[u8]) -> entry::Call {
        let headers = self.headers.iter();
        let headers = headers.filter_map(|it| Some((it.0.as_str(), it.1.to_str().ok()?)));
        entry::Call::new(self.operation.path(), headers, body)
    }

    /// Records the stream of an answer that has begun.
    pub(super) fn recorder(&self, body: &[u8], head: &Head) -> Option<Recorder> {
        let cassette = self.cassette.clone()?;
        let call = self.recorded(body);
        let (status, headers) = (head.status.as_u16(), chosen(&head.headers));
        Some(Recorder::new(cassette, call, status, headers, self.turn.clone()))
    }

    /// Records a whole answer.
    pub(super) fn record_whole(&self, sent: &[u8], head: &Head, body: &[u8]) {
        let Some(cassette) = &self.cassette else { return };
        let response = entry::Response {
            status: head.status.as_u16(),
            headers: chosen(&head.headers),
            content: Content::of_body(body),
        };
        cassette.record(&self.recorded(sent), response);
    }

    pub(super) fn told(&self, origin: Origin) -> Told {
        Told {
            attempt: 1,
            overhead: self.started.elapsed().max(Duration::from_micros(1)),
            origin,
            reserved: Some(UsdNanos(0)),
            cost: Some(UsdNanos(0)),
            remaining: None,
            flags: self.flags.clone(),
        }
    }
}

fn chosen(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    chosen_headers(headers.iter().filter_map(|it| Some((it.0.as_str(), it.1.to_str().ok()?))))
}

fn recorded_headers(
    recorded: &std::collections::BTreeMap<String, String>,
    headers: &mut HeaderMap,
) {
    for (name, value) in recorded {
        let name = hyper::header::HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}
