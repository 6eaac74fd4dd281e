//! Ensembles under losses without closed forms: initial outputs are drawn from the prior, each member is trained, and the moments of
//! the outputs are estimated with their standard errors.

use faer::{Mat, MatRef, Side};
use rayon::prelude::*;

use super::expect_shape;
use super::general_loss::GeneralLossProblem;
use crate::error::TheoryError;

/// Draws `f_0 ~ N(0, K)` jointly on all examples of a kernel.
#[derive(Debug, Clone)]
pub struct PriorSampler {
    /// `U sqrt(Lambda)`.
    root: Mat<f64>,
}

impl PriorSampler {
    /// For the covariance `K`, `examples x examples`, of training and test examples together; singular ones are fine.
    ///
    /// # Errors
    /// A shape mismatch, or [`TheoryError::Solve`] if the decomposition fails or an eigenvalue is clearly negative.
    pub fn new(nngp: MatRef<'_, f64>) -> Result<Self, TheoryError> {
        let size = nngp.nrows();
        expect_shape("prior covariance (columns)", size, nngp.ncols())?;
        let failed = |smallest: f64, largest: f64| TheoryError::Solve {
            operation: "the root of the prior covariance",
            size,
            smallest,
            largest,
        };
        let eigen = nngp.self_adjoint_eigen(Side::Lower).map_err(|_| failed(f64::NAN, f64::NAN))?;
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let (smallest, largest) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        if smallest < -1e4 * size as f64 * f64::EPSILON * largest {
            return Err(failed(smallest, largest));
        }
        let vectors = eigen.U();
        Ok(Self { root: Mat::from_fn(size, size, |i, j| vectors[(i, j)] * values[j].max(0.0).sqrt()) })
    }

    /// One draw, `examples x outputs`; `normal` returns independent standard normal numbers, for instance
    /// `|| StandardNormal.sample(&mut rng)`.
    pub fn sample(&self, outputs: usize, mut normal: impl FnMut() -> f64) -> Mat<f64> {
        let normals = Mat::from_fn(self.root.nrows(), outputs, |_, _| normal());
        &self.root * normals
    }
}

/// Moments over members, estimated from a sample of them.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledMoments {
    /// `examples x outputs`.
    pub mean: Mat<f64>,
    /// Standard error of each mean.
    pub mean_standard_error: Mat<f64>,
    /// Unbiased estimate of each variance.
    pub variance: Mat<f64>,
    /// Standard error of each variance, from the fourth central moment.
    pub variance_standard_error: Mat<f64>,
    /// Number of members.
    pub members: usize,
}

impl SampledMoments {
    /// Of matrices of one shape, one a member.
    ///
    /// # Errors
    /// [`TheoryError::NoPrediction`] for fewer than four members.
    pub fn of(members: &[Mat<f64>]) -> Result<Self, TheoryError> {
        let count = members.len();
        if count < 4 {
            let reason = format!("standard errors of variances need at least 4 members, not {count}");
            return Err(TheoryError::NoPrediction { reason });
        }
        let n = count as f64;
        let (rows, columns) = members[0].shape();
        let mean = Mat::from_fn(rows, columns, |i, o| members.iter().map(|f| f[(i, o)]).sum::<f64>() / n);
        let central = |power: i32| {
            Mat::from_fn(rows, columns, |i, o| {
                members.iter().map(|f| (f[(i, o)] - mean[(i, o)]).powi(power)).sum::<f64>() / n
            })
        };
        let (second, fourth) = (central(2), central(4));
        let each = |f: &dyn Fn(f64, f64) -> f64| Mat::from_fn(rows, columns, |i, o| f(second[(i, o)], fourth[(i, o)]));
        Ok(Self {
            mean_standard_error: each(&|second, _| (second / (n - 1.0)).sqrt()),
            variance: each(&|second, _| second * n / (n - 1.0)),
            variance_standard_error: each(&|second, fourth| {
                ((fourth - second * second * (n - 3.0) / (n - 1.0)) / n).max(0.0).sqrt()
            }),
            mean,
            members: count,
        })
    }
}

/// Trains every member from its own initial outputs, in parallel, and returns the moments of what `train` returns: one entry for each of
/// its matrices (times, say).
///
/// `train` is given the member's problem: [`flow_general_loss`](crate::dynamics::flow_general_loss) or
/// [`descend_general_loss`](crate::dynamics::descend_general_loss) and a choice of their outputs.
///
/// # Shapes
/// `ntk` `N x N`; `ntk_test` `T x N`; every entry of `initial` `(N + T) x outputs`, training examples first: draws of
/// [`PriorSampler::sample`].
///
/// # Errors
/// A shape mismatch, fewer than four members, or the first error of `train`.
pub fn train_sampled_ensemble(
    ntk: MatRef<'_, f64>,
    ntk_test: MatRef<'_, f64>,
    initial: &[Mat<f64>],
    train: impl Fn(&GeneralLossProblem<'_>) -> Result<Vec<Mat<f64>>, TheoryError> + Sync,
) -> Result<Vec<SampledMoments>, TheoryError> {
    let (size, tests) = (ntk.nrows(), ntk_test.nrows());
    let member = |outputs: &Mat<f64>| {
        expect_shape("initial outputs (training and test examples)", size + tests, outputs.nrows())?;
        let (initial, initial_test) = outputs.as_ref().split_at_row(size);
        train(&GeneralLossProblem { ntk, ntk_test, initial, initial_test })
    };
    let members: Vec<Vec<Mat<f64>>> = initial.par_iter().map(member).collect::<Result<_, _>>()?;
    let times = members.iter().map(Vec::len).min().unwrap_or(0);
    let at = |time: usize| members.iter().map(|states| states[time].clone()).collect::<Vec<_>>();
    (0..times).map(|time| SampledMoments::of(&at(time))).collect()
}
