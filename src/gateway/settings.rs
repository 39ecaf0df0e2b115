//! The gateway's own file, for `trunkline gateway`: providers, routes, keys, budgets, prices.
//! Nothing is read here: files and secrets are handed in.

use serde::Deserialize;

use super::budget::Budget;
use super::budget::account::Limit;
use super::budget::scope::Subject;
use super::cache::settings::CacheSettings;
use super::guard::settings::Guardrail;
use super::ledger::trail::settings::TrailSettings;
use super::prices::matcher::Matcher;
use super::prices::rate::{Date, Decimal, Rates};
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
    /// Price files, the first that has a price of a model counting: ours (`.toml`, `.json`).
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

/// What a `[[budget]]` may say. Its limits are part of it, so that the reader itself cannot refuse other words.
const BUDGET_WORDS: [&str; 8] = [
    "id",
    "scope",
    "window",
    "usd",
    "tokens",
    "usd_per_thousand_requests",
    "at_least_requests",
    "mode",
];

/// Those of them that are dollars.
const AMOUNTS: [&str; 2] = ["usd", "usd_per_thousand_requests"];

/// Reads the file.
pub fn read(text: &str) -> Result<Settings, String> {
    let settings = toml::from_str::<Settings>(text);
    let settings = settings.map_err(|it| wrong_amount(text).unwrap_or_else(|| it.to_string()))?;
    settings.listen.as_deref().map_or(Ok(()), check_address)?;
    let file: toml::Table = toml::from_str(text).map_err(|it| it.to_string())?;
    let tables = file.get("budget").and_then(toml::Value::as_array).into_iter().flatten();
    for (budget, table) in settings.budgets.iter().zip(tables) {
        check_words(budget, table)?;
        check_limit(budget)?;
    }
    Ok(settings)
}

/// Says what is wrong with an address to listen at that has no port.
pub fn check_address(address: &str) -> Result<(), String> {
    let port = address.rsplit_once(':').map(|it| it.1.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err(format!(
            "`listen`: `{address}` has no port; write a host and a port, such as `127.0.0.1:4100`"
        )),
    }
}

/// The amount of dollars in a budget that cannot be read: the reader itself does not know where it is.
fn wrong_amount(text: &str) -> Option<String> {
    let file: toml::Table = toml::from_str(text).ok()?;
    file.get("budget")?.as_array()?.iter().find_map(|budget| {
        let id = budget.get("id").and_then(toml::Value::as_str).unwrap_or_default();
        AMOUNTS.iter().find_map(|word| {
            let why = budget.get(word)?.clone().try_into::<Decimal<6>>().err()?;
            Some(format!(
                "`{id}`: `{word}` of this `[[budget]]` cannot be read: {}; write dollars, such as `{word} = \"20\"`",
                why.message()
            ))
        })
    })
}

fn check_words(budget: &Budget, table: &toml::Value) -> Result<(), String> {
    let mut words = table.as_table().into_iter().flat_map(toml::Table::keys);
    match words.find(|it| !BUDGET_WORDS.contains(&it.as_str())) {
        Some(word) => Err(format!(
            "`{}`: a `[[budget]]` has no `{word}`; it has `{}`",
            budget.id,
            BUDGET_WORDS.join("`, `")
        )),
        None => Ok(()),
    }
}

/// A budget that limits nothing would refuse nothing, and nobody would hear of it.
fn check_limit(budget: &Budget) -> Result<(), String> {
    let Limit { money, tokens, per_thousand, at_least_requests: _ } = budget.limit;
    if money.is_some() || tokens.is_some() || per_thousand.is_some() {
        return Ok(());
    }
    Err(format!(
        "`{}`: this `[[budget]]` limits nothing, for it has none of `usd`, `tokens` and `usd_per_thousand_requests`; give it \
         one of them, such as `usd = \"20\"` or `tokens = 1000000`",
        budget.id
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(more: &str) -> String {
        let text = format!("[[budget]]\nid = \"month\"\nwindow = \"month\"\n{more}");
        read(&text).map_or_else(|why| why, |it| format!("{} budgets", it.budgets.len()))
    }

    #[test]
    fn a_budget_without_a_limit_is_refused() {
        let nothing = wrong("mode = \"soft\"\nat_least_requests = 7");
        assert!(nothing.starts_with("`month`: this `[[budget]]` limits nothing"), "{nothing}");
        assert!(nothing.contains("`usd = \"20\"`"), "{nothing}");
        for limit in ["usd = \"0\"", "tokens = 1", "usd_per_thousand_requests = \"2.5\""] {
            assert_eq!(wrong(limit), "1 budgets", "{limit}");
        }
    }

    #[test]
    fn a_word_that_no_budget_has_is_named() {
        let odd = wrong("tokens = 1\nlimit_usd = \"20\"");
        assert!(odd.starts_with("`month`: a `[[budget]]` has no `limit_usd`"), "{odd}");
        let other = read(
            "[[budget]]\nid = \"a\"\nwindow = \"day\"\nusd = \"1\"\n[[budget]]\nid = \"b\"\nwindow = \"day\"",
        );
        assert!(other.unwrap_err().starts_with("`b`:"));
    }

    #[test]
    fn an_amount_that_cannot_be_read_names_its_budget() {
        assert_eq!(
            wrong("usd = \"much\""),
            "`month`: `usd` of this `[[budget]]` cannot be read: `much` is not an amount of dollars; write dollars, such \
             as `usd = \"20\"`"
        );
        let other = wrong("usd = \"1\"\nusd_per_thousand_requests = \"-1\"");
        assert!(other.starts_with("`month`: `usd_per_thousand_requests` of this"), "{other}");
        let unknown = read("nothing = 1").unwrap_err();
        assert!(unknown.contains("nothing"), "{unknown}");
    }

    #[test]
    fn an_address_without_a_port_is_refused() {
        for (address, is_good) in [
            ("127.0.0.1:4100", true),
            ("localhost:0", true),
            ("[::1]:4100", true),
            ("localhost", false),
            ("[::1]", false),
            ("localhost:http", false),
        ] {
            let read = read(&format!("listen = \"{address}\""));
            assert_eq!(read.is_ok(), is_good, "{address}");
            let said = read.err().unwrap_or_default();
            let start = format!("`listen`: `{address}` has no port");
            assert!(is_good || said.starts_with(&start), "{said}");
        }
    }

    #[test]
    fn a_budget_may_say_all_of_its_words() {
        let all = "scope = { team = \"core\" }\nusd = \"1\"\ntokens = 2\nusd_per_thousand_requests = \"3\"\n\
                   at_least_requests = 4\nmode = \"hard\"";
        assert_eq!(wrong(all), "1 budgets");
    }
}
