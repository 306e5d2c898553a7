//! Fairlead's data plane: everything on the path of a prediction, and nothing else.

pub mod admission;
pub mod answer;
pub mod arms;
pub mod bundle;
pub mod error;
pub mod execute;
pub mod histogram;
pub mod ids;
pub mod infer;
pub mod lane;
pub mod load;
pub mod log;
pub mod metrics;
pub mod mirror;
pub mod model;
pub mod plan;
pub mod route;
pub mod serve;
pub mod slices;
pub mod stats;
pub mod tensor;
pub mod validate;
pub mod violation;
pub mod wire;
