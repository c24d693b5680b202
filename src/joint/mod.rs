//! Several limits of one service, decided together in `call`, where the request says which.

mod layer;
mod service;
mod rules;

pub use layer::JointLayer;
pub use rules::{JointRules, OnLimitsOf};
pub use service::Joint;
