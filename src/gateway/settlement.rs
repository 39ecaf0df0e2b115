//! What one call owes: made when it is let through, and settled exactly once, whatever happens. One that
//! is dropped unsettled is charged its estimate.

pub mod counting;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::budget::CallId;
use super::budget::account::Amount;
use super::ledger::trail::Trail;
use super::ledger::{Ledger, Origin, Row};
use super::prices::PriceRow;
use super::prices::at_hand::PricesAtHand;
use crate::model::{Usage, UsdNanos};
use crate::provider::estimate::heard::Heard;
use crate::provider::estimate::tokenizer::Tokenizer;
use crate::provider::said;
use crate::provider::said::named::Named;
use crate::provider::stream::Outcome;
use crate::provider::{Lacks, Metered};
use counting::{Counted, Counter, Untold};

/// The word for a call whose use no answer tells.
pub const ESTIMATED: &str = "estimated";

/// The word for a call that used something without a price.
pub const UNPRICED: &str = "unpriced";

/// What a call has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// What it cost.
    pub cost: UsdNanos,
    /// Whether it used something that has no price.
    pub is_unpriced: bool,
}

/// What a call is charged with.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// All prices.
    pub prices: Arc<PricesAtHand>,
    /// The price that was reserved with; none for what is free.
    pub price: Option<Arc<PriceRow>>,
    /// The provider's name in the prices.
    pub price_provider: Arc<str>,
}

/// What one call owes.
#[derive(Debug)]
pub struct Settlement {
    charge: Charge,
    id: CallId,
    row: Row,
    started: Instant,
    /// Tokens of the prompt, as they were counted here.
    input_tokens: u64,
    estimate: Amount,
    /// The most tokens that all its answers may have, where the request says it.
    most_output: Option<u64>,
    /// What the cache knew of it.
    known: Option<Usage>,
    /// Counts what no answer tells; the rule does, where it is not there.
    counter: Option<Counter>,
    is_settled: bool,
}

impl Settlement {
    /// Of a call that was let through.
    #[must_use]
    pub fn new(charge: Charge, id: CallId, row: Row, counted: (u64, Amount)) -> Self {
        let (input_tokens, estimate) = counted;
        let started = Instant::now();
        row.trail.begin(&row);
        if let Some(notes) = &row.notes {
            notes.begin(&row);
        }
        Self {
            charge,
            id,
            row,
            started,
            input_tokens,
            estimate,
            most_output: None,
            known: None,
            counter: None,
            is_settled: false,
        }
    }

    /// Marks the call.
    pub fn flag(&mut self, flag: &'static str) {
        if !self.row.flags.contains(&flag) {
            self.row.flags.push(flag);
        }
    }

    /// How its tokens are counted when no answer tells them.
    pub fn counts_with(&mut self, counter: Option<Counter>) {
        self.counter = counter;
    }

