//! Gaussian-process posteriors.
//!
//! Mean `k(x, X) (k + noise)^{-1} y` and covariance `k(x, x') - k(x, X) (k + noise)^{-1} k(X, x')`. With the NNGP kernel this is
//! Bayesian inference with an infinitely wide network, and equals training the readout alone to convergence when there
//! is no noise (Lee et al. 2018, 1711.00165); with the tangent kernel it is the ensemble of He, Lakshminarayanan and Teh 2020
//! (2007.05864).

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use super::{Prediction, expect_shape};
use crate::error::TheoryError;

/// A posterior and the evidence for its prior.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Mean and covariance on the test examples, without observation noise.
    pub prediction: Prediction,
    /// Natural logarithm of the density of the targets under the prior, summed over outputs.
    pub log_evidence: f64,
}

/// Posterior of a Gaussian process with covariance `train` on the training examples, given noisy targets.
///
/// # Shapes
/// `train` `N x N`, `cross` (test against training) `T x N`, `test` `T x T`, `targets` `N x outputs`; `noise` is a variance.
///
/// # Errors
/// A shape mismatch, or [`TheoryError::Solve`] if `train + noise` is not positive definite.
pub fn gaussian_process_posterior(
    train: MatRef<'_, f64>,
    cross: MatRef<'_, f64>,
    test: MatRef<'_, f64>,
    targets: MatRef<'_, f64>,
    noise: f64,
) -> Result<Posterior, TheoryError> {
    let size = train.nrows();
    expect_shape("training kernel (columns)", size, train.ncols())?;
    expect_shape("test-training kernel (columns)", size, cross.ncols())?;
    expect_shape("test kernel (rows)", cross.nrows(), test.nrows())?;
    expect_shape("test kernel (columns)", cross.nrows(), test.ncols())?;
    expect_shape("targets (examples)", size, targets.nrows())?;
    let mut gram = train.to_owned();
    (0..size).for_each(|i| gram[(i, i)] += noise);
    let factor = gram.llt(Side::Lower).map_err(|_| {
        let eigenvalues = gram.self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
        TheoryError::Solve {
            operation: "the Cholesky factorization of the training kernel",
            size,
            smallest: eigenvalues.first().copied().unwrap_or(f64::NAN),
            largest: eigenvalues.last().copied().unwrap_or(f64::NAN),
        }
    })?;
    let weights = factor.solve(targets);
    let explained = cross * factor.solve(cross.transpose());
    let log_determinant: f64 = (0..size).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    let outputs = targets.ncols();
    let fit: f64 = (0..outputs).map(|o| (0..size).map(|i| targets[(i, o)] * weights[(i, o)]).sum::<f64>()).sum();
    let constant = log_determinant + size as f64 * (2.0 * std::f64::consts::PI).ln();
    Ok(Posterior {
        prediction: Prediction { mean: cross * weights, covariance: symmetric(test - explained) },
        log_evidence: -0.5 * (fit + outputs as f64 * constant),
    })
}

fn symmetric(matrix: Mat<f64>) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| 0.5 * (matrix[(i, j)] + matrix[(j, i)]))
}
