//! The gateway's own file, for `trunkline gateway`: providers, routes, keys, budgets, prices.
//! Nothing is read here: files and secrets are handed in.

use serde::Deserialize;

use super::budget::Budget;
use super::budget::scope::Subject;
use super::cache::settings::CacheSettings;
use super::guard::settings::Guardrail;
use super::ledger::trail::settings::TrailSettings;
use super::prices::matcher::Matcher;
use super::prices::rate::{Date, Rates};
use super::route::Route;
use super::server::queue::settings::QueueSettings;
use super::server::shadow::settings::ShadowSettings;
use super::server::usage::settings::IndexSettings;
use crate::model::Milliseconds;
use crate::provider::Dialect;

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where apps reach it.
    pub listen: Option<String>,
    /// What is different for stages of pipelines.
    #[serde(default)]
    pub stages: ForStages,
    /// Price files, the first that knows a model counting: ours (`.toml`, `.json`).
    #[serde(default)]
    pub prices: Vec<String>,
    /// A copy of the public list `genai-prices`, after them.
    pub public_prices: Option<String>,
    /// What happens to calls of models that no price is known of.
    #[serde(default)]
    pub unknown_price: UnknownPrice,
    /// Where the ledger is written, a JSON line for each entry.
    pub ledger: Option<String>,
    /// The folder of cassettes.
    pub cassettes: Option<String>,
    /// What cassettes are for.
    #[serde(default)]
    pub cassette_mode: CassetteMode,
    /// What is kept of answers; nothing, when it is not there.
    pub cache: Option<CacheSettings>,
    /// What is noted of calls, for people to look at.
    #[serde(default)]
    pub traces: TrailSettings,
    /// Calls that are made later; there are none, when it is not there.
    pub queue: Option<QueueSettings>,
    /// Candidates that answer a share of the calls as well.
    #[serde(rename = "shadow", default)]
    pub shadows: Vec<ShadowSettings>,
    /// Who serves the indexes whose use apps report.
    #[serde(rename = "index", default)]
    pub indexes: Vec<IndexSettings>,
    /// Rules about content.
    #[serde(rename = "guardrail", default)]
    pub guardrails: Vec<Guardrail>,
    /// Limits of calls.
    #[serde(default)]
    pub limits: Limits,
    /// Providers.
    #[serde(rename = "provider", default)]
    pub providers: Vec<Provider>,
    /// Routes, the first that matches counting.
    #[serde(rename = "route", default)]
    pub routes: Vec<Route>,
    /// Keys of clients.
    #[serde(rename = "key", default)]
    pub keys: Vec<ClientKey>,
    /// Budgets.
    #[serde(rename = "budget", default)]
    pub budgets: Vec<Budget>,
}

/// How stages of pipelines use it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForStages {
    /// By what name or address containers reach this machine, where that is not the address that Docker
    /// gives it on their network.
    pub host: Option<String>,
    /// The port for them, the same at each start; one that was free at the first start, when it is not there.
    pub port: Option<u16>,
    /// Whose calls they make besides: the organisation.
    pub organisation: Option<String>,
    /// The folder of cassettes in the repository of a run, with `<pipeline>/<stage>.jsonl` for each stage.
    pub cassettes: Option<String>,
    /// What they are for, where a stage does not say.
    pub model_calls: CassetteMode,
}

/// A provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, in routes and in the ledger.
    pub name: String,
    /// Its wire format.
    pub dialect: Dialect,
    /// Where it is, without `/v1`.
    pub url: String,
    /// Its name in the price files; its name, when it is not there.
    pub prices: Option<String>,
    /// Names of environment variables with its keys; calls go out with each in turn.
    #[serde(default)]
    pub key_variables: Vec<String>,
    /// Files with its keys.
    #[serde(default)]
    pub key_files: Vec<String>,
}

/// A key of a client.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its text, in hexadecimal.
    pub sha256: Option<String>,
    /// The environment variable with its text.
    pub variable: Option<String>,
    /// Whose calls it makes.
    #[serde(default)]
    pub subject: Subject,
    /// The models it may call.
    pub models: Option<Matcher>,
    /// Calls a minute.
    pub per_minute: Option<u64>,
    /// The first day on which it is no longer valid.
    pub expires: Option<Date>,
    /// The cassette of its calls.
    pub cassette: Option<String>,
}

/// What happens to a call whose price is not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPrice {
    /// It is refused.
    #[default]
    Refuse,
    /// It costs this, and is marked.
    Assume(Rates),
}

/// What cassettes are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CassetteMode {
    /// Nothing.
    #[default]
    Live,
    /// Every call goes out and is written down.
    Record,
    /// No call goes out; one that was not written down is an error.
    Replay,
    /// Calls that were not written down go out and are.
    ReplayOrRecord,
}

impl CassetteMode {
    /// The mode of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "live" => Some(Self::Live),
            "record" => Some(Self::Record),
            "replay" => Some(Self::Replay),
            "replay_or_record" => Some(Self::ReplayOrRecord),
            _ => None,
        }
    }
}

/// Limits of calls.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest body of a request.
    pub request_bytes: u64,
    /// The largest body of an answer that is no stream.
    pub answer_bytes: u64,
    /// How long a client may take to send its request.
    pub request_ms: Milliseconds,
    /// How long a connection to a provider may take.
    pub connect_ms: Milliseconds,
    /// How long a provider may take until the first piece of its answer.
    pub first_token_ms: Milliseconds,
    /// How long a call may take.
    pub total_ms: Milliseconds,
    /// How long a client may leave its answer unread.
    pub stalled_ms: Milliseconds,
    /// How often a call is tried at most.
    pub attempts: u32,
    /// The most tokens that an answer may have whose request does not say it.
    pub default_max_output: u64,
    /// Whether a request for more tokens than a budget has left is lowered instead of refused.
    pub clamp: bool,
    /// What happens to a stream whose client has left.
    pub client_gone: ClientGone,
    /// Connections of clients at the same time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 32 << 20,
            answer_bytes: 64 << 20,
            request_ms: Milliseconds(60_000),
            connect_ms: Milliseconds(5_000),
            first_token_ms: Milliseconds(120_000),
            total_ms: Milliseconds(600_000),
            stalled_ms: Milliseconds(120_000),
            attempts: 3,
            default_max_output: 4096,
            clamp: false,
            client_gone: ClientGone::Stop,
            connections: 12_000,
        }
    }
}

/// What happens to a stream whose client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientGone {
    /// The provider's connection is closed, and what was seen is charged by count.
    Stop,
    /// It is read to its end, so that the provider's own figures are charged.
    Drain,
}

/// Reads the file.
pub fn read(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|it| it.to_string())
}
