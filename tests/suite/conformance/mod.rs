//! The kits, over all that is built in and over what breaks their contracts on purpose.

mod built_in;
mod limiters;
mod faulty;
mod faulty_in_flight;
mod limits;
mod faulty_limiters;
mod faulty_waits;
mod faulty_layers;

/// The examples, for their tests: they show how code from outside is held to its contract.
#[expect(dead_code, reason = "only its tests are run")]
#[path = "../../../examples/custom_algorithm.rs"]
mod custom_algorithm;
#[expect(dead_code, reason = "only its tests are run")]
#[path = "../../../examples/custom_limiter.rs"]
mod custom_limiter;
