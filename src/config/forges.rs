//! How a server reaches repositories and forges.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Environment;

/// What may be fetched from and called, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgeSettings {
    /// Hosts in private networks that may be fetched from and called.
    pub private_hosts: BTreeSet<String>,
    /// The folder below which repositories may be fetched from by `file:`.
    pub repositories: Option<PathBuf>,
    /// A GitHub App: its id, and the file of its private key.
    pub github_app: Option<(String, PathBuf)>,
}

pub(super) fn read(environment: &Environment) -> ForgeSettings {
    let get = |name| environment.get(name);
    let hosts = get("TRUNKLINE_PRIVATE_HOSTS").unwrap_or_default().split(',');
    let hosts = hosts.map(|it| it.trim().to_lowercase()).filter(|it| !it.is_empty());
    ForgeSettings {
        private_hosts: hosts.collect(),
        repositories: get("TRUNKLINE_REPOSITORIES").map(PathBuf::from),
        github_app: get("TRUNKLINE_GITHUB_APP_ID")
            .map(str::to_owned)
            .zip(get("TRUNKLINE_GITHUB_APP_KEY_FILE").map(PathBuf::from)),
    }
}
