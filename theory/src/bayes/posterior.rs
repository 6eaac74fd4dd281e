//! Gaussian-process posteriors.
//!
//! Mean `k(x, X) (k + noise)^{-1} y` and covariance `k(x, x') - k(x, X) (k + noise)^{-1} k(X, x')`. With the NNGP kernel this is
//! Bayesian inference with an infinitely wide network, and equals training the readout alone to convergence when there
//! is no noise (Lee et al. 2018, 1711.00165); with the tangent kernel it is the ensemble of He, Lakshminarayanan and Teh 2020
//! (2007.05864).

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatRef, Side};

use crate::dynamics::{Prediction, Spectrum, expect_shape};
use crate::error::TheoryError;

/// What is added to the diagonal of a training kernel. Both have the same effect on the numbers, not the same meaning.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Regularization {
    /// Variance of the noise on the targets: part of the model.
    pub noise: f64,
    /// A small number that makes an ill-conditioned kernel solvable: not part of the model, so every result repeats it.
    pub jitter: f64,
}

impl Regularization {
    /// Noise and no jitter.
    pub fn noise(noise: f64) -> Self {
        Self { noise, jitter: 0.0 }
    }

    fn diagonal(&self) -> f64 {
        self.noise + self.jitter
    }
}

/// A posterior and the evidence for its prior.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Mean and covariance on the test examples, without observation noise.
    pub prediction: Prediction,
    /// Natural logarithm of the density of the targets under the prior, summed over outputs.
    pub log_evidence: f64,
    /// Eigenvalues of the training kernel, without noise and jitter: smallest one, condition number.
    pub spectrum: Spectrum,
    /// What was added to the diagonal.
    pub regularization: Regularization,
}

impl Posterior {
    /// Condition number of the matrix that was solved, noise and jitter included.
    pub fn solved_condition_number(&self) -> f64 {
        let diagonal = self.regularization.diagonal();
        (self.spectrum.largest() + diagonal) / (self.spectrum.smallest() + diagonal)
    }
}

/// The parts that every posterior with this training kernel is made of.
pub(super) struct Conditioning {
    /// `k(x, X) k^{-1} y`.
    pub(super) mean: Mat<f64>,
    /// `k(x, x') - k(x, X) k^{-1} k(X, x')`.
    pub(super) covariance: Mat<f64>,
    /// `y_o^T k^{-1} y_o` of every output.
    pub(super) fits: Vec<f64>,
    pub(super) log_determinant: f64,
    pub(super) spectrum: Spectrum,
}

impl Conditioning {
    pub(super) fn new(
        train: MatRef<'_, f64>,
        cross: MatRef<'_, f64>,
        test: MatRef<'_, f64>,
        targets: MatRef<'_, f64>,
        regularization: Regularization,
    ) -> Result<Self, TheoryError> {
        let size = train.nrows();
        expect_shape("training kernel (columns)", size, train.ncols())?;
        expect_shape("test-training kernel (columns)", size, cross.ncols())?;
        expect_shape("test kernel (rows)", cross.nrows(), test.nrows())?;
        expect_shape("test kernel (columns)", cross.nrows(), test.ncols())?;
        expect_shape("targets (examples)", size, targets.nrows())?;
        let spectrum = Spectrum::of(train)?;
        let factor = factor(train, regularization.diagonal(), &spectrum)?;
        let weights = factor.solve(targets);
        let explained = cross * factor.solve(cross.transpose());
        let log_determinant: f64 = (0..size).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
        let fit = |o: usize| (0..size).map(|i| targets[(i, o)] * weights[(i, o)]).sum::<f64>();
        Ok(Self {
            fits: (0..targets.ncols()).map(fit).collect(),
            mean: cross * weights,
            covariance: symmetric(test - explained),
            log_determinant,
            spectrum,
        })
    }
}

fn factor(train: MatRef<'_, f64>, diagonal: f64, spectrum: &Spectrum) -> Result<Llt<f64>, TheoryError> {
    let mut gram = train.to_owned();
    (0..train.nrows()).for_each(|i| gram[(i, i)] += diagonal);
    gram.llt(Side::Lower).map_err(|_| TheoryError::Solve {
        operation: "the Cholesky factorization of the training kernel",
        size: train.nrows(),
        smallest: spectrum.smallest() + diagonal,
        largest: spectrum.largest() + diagonal,
    })
}

/// Posterior of a Gaussian process with covariance `train` on the training examples, given noisy targets.
///
/// # Shapes
/// `train` `N x N`, `cross` (test against training) `T x N`, `test` `T x T`, `targets` `N x outputs`.
///
/// # Errors
/// A shape mismatch, or [`TheoryError::Solve`] if `train + noise + jitter` is not positive definite: jitter is never
/// added unasked.
pub fn gaussian_process_posterior(
    train: MatRef<'_, f64>,
    cross: MatRef<'_, f64>,
    test: MatRef<'_, f64>,
    targets: MatRef<'_, f64>,
    regularization: Regularization,
) -> Result<Posterior, TheoryError> {
    let parts = Conditioning::new(train, cross, test, targets, regularization)?;
    let constant = parts.log_determinant + train.nrows() as f64 * (2.0 * std::f64::consts::PI).ln();
    let log_evidence = parts.fits.iter().map(|fit| -0.5 * (fit + constant)).sum();
    Ok(Posterior {
        prediction: Prediction { mean: parts.mean, covariance: parts.covariance },
        log_evidence,
        spectrum: parts.spectrum,
        regularization,
    })
}

fn symmetric(matrix: Mat<f64>) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| 0.5 * (matrix[(i, j)] + matrix[(j, i)]))
}
