//! Where a request comes from, before it is known who sends it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::auth::Client;
use crate::http::{App, Problem};

/// Somebody who still has to prove who they are; an address that knocks too often is refused.
#[derive(Debug, Clone)]
pub struct Newcomer(pub Client);

impl FromRequestParts<App> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|it| it.0.ip());
        let address = address(peer, &parts.headers, &app.auth.settings().trusted_proxies);
        app.auth.admit(&address)?;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok());
        Ok(Self(Client { address, agent: agent.unwrap_or_default().to_owned() }))
    }
}

/// The address of the peer; where that is a proxy we trust, the last one in `X-Forwarded-For` that is not.
pub(in crate::http) fn address(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    trusted: &[IpAddr],
) -> String {
    let Some(peer) = peer.map(|it| it.to_canonical()) else { return "unknown".to_owned() };
    let is_trusted = |it: &IpAddr| trusted.contains(it);
    if !is_trusted(&peer) {
        return network(peer);
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|it| it.to_str().ok());
    let named: Vec<&str> = lines.flat_map(|it| it.split(',')).map(str::trim).collect();
    let named = named.into_iter().rev().map_while(|it| it.parse::<IpAddr>().ok());
    let client = named.map(|it| it.to_canonical()).find(|it| !is_trusted(it));
    network(client.unwrap_or(peer))
}

/// Whoever has one IPv6 address has 2⁶⁴ of them (RFC 4291, section 2.5.4).
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        address(Some(peer.parse().unwrap()), &headers, &trusted)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(seen("192.0.2.9", "198.51.100.7"), "192.0.2.9");
        assert_eq!(seen("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(seen("::ffff:10.0.0.1", "198.51.100.7"), "198.51.100.7");
    }

    #[test]
    fn what_a_client_has_written_itself_is_not_believed() {
        assert_eq!(seen("10.0.0.1", "127.0.0.1, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", "127.0.0.1, nonsense"), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", ""), "10.0.0.1");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        assert_eq!(seen("2001:db8:1:2:3:4:5:6", ""), seen("2001:db8:1:2::1", ""));
    }
}
