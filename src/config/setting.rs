//! The settings of a server: one row each, with its key in the file, its variable, and what it may be. The file,
//! its check and the documentation follow from these rows.

use std::net::{IpAddr, SocketAddr};

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A value that nobody should read. `<key>_file` names a file with it.
    Hidden,
    /// A whole number.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Words: a list in the file, commas in the variable.
    Words,
    /// IP addresses, likewise.
    Addresses,
    /// An IP address with a port.
    Socket,
    /// An `http:` or `https:` address.
    Url,
    /// A file or folder.
    Path,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file; a dot stands between the table and the key in it.
    pub key: &'static str,
    /// Its variable in the environment.
    pub variable: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is when nobody says; empty for nothing.
    pub default: &'static str,
    /// What it is for, as part of a sentence.
    pub about: &'static str,
}

const fn row(
    key: &'static str,
    variable: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Setting {
    Setting { key, variable, kind, default, about }
}

const DAYS: Kind = Kind::Number { min: 0, max: 36_500 };

/// Every setting, in the order of the documentation.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("state", "TRUNKLINE_STATE", Kind::Path, "`trunkline` in the user's data folder", "folder of the state: logs, blobs, mirrors, and the database when that is SQLite"),
    row("database_url", "DATABASE_URL", Kind::Hidden, "SQLite in the state folder", "the database: `postgres://…` or `sqlite:…`"),
    row("server.listen", "TRUNKLINE_LISTEN", Kind::Socket, "`127.0.0.1:7080`", "where the server listens"),
    row("server.public_url", "TRUNKLINE_PUBLIC_URL", Kind::Url, "", "where browsers and clouds reach it: scheme, host and port"),
    row("server.trusted_proxies", "TRUNKLINE_TRUSTED_PROXIES", Kind::Addresses, "", "proxies whose `X-Forwarded-For` is believed"),
    row("server.drain_seconds", "TRUNKLINE_DRAIN_SECONDS", Kind::Number { min: 0, max: 300 }, "`3`", "how long `/readyz` says no before the listener closes"),
    row("log.filter", "TRUNKLINE_LOG", Kind::Text, "`warn`; a server: `warn,trunkline=info`", "which messages are written to standard error, such as `warn,trunkline=debug`"),
    row("log.format", "TRUNKLINE_LOG_FORMAT", Kind::Choice(&["text", "json"]), "`text`", "how they are written"),
    row("metrics.listen", "TRUNKLINE_METRICS_LISTEN", Kind::Socket, "beside the rest", "an address of its own for `/metrics`"),
    row("metrics.token", "TRUNKLINE_METRICS_TOKEN", Kind::Hidden, "", "what a scraper has to show as `Authorization: Bearer …`"),
    row("traces.endpoint", "TRUNKLINE_OTLP_ENDPOINT", Kind::Url, "", "base address of an OTLP/HTTP collector; finished runs, calls to models and spans of apps are sent there"),
    row("traces.headers", "TRUNKLINE_OTLP_HEADERS", Kind::Hidden, "", "headers for it: `name=value`, separated by commas"),
    row("retention.runs_days", "TRUNKLINE_KEEP_RUNS_DAYS", DAYS, "`0`", "finished runs go after so many days, with logs and artifacts; 0 for never"),
    row("retention.runs_count", "TRUNKLINE_KEEP_RUNS_COUNT", Kind::Number { min: 1, max: 100_000 }, "`50`", "the newest runs of each project that stay whatever their age"),
    row("retention.logs_days", "TRUNKLINE_KEEP_LOGS_DAYS", DAYS, "`0`", "logs of finished runs go after so many days; 0 for with their run"),
    row("retention.artifacts_days", "TRUNKLINE_KEEP_ARTIFACTS_DAYS", DAYS, "`0`", "artifacts go after so many days, if the pipeline does not say sooner; 0 for what it says"),
    row("retention.deliveries_days", "TRUNKLINE_KEEP_DELIVERIES_DAYS", DAYS, "`30`", "processed deliveries of forges go after so many days; 0 for never"),
    row("retention.audit_days", "TRUNKLINE_KEEP_AUDIT_DAYS", DAYS, "`0`", "entries of the audit log go after so many days; 0 for never"),
    row("retention.traces_days", "TRUNKLINE_KEEP_TRACES_DAYS", DAYS, "`30`", "traces of calls to models go after so many days; 0 for never"),
    row("retention.trace_contents_days", "TRUNKLINE_KEEP_TRACE_CONTENTS_DAYS", DAYS, "`7`", "what was asked and answered in them, where it is kept, goes after so many days; 0 for with its trace"),
    row("worker.executor", "TRUNKLINE_EXECUTOR", Kind::Choice(&["docker", "host"]), "`docker`", "what runs stages"),
    row("worker.jobs", "TRUNKLINE_JOBS", Kind::Number { min: 1, max: 1000 }, "the number of CPUs, at least 2", "stages at the same time"),
    row("worker.name", "TRUNKLINE_WORKER_NAME", Kind::Text, "the machine's, with four letters of the state folder's id", "the name of this worker"),
    row("worker.labels", "TRUNKLINE_WORKER_LABELS", Kind::Words, "", "what stages may ask for: `name=value`"),
    row("worker.shared", "TRUNKLINE_SHARED", Kind::Path, "the state folder", "folder of logs, artifacts and caches, which all machines on one database see"),
    row("worker.lease_seconds", "TRUNKLINE_LEASE_SECONDS", Kind::Number { min: 3, max: 3600 }, "`30`", "how long a worker may be silent until others go on with its runs"),
    row("worker.docker_host", "DOCKER_HOST", Kind::Text, "Docker's own", "address of the Docker daemon"),
    row("worker.docker_config", "DOCKER_CONFIG", Kind::Path, "`~/.docker`", "folder of Docker's `config.json`, with credentials of registries"),
    row("gateway.file", "TRUNKLINE_GATEWAY", Kind::Path, "", "file of the LLM gateway that stages and apps use: providers, routes, prices, budgets"),
    row("forges.private_hosts", "TRUNKLINE_PRIVATE_HOSTS", Kind::Words, "", "hosts in private networks that may be called and fetched from"),
    row("forges.repositories", "TRUNKLINE_REPOSITORIES", Kind::Path, "", "folder below which `file:` repositories may be"),
    row("forges.github_app_id", "TRUNKLINE_GITHUB_APP_ID", Kind::Text, "", "id of a GitHub App"),
    row("forges.github_app_key_file", "TRUNKLINE_GITHUB_APP_KEY_FILE", Kind::Path, "", "its private key (PEM)"),
    row("mail.smtp_url", "TRUNKLINE_SMTP_URL", Kind::Hidden, "", "the mail server, as `smtps://login:password@host:465` or `smtp://host:587?tls=required`"),
    row("mail.from", "TRUNKLINE_MAIL_FROM", Kind::Text, "", "the address that letters come from"),
    row("oidc.issuer", "TRUNKLINE_OIDC_ISSUER", Kind::Url, "", "an OpenID provider that people sign in at"),
    row("oidc.client_id", "TRUNKLINE_OIDC_CLIENT_ID", Kind::Text, "", "the server's id there"),
    row("oidc.client_secret", "TRUNKLINE_OIDC_CLIENT_SECRET", Kind::Hidden, "", "its secret there; a public client has none"),
    row("oidc.domains", "TRUNKLINE_OIDC_DOMAINS", Kind::Words, "", "domains of the addresses of those who may sign in; none: everybody the provider knows"),
    row("oidc.groups_claim", "TRUNKLINE_OIDC_GROUPS_CLAIM", Kind::Text, "`groups`", "the claim with a person's groups"),
    row("oidc.groups", "TRUNKLINE_OIDC_GROUPS", Kind::Words, "", "what groups may do: `<group>=<team>:<role>`"),
    row("keys.holder", "TRUNKLINE_KEYS", Kind::Choice(&["file", "transit", "aws-kms"]), "`file`", "what secrets are sealed under"),
    row("keys.file", "TRUNKLINE_KEY_FILE", Kind::Path, "`secret.keys` in the state folder", "the key file"),
    row("keys.transit.url", "TRUNKLINE_TRANSIT_URL", Kind::Url, "", "address of OpenBao or Vault"),
    row("keys.transit.mount", "TRUNKLINE_TRANSIT_MOUNT", Kind::Text, "`transit`", "where its transit engine is mounted"),
    row("keys.transit.key", "TRUNKLINE_TRANSIT_KEY", Kind::Text, "`trunkline`", "name of the key there"),
    row("keys.transit.token", "TRUNKLINE_TRANSIT_TOKEN", Kind::Hidden, "", "a token that may use the key"),
    row("keys.transit.namespace", "BAO_NAMESPACE", Kind::Text, "", "its namespace"),
    row("keys.aws_kms.key", "TRUNKLINE_AWS_KMS_KEY", Kind::Text, "", "id, ARN or alias of a key of AWS KMS"),
    row("keys.aws_kms.region", "AWS_REGION", Kind::Text, "", "its region"),
    row("keys.aws_kms.endpoint", "AWS_ENDPOINT_URL_KMS", Kind::Url, "that of the region", "another address of the service"),
    row("keys.aws_kms.access_key", "AWS_ACCESS_KEY_ID", Kind::Text, "", "access key id"),
    row("keys.aws_kms.secret_key", "AWS_SECRET_ACCESS_KEY", Kind::Hidden, "", "secret access key"),
    row("keys.aws_kms.session_token", "AWS_SESSION_TOKEN", Kind::Hidden, "", "session token of temporary credentials"),
];

