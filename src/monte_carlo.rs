//! Kernels by sampling: means of the empirical NNGP and tangent kernels of freshly drawn networks, with standard errors. The
//! road to a kernel that knows nothing of dual activations, for any architecture that can be built.
//!
//! The empirical NNGP kernel is conditional on the hidden layers and the tangent kernel is a mean over outputs: neither
//! changes the expectation. At width `n` the expectation differs from the limit by a term of order `1/n`, which
//! [`extrapolate`] removes from two widths of which one is twice the other.

use burn::tensor::{DType, Device};
use faer::Mat;
use rayon::prelude::*;
use widthwise_probes::{Observed, empirical_nngp, empirical_ntk};
use widthwise_theory::{Architecture, TheoryError, UpdateRule};

use crate::network::Network;
use crate::observation::Observation;
use crate::{memory, need};

/// By which factor a network and its kernels may take more than [`need::sampled_kernels`] says.
const MOST_OF_NEED: u64 = 2;

/// A mean over networks with its standard error, entry by entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// `N x N` (or `left x right`).
    pub mean: Mat<f64>,
    /// Of the mean; the same shape.
    pub standard_error: Mat<f64>,
}

/// Both kernels of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledKernels {
    /// Covariance of an output over initializations.
    pub nngp: Sampled,
    /// Tangent kernel per unit of the base learning rate, mean over outputs.
    pub ntk: Sampled,
    /// Networks drawn.
    pub members: usize,
}

/// How to sample.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Networks to draw; at least 2.
    pub members: usize,
    /// Seed of the streams `init.<member>` and `dropout.<member>`.
    pub seed: u64,
    /// Where the networks live.
    pub device: Device,
    /// Their precision.
    pub dtype: DType,
}

/// Running mean and sum of squared deviations (Welford 1962).
struct Running {
    count: f64,
    mean: Mat<f64>,
    squares: Mat<f64>,
}

impl Running {
    fn new(rows: usize, columns: usize) -> Self {
        Self { count: 0.0, mean: Mat::zeros(rows, columns), squares: Mat::zeros(rows, columns) }
    }

    fn add(&mut self, value: &Mat<f64>) {
        self.count += 1.0;
        for j in 0..value.ncols() {
            for i in 0..value.nrows() {
                let before = value[(i, j)] - self.mean[(i, j)];
                self.mean[(i, j)] += before / self.count;
                self.squares[(i, j)] += before * (value[(i, j)] - self.mean[(i, j)]);
            }
        }
    }

    fn finish(self) -> Sampled {
        let scale = 1.0 / (self.count * (self.count - 1.0));
        let (rows, columns) = (self.mean.nrows(), self.mean.ncols());
        let standard_error = Mat::from_fn(rows, columns, |i, j| (self.squares[(i, j)] * scale).sqrt());
        Sampled { mean: self.mean, standard_error }
    }
}

