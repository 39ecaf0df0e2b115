//! What a call may cost, reserved before it is sent; and what it did.

use std::num::NonZero;
use std::sync::Arc;

use bytes::Bytes;

use super::upstream::UpstreamError;
use super::{Call, Failure};
use crate::gateway::budget::account::Amount;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::budget::{CallId, Reservation, Reserved};
use crate::gateway::ledger::{NotReserved, Origin, Row, What};
use crate::gateway::prices::{Most, PriceRow};
use crate::gateway::route::Step;
use crate::gateway::server::{Core, Provider};
use crate::gateway::settings::UnknownPrice;
use crate::gateway::settlement::counting::{Counted, Counter};
use crate::gateway::settlement::{Charge, ESTIMATED, Settlement};
use crate::model::{Milliseconds, Usage, UsageClass, UsdNanos};
use crate::provider::estimate::tokenizer::Tokenizer;
use crate::provider::refusal::{Refusal, STORE};
use crate::provider::said::named::{self, Named};
use crate::provider::{self, Changes, Dialect, Metered, Operation};

/// How long after its own time a call counts as lost.
const GRACE: Milliseconds = Milliseconds(30_000);

/// The flag of a call that may have fewer tokens than it asked for.
const CLAMPED: &str = "clamped";

/// The service tier of batches, in price files and in the flags of the ledger.
pub(in crate::gateway) const BATCH: &str = "batch";

/// A call that may become part of a batch.
#[derive(Debug)]
pub(in crate::gateway) struct Batched {
    pub(in crate::gateway) body: Bytes,
    pub(in crate::gateway) subject: Subject,
    /// The most that it may cost, at the price of batches.
    pub(in crate::gateway) estimate: Amount,
    pub(in crate::gateway) flags: Vec<&'static str>,
}

/// A call that may be sent.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Apart: it is handed on from one to the next.
    pub(super) settlement: Box<Settlement>,
    pub(super) body: Bytes,
    /// As what it is recorded: without the limit that is written into it for the budgets, which replays know nothing of.
    pub(super) recorded: Bytes,
    pub(super) cuts_usage: bool,
    pub(super) attempt: u32,
    pub(super) reserved: UsdNanos,
    pub(super) remaining: Option<UsdNanos>,
    pub(super) flags: Vec<&'static str>,
}

impl Call {
    /// Prices and reserves an attempt, and gives the bytes to send.
    pub(super) async fn prepare(&self, step: &Step<'_>, attempt: u32) -> Result<Prepared, Refusal> {
        let core = &self.core;
        let provider = core.providers.get(step.way.provider);
        let provider = provider.ok_or_else(|| Refusal::Upstream("no such provider".to_owned()))?;
        let model = step.model.unwrap_or(&self.asked.model);
        if let Some(missing) = &provider.missing_key {
            let what = format!(
                "the gateway has no key for the provider `{}`: `{missing}` is not set",
                provider.name
            );
            return Err(Refusal::Forbidden(what));
        }
        let mut flags = self.flags.clone();
        let price = self.price(core, provider, model, &mut flags)?;
        let subject = self.subject.clone().with(Kind::Model, model);
        if core.limits.clamp {
            core.ledger.look_up(&subject, core.clock.now()).await;
        }
        let limit = self.limit(price.as_deref(), &subject, &mut flags);
        if flags.contains(&CLAMPED) {
            self.keeps_nothing();
        }
        let most = self.most(limit.counted);
        let tier = self.asked.service_tier.as_deref();
        let money = price.as_ref().map_or(UsdNanos(0), |it| it.most(&most, tier));
        let tokens = most.input_tokens.saturating_add(most.output_tokens);
        let tokens = if self.operation.is_free() { 0 } else { tokens };
        let estimate = Amount { money, tokens: i64::try_from(tokens).unwrap_or(i64::MAX) };
        let id = CallId { request: self.id, attempt };
        let (body, cuts_usage) = self.final_body(step.model, limit.written)?;
        let is_recorded_otherwise = self.cassette.is_some() && limit.written.is_some();
        let recorded =
            if is_recorded_otherwise { self.final_body(step.model, None)?.0 } else { body.clone() };
        let reserved = self.reserve(id, subject, estimate).await;
        let reserved = reserved.map_err(|it| self.without_limit(it, limit.counted))?;
        if !reserved.nearly_used.is_empty() {
            flags.push("budget_80");
        }
        let row = Row { reserved: money, ..self.row(&provider.name, model, attempt, &flags) };
        let charge = self.charge(provider, price);
        let counted = (self.asked.input_tokens, estimate);
        let mut settlement = Settlement::new(charge, id, row, counted);
        settlement.counts_with(self.counter(step, model, &body));
        let each = limit.written.or(self.asked.max_output);
        settlement.allows(each.map(|it| it.saturating_mul(self.asked.answers)));
        if self.known_tokens > 0 {
            settlement.avoids(Usage::default().with(UsageClass::Input, self.known_tokens));
        }
        let (settlement, remaining) = (Box::new(settlement), reserved.remaining);
        let reserved = money;
        Ok(Prepared { settlement, body, recorded, cuts_usage, attempt, reserved, remaining, flags })
    }

