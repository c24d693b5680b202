//! Private servers, each for one test.

pub(crate) mod redis;
