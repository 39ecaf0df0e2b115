//! What a streamed answer used: fed with its events, it knows the usage, whether the stream came to
//! its end, and how many tokens were seen in case that the provider never says it.

use serde_json::value::RawValue;

use super::anthropic::usage::Running;
use super::estimate::heard::Heard;
use super::said::Said;
use super::said::named::Named;
use super::sse::Event;
use super::{Dialect, Lacks, Metered, Operation, anthropic, estimate, openai};
use crate::model::{Usage, UsageClass as Class};

/// What one event does to the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    #[default]
    Open,
    /// The answer is complete; the terminal event is still to come.
    Finished,
    /// This was the terminal event.
    Ended,
    /// The provider gave up.
    Failed,
}

/// What one event says.
#[derive(Debug, Default)]
pub struct Seen {
    pub(super) metered: Option<Metered>,
    pub(super) is_usage_alone: bool,
    pub(super) has_content: bool,
    pub(super) tokens: u64,
    pub(super) fate: Fate,
}

impl Seen {
    /// An event that is not in the format: passed on, and not counted.
    pub(super) fn malformed() -> Self {
        Self::default()
    }
}

/// What is noted of events besides their use.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) said: Said,
    pub(super) named: Named,
    heard: Option<Heard>,
}

impl Notes {
    /// A piece of the answer: gives its tokens by the rule, and has it for who counts better.
    pub(super) fn hear(&mut self, piece: &RawValue) -> u64 {
        let piece = piece.get().as_bytes();
        let tokens = estimate::of_values(piece);
        if let Some(heard) = &mut self.heard {
            heard.take(piece, tokens);
        }
        tokens
    }
}

/// Whether the client shall have an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It shall.
    Forward,
    /// It was asked for by the gateway alone.
    Drop,
}

/// Reads the events of one stream.
#[derive(Debug)]
pub struct Reader {
    operation: Operation,
    drops_usage: bool,
    running: Running,
    notes: Notes,
    outcome: Outcome,
    has_finished: bool,
    has_content: bool,
    /// Tokens that were seen after the provider's last word on the use.
    seen_since: u64,
}

/// What is known of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The provider's word on the use, even if it is not its last.
    pub metered: Option<Metered>,
    /// Whether the word above is the last one.
    pub is_final: bool,
    /// Tokens of the answer as they were counted here.
    pub counted_output: u64,
    /// Whether the terminal event came.
    pub has_ended: bool,
    /// Whether the provider reported an error in the stream.
    pub has_failed: bool,
    /// What it said besides.
    pub said: Said,
    /// The model and the service tier that it named.
    pub named: Named,
}

impl Reader {
    /// For a stream of this kind; with `drops_usage`, the chunk with nothing but usage is taken out.
    #[must_use]
    pub fn new(operation: Operation, drops_usage: bool) -> Self {
        Self {
            operation,
            drops_usage,
            running: Running::default(),
            notes: Notes::default(),
            outcome: Outcome::default(),
            has_finished: false,
            has_content: false,
            seen_since: 0,
        }
    }

    /// Has the texts of the answer kept, for who counts them.
    pub fn hear(&mut self) {
        self.notes.heard = Some(Heard::default());
    }

    /// The texts that were kept.
    pub fn take_heard(&mut self) -> Option<Heard> {
        self.notes.heard.take()
    }

    /// Reads one event.
    pub fn read(&mut self, event: &Event<'_>) -> Verdict {
        if event.is_oversized || event.data.is_empty() {
            return Verdict::Forward;
        }
        let notes = &mut self.notes;
        let seen = if self.operation == Operation::Responses {
            openai::stream::read_response_event(&event.data, notes)
        } else if self.operation.dialect() == Dialect::Anthropic {
            anthropic::stream::read_event(&event.data, (&mut self.running, notes))
        } else {
            openai::stream::read_chunk(&event.data, notes)
        };
        let drop = self.drops_usage && seen.is_usage_alone;
        self.note(seen);
        if drop { Verdict::Drop } else { Verdict::Forward }
    }

    fn note(&mut self, seen: Seen) {
        self.has_content |= seen.has_content;
        let outcome = &mut self.outcome;
        outcome.counted_output = outcome.counted_output.saturating_add(seen.tokens);
        self.seen_since = self.seen_since.saturating_add(seen.tokens);
        if seen.metered.as_ref().is_some_and(Metered::is_plausible) {
            self.seen_since = 0;
            outcome.metered = seen.metered;
            outcome.is_final = self.running.is_final(self.operation.dialect());
        }
        match seen.fate {
            Fate::Open => {}
            Fate::Finished => self.has_finished = true,
            Fate::Ended => outcome.has_ended = true,
            Fate::Failed => outcome.has_failed = true,
        }
    }

    /// Whether something of the answer itself was seen.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether nothing more is to come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.outcome.has_ended
    }

    /// What is known so far. A server that leaves `[DONE]` out, after the last word on the answer and
    /// on its use, has come to its end as well.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.clone();
        outcome.said.clone_from(&self.notes.said);
        outcome.named.clone_from(&self.notes.named);
        // Some servers (vLLM, when asked) tell with each chunk what was used until then: a last word is followed by none of
        // the answer, and the answer is over.
        let is_over = self.has_finished || outcome.has_ended || outcome.has_failed;
        outcome.is_final &= self.seen_since == 0 && (is_over || self.is_anthropic());
        outcome.has_ended |= self.has_finished && outcome.is_final;
        // A message may stop without a second word on its use: the first one holds, unless more was seen.
        let said = outcome.metered.as_ref().map(|it| it.usage.output_tokens());
        outcome.is_final |=
            outcome.has_ended && said.is_some_and(|it| outcome.counted_output <= it);
        outcome.is_final &= !outcome.lacks().any();
        outcome
    }

    fn is_anthropic(&self) -> bool {
        self.operation.dialect() == Dialect::Anthropic
    }
}

impl Outcome {
    /// Whether the answer came whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.has_ended && !self.has_failed
    }

    /// What the provider's word leaves out.
    fn lacks(&self) -> Lacks {
        self.metered.as_ref().map(|it| it.lacks(true, self.counted_output > 0)).unwrap_or_default()
    }

    /// What was used, and whether that is counted here for want of the provider's last word. Then
    /// it is what the provider has said so far, at least what was counted, and `input` tokens of
    /// prompt if it said nothing of them.
    #[must_use]
    pub fn usage(&self, input: u64) -> (Metered, bool) {
        let mut metered = self.metered.clone().unwrap_or_default().named(&self.named);
        if self.is_final {
            return (metered, false);
        }
        let usage = &mut metered.usage;
        if usage.input_tokens() == 0 {
            usage.set(Class::Input, input);
        }
        let missing = self.counted_output.saturating_sub(usage.output_tokens());
        usage.add(&Usage::default().with(Class::Output, missing));
        usage.set(Class::Requests, usage.get(Class::Requests).max(1));
        (metered, true)
    }
}
