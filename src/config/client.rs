//! Which server the commands of this person are for, and how it is reached.

use std::fmt;
use std::path::PathBuf;

use crate::config::Environment;

/// What the environment says about the server that commands are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// The server, as `TRUNKLINE_SERVER` names it.
    pub server: Option<String>,
    /// The token for it, from `TRUNKLINE_TOKEN`; wins over one that was stored.
    pub token: Option<ApiToken>,
    /// Certificates of authorities that are trusted as well, from `TRUNKLINE_CA`.
    pub ca: Option<PathBuf>,
    /// The folder of this person's settings, where tokens of servers are stored.
    pub folder: Option<PathBuf>,
    /// Proxies on the way.
    pub proxies: ProxySettings,
}

/// Proxies, as most programs read them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// For `http:`, from `http_proxy`.
    pub http: Option<String>,
    /// For `https:`, from `HTTPS_PROXY`.
    pub https: Option<String>,
    /// For both, from `ALL_PROXY`.
    pub all: Option<String>,
    /// Hosts that are reached without one, from `NO_PROXY`.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for ProxySettings {
    /// An address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

/// A token of a server's API. Never shown.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ApiToken(pub String);

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

/// Reads `TRUNKLINE_SERVER`, `TRUNKLINE_TOKEN`, `TRUNKLINE_CA`, and what all programs have in common.
pub(super) fn read(environment: &Environment) -> ClientSettings {
    let get = |name| environment.get(name).map(str::to_owned);
    let either = |lower, upper| get(lower).or_else(|| get(upper));
    ClientSettings {
        server: get("TRUNKLINE_SERVER"),
        token: get("TRUNKLINE_TOKEN").map(|it| ApiToken(it.trim().to_owned())),
        ca: get("TRUNKLINE_CA").map(PathBuf::from),
        folder: folder(environment),
        proxies: ProxySettings {
            // Upper case could be set by whoever sends a request to a CGI program (CVE-2016-5385).
            http: get("http_proxy"),
            https: either("https_proxy", "HTTPS_PROXY"),
            all: either("all_proxy", "ALL_PROXY"),
            no_proxy: either("no_proxy", "NO_PROXY"),
        },
    }
}

fn folder(environment: &Environment) -> Option<PathBuf> {
    let config = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(environment.get("HOME")?).join(".config"));
    Some(config.or_else(home)?.join("trunkline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_shown() {
        let settings = read(
            &[
                ("TRUNKLINE_TOKEN", "tlt_secret\n"),
                ("https_proxy", "http://ada:secret@proxy:3128"),
                ("HOME", "/home/ada"),
            ]
            .into(),
        );
        assert_eq!(settings.token, Some(ApiToken("tlt_secret".to_owned())));
        assert_eq!(settings.folder, Some(PathBuf::from("/home/ada/.config/trunkline")));
        assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
    }
}
