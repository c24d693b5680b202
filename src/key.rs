//! What a limit is kept for: an address, an API key, a pair of both.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// What a limit is kept for: anything that writes itself as unambiguous bytes.
///
/// Two keys are the same limit exactly when they write the same bytes. Each value says where it
/// ends (text is preceded by its length, numbers have a fixed one), so that the pair `("a", "bc")`
/// is not the pair `("ab", "c")`. Integers, addresses, text, bytes, options and tuples are keys;
/// a type of your own writes its parts one after the other.
///
/// ```
/// use tower_ratelimit::Key;
///
/// struct Tenant { id: u64, region: String }
///
/// impl Key for Tenant {
///     fn write(&self, out: &mut dyn FnMut(&[u8])) {
///         (self.id, self.region.as_str()).write(out);
///     }
/// }
/// ```
pub trait Key {
    /// Writes the bytes of the key to `out`, in any number of pieces: where a piece ends means
    /// nothing.
    fn write(&self, out: &mut dyn FnMut(&[u8]));
}

impl Key for [u8] {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(&(self.len() as u64).to_le_bytes());
        out(self);
    }
}

impl Key for str {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.as_bytes().write(out);
    }
}

impl Key for String {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.as_bytes().write(out);
    }
}

impl Key for Vec<u8> {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.as_slice().write(out);
    }
}

impl<K: Key + ToOwned + ?Sized> Key for Cow<'_, K> {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        K::write(self, out);
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => { $(
        impl<K: Key + ?Sized> Key for $pointer {
            #[inline]
            fn write(&self, out: &mut dyn FnMut(&[u8])) {
                K::write(self, out);
            }
        }
    )* };
}

pointers!(&K, Box<K>, Arc<K>);

macro_rules! integers {
    ($($integer:ty),*) => { $(
        impl Key for $integer {
            #[inline]
            fn write(&self, out: &mut dyn FnMut(&[u8])) {
                out(&self.to_le_bytes());
            }
        }
    )* };
}

integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

/// As 64 bits on every platform.
impl Key for usize {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        (*self as u64).write(out);
    }
}

impl Key for bool {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(&[u8::from(*self)]);
    }
}

impl Key for char {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        u32::from(*self).write(out);
    }
}

/// Without a length, as every array of the type has the same.
impl<const N: usize> Key for [u8; N] {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(self);
    }
}

impl Key for Ipv4Addr {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(&self.octets());
    }
}

impl Key for Ipv6Addr {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(&self.octets());
    }
}

/// IPv4 and IPv6 are told apart; an IPv4-mapped IPv6 address is not folded.
impl Key for IpAddr {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        // In one piece and made as one number, which a hash reads at once.
        match self {
            IpAddr::V4(address) => {
                let address = u32::from_le_bytes(address.octets());
                let bytes = (u64::from(address) << 8 | 4).to_le_bytes();
                out(&bytes[..5]);
            }
            IpAddr::V6(address) => {
                let [.., last] = address.octets();
                let first = u128::from_le_bytes(address.octets()) << 8 | 6;
                let mut bytes = [last; 17];
                bytes[..16].copy_from_slice(&first.to_le_bytes());
                out(&bytes);
            }
        }
    }
}

impl Key for SocketAddr {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        (self.ip(), self.port()).write(out);
    }
}

impl<K: Key> Key for Option<K> {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        match self {
            None => out(&[0]),
            Some(key) => {
                out(&[1]);
                key.write(out);
            }
        }
    }
}

macro_rules! tuples {
    ($(($($part:ident)*))*) => { $(
        impl<$($part: Key),*> Key for ($($part,)*) {
            #[allow(non_snake_case, unused_variables)]
            #[inline]
            fn write(&self, out: &mut dyn FnMut(&[u8])) {
                let ($($part,)*) = self;
                $($part.write(out);)*
            }
        }
    )* };
}

tuples! { () (A) (A B) (A B C) (A B C D) }

impl Key for http::HeaderValue {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.as_bytes().write(out);
    }
}

impl Key for http::Method {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.as_str().write(out);
    }
}
