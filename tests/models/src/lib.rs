//! The files of the crate that do without locks, compiled with the atomics of loom, which runs a
//! test in all orders in which its threads may do what they do. The models stand beside the files.

#[allow(dead_code)]
#[path = "../../../src/nanos.rs"]
mod nanos;
#[path = "../../../src/store/table/words/mod.rs"]
mod words;
