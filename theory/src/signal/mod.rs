//! How signals travel through depth: variances, correlations, gradients, and what finite width adds to them.

mod criticality;
mod finite_width;
mod partial_jacobian;
mod scale_invariant;

pub use criticality::{FixedPoint, Phase, edge_of_chaos, half_stable_point};
pub use finite_width::{LayerFluctuation, layer_fluctuations};
pub use partial_jacobian::partial_jacobian_norms;
pub use scale_invariant::{
    LogNormalStep, exact_excess_kurtosis, kurtosis_factor, log_variance_step, ntk_second_moment,
};
