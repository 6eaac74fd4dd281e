//! The plain solution for a few thousand examples: Cholesky and a full spectrum in `f64`.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use super::conjugate_gradients::relative_norms;
use super::error::{RegressionError, expect_option};
use crate::dynamics::{Spectrum, expect_shape};
use crate::error::TheoryError;

/// A solution of `(K + ridge + jitter) alpha = Y`.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectSolution {
    /// `alpha`, `N x outputs`.
    pub weights: Mat<f64>,
    /// `|Y_o - (K + ridge + jitter) alpha_o| / |Y_o|` of every output.
    pub residuals: Vec<f64>,
    /// Eigenvalues of `K`, without ridge and jitter.
    pub spectrum: Spectrum,
    /// The ridge, part of the problem.
    pub ridge: f64,
    /// The jitter, added for the sake of the computation.
    pub jitter: f64,
}

/// Solves `(K + ridge + jitter) alpha = Y` in `f64`; the only use of telling `ridge` from `jitter` is that the result says so.
///
/// # Shapes
/// `kernel` `N x N`, symmetric; `targets` `N x outputs`.
///
/// # Errors
/// A shape mismatch, a negative ridge or jitter, or [`TheoryError::Solve`] if the matrix is not positive definite.
pub fn solve_directly(
    kernel: MatRef<'_, f64>,
    targets: MatRef<'_, f64>,
    ridge: f64,
    jitter: f64,
) -> Result<DirectSolution, RegressionError> {
    let size = kernel.nrows();
    expect_shape("kernel (columns)", size, kernel.ncols())?;
    expect_shape("targets (examples)", size, targets.nrows())?;
    expect_option(ridge >= 0.0 && ridge.is_finite(), "ridge", ridge, "0 or more")?;
    expect_option(jitter >= 0.0 && jitter.is_finite(), "jitter", jitter, "0 or more")?;
    let spectrum = Spectrum::of(kernel)?;
    let mut matrix = kernel.to_owned();
    (0..size).for_each(|i| matrix[(i, i)] += ridge + jitter);
    let factor = matrix.llt(Side::Lower).map_err(|_| TheoryError::Solve {
        operation: "the Cholesky factorization of the kernel",
        size,
        smallest: spectrum.smallest() + ridge + jitter,
        largest: spectrum.largest() + ridge + jitter,
    })?;
    let weights = factor.solve(targets);
    let scales: Vec<f64> = (0..targets.ncols()).map(|o| targets.col(o).norm_l2()).collect();
    let residuals = relative_norms((targets - &matrix * &weights).as_ref(), &scales);
    Ok(DirectSolution { weights, residuals, spectrum, ridge, jitter })
}
