//! Puts a gateway together from its settings. Secrets and files are read here, once.

mod models;
mod names;
mod warnings;
mod zeros;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lanes::{self, Lanes};
use super::queue::{Queue, QueueParts};
use super::shadow::Shadows;
use super::usage::Usage;
use super::{Core, Provider};
use crate::gateway::cache::Cache;
use crate::gateway::cache::remote::Remote;
use crate::gateway::call::upstream::Upstream;
use crate::gateway::cassette::Cassettes;
use crate::gateway::cassette::redact::Redactor;
use crate::gateway::guard::Guard;
use crate::gateway::keys::{self, Key, Keys};
use crate::gateway::ledger::Ledger;
use crate::gateway::ledger::trail::trails::Trails;
use crate::gateway::prices::at_hand::PricesAtHand;
use crate::gateway::prices::import::List;
use crate::gateway::prices::{self, Prices};
use crate::gateway::route::{Breakers, Known};
use crate::gateway::settings::{self, CassetteMode, ClientKey, Settings};
use crate::gateway::settlement::counting::Counting;
use crate::model::{Clock, Timestamp};
use crate::provider::Dialect;
use crate::store::Store;

/// What is wrong with the address of a provider. It is not repeated: it may hold a secret.
const ODD_ADDRESS: &str = "its `url` is not an address of http or https, such as `https://api.example.com` or \
                           `http://127.0.0.1:8000`";

/// What the settings name and do not hold.
pub struct Outside<'a> {
    /// Environment variables, by name.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// Where the names of files begin.
    pub folder: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where keys are looked up that no file has.
    pub store: Option<Store>,
    /// What happens when a provider's key is not there.
    pub missing_keys: MissingKeys,
    /// The ledger, where it is in the store; else one in memory is made.
    pub ledger: Option<Arc<Ledger>>,
    /// What calls that are made later are kept and told with, where this process has a part in them.
    pub queue: Option<QueueParts>,
}

/// What happens when the variable with a provider's key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKeys {
    /// The gateway does not start.
    Refuse,
    /// It does, for replays need none, and refuses calls that would go out.
    Tell,
    /// The same, and files with keys need not be there either: its settings let no call go out.
    NotNeeded,
}

