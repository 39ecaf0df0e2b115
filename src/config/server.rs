//! How a server listens, is watched, and forgets.

use std::net::SocketAddr;

use super::keys::Hidden;
use super::{ConfigError, Environment};

const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7080);
const DRAIN_SECONDS: u64 = 3;
const RUNS_COUNT: u32 = 50;
const DELIVERIES_DAYS: u32 = 30;
const TRACES_DAYS: u32 = 30;
const TRACE_CONTENTS_DAYS: u32 = 7;

/// How a server listens and is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long `/readyz` says no before the listener closes.
    pub drain_seconds: u64,
    /// An address of its own for `/metrics`.
    pub metrics_listen: Option<SocketAddr>,
    /// What a scraper has to show.
    pub metrics_token: Option<Hidden>,
    /// Where traces of finished runs go.
    pub traces: Option<TraceSettings>,
    /// How long things are kept.
    pub retention: RetentionSettings,
}

/// A collector of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// Its base address.
    pub endpoint: String,
    /// Headers with each request.
    pub headers: Vec<(String, Hidden)>,
}

/// How long things are kept. Zero days: forever, or for runs' logs and artifacts: as long as they would be
/// without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Days of finished runs.
    pub runs_days: u32,
    /// Newest runs of a project that stay whatever their age.
    pub runs_count: u32,
    /// Days of the logs of finished runs.
    pub logs_days: u32,
    /// Days of artifacts, if the pipeline says no less.
    pub artifacts_days: u32,
    /// Days of deliveries that were processed.
    pub deliveries_days: u32,
    /// Days of the audit log.
    pub audit_days: u32,
    /// Days of the traces of calls to models.
    pub traces_days: u32,
    /// Days of what was asked and answered in them, where that is kept.
    pub trace_contents_days: u32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            runs_days: 0,
            runs_count: RUNS_COUNT,
            logs_days: 0,
            artifacts_days: 0,
            deliveries_days: DELIVERIES_DAYS,
            audit_days: 0,
            traces_days: TRACES_DAYS,
            trace_contents_days: TRACE_CONTENTS_DAYS,
        }
    }
}

pub(super) fn read(environment: &Environment) -> Result<ServerSettings, ConfigError> {
    Ok(ServerSettings {
        listen: socket(environment, "TRUNKLINE_LISTEN")?.unwrap_or(LISTEN),
        drain_seconds: number(environment, "TRUNKLINE_DRAIN_SECONDS", DRAIN_SECONDS)?,
        metrics_listen: socket(environment, "TRUNKLINE_METRICS_LISTEN")?,
        metrics_token: environment.get("TRUNKLINE_METRICS_TOKEN").map(|it| Hidden(it.to_owned())),
        traces: traces(environment)?,
        retention: retention(environment)?,
    })
}

impl TraceSettings {
    /// Of an address, and headers as `name=value`, separated by commas; `None` when they are not.
    #[must_use]
    pub fn new(endpoint: &str, headers: &str) -> Option<Self> {
        let headers = headers.split(',').map(str::trim).filter(|it| !it.is_empty());
        let pair = |it: &str| {
            let (name, value) = it.split_once('=')?;
            Some((name.trim().to_owned(), Hidden(value.trim().to_owned())))
        };
        let headers = headers.map(pair).collect::<Option<Vec<_>>>()?;
        Some(Self { endpoint: endpoint.trim_end_matches('/').to_owned(), headers })
    }
}

fn traces(environment: &Environment) -> Result<Option<TraceSettings>, ConfigError> {
    let Some(endpoint) = environment.get("TRUNKLINE_OTLP_ENDPOINT") else { return Ok(None) };
    let headers = environment.get("TRUNKLINE_OTLP_HEADERS").unwrap_or_default();
    let settings = TraceSettings::new(endpoint, headers);
    let settings = settings.ok_or_else(|| ConfigError::BadValue {
        name: "TRUNKLINE_OTLP_HEADERS",
        value: "…".to_owned(),
        expected: "`name=value`, separated by commas",
    })?;
    Ok(Some(settings))
}

fn retention(environment: &Environment) -> Result<RetentionSettings, ConfigError> {
    let own = RetentionSettings::default();
    Ok(RetentionSettings {
        runs_days: number(environment, "TRUNKLINE_KEEP_RUNS_DAYS", own.runs_days)?,
        runs_count: number(environment, "TRUNKLINE_KEEP_RUNS_COUNT", own.runs_count)?,
        logs_days: number(environment, "TRUNKLINE_KEEP_LOGS_DAYS", own.logs_days)?,
        artifacts_days: number(environment, "TRUNKLINE_KEEP_ARTIFACTS_DAYS", own.artifacts_days)?,
        deliveries_days: number(
            environment,
            "TRUNKLINE_KEEP_DELIVERIES_DAYS",
            own.deliveries_days,
        )?,
        audit_days: number(environment, "TRUNKLINE_KEEP_AUDIT_DAYS", own.audit_days)?,
        traces_days: number(environment, "TRUNKLINE_KEEP_TRACES_DAYS", own.traces_days)?,
        trace_contents_days: number(
            environment,
            "TRUNKLINE_KEEP_TRACE_CONTENTS_DAYS",
            own.trace_contents_days,
        )?,
    })
}

fn socket(
    environment: &Environment,
    name: &'static str,
) -> Result<Option<SocketAddr>, ConfigError> {
    let read = |value: &str| {
        value.parse().map_err(|_| ConfigError::BadValue {
            name,
            value: value.to_owned(),
            expected: "an IP address with a port",
        })
    };
    environment.get(name).map(read).transpose()
}

/// A number within the bounds of its row.
fn number<T: TryFrom<u64>>(
    environment: &Environment,
    name: &'static str,
    default: T,
) -> Result<T, ConfigError> {
    let Some(value) = environment.get(name) else { return Ok(default) };
    let setting = super::SETTINGS.iter().find(|it| it.variable == name);
    let is_fine = setting.is_none_or(|it| it.refuse(value).is_none());
    let number = value.parse().ok().filter(|_| is_fine).and_then(|it| T::try_from(it).ok());
    let bad = || ConfigError::BadValue {
        name,
        value: value.to_owned(),
        expected: "a number within the bounds that `docs/configuration.md` gives",
    };
    number.ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = read(&Environment::default()).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7080");
        assert_eq!((settings.drain_seconds, settings.retention.runs_count), (3, 50));
        assert_eq!((settings.traces, settings.metrics_token), (None, None));
    }

    #[test]
    fn headers_of_the_collector_are_not_shown() {
        let environment = [
            ("TRUNKLINE_OTLP_ENDPOINT", "https://otel.example/"),
            ("TRUNKLINE_OTLP_HEADERS", "authorization=Bearer hunter2, x=y"),
        ];
        let traces = read(&environment.into()).unwrap().traces.unwrap();
        assert_eq!((&*traces.endpoint, traces.headers.len()), ("https://otel.example", 2));
        assert!(!format!("{traces:?}").contains("hunter2"));
    }

    #[test]
    fn a_number_out_of_bounds_is_refused_by_name() {
        let environment = [("TRUNKLINE_DRAIN_SECONDS", "301")];
        let error = read(&environment.into()).unwrap_err().to_string();
        assert!(error.starts_with("`TRUNKLINE_DRAIN_SECONDS` is `301`, and must be"), "{error}");
    }
}
