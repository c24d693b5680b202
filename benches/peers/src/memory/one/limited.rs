//! A limit that is asked in a loop, without a call through a pointer for each decision.

use std::hint::black_box;

/// One limit.
pub trait Limited: Send + Sync {
    /// Asks so many times, and returns how many of them were let through. Instructions are counted
    /// inside of this function, which is known by its name.
    fn ask_in_a_row(&self, times: u32) -> u32;
}

/// A limit that is asked by calling a function.
pub struct Asked<F>(pub F);

impl<F: Fn() -> bool + Send + Sync> Limited for Asked<F> {
    #[inline(never)]
    fn ask_in_a_row(&self, times: u32) -> u32 {
        let mut granted = 0;
        // A closure would have a name like that of this function, and end the counting.
        for _ in 0..times {
            granted += u32::from((black_box(self).0)());
        }
        granted
    }
}

/// That limit.
pub fn limited(ask: impl Fn() -> bool + Send + Sync + 'static) -> Box<dyn Limited> {
    Box::new(Asked(ask))
}
