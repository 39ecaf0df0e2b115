//! The place of a process among others on one database.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ConfigError, Environment};
use crate::model::Milliseconds;

/// How long a lease holds unless the environment says otherwise.
const LEASE_SECONDS: u64 = 30;

/// What processes on one database must know of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// A folder that all machines see: logs, artifacts and caches are kept there.
    pub shared_folder: Option<PathBuf>,
    /// How long a worker may be silent until others go on with its runs.
    pub lease: Milliseconds,
    /// The name of this worker.
    pub name: Option<String>,
    /// What stages may ask for.
    pub labels: BTreeMap<String, String>,
}

impl FleetSettings {
    pub(super) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let get = |name| environment.get(name);
        Ok(Self {
            shared_folder: get("TRUNKLINE_SHARED").map(PathBuf::from),
            lease: lease(get("TRUNKLINE_LEASE_SECONDS"))?,
            name: get("TRUNKLINE_WORKER_NAME").map(str::to_owned),
            labels: labels(get("TRUNKLINE_WORKER_LABELS"))?,
        })
    }
}

fn lease(value: Option<&str>) -> Result<Milliseconds, ConfigError> {
    let Some(value) = value else { return Ok(Milliseconds::from_seconds(LEASE_SECONDS)) };
    let seconds = value.parse().ok().filter(|it| (3..=3600).contains(it));
    seconds.map(Milliseconds::from_seconds).ok_or_else(|| ConfigError::BadValue {
        name: "TRUNKLINE_LEASE_SECONDS",
        value: value.to_owned(),
        expected: "a number from 3 to 3600",
    })
}

fn labels(value: Option<&str>) -> Result<BTreeMap<String, String>, ConfigError> {
    let value = value.unwrap_or_default();
    let words = value.split(',').map(str::trim).filter(|it| !it.is_empty());
    read_labels(words).ok_or_else(|| ConfigError::BadValue {
        name: "TRUNKLINE_WORKER_LABELS",
        value: value.to_owned(),
        expected: "`name=value` pairs with commas between them",
    })
}

/// Labels as they are written on a command line; `None` when one has no `=` or no name.
#[must_use]
pub fn read_labels<'a>(words: impl Iterator<Item = &'a str>) -> Option<BTreeMap<String, String>> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    words.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_lease_are_read_or_refused_by_name() {
        let read = |name, value| FleetSettings::read(&[(name, value)].into());
        let settings = read("TRUNKLINE_WORKER_LABELS", "gpu=true, arch=arm64").unwrap();
        assert_eq!(settings.labels.len(), 2);
        assert_eq!(settings.lease, Milliseconds::from_seconds(30));
        for (name, value) in [("TRUNKLINE_WORKER_LABELS", "gpu"), ("TRUNKLINE_LEASE_SECONDS", "1")]
        {
            let error = read(name, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}` is `{value}`, and must be")), "{error}");
        }
    }
}
