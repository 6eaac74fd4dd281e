//! Infinite-width theory: architectures, kernels, dynamics, criticality and finite-width corrections. f64, no Burn.

mod activation;
mod architecture;
mod criticality;
mod dual;
mod dynamics;
mod error;
mod finite_width;
mod gates;
mod kernel;
mod parameterization;
mod partial_jacobian;
mod scale_invariant;

pub use activation::Activation;
pub use architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, WeightLayer};
pub use criticality::{FixedPoint, Phase, edge_of_chaos, half_stable_point};
pub use dual::{Dual, HermiteSeries, Moments, gaussian_expectation};
pub use dynamics::{
    GeneralLossSolution, KernelDynamics, Posterior, Prediction, Spectrum, Training, gaussian_process_posterior,
    train_general_loss,
};
pub use error::TheoryError;
pub use finite_width::{LayerFluctuation, layer_fluctuations};
pub use gates::{GateFunction, Gates};
pub use kernel::{
    Inputs, Kernels, LayerKernels, TrainedLayers, kernels, kernels_by_layer, kernels_when_training, preactivation_variances,
};
pub use parameterization::{Parameterization, Scaling, TangentScale, UpdateRule};
pub use partial_jacobian::partial_jacobian_norms;
pub use scale_invariant::{LogNormalStep, exact_excess_kurtosis, kurtosis_factor, log_variance_step, ntk_second_moment};
