//! A limit for each key, decided in `call`, where the request says which.

mod layer;
mod service;
mod source;
mod function;
mod tuple;
mod missing;
mod exempt;

pub use exempt::Exempt;
pub use function::KeyOf;
pub use layer::PerKeyLayer;
pub use missing::{MissingKey, OrShared};
pub use service::PerKey;
pub use source::{Answered, KeySource, OnTerms};
