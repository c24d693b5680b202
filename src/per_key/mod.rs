//! A limit for each key, decided in `call`, where the request says which.

mod layer;
mod service;
mod source;

pub use layer::PerKeyLayer;
pub use service::PerKey;
pub use source::{Answered, KeySource, MissingKey, OnTerms};
