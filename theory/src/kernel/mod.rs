//! Infinite-width kernels of an [`Architecture`]: NNGP `K` and tangent kernel `Theta`, layer by layer.
//!
//! For dense layers, with the factors of [`TangentScale`](crate::architecture::TangentScale) (all one in the NTK parameterization),
//!
//! ```text
//! K^1     = sigma_w2 x.x'/d + sigma_b2
//! K^l     = signal (sigma_w2 V(K^{l-1}) + sigma_b2)
//! Theta^l = weight sigma_w2 V(K^{l-1}) + bias sigma_b2 + signal sigma_w2 Vd(K^{l-1}) Theta^{l-1}
//! ```
//!
//! (Neal 1996; Lee et al. 2018, 1711.00165; Matthews et al. 2018, 1804.11271; Jacot, Gabriel and Hongler 2018, 1806.07572.)
//! A gated dense layer multiplies `sigma_w2` by `g(x).g(x')/M` (Li and Sompolinsky 2022, 2210.17449). Images carry
//! `K[p, p']` over positions. A convolution averages over its taps `q`, the same on both sides,
//! `K[p, p'] <- sigma_w2 mean_q K[s p + q - o, s p' + q - o] + sigma_b2`; pooling averages `p` and `p'` separately; a dense
//! layer takes the mean of `K[p, p]` (Novak et al. 2019, 1810.05148; Garriga-Alonso et al. 2019, 1808.05587;
//! Arora et al. 2019, 1904.11955).
//!
//! A norm divides by the standard deviations of both sides; dropout divides the kernels of an example with itself, at equal
//! positions, by the probability to keep; a sum of branches adds `scale^2 K`. [`law`](self) says where these hold.
//!
//! # Cost
//! `N^2 / 2` pairs, of one dual evaluation a layer for dense networks, of `P` without pooling, of `P^2` below a pooling layer.
//! Pairs go through all layers in blocks that stay in cache; below pooling layers one class of position offsets at a
//! time, so that nothing of size `P^2` is stored but what a pooling layer leaves to another one.

mod deterministic;
mod engine;
mod field;
mod fill;
mod gaussians;
mod inputs;
mod lanes;
mod law;
mod means;
mod mirror;
mod near;
mod offsets;
mod output;
mod pairs;
mod panel;
mod panel_write;
mod positions;
mod precision;
mod prepared;
mod profile;
mod program;
mod stages;
mod tensors;
mod unit;
mod vector;
mod window;

use faer::Mat;

pub use engine::{KernelEngine, TileScratch};
pub use inputs::{InputValues, Inputs, InputsView};
pub use law::{BATCH_NORM_HAS_NO_KERNEL, MAX_POOLING_HAS_NO_KERNEL};
pub use output::{KernelNumber, KernelTile};
pub use precision::SinglePrecisionError;
pub use prepared::PreparedInputs;

use crate::architecture::Architecture;
use crate::error::TheoryError;

/// What feeds the tangent kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TangentSource {
    /// Nothing: only `K` is wanted.
    Nothing,
    /// The trained parameters: `Theta`.
    Parameters,
    /// The preactivations of one weight layer (an index, layer number less one), as if they were the parameters:
    /// `Theta` becomes `sum_j dh^l_i/dh_j dh^l_i/dh_j` over these preactivations, a partial Jacobian.
    Preactivations(usize),
}

/// Which parameters move during training; the others keep their initial values. They count in `K` all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainedLayers {
    /// Every weight and bias.
    #[default]
    All,
    /// Weights and biases of the readout: in the NTK parameterization `Theta = K`.
    ReadoutOnly,
    /// Every weight and no bias.
    BiasesFrozen,
}

/// Kernels at the readout, left examples in rows, right examples in columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernels {
    /// `K`, covariance of one output over the ensemble of initializations.
    pub nngp: Mat<f64>,
    /// `Theta`, the kernel that moves one output per unit of the base learning rate on the loss `(1/2) sum (f - y)^2`.
    pub ntk: Mat<f64>,
}

