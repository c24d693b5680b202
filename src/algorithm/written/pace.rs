//! How what paces is written, and what has a rate and nothing else.

use super::line::{Form, Line};
use crate::{
    algorithm::{BurstCompensating, SlidingWindowCounter, Strict},
    given::Given,
    invalid::Invalid,
    rate::Rate,
};
use std::{fmt, str::FromStr};

parameters! {
    /// The parameters of what has only a rate.
    Paced { rate: Rate, } and {}
}

parameters! {
    /// The parameters of [`BurstCompensating`].
    Bursts { rate: Rate, } and { max_burst: Given, }
}

/// Reads, writes and prints what has only a rate.
macro_rules! only_a_rate {
    ($algorithm:ident, $name:literal) => {
        impl From<Paced> for $algorithm {
            fn from(written: Paced) -> Self {
                Self::new(written.rate)
            }
        }

        impl From<$algorithm> for Paced {
            fn from(limit: $algorithm) -> Self {
                Self { rate: limit.rate }
            }
        }

        #[doc = concat!("As it is read: `", $name, " 10/s`.")]
        impl fmt::Display for $algorithm {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($name, " {}"), self.rate)
            }
        }

        #[doc = concat!("As it is printed: `", $name, " 10/s`.")]
        impl FromStr for $algorithm {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let form = Form { name: $name, example: concat!($name, " 10/s") };
                let line = Line::read(form, text)?;
                let rate = line.rate()?;
                line.end()?;
                Ok(Self::new(rate))
            }
        }
    };
}

only_a_rate!(Strict, "strict");
only_a_rate!(SlidingWindowCounter, "sliding window counter");

impl TryFrom<Bursts> for BurstCompensating {
    type Error = Invalid;

    fn try_from(written: Bursts) -> Result<Self, Invalid> {
        let limit = Self::new(written.rate);
        match written.max_burst {
            Some(max_burst) => limit.max_burst(max_burst.permits("max_burst")?),
            None => Ok(limit),
        }
    }
}

impl From<BurstCompensating> for Bursts {
    fn from(limit: BurstCompensating) -> Self {
        Self { rate: limit.rate, max_burst: Some(Given::plain(limit.max_burst)) }
    }
}

/// As it is read: `burst compensating 10/s, max burst 5`.
impl fmt::Display for BurstCompensating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "burst compensating {}, max burst {}", self.rate, self.max_burst)
    }
}

/// As it is printed: `burst compensating 10/s, max burst 5`. The burst may be left out.
impl FromStr for BurstCompensating {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form =
            Form { name: "burst compensating", example: "burst compensating 10/s, max burst 5" };
        let mut line = Line::read(form, text)?;
        let written = Bursts { rate: line.rate()?, max_burst: line.number("max burst") };
        line.end()?;
        written.try_into()
    }
}
