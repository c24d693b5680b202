//! Luck with addresses, taken out.

use std::hint::black_box;

/// How many places there are: 16 bytes apart, and the processor compares the lower 12 bits.
const PLACES: usize = 256;

/// Does the work at another place on the stack for each `turn`.
///
/// How the addresses of a caller's locals lie to each other and to the heap makes some code a
/// third slower, for the life of a process: a few nanoseconds that differ from run to run, while
/// all rounds of a run agree. Going through the places averages over them.
pub fn at_another_place<R>(turn: usize, work: impl FnOnce() -> R) -> R {
    // Far from the place before, so that a few turns see much of the page.
    below(turn * 101 % PLACES, work)
}

#[inline(never)]
fn below<R>(frames: usize, work: impl FnOnce() -> R) -> R {
    let frame = black_box([0_u8; 16]);
    let result = match frames {
        0 => work(),
        _ => below(frames - 1, work),
    };
    black_box(&frame);
    result
}
