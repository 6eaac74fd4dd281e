//! Probes: measure a network seen as traces and pullbacks. They know no family, no theory and no file.

mod gradient_norms;
mod kernel_metrics;
mod layer_variances;
mod matrix;
mod nngp;
pub mod ntk;
mod observed;
mod partial_jacobian;

pub use gradient_norms::{gradient_covariance_trace, gradient_covariance_trace_of_kernel};
pub use kernel_metrics::{centred_alignment, effective_rank, label_overlap, trace_shares, velocity};
pub use layer_variances::{LayerVariances, VarianceEstimate, examples_for_variances, layer_variances};
pub use matrix::{KernelSummary, inner_product, mean_entries, relative_distance, target_alignment};
pub use nngp::empirical_nngp;
pub use ntk::{empirical_ntk, empirical_ntk_full};
pub use observed::{LayerGeometry, Observed};
pub use partial_jacobian::{PartialJacobianNorm, partial_jacobian_norms};
