//! Infinite-width theory: architectures, kernels, dynamics, criticality and finite-width corrections. f64, no Burn.
//!
//! An [`Architecture`] says what the network is; everything else asks a question of it.
//!
//! | question | answered by |
//! |---|---|
//! | covariance and tangent kernel at infinite width | [`kernels`], [`kernels_by_layer`] |
//! | the same for one pair of Gaussians and one activation | [`Activation::dual_pair`] |
//! | outputs during and after training with a constant kernel | [`KernelDynamics`] |
//! | the same, batch by batch | [`MinibatchRun`], [`LinearResponse`] |
//! | the same with other losses | [`flow_general_loss`], [`descend_general_loss`], [`train_sampled_ensemble`] |
//! | regression on tens of thousands of examples | [`regression`] |
//! | the Bayesian posterior | [`gaussian_process_posterior`], [`student_t_posterior`] |
//! | classifiers of infinite depth | [`InfiniteDepth`] |
//! | phases, depth scales, critical initializations | [`InitVariance::fixed_point`], [`edge_of_chaos`], [`half_stable_point`] |
//! | growth of gradients from layer to layer | [`partial_jacobian_norms`] |
//! | which convention a kernel from elsewhere follows | [`conventions::explain`] |
//! | fluctuations and kurtosis at finite width | [`layer_fluctuations`], [`exact_excess_kurtosis`], [`ntk_second_moment`] |
//!
//! ```
//! use widthwise_theory::{
//!     Activation, Architecture, InitScheme, InitVariance, InputShape, Inputs, KernelDynamics, Layer, Parameterization,
//!     Training, kernels,
//! };
//!
//! # fn main() -> Result<(), widthwise_theory::TheoryError> {
//! let init = InitVariance { sigma_w2: 2.0, sigma_b2: 0.0 };
//! let network = Architecture {
//!     input: InputShape::flat(2),
//!     layers: vec![
//!         Layer::Dense { width: 512, init },
//!         Layer::Activation { function: Activation::Relu },
//!         Layer::Dense { width: 1, init },
//!     ],
//!     gates: None,
//!     parameterization: Parameterization::Ntk,
//!     init_scheme: InitScheme::Gaussian,
//! };
//! let inputs = Inputs::new(vec![1.0, 0.0, 0.6, 0.8], InputShape::flat(2))?;
//! let train = kernels(&network, &inputs, None)?;
//! // With sigma_w2 = 2 and no biases, ReLU keeps the variance and every layer adds it once more to the tangent kernel.
//! assert!((train.ntk[(0, 0)] - 2.0 * train.nngp[(0, 0)]).abs() < 1e-14);
//!
//! let dynamics = KernelDynamics::new(train.ntk.as_ref(), train.nngp.as_ref())?;
//! let targets = faer::mat![[1.0], [-1.0]];
//! let after = dynamics.train_prediction(targets.as_ref(), &Training::Flow { flow_time: 50.0 })?;
//! assert!((after.mean[(0, 0)] - 1.0).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

mod activation;
mod architecture;
pub mod conventions;
mod criticality;
mod dual;
mod dynamics;
mod error;
mod finite_width;
mod gates;
mod graph;
mod infinite_depth;
mod kernel;
mod parameterization;
mod partial_jacobian;
pub mod regression;
mod scale_invariant;
mod width_rates;

pub use activation::formula;
pub use activation::{Activation, Expression, FormulaError, MAX_HERMITE_DEGREE};
pub use architecture::{Architecture, Branch, InitScheme, InitVariance, InputShape, Layer, Padding, WeightLayer};
pub use criticality::{FixedPoint, Phase, edge_of_chaos, half_stable_point};
pub use dual::{Dual, HermiteSeries, Moments, exp_normalized_dual, gaussian_expectation};
pub use dynamics::{
    BatchLoss, FlowSteps, GeneralLossFlow, GeneralLossProblem, GeneralLossState, InverseGamma, KernelDynamics,
    LinearResponse, MinibatchRun, MinibatchTraining, OutputLoss, Posterior, Prediction, PriorSampler, Regularization,
    SampledMoments, Spectrum, StepRule, StudentPosterior, Training, descend_general_loss, flow_general_loss,
    gaussian_process_posterior, student_t_posterior, train_sampled_ensemble,
};
pub use error::TheoryError;
pub use finite_width::{LayerFluctuation, layer_fluctuations};
pub use gates::{GateFunction, Gates};
pub use graph::{Node, Operation};
pub use infinite_depth::{DepthKernels, InfiniteDepth, SingularKernel};
pub use kernel::{
    BATCH_NORM_HAS_NO_KERNEL, InputValues, Inputs, InputsView, KernelEngine, KernelNumber, KernelTile, Kernels,
    LayerKernels, MAX_POOLING_HAS_NO_KERNEL, PreparedInputs, SinglePrecisionError, TileScratch, TrainedLayers, kernels,
    kernels_by_layer, kernels_when_training, preactivation_variances,
};
pub use parameterization::{Parameterization, Scaling, TangentScale, UpdateRule};
pub use partial_jacobian::partial_jacobian_norms;
pub use scale_invariant::{
    LogNormalStep, exact_excess_kurtosis, kurtosis_factor, log_variance_step, ntk_second_moment,
};
pub use width_rates::WidthRates;
