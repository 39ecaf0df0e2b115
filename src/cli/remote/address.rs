//! Where a server is: scheme, host and port.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::cli::failure::Usage;

/// Scheme, host and port of a server, in lower case and without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// Reads what a person typed; without a scheme it is reached over TLS.
    pub fn parse(text: &str) -> Result<Self, Usage> {
        let with_scheme =
            if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let bad = |why: &str| {
            let help = "give its scheme, host and port, as in `https://ci.example.org`";
            Usage::new(format!("`{}` is not the address of a server: {why}", shown(text)), help)
        };
        let url = Url::parse(&with_scheme).map_err(|error| bad(&error.to_string()))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(bad("its scheme is neither `https` nor `http`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it has a login or password in it"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("something follows the host"));
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// As it is used: `https://ci.example.org`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a person may call it: without `https://`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or(&self.0)
    }

    /// Whether what is said to it can be read on the way by others than this machine.
    #[must_use]
    pub fn is_open_to_listeners(&self) -> bool {
        let Some(host) = self.0.strip_prefix("http://") else { return false };
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host != "localhost" && !address.is_ok_and(|it| it.is_loopback())
    }

    /// Whether a person means this one by `name`: its address, or its host with or without the port.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let Some((_, rest)) = self.0.split_once("://") else { return false };
        rest == name || rest.rsplit_once(':').is_some_and(|(host, _)| host == name)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Without what may be a password.
fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_one_address() {
        for (typed, wanted) in [
            ("https://CI.example.org/", "https://ci.example.org"),
            ("ci.example.org", "https://ci.example.org"),
            ("ci.example.org:8443", "https://ci.example.org:8443"),
            ("https://ci.example.org:443", "https://ci.example.org"),
            ("http://127.0.0.1:7080", "http://127.0.0.1:7080"),
            ("http://[::1]:7080", "http://[::1]:7080"),
        ] {
            assert_eq!(Address::parse(typed).unwrap().as_str(), wanted);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for (typed, wanted) in [
            ("ftp://ci", "neither `https` nor `http`"),
            ("https://ada:secret@ci", "`…@ci` is not the address of a server: it has a login"),
            ("https://ci/team", "something follows the host"),
            ("https://ci?x=1", "something follows the host"),
            ("", "`` is not the address of a server"),
        ] {
            let message = Address::parse(typed).unwrap_err().message;
            assert!(message.contains(wanted) && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn only_this_machine_is_private_without_tls() {
        let is_open = |it| Address::parse(it).unwrap().is_open_to_listeners();
        assert!(is_open("http://ci.example.org") && is_open("http://10.0.0.1:7080"));
        for private in ["https://ci", "http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"]
        {
            assert!(!is_open(private), "{private}");
        }
    }

    #[test]
    fn a_host_stands_for_its_server() {
        let address = Address::parse("https://ci.example.org:8443").unwrap();
        assert!(address.is_called("ci.example.org") && address.is_called("ci.example.org:8443"));
        assert!(!address.is_called("ci.example") && !address.is_called("example.org"));
    }
}