    /// Whether a tokenizer may have to count them.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.counter.is_some()
    }

    /// How many tokens the request allows all its answers.
    pub fn allows(&mut self, output: Option<u64>) {
        self.most_output = output;
    }

    /// The status of the answer.
    pub fn status(&mut self, status: u16) {
        self.row.status = Some(status);
    }

    /// A part of it need not go out, which would have used this.
    pub fn avoids(&mut self, usage: Usage) {
        self.known = Some(usage);
    }

    /// The first piece of the answer is there.
    pub fn first_piece(&mut self) {
        let elapsed = self.started.elapsed().as_millis();
        self.row.first_token_ms.get_or_insert(u64::try_from(elapsed).unwrap_or(u64::MAX));
        self.row.trail.first_piece(self.row.attempt);
    }

    /// Where it is noted what happens.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.row.trail
    }

    /// With the use that an answer tells.
    pub fn settle(mut self, metered: &Metered) -> Settled {
        self.close(metered)
    }

    /// With what was seen of a stream.
    pub fn settle_stream(mut self, outcome: Outcome, heard: Option<Heard>, flags: &[&'static str]) {
        self.row.trail.said(&outcome.said);
        for it in flags {
            self.flag(it);
        }
        if outcome.is_final {
            self.close(&outcome.usage(self.input_tokens).0);
        } else {
            drop(self.estimated(Untold::Stream(Box::new(outcome), heard)));
        }
    }

    /// With the prompt alone: it went out, and nothing came back.
    pub fn settle_prompt(self) -> Counted {
        self.estimated(Untold::Prompt)
    }

    /// With an answer that does not say what it used, but may name its model; `None` where answers have no tokens of
    /// their own.
    pub fn settle_answer(self, named: Named, answer: Option<Bytes>) -> Counted {
        self.estimated(Untold::Answer(named, answer))
    }

    /// With an answer that says a part of what it used; `None` where answers have no tokens of their own.
    pub fn settle_part(self, told: Metered, lacks: Lacks, answer: Option<Bytes>) -> Counted {
        self.estimated(Untold::Part(Box::new(told), lacks, answer))
    }

    /// By count.
    fn estimated(mut self, untold: Untold) -> Counted {
        self.flag(ESTIMATED);
        match self.counter.take() {
            Some(counter) => counter.count(self, untold),
            None => Counted::Now(self.close_by_rule(&untold)),
        }
    }

    fn close_by_rule(mut self, untold: &Untold) -> Settled {
        self.flag(Tokenizer::Rule.flag());
        let metered = untold.metered(Tokenizer::Rule, self.input_tokens, self.most_output);
        self.close(&metered)
    }

    /// With nothing: it never went out, or the provider takes nothing for its answer.
    pub fn cancel(mut self) {
        self.is_settled = true;
        self.row.total_ms = self.elapsed();
        self.charge.ledger.cancel(self.id, &self.row);
    }

    fn close(&mut self, metered: &Metered) -> Settled {
        self.is_settled = true;
        let cost = self.cost(metered);
        let is_unpriced = self.row.flags.contains(&UNPRICED);
        self.row.usage = metered.usage;
        self.row.answered_by = metered.model.as_deref().map(said::short);
        self.row.total_ms = self.elapsed();
        if self.row.origin != Origin::Live {
            self.row.avoided = cost;
            self.charge.ledger.record(&self.row);
            return Settled { cost: UsdNanos(0), is_unpriced };
        }
        self.row.cost = cost;
        if let Some(usage) = self.known.take() {
            self.row.avoided = UsdNanos(self.avoided(metered, &usage));
        }
        let besides = metered.besides.iter().map(|it| it.1.tokens());
        let tokens = besides.fold(metered.usage.tokens(), u64::saturating_add);
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.charge.ledger.settle(self.id, Amount { money: cost, tokens }, &mut self.row);
        Settled { cost, is_unpriced }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn cost(&mut self, metered: &Metered) -> UsdNanos {
        self.charge.cost(&mut self.row, metered)
    }

    fn avoided(&mut self, metered: &Metered, usage: &Usage) -> i64 {
        let Some(price) = self.charge.price.clone() else { return 0 };
        part(&mut self.row, &price, (usage, metered.service_tier.as_deref()))
    }
}

impl Charge {
    /// What a call has cost: at the price of the model that answered, or the one that was reserved with. It is noted in
    /// the row which price that was.
    pub fn cost(&self, row: &mut Row, metered: &Metered) -> UsdNanos {
        let Some(reserved) = self.price.as_ref() else { return UsdNanos(0) };
        let (tier, at) = (metered.service_tier.as_deref(), row.at);
        let mut used = metered.besides.iter().map(|it| &it.1).chain([&metered.usage]);
        let has_output = used.any(|it| it.output_tokens() > 0);
        // A price without one of answers would make them free.
        let find = |model: &str| {
            let price = self.prices.find(&self.price_provider, model, at);
            price.filter(|it| !has_output || it.covers_output())
        };
        // A price of the asked model's own name is better than a pattern's for the longer name that answers.
        let is_named = reserved.model.names(&row.model);
        let answered = metered
            .model
            .as_deref()
            .filter(|it| *it != row.model)
            .and_then(|it| find(it).filter(|price| !is_named || price.model.names(it)));
        let price = answered.unwrap_or_else(|| reserved.clone());
        row.price = Some(price.reference());
        let mut total = part(row, &price, (&metered.usage, tier));
        for (model, usage) in &metered.besides {
            let of_model = model.as_deref().map(|it| find(it).unwrap_or_else(|| reserved.clone()));
            let price = of_model.as_ref().unwrap_or(&price);
            total = total.saturating_add(part(row, price, (usage, tier)));
        }
        UsdNanos(total)
    }
}

fn part(row: &mut Row, price: &PriceRow, (usage, tier): (&Usage, Option<&str>)) -> i64 {
    let cost = price.cost(usage, tier);
    if !cost.unpriced.is_empty() && !row.flags.contains(&UNPRICED) {
        row.flags.push(UNPRICED);
    }
    cost.total().0
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if !self.is_settled && self.row.origin == Origin::Live {
            self.flag("lost");
            self.row.cost = self.estimate.money;
            self.row.total_ms = self.elapsed();
            self.charge.ledger.settle(self.id, self.estimate, &mut self.row);
        }
    }
}
