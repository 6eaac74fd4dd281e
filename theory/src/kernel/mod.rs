//! Infinite-width kernels of an [`Architecture`]: NNGP `K` and tangent kernel `Theta`, layer by layer.
//!
//! For dense layers, with the factors of [`TangentScale`](crate::TangentScale) (all one in the NTK parameterization),
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
//! # Cost
//! Pairs are processed one by one, in parallel over rows, and only `p = p'` is kept from the last pooling layer on:
//! `N^2 / 2` pairs of `P` dual evaluations a layer without pooling, `P^2` below a pooling layer. Activations without a closed form
//! also keep one Hermite series an input, layer and position.

mod deterministic;
mod engine;
mod inputs;
mod output;
mod pair;
mod plan;
mod window;

use faer::Mat;
use rayon::prelude::*;

pub use engine::{KernelEngine, PreparedInputs, TileScratch};
pub use inputs::{InputValues, Inputs, InputsView};
pub use output::{KernelNumber, KernelTile};
pub(crate) use pair::{Profile, Source, profiles};
pub(crate) use plan::Plan;

use crate::architecture::Architecture;
use crate::error::TheoryError;
use pair::{PairState, Side};

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
    let last = compute(architecture, left, right, trained, false)?.pop();
    last.map(|layer| Kernels { nngp: layer.nngp, ntk: layer.ntk }).ok_or(TheoryError::NoReadout)
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
    compute(architecture, left, right, trained, true)
}

/// Variance `K^l(x, x)` of the preactivation of every weight layer, at a cost linear in the number of examples.
///
/// # Shapes
/// `examples x (L+1)`, entry `(i, l-1)`; for a convolution the mean over positions.
///
/// # Errors
/// As [`kernels`].
pub fn preactivation_variances(architecture: &Architecture, inputs: &Inputs) -> Result<Mat<f64>, TheoryError> {
    let plan = Plan::new(architecture, TrainedLayers::All)?;
    let side = Side::new(&plan, architecture, inputs)?;
    let profiles = profiles(&plan, &side, Source::Parameters);
    Ok(Mat::from_fn(side.examples, plan.weight_layers, |i, l| profiles[i].layers[l][0]))
}

/// Diagonal quantities of every example when the tangent kernel has one source only; see [`Source`].
pub(crate) fn profiles_from(
    architecture: &Architecture,
    inputs: &Inputs,
    source: Source,
) -> Result<Vec<Profile>, TheoryError> {
    let plan = Plan::new(architecture, TrainedLayers::All)?;
    let side = Side::new(&plan, architecture, inputs)?;
    Ok(profiles(&plan, &side, source))
}

fn compute(
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
    trained: TrainedLayers,
    every_layer: bool,
) -> Result<Vec<LayerKernels>, TheoryError> {
    let plan = Plan::new(architecture, trained)?;
    let left = Side::new(&plan, architecture, left)?;
    let right = right.map(|inputs| Side::new(&plan, architecture, inputs)).transpose()?;
    let first_layer = if every_layer { 0 } else { plan.weight_layers - 1 };
    let left_profiles = profiles(&plan, &left, Source::Parameters);
    let right_profiles = right.as_ref().map(|side| profiles(&plan, side, Source::Parameters));
    let (columns, symmetric) = (right.as_ref().unwrap_or(&left), right.is_none());
    let column_profiles = right_profiles.as_ref().unwrap_or(&left_profiles);
    let overlaps = left.overlaps(columns, &plan);

    let rows: Vec<Vec<[f64; 2]>> = (0..left.examples)
        .into_par_iter()
        .map_init(PairState::default, |state, i| {
            let start = if symmetric { i } else { 0 };
            let mut row = Vec::with_capacity((columns.examples - start) * (plan.weight_layers - first_layer));
            for (j, column_profile) in column_profiles.iter().enumerate().skip(start) {
                if left.repeats(i, columns, j) {
                    row.extend_from_slice(&left_profiles[i].layers[first_layer..]);
                    continue;
                }
                state.start(&plan, &left, i, columns, j, &overlaps);
                state.propagate(&plan, Source::Parameters, &left_profiles[i], column_profile);
                row.extend_from_slice(&state.layers[first_layer..]);
            }
            row
        })
        .collect();

    let recorded = plan.weight_layers - first_layer;
    let entry = |i: usize, j: usize, layer: usize| {
        let (i, j) = if symmetric && j < i { (j, i) } else { (i, j) };
        let start = if symmetric { i } else { 0 };
        rows[i][(j - start) * recorded + layer]
    };
    let matrix =
        |layer: usize, which: usize| Mat::from_fn(left.examples, columns.examples, |i, j| entry(i, j, layer)[which]);
    Ok((0..recorded)
        .map(|l| LayerKernels { layer: first_layer + l + 1, nngp: matrix(l, 0), ntk: matrix(l, 1) })
        .collect())
}
