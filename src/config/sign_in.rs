//! How people sign in, and under which address the server is reached.

use std::net::IpAddr;

use crate::config::{ConfigError, Environment};
use crate::model::Role;

/// What the operator says about sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignInSettings {
    /// Where browsers and clouds reach the server: scheme, host and port, without a slash at the end.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Who else says who people are.
    pub provider: Option<ProviderSettings>,
}

impl SignInSettings {
    /// Whether browsers reach the server over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|it| it.starts_with("https://"))
    }
}

/// An OpenID provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its issuer, as in its discovery document.
    pub issuer: String,
    /// Our id there.
    pub client_id: String,
    /// Our secret there; empty for a public client.
    pub client_secret: String,
    /// Domains of the verified addresses of those who may sign in; none: whoever the provider lets in.
    pub domains: Vec<String>,
    /// The claim with a person's groups.
    pub groups_claim: String,
    /// What the groups may do.
    pub grants: Vec<GroupGrant>,
}

impl std::fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderSettings").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Members of a group have a role in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGrant {
    /// Group, as the provider names it.
    pub group: String,
    /// Name of the team.
    pub team: String,
    /// The role.
    pub role: Role,
}

/// Reads `TRUNKLINE_PUBLIC_URL`, `TRUNKLINE_TRUSTED_PROXIES` and `TRUNKLINE_OIDC_*`.
pub(super) fn read(environment: &Environment) -> Result<SignInSettings, ConfigError> {
    Ok(SignInSettings {
        public_url: environment.get("TRUNKLINE_PUBLIC_URL").map(public_url).transpose()?,
        trusted_proxies: trusted_proxies(environment.get("TRUNKLINE_TRUSTED_PROXIES"))?,
        provider: provider(environment)?,
    })
}

fn public_url(value: &str) -> Result<String, ConfigError> {
    let bad = || ConfigError::BadValue {
        name: "TRUNKLINE_PUBLIC_URL",
        value: value.to_owned(),
        expected: "`https://` or `http://` with a host and no path",
    };
    let url = value.strip_suffix('/').unwrap_or(value);
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_host = |it: &&str| !it.is_empty() && !it.contains(['/', '?', '#', '@', ' ']);
    rest.filter(is_host).ok_or_else(bad)?;
    Ok(url.to_lowercase())
}

fn trusted_proxies(value: Option<&str>) -> Result<Vec<IpAddr>, ConfigError> {
    let read = |word: &str| {
        word.parse().map_err(|_| ConfigError::BadValue {
            name: "TRUNKLINE_TRUSTED_PROXIES",
            value: word.to_owned(),
            expected: "IP addresses, separated by commas",
        })
    };
    words(value).map(read).collect()
}

fn provider(environment: &Environment) -> Result<Option<ProviderSettings>, ConfigError> {
    let get = |name| environment.get(name);
    let Some(issuer) = get("TRUNKLINE_OIDC_ISSUER") else { return Ok(None) };
    let client_id = get("TRUNKLINE_OIDC_CLIENT_ID").ok_or(ConfigError::BadValue {
        name: "TRUNKLINE_OIDC_CLIENT_ID",
        value: String::new(),
        expected: "the id that the provider has given to this server",
    })?;
    let domains = words(get("TRUNKLINE_OIDC_DOMAINS")).map(str::to_lowercase).collect();
    Ok(Some(ProviderSettings {
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        client_secret: get("TRUNKLINE_OIDC_CLIENT_SECRET").unwrap_or_default().to_owned(),
        domains,
        groups_claim: get("TRUNKLINE_OIDC_GROUPS_CLAIM").unwrap_or("groups").to_owned(),
        grants: words(get("TRUNKLINE_OIDC_GROUPS")).map(grant).collect::<Result<_, _>>()?,
    }))
}

/// `<group>=<team>:<role>`.
fn grant(word: &str) -> Result<GroupGrant, ConfigError> {
    let parts = || {
        let (group, place) = word.rsplit_once('=')?;
        let (team, role) = place.split_once(':')?;
        let (group, team) = (group.to_owned(), team.to_owned());
        Some(GroupGrant { group, team, role: Role::parse(role)? })
    };
    parts().ok_or_else(|| ConfigError::BadValue {
        name: "TRUNKLINE_OIDC_GROUPS",
        value: word.to_owned(),
        expected: "`<group>=<team>:<role>`, separated by commas",
    })
}

fn words(value: Option<&str>) -> impl Iterator<Item = &str> {
    value.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_off() {
        let settings = read(&Environment::default()).unwrap();
        assert_eq!(settings, SignInSettings::default());
        assert!(!settings.is_https());
    }

    #[test]
    fn a_provider_is_read_with_its_groups() {
        let environment = [
            ("TRUNKLINE_PUBLIC_URL", "https://CI.example.org/"),
            ("TRUNKLINE_TRUSTED_PROXIES", "10.0.0.1, ::1"),
            ("TRUNKLINE_OIDC_ISSUER", "https://id.example.org"),
            ("TRUNKLINE_OIDC_CLIENT_ID", "ci"),
            ("TRUNKLINE_OIDC_DOMAINS", "Example.org"),
            ("TRUNKLINE_OIDC_GROUPS", "cn=ops=search:admin,all=search:viewer"),
        ];
        let settings = read(&environment.into()).unwrap();
        assert_eq!(settings.public_url.as_deref(), Some("https://ci.example.org"));
        assert!(settings.is_https());
        assert_eq!(settings.trusted_proxies.len(), 2);
        let provider = settings.provider.unwrap();
        assert_eq!(
            (provider.domains.as_slice(), &*provider.groups_claim),
            (&["example.org".to_owned()][..], "groups")
        );
        let grants = provider.grants.iter().map(|it| (&*it.group, &*it.team, it.role));
        assert_eq!(
            grants.collect::<Vec<_>>(),
            [("cn=ops", "search", Role::Admin), ("all", "search", Role::Viewer)]
        );
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_by_name() {
        for (name, value) in [
            ("TRUNKLINE_PUBLIC_URL", "ci.example.org"),
            ("TRUNKLINE_PUBLIC_URL", "https://ci.example.org/path"),
            ("TRUNKLINE_TRUSTED_PROXIES", "proxy"),
            ("TRUNKLINE_OIDC_GROUPS", "ops=search:king"),
        ] {
            let issuer = ("TRUNKLINE_OIDC_ISSUER", "https://id.example.org");
            let environment = [issuer, ("TRUNKLINE_OIDC_CLIENT_ID", "ci"), (name, value)];
            let error = read(&environment.into()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}` is `{value}`, and must be ")), "{error}");
        }
    }
}