    /// Prices it as a part of a batch, and gives the bytes to send.
    pub(in crate::gateway) fn batched(
        &self,
        provider: &Provider,
        model: &str,
    ) -> Result<Batched, Refusal> {
        if let Some(missing) = &provider.missing_key {
            let what = format!("the gateway has no key for `{}`: `{missing}`", provider.name);
            return Err(Refusal::Forbidden(what));
        }
        let mut flags = self.flags.clone();
        let price = self.price(&self.core, provider, model, &mut flags)?;
        let subject = self.subject.clone().with(Kind::Model, model);
        let wanted = self.most_output(price.as_deref());
        let most = self.most(if self.operation.has_output() { wanted } else { 0 });
        let money = price.as_ref().map_or(UsdNanos(0), |it| it.most(&most, Some(BATCH)));
        let tokens = most.input_tokens.saturating_add(most.output_tokens);
        let tokens = if self.operation.is_free() { 0 } else { tokens };
        let estimate = Amount { money, tokens: i64::try_from(tokens).unwrap_or(i64::MAX) };
        let (body, _) = self.final_body(Some(model), None)?;
        Ok(Batched { body, subject, estimate, flags })
    }

    async fn reserve(
        &self,
        id: CallId,
        subject: Subject,
        estimate: Amount,
    ) -> Result<Reserved, Refusal> {
        let now = self.core.clock.now();
        let deadline = now.plus(self.limits.total_ms).plus(GRACE);
        // A ceiling for a thousand requests must not grow with what costs nothing.
        let requests = u64::from(!self.operation.is_free());
        let call = Reservation { id, subject, estimate, deadline, requests };
        self.core.ledger.reserve(call, now).await.map_err(|it| match it {
            NotReserved::Refused(it) => {
                Refusal::Budget { budget: it.budget.clone(), message: it.to_string() }
            }
            NotReserved::Behind => Refusal::Away { what: STORE, retry_after: Milliseconds(1000) },
        })
    }

    /// A refusal by a budget also says what is counted on where the request does not.
    fn without_limit(&self, mut refusal: Refusal, counted: u64) -> Refusal {
        if let Refusal::Budget { message, .. } = &mut refusal
            && self.asked.max_output.is_none()
            && self.operation.has_output()
        {
            let is_response = self.operation == Operation::Responses;
            let name = if is_response { "max_output_tokens" } else { "max_tokens" };
            message.push_str(&format!(
                "; the request names no limit, so {counted} tokens of answer are counted on: a lower `{name}` may fit"
            ));
        }
        refusal
    }

    fn price(
        &self,
        core: &Core,
        provider: &Provider,
        model: &str,
        flags: &mut Vec<&'static str>,
    ) -> Result<Option<Arc<PriceRow>>, Refusal> {
        if self.operation.is_free() {
            return Ok(None);
        }
        let known = core.prices.find(&provider.price_provider, model, self.at);
        let is_whole = |it: &PriceRow| !self.operation.has_output() || it.covers_output();
        if let Some(price) = known.as_ref().filter(|it| is_whole(it)) {
            return Ok(Some(price.clone()));
        }
        let of = (model, &*provider.price_provider);
        let without = match (&core.unknown_price, known) {
            (UnknownPrice::Assume(rates), _) => {
                let assumed = PriceRow::assumed(&provider.price_provider, rates.clone());
                if is_whole(&assumed) {
                    flags.push("assumed_price");
                    return Ok(Some(Arc::new(assumed)));
                }
                without_output(of, "unknown_price")
            }
            (UnknownPrice::Refuse, Some(price)) => without_output(of, &price.id),
            (UnknownPrice::Refuse, None) => without_price(of),
        };
        Err(Refusal::Forbidden(without))
    }

