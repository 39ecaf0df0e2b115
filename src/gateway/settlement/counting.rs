//! Counts with a model's tokenizer what no answer tells: one call after the other, on a thread where nobody waits for it,
//! while the call's reservation holds. What does not fit into the row is counted by the rule.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::{Settled, Settlement};
use crate::model::{Usage, UsageClass};
use crate::provider::estimate::heard::Heard;
use crate::provider::estimate::tokenizer::{Tokenizer, prompt};
use crate::provider::said::named::Named;
use crate::provider::stream::Outcome;
use crate::provider::{Lacks, Metered, Operation, estimate};

/// Calls that may wait to be counted.
const WAITING: usize = 256;
/// The largest request that is held until its answer has come, in case that it must be counted.
const REQUEST_BYTES: usize = 256 << 10;

/// Where calls are counted.
#[derive(Debug)]
pub struct Counting {
    row: Arc<Row>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Row {
    waiting: Arc<Semaphore>,
    at_work: Semaphore,
}

/// Counts one call, if it comes to that.
#[derive(Debug)]
pub struct Counter {
    tokenizer: Tokenizer,
    operation: Operation,
    request: Option<Bytes>,
    row: Arc<Row>,
    tasks: TaskTracker,
}

/// What nobody has told.
#[derive(Debug)]
pub enum Untold {
    /// The prompt, and nothing came back.
    Prompt,
    /// The prompt and the answer, where it has tokens of its own; and what it names.
    Answer(Named, Option<Bytes>),
    /// A part of what an answer used, and the answer where it has tokens of its own.
    Part(Box<Metered>, Lacks, Option<Bytes>),
    /// The rest of what is known of a stream, and its texts.
    Stream(Box<Outcome>, Option<Heard>),
}

/// What a call has come to that was counted.
#[derive(Debug)]
pub enum Counted {
    /// It is known.
    Now(Settled),
    /// It is being counted.
    Later(JoinHandle<Settled>),
}

impl Counted {
    /// What it has come to, when it is counted.
    pub async fn settled(self) -> Settled {
        match self {
            Self::Now(settled) => settled,
            Self::Later(counted) => counted.await.unwrap_or_default(),
        }
    }
}

impl Counting {
    /// A row with nobody in it.
    #[must_use]
    pub fn new(tasks: TaskTracker) -> Self {
        let row = Row { waiting: Arc::new(Semaphore::new(WAITING)), at_work: Semaphore::new(1) };
        Self { row: Arc::new(row), tasks }
    }

    /// Who counts a call whose request this is; `None` where the rule does.
    #[must_use]
    pub fn counter(
        &self,
        tokenizer: Tokenizer,
        operation: Operation,
        request: &Bytes,
    ) -> Option<Counter> {
        tokenizer.is_exact().then(|| Counter {
            tokenizer,
            operation,
            request: (request.len() <= REQUEST_BYTES).then(|| request.clone()),
            row: self.row.clone(),
            tasks: self.tasks.clone(),
        })
    }
}

impl Counter {
    /// Counts and settles.
    pub(super) fn count(self, mut settlement: Settlement, untold: Untold) -> Counted {
        let Self { tokenizer, operation, request, row, tasks } = self;
        let place = row.waiting.clone().try_acquire_owned();
        let (Ok(place), Ok(_)) = (place, Handle::try_current()) else {
            return Counted::Now(settlement.close_by_rule(&untold));
        };
        Counted::Later(tasks.spawn(async move {
            let _at_work = row.at_work.acquire().await;
            let counted = tokio::task::spawn_blocking(move || {
                settlement.flag(tokenizer.flag());
                let input = request.and_then(|it| prompt::of_request(tokenizer, operation, &it));
                if input.is_none() || !untold.is_whole() {
                    settlement.flag(Tokenizer::Rule.flag());
                }
                let input = input.unwrap_or(settlement.input_tokens);
                let most = settlement.most_output;
                settlement.close(&untold.metered(tokenizer, input, most))
            });
            let settled = counted.await.unwrap_or_default();
            drop(place);
            settled
        }))
    }
}

impl Untold {
    /// Whether all of it is at hand.
    fn is_whole(&self) -> bool {
        match self {
            Self::Stream(_, heard) => heard.as_ref().is_some_and(Heard::is_whole),
            Self::Prompt | Self::Answer(..) | Self::Part(..) => true,
        }
    }

    /// What was used, with so many tokens of prompt and so many allowed of answers.
    pub(super) fn metered(&self, tokenizer: Tokenizer, input: u64, most: Option<u64>) -> Metered {
        let (named, answer) = match self {
            Self::Prompt => (Named::default(), None),
            Self::Answer(named, answer) => (named.clone(), answer.as_ref()),
            Self::Part(told, lacks, answer) => {
                let output = answer.as_ref().map_or(0, |it| said(tokenizer, it));
                return Metered::clone(told).with(*lacks, input, allowed(output, most));
            }
            Self::Stream(outcome, heard) => {
                let mut outcome = Outcome::clone(outcome);
                if let Some(heard) = heard.as_ref().filter(|_| tokenizer.is_exact()) {
                    outcome.counted_output = heard.tokens(tokenizer) + prompt::around(tokenizer);
                }
                outcome.counted_output = allowed(outcome.counted_output, most);
                return outcome.usage(input).0;
            }
        };
        let output = answer.map_or(0, |it| said(tokenizer, it));
        let usage = Usage::default()
            .with(UsageClass::Input, input)
            .with(UsageClass::Output, allowed(output, most))
            .with(UsageClass::Requests, 1);
        Metered { usage, ..Metered::default() }.named(&named)
    }
}

fn said(tokenizer: Tokenizer, answer: &Bytes) -> u64 {
    prompt::of_answer(tokenizer, answer).unwrap_or_else(|| estimate::of_values(answer))
}

/// A count that is a little over what the request allows is the counter's slip, whose tokens are not the provider's. One
/// that is over it by far is a provider's that does not heed it.
fn allowed(counted: u64, most: Option<u64>) -> u64 {
    most.filter(|it| counted <= it.saturating_mul(2)).map_or(counted, |it| counted.min(it))
}