/// Kernels of the preactivation of one weight layer; for a convolution, means of `K[p, p]` and `Theta[p, p]` over positions.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerKernels {
    /// Layer number, `1..=L+1`.
    pub layer: usize,
    /// `K^l`.
    pub nngp: Mat<f64>,
    /// `Theta^l`, of the parameters of layers `1..=l`.
    pub ntk: Mat<f64>,
}

/// NNGP and tangent kernel at the readout with all parameters trained.
///
/// # Shapes
/// `left.examples() x right.examples()`; `right = None` means `left` again, at half the work and exactly symmetric.
///
/// # Errors
/// Inputs that do not fit, an invalid architecture, or [`TheoryError::NoPrediction`] where no Gaussian limit is at hand.
pub fn kernels(architecture: &Architecture, left: &Inputs, right: Option<&Inputs>) -> Result<Kernels, TheoryError> {
    kernels_when_training(architecture, left, right, TrainedLayers::All)
}

/// As [`kernels`], with a tangent kernel of the `trained` parameters alone.
///
/// # Errors
/// As [`kernels`].
pub fn kernels_when_training(
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
    trained: TrainedLayers,
) -> Result<Kernels, TheoryError> {
    let engine = KernelEngine::new(architecture, trained)?;
    engine.expect_tangent()?;
    let left = engine.prepare(left)?;
    let right = right.map(|inputs| engine.prepare(inputs)).transpose()?;
    engine.kernels(&left, right.as_ref())
}

/// As [`kernels_when_training`], for every weight layer `1..=L+1`; the last entry is the readout.
///
/// # Errors
/// As [`kernels`].
pub fn kernels_by_layer(
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
    trained: TrainedLayers,
) -> Result<Vec<LayerKernels>, TheoryError> {
    let engine = KernelEngine::new(architecture, trained)?;
    let left = engine.prepare(left)?;
    let right = right.map(|inputs| engine.prepare(inputs)).transpose()?;
    let (rows, layers) = (engine.by_layer(&left, right.as_ref())?, engine.weight_layers());
    let (height, width) = (left.examples(), right.as_ref().unwrap_or(&left).examples());
    let entry = |i: usize, j: usize, layer: usize| match right {
        Some(_) => rows[i][j * layers + layer],
        None => rows[i.min(j)][i.abs_diff(j) * layers + layer],
    };
    let matrix = |layer: usize, which: usize| Mat::from_fn(height, width, |i, j| entry(i, j, layer)[which]);
    Ok((0..layers).map(|l| LayerKernels { layer: l + 1, nngp: matrix(l, 0), ntk: matrix(l, 1) }).collect())
}

/// Variance `K^l(x, x)` of the preactivation of every weight layer, at a cost linear in the number of examples.
///
/// # Shapes
/// `examples x (L+1)`, entry `(i, l-1)`; for a convolution the mean over positions.
///
/// # Errors
/// As [`kernels`].
pub fn preactivation_variances(architecture: &Architecture, inputs: &Inputs) -> Result<Mat<f64>, TheoryError> {
    let layers = layers_alone(architecture, inputs, TangentSource::Nothing)?;
    let weight_layers = architecture.weight_layers()?.len();
    Ok(Mat::from_fn(layers.len(), weight_layers, |i, l| layers[i][l][0]))
}

/// `K` and the tangent kernel of `source` of every example with itself after every weight layer.
pub(crate) fn layers_alone(
    architecture: &Architecture,
    inputs: &Inputs,
    source: TangentSource,
) -> Result<Vec<Vec<[f64; 2]>>, TheoryError> {
    let engine = KernelEngine::new(architecture, TrainedLayers::All)?;
    engine.expect_tangent_of(source)?;
    let prepared = engine.prepare_from(inputs.view(), source)?;
    Ok(engine.layers_alone(&prepared))
}