impl Setting {
    /// The setting with this key, and whether the key ends with `_file` and so names a file with the value.
    #[must_use]
    pub fn find(key: &str) -> Option<(&'static Self, bool)> {
        if let Some(found) = SETTINGS.iter().find(|it| it.key == key) {
            return Some((found, false));
        }
        let key = key.strip_suffix("_file")?;
        let found = SETTINGS.iter().find(|it| it.key == key && it.kind == Kind::Hidden);
        found.map(|it| (it, true))
    }

    /// What it must be, when a text is not that.
    #[must_use]
    pub fn refuse(&self, text: &str) -> Option<String> {
        match self.kind {
            Kind::Text | Kind::Hidden | Kind::Words | Kind::Path => None,
            Kind::Number { min, max } => {
                let is_fine = text.parse().is_ok_and(|it: u64| (min..=max).contains(&it));
                (!is_fine).then(|| format!("a number from {min} to {max}"))
            }
            Kind::Addresses => {
                let all = text.split(',').all(|it| it.trim().parse::<IpAddr>().is_ok());
                (!all).then(|| "IP addresses".to_owned())
            }
            Kind::Socket => {
                let is_fine = text.parse::<SocketAddr>().is_ok();
                (!is_fine).then(|| "an IP address with a port, such as `0.0.0.0:7080`".to_owned())
            }
            Kind::Url => {
                let url = reqwest::Url::parse(text).ok();
                let is_fine = url.is_some_and(|it| matches!(it.scheme(), "http" | "https"));
                (!is_fine).then(|| "an `https:` or `http:` address".to_owned())
            }
            Kind::Choice(words) => (!words.contains(&text))
                .then(|| words.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(" or ")),
        }
    }

