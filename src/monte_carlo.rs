//! Kernels by sampling: means of the empirical NNGP and tangent kernels of freshly drawn networks, with standard errors. The
//! way to a kernel that knows nothing of dual activations, for any architecture that can be built.
//!
//! The empirical NNGP kernel is conditional on the hidden layers and the tangent kernel is a mean over outputs: neither
//! changes the expectation. At width `n` the expectation differs from the limit by a term of order `1/n`, which
//! [`extrapolate`] removes from two widths of which one is twice the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{DType, Device};
use faer::Mat;
use widthwise_probes::{Observed, empirical_nngp, empirical_ntk};
use widthwise_statistics::RunningMean;
pub use widthwise_statistics::Sampled;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, UpdateRule};

use crate::ensemble::{Ended, Job, Shard, Study, Unit, UnitEnd};
use crate::error::Result;
use crate::memory::Bytes;
use crate::monitor::Stage;
use crate::need;
use crate::network::Network;
use crate::observation::Observation;

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

/// Samples both kernels of `architecture` at the widths that it says; `None` if a stop was asked for.
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
    job: &Job<'_>,
) -> Result<Option<SampledKernels>> {
    if sampling.members < 2 {
        let (what, expected) = ("networks of an ensemble with standard errors (at least)", 2);
        return Err(TheoryError::ShapeMismatch { what, expected, found: sampling.members }.into());
    }
    architecture.nodes()?;
    let features = architecture.input.features();
    let rows = left.len() / features;
    let inputs = [left, right.unwrap_or_default()].concat();
    let columns = inputs.len() / features - rows;
    let block = right.map(|_| [rows, columns]);
    let columns = if right.is_some() { columns } else { rows };
    let means = Means { sums: [(); 2].map(|()| RunningMean::new(rows, columns)), waiting: BTreeMap::new(), next: 0 };
    let networks = Networks { architecture, sampling, inputs, block, means: Mutex::new(means) };
    let job = Job { shard: Shard::WHOLE, ..*job };
    if job.run(&networks, Stage::networks("sampling", None))? != Ended::Complete {
        return Ok(None);
    }
    let [nngp, ntk] = networks.means.into_inner().unwrap_or_else(PoisonError::into_inner).sums.map(RunningMean::finish);
    Ok(Some(SampledKernels { nngp, ntk, members: sampling.members }))
}

/// Means over the members so far, and members that are done before others of smaller numbers: they are added in their order, so
/// that sums do not depend on what is done side by side.
struct Means {
    sums: [RunningMean; 2],
    waiting: BTreeMap<usize, [Mat<f64>; 2]>,
    next: usize,
}

impl Means {
    fn add(&mut self, member: usize, kernels: [Mat<f64>; 2]) {
        self.waiting.insert(member, kernels);
        while let Some(kernels) = self.waiting.remove(&self.next) {
            self.sums.iter_mut().zip(&kernels).for_each(|(sum, kernel)| sum.add(kernel));
            self.next += 1;
        }
    }
}

/// Freshly drawn networks as a study that keeps nothing but sums.
struct Networks<'a> {
    architecture: &'a Architecture,
    sampling: &'a Sampling,
    inputs: Vec<f64>,
    /// Rows and columns of the block between the two sides, where there are two.
    block: Option<[usize; 2]>,
    means: Mutex<Means>,
}

impl Networks<'_> {
    fn kernels(&self, member: usize) -> Result<[Mat<f64>; 2]> {
        let Sampling { seed, device, dtype, .. } = self.sampling;
        let network = Network::new(self.architecture, UpdateRule::Linear, *seed, member, device, *dtype)?;
        let mut masks = widthwise_datasets::stream(*seed, &format!("dropout.{member}"));
        let batch = network.with_masks(network.batch(&self.inputs), &mut masks);
        let observation = Observation::new(&network, &batch);
        let kernels = [empirical_nngp(&observation, observation.layers()), empirical_ntk(&observation)];
        Ok(match self.block {
            Some([rows, columns]) => kernels.map(|kernel| kernel.submatrix(0, rows, rows, columns).to_owned()),
            None => kernels,
        })
    }
}

impl Study for Networks<'_> {
    type Point = ();

    fn members(&self) -> usize {
        self.sampling.members
    }

    fn is_done(&self, unit: Unit) -> bool {
        unit.member < self.means.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    fn point(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn need(&self, _: usize) -> Result<Option<Bytes>> {
        let number = if self.sampling.dtype == DType::F64 { 8 } else { 4 };
        let examples = self.inputs.len() / self.architecture.input.features();
        Ok(Some(need::sampled_kernels(self.architecture, number, examples)?))
    }

    fn train(&self, _: &(), unit: Unit) -> Result<UnitEnd> {
        let kernels = self.kernels(unit.member)?;
        self.means.lock().unwrap_or_else(PoisonError::into_inner).add(unit.member, kernels);
        Ok(UnitEnd::Done)
    }
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
    fn members_are_added_in_their_order() {
        let mut means = Means { sums: [(); 2].map(|()| RunningMean::new(1, 1)), waiting: BTreeMap::new(), next: 0 };
        let kernels = |member: f64| [Mat::from_fn(1, 1, |_, _| member), Mat::from_fn(1, 1, |_, _| -member)];
        means.add(1, kernels(1.0));
        means.add(2, kernels(2.0));
        assert_eq!((means.next, means.waiting.len()), (0, 2));
        means.add(0, kernels(0.0));
        assert_eq!((means.next, means.waiting.len()), (3, 0));
        assert_eq!(means.sums.map(|sum| sum.finish().mean[(0, 0)]), [1.0, -1.0]);
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
