//! Numbers that look random and are the same in every run.

/// xorshift64*, whose state is never zero.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x1234_5678_9ABC_DEF1)
    }

    /// One of the numbers below this, each about as often.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        // Below `limit`, as both factors are below 2^32.
        ((high * u64::from(limit)) >> 32) as u32
    }
}
