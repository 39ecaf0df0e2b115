//! Which addresses may be called: people type them in, and the server stands in a network that they may not
//! see.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{OutgoingError, Reach};

const PRIVATE: &str = "it is private; `TRUNKLINE_PRIVATE_HOSTS` does not name it";
const NEIGHBOUR: &str = "it is link-local or tells credentials; only its own number in `TRUNKLINE_PRIVATE_HOSTS` opens it";

/// Which hosts may be private. Cheap to clone.
///
/// A name that the operator gives opens private addresses behind it, but never link-local ones: those take
/// the number itself.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    private_hosts: Arc<BTreeSet<String>>,
}

impl Policy {
    /// Public addresses, and private ones of these hosts.
    #[must_use]
    pub fn new(private_hosts: BTreeSet<String>) -> Self {
        Self { private_hosts: Arc::new(private_hosts) }
    }

    /// The same, and the host of an address that the operator has written into the settings.
    #[must_use]
    pub fn trusting(&self, address: &str) -> Self {
        let mut hosts = (*self.private_hosts).clone();
        let url = Url::parse(address).ok();
        hosts.extend(url.and_then(|it| it.host_str().map(str::to_lowercase)));
        Self::new(hosts)
    }

    /// Whether the address may be called at all; a name is judged again when it is resolved.
    pub fn admit(&self, address: &str) -> Result<Url, OutgoingError> {
        let forbidden =
            |reason| OutgoingError::Forbidden { address: without_password(address), reason };
        let url = Url::parse(address).map_err(|_| forbidden("it is no URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(forbidden("it is neither `https:` nor `http:`"));
        }
        let host = url.host_str().ok_or_else(|| forbidden("it names no host"))?;
        if url.scheme() == "http" && !self.is_named(host) {
            return Err(forbidden("`http:` is for hosts that `TRUNKLINE_PRIVATE_HOSTS` names"));
        }
        if let Ok(literal) = bare(host).parse::<IpAddr>() {
            self.judge(host, literal).map_err(forbidden)?;
        }
        Ok(url)
    }

    /// Where a host leads to, as far as a connection may go there. Connect to one of these and resolve no
    /// more: the next answer may be another.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutgoingError> {
        let found = tokio::net::lookup_host((bare(host), port)).await;
        let found = found.map_err(|error| OutgoingError::Unreachable {
            host: host.to_owned(),
            reason: error.to_string(),
        })?;
        let (mut allowed, mut refused) = (Vec::new(), "it has no address");
        for address in found {
            match self.judge(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(reason) => refused = reason,
            }
        }
        if allowed.is_empty() {
            return Err(OutgoingError::Forbidden { address: host.to_owned(), reason: refused });
        }
        Ok(allowed)
    }

    fn judge(&self, host: &str, address: IpAddr) -> Result<(), &'static str> {
        match Reach::of(address) {
            Reach::Public => Ok(()),
            Reach::Private if self.is_named(host) => Ok(()),
            Reach::Private => Err(PRIVATE),
            Reach::Neighbour if self.is_named(&address.to_string()) => Ok(()),
            Reach::Neighbour => Err(NEIGHBOUR),
        }
    }

    /// By name or number; numbers of IPv6 with or without brackets.
    fn is_named(&self, host: &str) -> bool {
        let host = host.to_lowercase();
        let bare = bare(&host);
        self.private_hosts.contains(&host)
            || self.private_hosts.iter().any(|it| self::bare(it) == bare)
    }
}

impl Resolve for Policy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let allowed = Self::resolve(&policy, name.as_str(), 0).await?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

fn without_password(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    if url.password().is_some() && url.set_password(None).is_err() {
        return String::new();
    }
    url.to_string()
}
