//! What of an address is a key.

use crate::{invalid::Invalid, key::Key};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The key of [`PeerIp`](super::PeerIp) and [`ClientIp`](super::ClientIp): an IPv4 address, or the
/// network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKey {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The network of an IPv6 address, its host bits zero.
    V6(Ipv6Addr),
}

impl Key for AddressKey {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        match *self {
            AddressKey::V4(address) => IpAddr::V4(address).write(out),
            AddressKey::V6(network) => IpAddr::V6(network).write(out),
        }
    }
}

/// Which addresses are one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    ipv6_prefix: u8,
}

impl Fold {
    pub(super) fn new(ipv6_prefix: u8) -> Result<Self, Invalid> {
        match ipv6_prefix {
            0..=128 => Ok(Self { ipv6_prefix }),
            _ => Err(Invalid::new("ipv6_prefix", ipv6_prefix, "0 to 128, the bits of an address")),
        }
    }

    /// IPv4-mapped addresses come first: cut to a prefix, all of them would be one key.
    #[inline(always)]
    pub(super) fn key(self, address: IpAddr) -> AddressKey {
        match address.to_canonical() {
            IpAddr::V4(address) => AddressKey::V4(address),
            IpAddr::V6(address) => {
                let host_bits = u32::from(128 - self.ipv6_prefix);
                let network = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                AddressKey::V6(Ipv6Addr::from(u128::from(address) & network))
            }
        }
    }
}

impl Default for Fold {
    fn default() -> Self {
        Self { ipv6_prefix: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressKey, Fold};

    fn folded(ipv6_prefix: u8, address: &str) -> AddressKey {
        let fold = Fold::new(ipv6_prefix).expect("a prefix");
        fold.key(address.parse().expect("an address"))
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        for prefix in [0, 56, 64, 128] {
            let plain = folded(prefix, "192.0.2.7");
            assert_eq!(folded(prefix, "::ffff:192.0.2.7"), plain);
            assert_ne!(folded(prefix, "::ffff:192.0.2.8"), plain);
        }
    }

    #[test]
    fn ipv6_addresses_of_one_64_bit_network_are_one_key() {
        let one = folded(64, "2001:db8:1:2::1");
        assert_eq!(Fold::default(), Fold::new(64).expect("the usual one"));
        assert_eq!(folded(64, "2001:db8:1:2:ffff:ffff:ffff:ffff"), one);
        assert_ne!(folded(64, "2001:db8:1:3::1"), one);
    }

    #[test]
    fn the_prefix_can_be_anything_from_nothing_to_the_whole_address() {
        assert_ne!(folded(128, "2001:db8::1"), folded(128, "2001:db8::2"));
        assert_eq!(folded(127, "2001:db8::2"), folded(127, "2001:db8::3"));
        assert_eq!(folded(0, "2001:db8::1"), folded(0, "fe80::9"));
        assert_eq!(folded(48, "2001:db8:1:2::1"), folded(48, "2001:db8:1:3::1"));
        assert!(Fold::new(129).is_err());
    }
}
