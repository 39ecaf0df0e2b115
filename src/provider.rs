//! The wire formats of model providers: what a request asks for, what an answer used, errors.
//! Unknown fields pass untouched, and bytes stay as they are wherever nothing must change.

pub mod sse;
pub mod estimate;
pub mod splice;
pub mod openai;
pub mod anthropic;
pub mod google;
pub mod bedrock;
pub mod cohere;
pub mod said;
pub mod stream;
pub mod refusal;
pub mod fake;

use std::borrow::Cow;

use crate::model::{Usage, UsageClass};
use estimate::tokenizer::Tokenizer;
use said::named::Named;

/// Whose wire format a call is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `OpenAI`, and everything that is compatible with it.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
}

impl Operation {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Embeddings,
        Self::Moderations,
        Self::Messages,
        Self::CountTokens,
    ];

    /// The kind that a path names.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.path() == path)
    }

    /// The path, the same at every provider.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::Moderations => "/v1/moderations",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
        }
    }

    /// Whose wire format it is in.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::Embeddings
            | Self::Moderations => Dialect::OpenAi,
        }
    }

    /// Whether the answer has tokens of its own, whose number the request may bound.
    #[must_use]
    pub fn has_output(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions | Self::Responses | Self::Messages)
    }

    /// Whether providers take no money for it.
    #[must_use]
    pub fn is_free(self) -> bool {
        matches!(self, Self::Moderations | Self::CountTokens)
    }
}

/// What a request asks for, as far as money, routes and caches depend on it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<'a> {
    /// The model.
    pub model: Cow<'a, str>,
    /// Whether the answer shall be a stream.
    pub is_stream: bool,
    /// Whether a stream shall end with its usage.
    pub wants_usage: bool,
    /// The most tokens that one answer may have.
    pub max_output: Option<u64>,
    /// Tokens of the answer that may be spent on thoughts; its most must be more.
    pub thinking: Option<u64>,
    /// How many answers may be made.
    pub answers: u64,
    /// The temperature.
    pub temperature: Option<f64>,
    /// Whether a seed is given.
    pub has_seed: bool,
    /// Whether it goes on with what the provider keeps, so that its bytes do not say it all.
    pub has_server_state: bool,
    /// The service tier.
    pub service_tier: Option<Cow<'a, str>>,
}

/// A request that cannot be metered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request body is not understood: {0}")]
pub struct Unreadable(pub String);

/// What must change in a request before it goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The name that the upstream has for the model.
    pub model: Option<&'a str>,
    /// Ask for the usage of a stream.
    pub ask_for_usage: bool,
    /// The most tokens that one answer may have.
    pub max_output: Option<u64>,
}

/// What an answer says of its use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metered {
    /// The model that answered.
    pub model: Option<String>,
    /// The service tier that served it.
    pub service_tier: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// What it used besides, and does not include above: of the same model where none is named.
    pub besides: Vec<(Option<String>, Usage)>,
}

/// What a provider's word on the use of a call leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacks {
    /// The tokens of the prompt.
    pub input: bool,
    /// Those of the answer.
    pub output: bool,
}

impl Lacks {
    /// Whether it is anything.
    #[must_use]
    pub fn any(self) -> bool {
        self.input || self.output
    }
}

/// More tokens than these no call can use: ten times what the largest model reads.
const TOKENS_MAX: u64 = 100_000_000;

impl Metered {
    /// Whether it can be. What cannot is as if it were not said: one slip of a provider must not use up a budget.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let all = self.besides.iter().map(|it| &it.1).chain([&self.usage]);
        all.map(Usage::tokens).fold(0, u64::saturating_add) <= TOKENS_MAX
    }

    /// With what the answer names, where this does not.
    #[must_use]
    pub fn named(mut self, named: &Named) -> Self {
        self.model = self.model.or_else(|| named.model.clone());
        self.service_tier = self.service_tier.or_else(|| named.service_tier.clone());
        self
    }

    /// What it leaves out of an answer, which may say something, or calls nothing though it cannot be.
    #[must_use]
    pub fn lacks(&self, has_output: bool, speaks: bool) -> Lacks {
        let (asked, said) = (self.usage.input_tokens(), self.usage.output_tokens());
        Lacks {
            input: asked == 0 && (speaks || said > 0 || !has_output),
            output: has_output && said == 0 && speaks,
        }
    }

    /// With what it lacks.
    #[must_use]
    pub fn with(mut self, lacks: Lacks, input: u64, output: u64) -> Self {
        if lacks.input {
            self.usage.set(UsageClass::Input, input);
        }
        if lacks.output {
            self.usage.set(UsageClass::Output, output);
        }
        self.usage.set(UsageClass::Requests, self.usage.get(UsageClass::Requests).max(1));
        self
    }
}

/// The longest name of a model, in bytes.
const MODEL_BYTES: usize = 200;

/// Reads what a request asks for. The name of its model can be written down anywhere.
pub fn read_request(operation: Operation, body: &[u8]) -> Result<Asked<'_>, Unreadable> {
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    // What is no JSON at all is told with the place where it ends to be.
    if !is_object && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        let what = "it is JSON, but no object, such as `{\"model\": \"…\"}`";
        return Err(Unreadable(what.to_owned()));
    }
    let asked = match operation.dialect() {
        Dialect::OpenAi => openai::read_request(operation, body),
        Dialect::Anthropic => anthropic::read_request(body),
    }?;
    let is_name = (1..=MODEL_BYTES).contains(&asked.model.len());
    if !is_name || asked.model.chars().any(char::is_control) {
        return Err(Unreadable(format!(
            "`model` has 1 to {MODEL_BYTES} bytes and no control characters; send the name of a model"
        )));
    }
    Ok(asked)
}

/// The request with the changes; `None` when no byte changes.
pub fn rewrite_request(
    operation: Operation,
    body: &[u8],
    changes: &Changes<'_>,
) -> Result<Option<Vec<u8>>, Unreadable> {
    match operation.dialect() {
        Dialect::OpenAi => openai::rewrite_request(operation, body, changes),
        Dialect::Anthropic => anthropic::rewrite_request(body, changes),
    }
}

/// Reads what an answer used; `None` when it does not say, or not what can be.
#[must_use]
pub fn read_answer(operation: Operation, body: &[u8]) -> Option<Metered> {
    let said = match operation.dialect() {
        Dialect::OpenAi => openai::usage::of_answer(operation, body),
        Dialect::Anthropic => anthropic::usage::of_answer(operation, body),
    };
    said.filter(Metered::is_plausible)
}

/// What the word of an answer on its use leaves out.
#[must_use]
pub fn lacks(operation: Operation, metered: &Metered, body: &[u8]) -> Lacks {
    let has_output = operation.has_output();
    if operation.is_free() || !metered.lacks(has_output, true).any() {
        return Lacks::default();
    }
    let said = estimate::tokenizer::prompt::of_answer(Tokenizer::Rule, body);
    metered.lacks(has_output, said.is_some_and(|it| it > 0))
}

#[cfg(test)]
mod tests;
