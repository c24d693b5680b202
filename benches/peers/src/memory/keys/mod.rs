//! Many limits, one for each key.

pub mod bytes;
pub mod flood;
mod floors;
mod full;
mod keyed;
mod kind;
mod leaving;
pub mod many;
mod peers;
mod times;

use crate::harness::{Bound, Length};
use kind::Kind;
use std::net::IpAddr;
use times::Allowed;

pub fn run(length: Length) -> Vec<Bound> {
    println!("## memory keys\n");
    println!(
        "Nanoseconds of a decision about one permit, as a thread sees it, and what the keys take; \
         {} in all.\n",
        length.pick("about ten minutes", "a few seconds"),
    );
    let mut bounds = of::<u64>(length, &Allowed { hot: 0.6, uniform: 0.85, bytes: 0.8 });
    bounds.extend(of::<IpAddr>(length, &Allowed { hot: 0.6, uniform: 0.7, bytes: 0.45 }));
    bounds.extend(of::<String>(length, &Allowed { hot: 0.6, uniform: 0.6, bytes: 0.35 }));
    bounds.push(full::run(length));
    bounds.extend(leaving::run(length));
    bounds.extend(flood::run(length));
    bounds
}

/// All that depends on what the keys are made of.
fn of<K: Kind>(length: Length, allowed: &Allowed) -> Vec<Bound> {
    let mut bounds = times::side_by_side::<K>(length, allowed);
    bounds.push(many::measure::<K>(length));
    bounds.push(bytes::measure::<K>(length, allowed.bytes));
    bounds
}
