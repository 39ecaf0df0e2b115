//! What an answer in Anthropic's format used. Cached tokens are *added* to the input here.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::openai::count::Count;
use super::super::said::named::Named;
use super::super::{Dialect, Metered, Operation};
use crate::model::{Usage, UsageClass as Class};

/// The `usage` of a message, or of the events of one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUsage {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<Count>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    iterations: Option<Vec<Iteration>>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<Count>,
    ephemeral_1h_input_tokens: Option<Count>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<Count>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Option<Count>,
}

/// One turn that the provider made within the call. The totals have those of kind `message` in them,
/// and neither those that compact the conversation nor those of an advisor, another model.
#[derive(Debug, Clone, Deserialize)]
struct Iteration {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    model: Option<String>,
    #[serde(flatten)]
    usage: IterationUsage,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct IterationUsage {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<Count>,
}

impl RawUsage {
    /// What can be read. What cannot is as if it were not said.
    pub(super) fn read(usage: &RawValue) -> Option<Self> {
        serde_json::from_str(usage.get()).ok()
    }

    /// Each field that `later` has replaces the earlier one. A new number of tokens written to the
    /// cache makes an earlier split of it void, unless they agree.
    pub(super) fn replace(&mut self, later: Self) {
        // A prompt that was read is not unread: some servers say nothing but zeros of it at the end.
        let later = if later.prompt() == 0 { later.without_prompt() } else { later };
        replace(&mut self.input_tokens, later.input_tokens);
        replace(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        replace(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        replace(&mut self.cache_creation, later.cache_creation);
        replace(&mut self.output_tokens, later.output_tokens);
        replace(&mut self.output_tokens_details, later.output_tokens_details);
        replace(&mut self.server_tool_use, later.server_tool_use);
        replace(&mut self.iterations, later.iterations);
    }

    /// All tokens of the prompt.
    fn prompt(&self) -> u64 {
        let parts =
            [self.input_tokens, self.cache_creation_input_tokens, self.cache_read_input_tokens];
        parts.into_iter().flatten().fold(0, |sum, it| it.0.saturating_add(sum))
    }

    fn without_prompt(self) -> Self {
        Self {
            input_tokens: None,
            cache_creation_input_tokens: None,
            cache_read_input_tokens: None,
            ..self
        }
    }

    fn is_said(&self) -> bool {
        self.output_tokens.is_some() || self.input_tokens.is_some() || self.prompt() > 0
    }

    fn usage(&self) -> Usage {
        let mut usage = input(
            self.input_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.cache_creation,
        );
        let output = self.output_tokens.unwrap_or_default().0;
        let thought = self.output_tokens_details.and_then(|it| it.thinking_tokens);
        let thought = thought.unwrap_or_default().0.min(output);
        usage.set(Class::Output, output - thought);
        usage.set(Class::Reasoning, thought);
        let searches = self.server_tool_use.and_then(|it| it.web_search_requests);
        usage.with(Class::WebSearches, searches.unwrap_or_default().0)
    }

    fn besides(&self) -> Vec<(Option<String>, Usage)> {
        let others = self.iterations.iter().flatten().filter(|it| it.kind != "message");
        others.map(|it| (it.model.clone(), it.usage.usage())).collect()
    }

    fn metered(&self) -> Metered {
        let usage = self.usage().with(Class::Requests, 1);
        Metered { usage, besides: self.besides(), ..Metered::default() }
    }
}

impl IterationUsage {
    fn usage(&self) -> Usage {
        let input = input(
            self.input_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.cache_creation,
        );
        input.with(Class::Output, self.output_tokens.unwrap_or_default().0)
    }
}

fn replace<T>(earlier: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *earlier = later;
    }
}

fn input(
    fresh: Option<Count>,
    cached: Option<Count>,
    written: Option<Count>,
    split: Option<CacheCreation>,
) -> Usage {
    let split = split.unwrap_or_default();
    let hour = split.ephemeral_1h_input_tokens.unwrap_or_default().0;
    let minutes = split.ephemeral_5m_input_tokens.unwrap_or_default().0;
    let written = written.map_or(hour.saturating_add(minutes), |it| it.0);
    let hour = hour.min(written);
    Usage::default()
        .with(Class::Input, fresh.unwrap_or_default().0)
        .with(Class::CacheRead, cached.unwrap_or_default().0)
        .with(Class::CacheWrite1h, hour)
        .with(Class::CacheWrite5m, written - hour)
}

/// The use of a stream as it goes on. A stream may hold one message after the other; one that begins
/// again before it stopped takes the place of the one before.
#[derive(Debug, Default)]
pub struct Running {
    done: Metered,
    current: RawUsage,
    has_final: bool,
}

impl Running {
    pub(super) fn start(&mut self, usage: RawUsage) {
        self.current = usage;
    }

    pub(super) fn replace(&mut self, usage: RawUsage) {
        self.has_final |= usage.output_tokens.is_some();
        self.current.replace(usage);
    }

    pub(super) fn stop(&mut self) {
        self.done = self.metered();
        self.current = RawUsage::default();
    }

    pub(super) fn metered(&self) -> Metered {
        let mut all = self.current.metered();
        all.usage.add(&self.done.usage);
        all.usage.set(Class::Requests, 1);
        all.besides.extend(self.done.besides.iter().cloned());
        all
    }

    /// Whether the number of tokens that came out is the provider's last word. The start of a message
    /// tells one, which is not.
    pub(in super::super) fn is_final(&self, dialect: Dialect) -> bool {
        dialect == Dialect::OpenAi || self.has_final
    }
}

#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// What an answer says of its use; `None` when it does not.
#[must_use]
pub fn of_answer(operation: Operation, body: &[u8]) -> Option<Metered> {
    if operation == Operation::CountTokens {
        let usage = Usage::default().with(Class::Requests, 1);
        return Some(Metered { usage, ..Metered::default() });
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    let told = answer.usage.and_then(RawUsage::read).filter(RawUsage::is_said)?;
    let mut named = Named::default();
    named.note_model(answer.model);
    named.note_use(answer.usage);
    Some(told.metered().named(&named))
}