    /// How many tokens each answer may have: what is counted on, and what is written into the request.
    fn limit(
        &self,
        price: Option<&PriceRow>,
        subject: &Subject,
        flags: &mut Vec<&'static str>,
    ) -> OutputLimit {
        let limits = &self.core.limits;
        if !self.operation.has_output() {
            return OutputLimit { counted: 0, written: None };
        }
        let wanted = self.most_output(price);
        if !limits.clamp {
            return OutputLimit { counted: wanted, written: None };
        }
        let (money, tokens) = self.core.ledger.headroom(subject, self.core.clock.now());
        let most = self.most(0);
        let tier = self.asked.service_tier.as_deref();
        let by_money = money.zip(price).and_then(|it| it.1.affordable_output(it.0, &most, tier));
        let by_tokens = tokens.map(|it| it.saturating_sub(most.input_tokens));
        let left = [by_money, by_tokens].into_iter().flatten().min();
        let each = left.map_or(wanted, |it| it / self.asked.answers.max(1)).min(wanted);
        let is_too_low = self.asked.thinking.is_some_and(|it| each <= it && it < wanted);
        let has_own =
            self.asked.max_output.is_some() || price.is_some_and(|it| it.max_output.is_some());
        if each == 0 || is_too_low || (each == wanted && has_own) {
            // Nothing to lower, or nothing left, or less than thoughts may take, which the provider would refuse: the
            // reservation says which. Nor is the model's own limit written, which holds without: many providers refuse it
            // where the prompt takes a part of the same window.
            return OutputLimit { counted: wanted, written: None };
        }
        if each < wanted {
            flags.push(CLAMPED);
        }
        OutputLimit { counted: each, written: Some(each) }
    }

    /// The most tokens of an answer: the request's word, or the model's own limit, or what is set for models whose limit
    /// nobody knows.
    fn most_output(&self, price: Option<&PriceRow>) -> u64 {
        let of_model = || price?.max_output.map(NonZero::get);
        let said = self.asked.max_output.or_else(of_model);
        said.unwrap_or(self.core.limits.default_max_output)
    }

    fn most(&self, max_output: u64) -> Most {
        Most {
            input_tokens: self.asked.input_tokens,
            output_tokens: max_output.saturating_mul(self.asked.answers),
            has_audio: self.asked.has_audio,
            has_long_cache: self.asked.has_long_cache,
        }
    }

    /// The bytes that go out, and whether usage is asked for that the client did not want.
    pub(super) fn final_body(
        &self,
        model: Option<&str>,
        max_output: Option<u64>,
    ) -> Result<(Bytes, bool), Refusal> {
        let ask_for_usage = self.asked.is_stream && !self.asked.wants_usage;
        let model = model.filter(|it| *it != self.asked.model);
        let changes = Changes { model, ask_for_usage, max_output };
        let changed = provider::rewrite_request(self.operation, &self.body, &changes);
        let changed = changed.map_err(|it| Refusal::Unreadable(it.to_string()))?;
        Ok((changed.map_or_else(|| self.body.clone(), Bytes::from), ask_for_usage))
    }

    pub(super) fn charge(&self, provider: &Provider, price: Option<Arc<PriceRow>>) -> Charge {
        Charge {
            ledger: self.core.ledger.clone(),
            prices: self.core.prices.clone(),
            price,
            price_provider: provider.price_provider.clone(),
        }
    }

