//! What is kept, for how long, and who shares it: the table `cache` of the gateway's file.

use std::fmt;

use serde::Deserialize;

use super::semantic::settings::SemanticSettings;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::model::Milliseconds;

/// The namespace of calls that name none.
pub const DEFAULT: &str = "default";

/// The table.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// The most that is kept in memory.
    pub memory_bytes: u64,
    /// The largest answer that is kept.
    pub entry_bytes: u64,
    /// How long answers are kept.
    pub ttl_seconds: u64,
    /// The address of a Redis that several processes share.
    pub redis: Option<RedisAddress>,
    /// The environment variable with that address.
    pub redis_variable: Option<String>,
    /// How long Redis may take for one answer.
    pub redis_ms: Milliseconds,
    /// Who gets answers of whom.
    pub share: Share,
    /// Calls that may wait for an equal one that is under way.
    pub waiters: usize,
    /// How long each of them waits before it goes out itself.
    pub wait_ms: Milliseconds,
    /// The most memory for the vectors of questions.
    pub semantic_bytes: u64,
    /// Calls that share answers by meaning, the first that matches counting.
    pub semantic: Vec<SemanticSettings>,
    /// Namespaces with a version or a time of their own.
    #[serde(rename = "namespace")]
    pub namespaces: Vec<Namespace>,
}

/// An address that may hold a password, and is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct RedisAddress(pub String);

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisAddress")
    }
}

/// A namespace.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// The version of the content that its answers are made of.
    pub version: Option<String>,
    /// How long its answers are kept.
    pub ttl_seconds: Option<u64>,
}

/// Who gets answers of whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Each key its own.
    Key,
    /// A project.
    Project,
    /// A team.
    #[default]
    Team,
    /// An organisation.
    Organisation,
    /// Everybody.
    All,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            entry_bytes: 4 << 20,
            ttl_seconds: 3600,
            redis: None,
            redis_variable: None,
            redis_ms: Milliseconds(50),
            share: Share::default(),
            waiters: 1000,
            wait_ms: Milliseconds(30_000),
            semantic_bytes: 32 << 20,
            semantic: Vec::new(),
            namespaces: Vec::new(),
        }
    }
}

impl CacheSettings {
    /// The settings of a namespace.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|it| it.name == name)
    }

    /// How long answers of a namespace are kept.
    #[must_use]
    pub fn ttl(&self, namespace: &str) -> Milliseconds {
        let own = self.namespace(namespace).and_then(|it| it.ttl_seconds);
        Milliseconds(own.unwrap_or(self.ttl_seconds).saturating_mul(1000))
    }
}

impl Share {
    /// The name of those who share. Who has no such name shares with nobody: it is the key's then.
    #[must_use]
    pub fn tenant(self, subject: &Subject, key: &str) -> String {
        let kinds: &[Kind] = match self {
            Self::All => return "all".to_owned(),
            Self::Key => &[],
            Self::Project => &[Kind::Organisation, Kind::Team, Kind::Project],
            Self::Team => &[Kind::Organisation, Kind::Team],
            Self::Organisation => &[Kind::Organisation],
        };
        let narrowest = kinds.last().and_then(|it| subject.get(*it));
        if narrowest.is_none() {
            return format!("key={key}");
        }
        let part = |it: &Kind| subject.get(*it).map(|name| format!("{}={name}", it.as_str()));
        kinds.iter().filter_map(part).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_is_named_in_full_and_who_has_no_name_shares_with_nobody() {
        let subject = Subject::default()
            .with(Kind::Organisation, "o")
            .with(Kind::Team, "core")
            .with(Kind::Run, "7");
        let of = |share: Share| share.tenant(&subject, "ci");
        assert_eq!(of(Share::Team), "organisation=o team=core");
        assert_eq!(of(Share::Organisation), "organisation=o");
        assert_eq!(of(Share::Project), "key=ci");
        assert_eq!((of(Share::Key).as_str(), of(Share::All).as_str()), ("key=ci", "all"));
    }
}
