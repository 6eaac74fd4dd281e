//! Infinite-width theory: architectures, kernels, dynamics, criticality and finite-width corrections. f64, no Burn.
//!
//! An [`Architecture`](architecture::Architecture) says what the network is; everything else asks a question of it.
//!
//! | question | answered by |
//! |---|---|
//! | what the network is | [`architecture`]: layers, gates, parameterizations, powers of the width |
//! | covariance and tangent kernel at infinite width | [`kernel::kernels`], [`kernel::kernels_by_layer`] |
//! | the same for one pair of Gaussians and one activation | [`dual`]; [`activation`] lists the functions |
//! | outputs during and after training with a constant kernel | [`dynamics::KernelDynamics`] |
//! | the same, batch by batch | [`dynamics::MinibatchRun`], [`dynamics::LinearResponse`] |
//! | the same with other losses | [`dynamics::flow_general_loss`], [`dynamics::descend_general_loss`], [`dynamics::train_sampled_ensemble`] |
//! | regression on tens of thousands of examples | [`regression`] |
//! | the Bayesian posterior | [`bayes::gaussian_process_posterior`], [`bayes::student_t_posterior`] |
//! | classifiers of infinite depth | [`infinite_depth::InfiniteDepth`] |
//! | phases, depth scales, critical initializations | [`signal`]: [`edge_of_chaos`](signal::edge_of_chaos), [`half_stable_point`](signal::half_stable_point) |
//! | growth of gradients from layer to layer | [`signal::partial_jacobian_norms`] |
//! | fluctuations and kurtosis at finite width | [`signal::layer_fluctuations`], [`signal::exact_excess_kurtosis`], [`signal::ntk_second_moment`] |
//! | which convention a kernel from elsewhere follows | [`conventions::explain`] |
//!
//! ```
//! use widthwise_theory::activation::Activation;
//! use widthwise_theory::architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization};
//! use widthwise_theory::dynamics::{KernelDynamics, Training};
//! use widthwise_theory::kernel::{Inputs, kernels};
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

pub mod activation;
pub mod architecture;
pub mod bayes;
pub mod conventions;
pub mod dual;
pub mod dynamics;
mod error;
pub mod infinite_depth;
pub mod kernel;
pub mod regression;
pub mod signal;

pub use error::TheoryError;
