//! Information about the input and the label that a layer carries, estimated from its activations.
//!
//! In a deterministic network with a continuous input the mutual information of input and layer is infinite, and on
//! `n` distinct examples it is `ln n` for almost every weight matrix (Amjad and Geiger 2018, arXiv 1802.09766;
//! Goldfeld et al. 2019, arXiv 1810.05728). Every finite, moving curve is therefore about a modified variable, and the
//! estimators here differ in the modification:
//!
//! | estimator | what replaces the layer `T` | what it returns |
//! |---|---|---|
//! | [`BinnedLayer`] | `b(T)`, each unit rounded to a cell | the exact value on the given examples |
//! | [`kde_bounds`] | `T + N(0, noise_variance)`, read-out noise | a lower and an upper bound |
//!
//! Both modify the read-out only. Later layers see the clean activations, so the values of successive layers need not
//! decrease: there is no Markov chain through the modified variables.
//!
//! Values are in nats. Layers arrive as `examples x units` row-major slices.

mod binning;
mod entropy;
mod error;
mod estimate;
mod kde;

pub use binning::{BinnedLayer, BinningRule};
pub use entropy::Correction;
pub use error::InformationError;
pub use estimate::{EstimateKind, InformationEstimate};
pub use kde::{KdeBounds, KdeInputBounds, kde_bounds, kde_input_bounds};