/// Samples both kernels of `architecture` at the widths that it says; `report` hears of the members as they are done.
///
/// # Shapes
/// `left` and `right`: examples row-major; without `right` the kernels are `N x N`. Examples that stand on both sides are
/// distinct: they have masks of dropout of their own.
///
/// # Errors
/// An architecture whose shapes do not fit, fewer than two members.
pub fn sample_kernels(
    architecture: &Architecture,
    left: &[f64],
    right: Option<&[f64]>,
    sampling: &Sampling,
    mut report: impl FnMut(usize),
) -> Result<SampledKernels, TheoryError> {
    if sampling.members < 2 {
        let (what, expected) = ("networks of an ensemble with standard errors (at least)", 2);
        return Err(TheoryError::ShapeMismatch { what, expected, found: sampling.members });
    }
    architecture.nodes()?;
    let features = architecture.input.features();
    let rows = left.len() / features;
    let inputs = [left, right.unwrap_or_default()].concat();
    let columns = inputs.len() / features - rows;
    let block = |kernel: Mat<f64>| match right {
        Some(_) => kernel.submatrix(0, rows, rows, columns).to_owned(),
        None => kernel,
    };
    let measure = |member: usize| -> Result<[Mat<f64>; 2], TheoryError> {
        let (seed, device) = (sampling.seed, &sampling.device);
        let network = Network::new(architecture, UpdateRule::Linear, seed, member, device, sampling.dtype)?;
        let mut masks = widthwise_datasets::stream(seed, &format!("dropout.{member}"));
        let batch = network.with_masks(network.batch(&inputs), &mut masks);
        let observation = Observation::new(&network, &batch);
        Ok([empirical_nngp(&observation, observation.layers()), empirical_ntk(&observation)].map(block))
    };
    let columns = if right.is_some() { columns } else { rows };
    let [mut nngp, mut ntk] = [(); 2].map(|()| Running::new(rows, columns));
    // A few members at a time, added in their order: the sums do not depend on the number of threads.
    let members: Vec<usize> = (0..sampling.members).collect();
    for group in members.chunks(at_once(architecture, inputs.len() / features, sampling)?) {
        let kernels: Vec<_> = group.par_iter().map(|&member| measure(member)).collect();
        for kernels in kernels {
            let kernels = kernels?;
            nngp.add(&kernels[0]);
            ntk.add(&kernels[1]);
        }
        report(group.len());
    }
    Ok(SampledKernels { nngp: nngp.finish(), ntk: ntk.finish(), members: sampling.members })
}

/// Networks to draw side by side: one a thread, as far as memory goes.
fn at_once(architecture: &Architecture, examples: usize, sampling: &Sampling) -> Result<usize, TheoryError> {
    let number = if sampling.dtype == DType::F64 { 8 } else { 4 };
    let each = need::sampled_kernels(architecture, number, examples)?.0.saturating_mul(MOST_OF_NEED).max(1);
    let room = memory::free().map_or(u64::MAX, |free| free.bytes.0);
    Ok(usize::try_from(room / each).unwrap_or(usize::MAX).clamp(1, rayon::current_num_threads()))
}

/// Infinite width from ensembles at widths `n` and `2 n` when the bias is `c/n`: `2 K_{2n} - K_n`, and its standard error.
pub fn extrapolate(narrow: &SampledKernels, wide: &SampledKernels) -> SampledKernels {
    let combine = |narrow: &Sampled, wide: &Sampled| Sampled {
        mean: Mat::from_fn(wide.mean.nrows(), wide.mean.ncols(), |i, j| 2.0 * wide.mean[(i, j)] - narrow.mean[(i, j)]),
        standard_error: Mat::from_fn(wide.mean.nrows(), wide.mean.ncols(), |i, j| {
            (2.0 * wide.standard_error[(i, j)]).hypot(narrow.standard_error[(i, j)])
        }),
    };
    SampledKernels {
        nngp: combine(&narrow.nngp, &wide.nngp),
        ntk: combine(&narrow.ntk, &wide.ntk),
        members: narrow.members + wide.members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_moments_are_those_of_the_values() {
        let values = [1.0, 4.0, -2.5, 7.0];
        let mut running = Running::new(1, 1);
        values.iter().for_each(|&v| running.add(&Mat::from_fn(1, 1, |_, _| v)));
        let found = running.finish();
        let mean = values.iter().sum::<f64>() / 4.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0;
        assert!((found.mean[(0, 0)] - mean).abs() < 1e-14);
        assert!((found.standard_error[(0, 0)] - (variance / 4.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn a_bias_of_one_over_n_is_removed() {
        let kernel = |n: f64| {
            let sampled = |limit: f64| Sampled {
                mean: Mat::from_fn(1, 1, |_, _| limit + 3.0 / n),
                standard_error: Mat::from_fn(1, 1, |_, _| 0.1),
            };
            SampledKernels { nngp: sampled(2.0), ntk: sampled(5.0), members: 7 }
        };
        let found = extrapolate(&kernel(100.0), &kernel(200.0));
        assert!((found.nngp.mean[(0, 0)] - 2.0).abs() < 1e-14 && (found.ntk.mean[(0, 0)] - 5.0).abs() < 1e-14);
        assert!((found.ntk.standard_error[(0, 0)] - 0.05_f64.sqrt()).abs() < 1e-14);
    }
}
