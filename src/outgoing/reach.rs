//! How far an address leads: to the public, into a network that only this machine sees, or to where machines
//! are told their own secrets. What is not known to be public counts as private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Everybody can call it.
    Public,
    /// This machine, or a network behind it.
    Private,
    /// The next machine, or the service that tells a virtual machine its credentials.
    Neighbour,
}

/// Azure's service for its virtual machines, in a public range
/// (<https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>).
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// Alibaba's and Oracle's, in ranges for other things.
const OTHER_METADATA: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
/// That of AWS in IPv6.
const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    /// That of an address (the registries of RFC 6890, and addresses of IPv4 inside of those of IPv6).
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(it) => Self::of_v4(it),
            IpAddr::V6(it) => Self::of_v6(it),
        }
    }

    fn of_v4(it: Ipv4Addr) -> Self {
        if it.is_link_local() || it == AZURE_WIRE_SERVER || OTHER_METADATA.contains(&it) {
            return Self::Neighbour;
        }
        let [a, b, c, _] = it.octets();
        let is_private = it.is_private()
            || it.is_loopback()
            || it.is_multicast()
            || it.is_documentation()
            || a == 0
            || a >= 240
            || (a == 100 && b & 0xc0 == 64)
            || (a == 198 && b & 0xfe == 18)
            || [(192, 0, 0), (192, 88, 99)].contains(&(a, b, c));
        if is_private { Self::Private } else { Self::Public }
    }

    fn of_v6(it: Ipv6Addr) -> Self {
        if let Some(embedded) = embedded(it) {
            return Self::of_v4(embedded);
        }
        let [first, second, ..] = it.segments();
        if first & 0xffc0 == 0xfe80 || it == AWS_METADATA {
            return Self::Neighbour;
        }
        // Only 2000::/3 is given out to the public; in it are protocols' own and documentation's ranges.
        let is_public = first & 0xe000 == 0x2000
            && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
            && first & 0xfff0 != 0x3ff0;
        if is_public { Self::Public } else { Self::Private }
    }
}

/// The address of IPv4 that one of IPv6 leads to: mapped, or through NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded(it: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., high, low] = it.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (first, second) {
        (0x64, 0xff9b) => Some(joined(high, low)),
        (0x2002, _) => Some(joined(second, third)),
        _ => it.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str) -> Reach {
        Reach::of(address.parse().unwrap())
    }

    #[test]
    fn what_is_public_is_known_to_be() {
        for address in ["1.1.1.1", "140.82.121.3", "2606:4700::1111", "64:ff9b::101:101"] {
            assert_eq!(reach(address), Reach::Public, "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "127.0.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            let is_known = address == "64:ff9b:1::1" || reach(address) == Reach::Private;
            assert!(is_known && reach(address) > Reach::Public, "{address}: {:?}", reach(address));
        }
    }

    #[test]
    fn services_that_tell_credentials_are_neighbours() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
        ] {
            assert_eq!(reach(address), Reach::Neighbour, "{address}");
        }
    }
}