    pub(super) fn row(
        &self,
        provider: &str,
        model: &str,
        attempt: u32,
        flags: &[&'static str],
    ) -> Row {
        Row {
            request: super::headers::request_id(self.id),
            attempt,
            at: self.at,
            key: self.key.clone(),
            subject: self.subject.clone(),
            operation: What::Call(self.operation),
            provider: provider.to_owned(),
            model: model.to_owned(),
            answered_by: None,
            origin: Origin::Live,
            status: None,
            usage: Usage::default(),
            cost: UsdNanos(0),
            avoided: UsdNanos(0),
            reserved: UsdNanos(0),
            overrun: UsdNanos(0),
            price: None,
            flags: flags.to_vec(),
            first_token_ms: None,
            total_ms: 0,
            tags: super::headers::tags(&self.headers),
            similar: self.similar.clone(),
            notes: self.notes.clone(),
            trail: self.trail.clone(),
        }
    }

    /// How the tokens of this attempt are counted if no answer tells them; `None` for the rule.
    fn counter(&self, step: &Step<'_>, model: &str, body: &Bytes) -> Option<Counter> {
        let is_openai = self.operation.dialect() == Dialect::OpenAi && !self.operation.is_free();
        let tokenizer = step.tokenizer.unwrap_or_else(|| Tokenizer::of_model(model));
        let counter =
            is_openai.then(|| self.core.counting.counter(tokenizer, self.operation, body));
        counter.flatten()
    }

    /// A provider that did not answer, or not to the end. What may have reached it is charged: the prompt and what has
    /// come, by count.
    pub(super) fn lost(
        &self,
        error: &UpstreamError,
        prepared: Prepared,
        step: &Step<'_>,
    ) -> Failure {
        let Prepared { mut settlement, attempt, .. } = prepared;
        if matches!(error, UpstreamError::Stopped) {
            self.breakers().release(self.lane(step));
            self.tries.counts(settlement.settle_prompt());
            return Failure::Final(Refusal::Upstream(error.to_string()));
        }
        self.note_loss(step, error);
        let refusal = match error {
            UpstreamError::Timeout(_) | UpstreamError::Unfinished { .. } => {
                Refusal::Timeout(error.to_string())
            }
            UpstreamError::Unreachable(_)
            | UpstreamError::Broken(_)
            | UpstreamError::Cut { .. }
            | UpstreamError::Page
            | UpstreamError::ErrorAlone(_)
            | UpstreamError::Stopped => Refusal::Upstream(error.to_string()),
            UpstreamError::TooLarge { limit_bytes, .. } => {
                Refusal::AnswerTooLarge { limit_bytes: *limit_bytes }
            }
        };
        self.trail.failed(attempt, &refusal);
        match error {
            UpstreamError::Unreachable(_) | UpstreamError::Page | UpstreamError::ErrorAlone(_) => {
                settlement.cancel();
            }
            UpstreamError::Cut { seen, .. }
            | UpstreamError::Unfinished { seen }
            | UpstreamError::TooLarge { seen, .. } => {
                settlement.flag("cut");
                let has_output = self.operation.has_output() && !seen.trim_ascii().is_empty();
                let (named, seen) = (self.named(seen), has_output.then(|| seen.clone()));
                self.tries.counts(settlement.settle_answer(named, seen));
            }
            UpstreamError::Broken(_) | UpstreamError::Timeout(_) | UpstreamError::Stopped => {
                self.tries.counts(settlement.settle_prompt());
            }
        }
        if matches!(error, UpstreamError::TooLarge { .. }) {
            return Failure::Final(refusal);
        }
        Failure::next(Err(refusal))
    }

    /// The model and the tier that an answer names.
    fn named(&self, answer: &Bytes) -> Named {
        named::of_answer(self.operation, answer)
    }

    /// Charges a whole answer: by its own word, or by count when it has none, which is flagged.
    pub(super) fn settle_whole(
        &self,
        settlement: Settlement,
        (metered, body): (Option<Metered>, &Bytes),
        flags: &mut Vec<&'static str>,
    ) -> Counted {
        let has_output = self.operation.has_output();
        let answer = has_output.then(|| body.clone());
        let Some(metered) = metered else {
            flags.push(ESTIMATED);
            self.tries.estimates();
            return settlement.settle_answer(self.named(body), answer);
        };
        let lacks = provider::lacks(self.operation, &metered, body);
        if !lacks.any() {
            return Counted::Now(settlement.settle(&metered));
        }
        flags.push(ESTIMATED);
        self.tries.estimates();
        settlement.settle_part(metered, lacks, answer)
    }
}

/// What somebody hears whose model has no price. What else may be in a name is left out of the command.
fn without_price((model, provider): (&str, &str)) -> String {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"._:/@-".contains(&it);
    let name = if model.bytes().all(is_plain) { model } else { "NAME" };
    format!(
        "no price of the model `{model}` at `{provider}` is known, so it may not be called; prices come from the files \
         that `prices` and `public_prices` of the gateway's file name: write it there, or take it from a public list \
         with `trunkline prices import LIST --provider {provider} --model {name}`, and start the gateway anew; \
         `unknown_price` assumes one"
    )
}

/// What somebody hears whose answers would be free, as the price that was found for the model is one of prompts alone.
fn without_output((model, provider): (&str, &str), price: &str) -> String {
    format!(
        "the price `{price}` of the model `{model}` at `{provider}` has no price of `output`, so calls with an answer may \
         not be made; write `output` into it (`\"0\"` where answers are free), and start the gateway anew"
    )
}

struct OutputLimit {
    counted: u64,
    written: Option<u64>,
}