impl MissingKeys {
    fn with(self, settings: &Settings) -> Self {
        if settings.cassette_mode == CassetteMode::Replay { Self::NotNeeded } else { self }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetUpError(String);

/// A gateway, ready to serve.
pub fn core(settings: &Settings, outside: &Outside<'_>) -> Result<Arc<Core>, SetUpError> {
    let now = outside.clock.now();
    let mut secrets = Vec::new();
    let mut providers = Vec::new();
    for provider in &settings.providers {
        let missing_keys = outside.missing_keys.with(settings);
        providers.push(provider_of(provider, (outside, missing_keys), &mut secrets)?);
    }
    let known = settings.providers.iter().zip(&providers);
    let known: Vec<_> = known
        .map(|(it, ready)| Known {
            name: it.name.clone(),
            dialect: it.dialect,
            keys: ready.keys.len(),
        })
        .collect();
    check(settings, outside).map_err(SetUpError)?;
    let keys = keys_of(settings, outside, now, &mut secrets)?;
    let redactor = Redactor::new(secrets.clone());
    let cassettes = cassettes_of(settings, outside, secrets)?;
    let read = |name: &str| file(name, outside).map_err(|it| it.to_string());
    let guard = Guard::new(&settings.guardrails, &read).map_err(SetUpError)?;
    let shadows = Shadows::new(&settings.shadows, &read, outside.store.clone());
    let shadows = shadows.map_err(SetUpError)?;
    let tasks = TaskTracker::new();
    let cache = cache_of(settings, outside, &tasks)?.map(Arc::new);
    let upstream =
        Upstream::new(settings.limits.connect_ms.into(), lanes::count() + 1).map_err(SetUpError)?;
    let queue = settings.queue.clone().zip(outside.queue.clone());
    let queue = queue.map(|(its, parts)| Queue::new(its, parts, outside.clock.clone()));
    let ledger = outside.ledger.clone().unwrap_or_else(|| {
        Arc::new(Ledger::new(settings.budgets.clone(), settings.ledger.is_some()))
    });
    shadows.budgets().for_each(|it| ledger.set_budget(it));
    Ok(Arc::new(Core {
        limits: settings.limits,
        providers,
        known,
        routes: settings.routes.clone(),
        keys,
        prices: Arc::new(PricesAtHand::new(prices_of(settings, outside)?)),
        unknown_price: settings.unknown_price.clone(),
        ledger,
        cassettes,
        cassette_mode: settings.cassette_mode,
        trails: Arc::new(Trails::new(settings.traces.clone(), redactor.clone())),
        redactor,
        counting: Counting::new(tasks.clone()),
        guard,
        cache,
        queue: queue.map(Arc::new),
        shadows,
        usage: Usage::new(settings.indexes.clone()),
        upstream,
        clock: outside.clock.clone(),
        tasks,
        cut: CancellationToken::new(),
        lanes: Lanes::default(),
        breakers: Mutex::new(Breakers::default()),
        turn: AtomicUsize::new(0),
    }))
}

/// Refuses settings that do nothing, or let nothing be done.
fn check(settings: &Settings, outside: &Outside<'_>) -> Result<(), String> {
    names::check(settings, outside.store.as_ref())?;
    models::check(settings)?;
    zeros::check(settings)?;
    for told in warnings::of(settings, outside) {
        tracing::warn!("{told}");
    }
    Ok(())
}

fn provider_of(
    provider: &settings::Provider,
    (outside, missing_keys): (&Outside<'_>, MissingKeys),
    secrets: &mut Vec<String>,
) -> Result<Provider, SetUpError> {
    let name = &provider.name;
    let url = provider.url.trim_end_matches('/').to_owned();
    let address: Uri = url.parse().map_err(|_| wrong(name, ODD_ADDRESS))?;
    if address.host().is_none() || !matches!(address.scheme_str(), Some("http" | "https")) {
        return Err(wrong(name, ODD_ADDRESS));
    }
    if address.path().ends_with("/v1")
        && let Some(base) = url.strip_suffix("/v1")
    {
        let what = format!(
            "its `url` ends in `/v1`, and calls would go to `/v1/v1/…`: leave it out, `url = \"{base}\"`"
        );
        return Err(wrong(name, &what));
    }
    let mut keys = Vec::new();
    let (may_miss, files_may) =
        (missing_keys != MissingKeys::Refuse, missing_keys == MissingKeys::NotNeeded);
    let wants = format!("`key_variables` of the `[[provider]]` `{name}` names it");
    let is_absent = |it: &&String| may_miss && variable((it, &wants), outside).is_err();
    let has_no_file = |it: &&String| files_may && !outside.folder.join(it).exists();
    let absent = provider.key_variables.iter().find(is_absent);
    let missing_key = absent.or_else(|| provider.key_files.iter().find(has_no_file)).cloned();
    let variables = provider.key_variables.iter().filter(|it| !is_absent(it));
    let variables = variables.map(|it| variable((it, &wants), outside));
    let files = provider.key_files.iter().filter(|it| !has_no_file(it));
    let files = files.map(|it| file(it, outside));
    for text in variables.chain(files) {
        let text = text?.trim().to_owned();
        keys.push(Some(
            header(provider.dialect, &text)
                .ok_or_else(|| wrong(name, "a key has letters that no header may have"))?,
        ));
        secrets.push(text);
    }
    let missing_key = missing_key.filter(|_| keys.is_empty());
    if keys.is_empty() {
        keys.push(None);
    }
    let price_provider = provider.prices.as_ref().unwrap_or(name).as_str().into();
    Ok(Provider { name: name.clone(), url, price_provider, keys, missing_key })
}

fn header(dialect: Dialect, key: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, text) = match dialect {
        Dialect::OpenAi => ("authorization", format!("Bearer {key}")),
        Dialect::Anthropic => ("x-api-key", key.to_owned()),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::from_static(name), value))
}

fn keys_of(
    settings: &Settings,
    outside: &Outside<'_>,
    now: Timestamp,
    secrets: &mut Vec<String>,
) -> Result<Keys, SetUpError> {
    let keys = Keys::new(outside.store.clone());
    let mut digests = HashMap::new();
    for key in &settings.keys {
        let digest = match (&key.sha256, &key.variable) {
            (Some(text), None) => digest_of(key, text)?,
            (None, Some(name)) => {
                let wants = format!("`variable` of the `[[key]]` `{}` names it", key.name);
                let text = variable((name, &wants), outside)?;
                if let Some(told) = warnings::of_key(&key.name, &text) {
                    tracing::warn!("{told}");
                }
                secrets.push(text.clone());
                keys::digest(&text)
            }
            _ => return Err(wrong(&key.name, "a key has either `sha256` or `variable`")),
        };
        if let Some(other) = digests.insert(digest, &key.name) {
            return Err(wrong(&key.name, &format!("it has the same text as the key `{other}`")));
        }
        let ready = Key {
            name: key.name.clone(),
            subject: key.subject.clone(),
            models: key.models.clone(),
            per_minute: key.per_minute,
            expires: key.expires.map(prices::rate::Date::start),
            cassette: key.cassette.clone(),
            ..Key::default()
        };
        keys.insert(digest, ready, now);
    }
    Ok(keys)
}

fn digest_of(key: &ClientKey, text: &str) -> Result<[u8; 32], SetUpError> {
    let bytes = hex::decode(text).ok().and_then(|it| it.try_into().ok());
    bytes.ok_or_else(|| wrong(&key.name, "its `sha256` is not 64 hexadecimal digits"))
}

fn cassettes_of(
    settings: &Settings,
    outside: &Outside<'_>,
    secrets: Vec<String>,
) -> Result<Option<Cassettes>, SetUpError> {
    match (&settings.cassettes, settings.cassette_mode) {
        (Some(folder), mode) => {
            let cassettes = Cassettes::new(outside.folder.join(folder), secrets);
            let of_keys = settings.keys.iter().filter_map(|it| it.cassette.as_deref());
            for name in of_keys.filter(|_| mode != CassetteMode::Live) {
                if let Err(error) = cassettes.check(name) {
                    tracing::error!(%error, "calls with this cassette are refused until it is mended");
                }
            }
            Ok(Some(cassettes))
        }
        (None, CassetteMode::Live) => Ok(None),
        (None, _) => Err(SetUpError("`cassette_mode` needs the folder `cassettes`".to_owned())),
    }
}

fn cache_of(
    settings: &Settings,
    outside: &Outside<'_>,
    tasks: &TaskTracker,
) -> Result<Option<Cache>, SetUpError> {
    let Some(cache) = settings.cache.clone() else { return Ok(None) };
    for table in &cache.semantic {
        let problem = table.problem().map(ToOwned::to_owned);
        let leads = settings.routes.iter().any(|it| it.model.matches(&table.embedding));
        let nowhere = || format!("no route leads to its `embedding`, `{}`", table.embedding);
        if let Some(problem) = problem.or_else(|| (!leads).then(nowhere)) {
            return Err(wrong("cache.semantic", &problem));
        }
    }
    let address = match (&cache.redis, &cache.redis_variable) {
        (Some(address), None) => Some(address.0.clone()),
        (None, Some(name)) => {
            Some(variable((name, "`redis_variable` of `[cache]` names it"), outside)?)
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(wrong("cache", "it has either `redis` or `redis_variable`"));
        }
    };
    let remote = address.map(|it| Remote::new(&it, cache.redis_ms.into())).transpose();
    let remote = remote.map_err(|it| wrong("cache", &it))?;
    Ok(Some(Cache::new(cache, remote, outside.clock.clone(), tasks.clone())))
}

fn prices_of(settings: &Settings, outside: &Outside<'_>) -> Result<Prices, SetUpError> {
    let mut files = Vec::new();
    for name in &settings.prices {
        let text = file(name, outside)?;
        let is_json = Path::new(name).extension().is_some_and(|it| it.eq_ignore_ascii_case("json"));
        let read = if is_json { prices::read_json(&text) } else { prices::read_toml(&text) };
        files.push(read.map_err(|it| unread(("prices", name), &text, &it))?.prices);
    }
    if let Some(name) = &settings.public_prices {
        let text = file(name, outside)?;
        let list = prices::import::genai_prices(&text);
        files.push(list.map_err(|it| unread(("public_prices", name), &text, &it))?.prices);
    }
    for (tier, price) in names::unknown_tiers(&files) {
        let known = prices::TIERS.join(", ");
        tracing::warn!(tier, price, known, "no call is known to have this service tier of a price");
    }
    Ok(Prices::of_files(files))
}

/// Prices that a setting does not read: of a list that has to be taken in first, how that is done.
fn unread((setting, name): (&str, &str), text: &str, why: &str) -> SetUpError {
    match prices::import::looks_like(text) {
        Some(list) if list != List::GenaiPrices || setting == "prices" => {
            let also = if list == List::GenaiPrices {
                ", or name the list in `public_prices`"
            } else {
                ""
            };
            let what = format!(
                "it is the list of `{}`, which `{setting}` does not read: take it into a price file with `trunkline \
                 prices import {name} --into prices.toml`, and name that file in `prices`{also}",
                list.as_str()
            );
            wrong(name, &what)
        }
        _ => wrong(name, why),
    }
}

/// The value of a variable, and what is told of who wants it where it is not set.
fn variable((name, wants): (&str, &str), outside: &Outside<'_>) -> Result<String, SetUpError> {
    let value = (outside.variables)(name).filter(|it| !it.is_empty());
    value.ok_or_else(|| wrong(name, &format!("the environment variable is not set, and {wants}")))
}

fn file(name: &str, outside: &Outside<'_>) -> Result<String, SetUpError> {
    std::fs::read_to_string(outside.folder.join(name)).map_err(|it| wrong(name, &it.to_string()))
}

fn wrong(what: &str, why: &str) -> SetUpError {
    SetUpError(format!("`{what}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Then;

    impl Clock for Then {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
    }

    /// Starts a gateway where no variable is set and no file is there but one; says why it does not start.
    fn start_with(text: &str, (file, content): (&str, &str)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file), content).unwrap();
        let outside = Outside {
            variables: &|_| None,
            folder: folder.path().to_owned(),
            clock: Arc::new(Then),
            store: None,
            missing_keys: MissingKeys::Refuse,
            ledger: None,
            queue: None,
        };
        core(&settings::read(text).unwrap(), &outside).err().map(|it| it.to_string())
    }

    fn start(text: &str) -> Option<String> {
        start_with(text, ("other", ""))
    }

    #[tokio::test]
    async fn a_list_that_has_to_be_taken_in_first_says_how() {
        let litellm = r#"{"gpt": {"litellm_provider": "openai", "input_cost_per_token": 1e-06}}"#;
        let models_dev = r#"{"openai": {"models": {"gpt": {}}}}"#;
        let of = |setting: &str, list: &str| start_with(setting, ("list.json", list));
        let why = of("public_prices = \"list.json\"", litellm).unwrap();
        assert!(why.starts_with("`list.json`: it is the list of `litellm`"), "{why}");
        let command = "`trunkline prices import list.json --into prices.toml`";
        assert!(why.contains(command) && why.ends_with("in `prices`"), "{why}");
        for list in [litellm, models_dev, "[]"] {
            let why = of("prices = [\"list.json\"]", list).unwrap();
            assert!(why.contains(command), "{why}");
            assert_eq!(why.contains("`public_prices`"), list == "[]", "{why}");
        }
        assert_eq!(of("public_prices = \"list.json\"", "[]"), None);
        let broken = of("public_prices = \"list.json\"", "[7]").unwrap();
        assert!(!broken.contains("trunkline prices"), "{broken}");
    }

    #[tokio::test]
    async fn an_address_with_the_version_of_the_interface_is_refused() {
        let of = |url: &str| {
            start(&format!("[[provider]]\nname = \"p\"\ndialect = \"openai\"\nurl = \"{url}\""))
        };
        for end in ["/v1", "/v1/"] {
            let why = of(&format!("https://api.example.com{end}")).unwrap();
            assert!(why.starts_with("`p`: its `url` ends in `/v1`"), "{why}");
            assert!(why.ends_with("leave it out, `url = \"https://api.example.com\"`"), "{why}");
        }
        for good in ["https://api.example.com", "https://api.example.com/api/", "http://v1"] {
            assert_eq!(of(good), None, "{good}");
        }
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_names_who_wants_it_and_an_odd_address_what_it_may_be() {
        let of = |url: &str, more: &str| {
            let text = format!(
                "[[provider]]\nname = \"p\"\ndialect = \"openai\"\nurl = \"{url}\"\n{more}"
            );
            start(&text).unwrap_or_else(|| "good".to_owned())
        };
        let (url, not_set) = ("http://127.0.0.1:9", "the environment variable is not set");
        assert_eq!(
            of(url, "key_variables = [\"NOPE_KEY\"]"),
            format!(
                "`NOPE_KEY`: {not_set}, and `key_variables` of the `[[provider]]` `p` names it"
            )
        );
        assert_eq!(
            of(url, "[[key]]\nname = \"ci\"\nvariable = \"CI_KEY\""),
            format!("`CI_KEY`: {not_set}, and `variable` of the `[[key]]` `ci` names it")
        );
        for odd in ["ftp://example.com", "api.example.com", "http://a b"] {
            let why = of(odd, "");
            assert!(why.starts_with("`p`: its `url` is not an address of http"), "{odd}: {why}");
            assert!(why.contains("such as `https://api.example.com`"), "{why}");
        }
    }

    #[tokio::test]
    async fn only_a_gateway_that_replays_starts_without_the_keys_of_its_providers() {
        let keys = ["key_variables = [\"ABSENT_KEY\"]", "key_files = [\"absent.key\"]"];
        for (key, name) in keys.into_iter().zip(["ABSENT_KEY", "absent.key"]) {
            let of = |mode: &str| {
                let provider = "[[provider]]\nname = \"p\"\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"";
                start(&format!(
                    "cassettes = \"tapes\"\ncassette_mode = \"{mode}\"\n{provider}\n{key}"
                ))
            };
            assert_eq!(of("replay"), None);
            for mode in ["live", "record", "replay_or_record"] {
                let why = of(mode).unwrap();
                assert!(why.starts_with(&format!("`{name}`: ")), "{mode}: {why}");
            }
        }
    }
}