    /// The variable that names a file with the value, of a hidden one.
    #[must_use]
    pub fn file_variable(&self) -> Option<String> {
        (self.kind == Kind::Hidden).then(|| format!("{}_FILE", self.variable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_variable_is_there_once() {
        let mut seen = std::collections::BTreeSet::new();
        for setting in SETTINGS {
            assert!(seen.insert(setting.key), "{}", setting.key);
            assert!(seen.insert(setting.variable), "{}", setting.variable);
        }
    }

    #[test]
    fn every_variable_that_is_read_has_a_row() {
        let mut read = std::collections::BTreeSet::new();
        let mut folders = vec![std::path::PathBuf::from("src/config"), "src/config.rs".into()];
        while let Some(path) = folders.pop() {
            if path.is_dir() {
                folders.extend(std::fs::read_dir(path).unwrap().map(|it| it.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for part in text.split("\"TRUNKLINE_").skip(1) {
                let name: String =
                    part.chars().take_while(|it| it.is_ascii_uppercase() || *it == '_').collect();
                // Not the beginning of a name, as in this test.
                if !name.is_empty() {
                    read.insert(format!("TRUNKLINE_{name}"));
                }
            }
        }
        // What names the file, and what a client of a server reads, is no setting of the server.
        let others = ["TRUNKLINE_CONFIG", "TRUNKLINE_SERVER", "TRUNKLINE_TOKEN", "TRUNKLINE_CA"];
        for name in read.iter().filter(|it| !others.contains(&it.as_str())) {
            let found = SETTINGS
                .iter()
                .any(|it| it.variable == name || it.file_variable().as_deref() == Some(name));
            assert!(found, "`{name}` is read, and `SETTINGS` has no row for it");
        }
    }
}
