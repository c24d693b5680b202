//! What keys are made of.

use super::{
    keyed::Row,
    peers::{limitador, tokio_rate_limit, trypema},
};
use std::{
    fmt::Display,
    hash::Hash,
    net::{IpAddr, Ipv4Addr},
};
use tower_ratelimit::Key;

/// A type of key, of which there is one for each number.
pub trait Kind: Key + Display + Hash + Eq + Clone + Send + Sync + 'static {
    const NAME: &'static str;

    fn number(number: u32) -> Self;

    /// What knows only keys of this type.
    fn rows_of_its_own() -> Vec<Row<Self>> {
        Vec::new()
    }
}

/// What is for the type of this name, of what is for numbers, addresses and strings.
///
/// # Panics
///
/// When there is no such type.
pub fn by_name<T>(name: &str, [numbers, addresses, strings]: [T; 3]) -> T {
    match name {
        u64::NAME => numbers,
        <IpAddr as Kind>::NAME => addresses,
        <String as Kind>::NAME => strings,
        _ => panic!("no kind of key: {name}"),
    }
}

impl Kind for u64 {
    const NAME: &'static str = "u64";

    fn number(number: u32) -> Self {
        u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Kind for IpAddr {
    const NAME: &'static str = "IP address";

    fn number(number: u32) -> Self {
        Ipv4Addr::from(0x0A00_0000_u32.wrapping_add(number)).into()
    }
}

impl Kind for String {
    const NAME: &'static str = "String";

    fn number(number: u32) -> Self {
        format!("user:{number:08}")
    }

    fn rows_of_its_own() -> Vec<Row<String>> {
        vec![
            Row { name: "tokio-rate-limit", make: tokio_rate_limit },
            Row { name: "trypema", make: trypema },
            Row { name: "limitador", make: limitador },
        ]
    }
}
