//! Scale mixtures: a readout whose weight variance is itself random makes the network a Student-t process.
//!
//! With `s^2 ~ InvGamma(a, b)` drawn once for the whole layer (once per weight would give back a Gaussian), the outputs at
//! infinite width are multivariate t with `nu = 2a` degrees of freedom and scale matrix `(b/a) K`, `K` the covariance at
//! `s^2 = 1` (Lee, Yun, Yang and Lee 2021, 2107.01408). Given targets `y` at `m` examples, with `beta = y^T K^{-1} y`:
//!
//! ```text
//! s^2 | y  ~ InvGamma(a + m/2, b + beta/2)
//! f(x) | y ~ t with nu' = 2a + m, mean K_xX K^{-1} y, scale^2 = (2b + beta)/(2a + m) (K_xx - K_xX K^{-1} K_Xx)
//! variance = scale^2 nu' / (nu' - 2)
//! ```
//!
//! Noise must scale with `s^2` for this to stay closed: the covariance of the targets is `s^2 (K + noise)`. A readout bias must be
//! scaled with `s^2` as well, or be absent. All outputs share `s^2`, so `m` counts the entries of `y` and `beta` sums over outputs.

use faer::{Mat, MatRef};

use super::Regularization;
use super::posterior::Conditioning;
use crate::dynamics::{Prediction, Spectrum};
use crate::error::TheoryError;

/// The inverse-gamma distribution of the readout's weight variance; density `b^a / Gamma(a) s^(-2(a+1)) exp(-b/s^2)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InverseGamma {
    /// `a > 0`.
    pub shape: f64,
    /// `b > 0`.
    pub scale: f64,
}

impl InverseGamma {
    /// `b / (a - 1)`; `None` for `a <= 1`, where it is infinite.
    pub fn mean(&self) -> Option<f64> {
        (self.shape > 1.0).then(|| self.scale / (self.shape - 1.0))
    }
}

/// A Student-t posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentPosterior {
    /// `nu' = 2a + m`.
    pub degrees_of_freedom: f64,
    /// `T x outputs`, the same as that of a Gaussian process.
    pub mean: Mat<f64>,
    /// Scale matrix `T x T`, the same for every output; not a covariance.
    pub scale: Mat<f64>,
    /// Posterior of `s^2`.
    pub readout_variance: InverseGamma,
    /// Natural logarithm of the density of all targets under the multivariate t prior.
    pub log_evidence: f64,
    /// Eigenvalues of the training kernel, without noise and jitter.
    pub spectrum: Spectrum,
    /// What was added to the diagonal of the training kernel.
    pub regularization: Regularization,
}

impl StudentPosterior {
    /// Mean and covariance, `scale nu' / (nu' - 2)`; `None` for `nu' <= 2`, where the variance is infinite.
    pub fn prediction(&self) -> Option<Prediction> {
        let excess = self.degrees_of_freedom - 2.0;
        (excess > 0.0).then(|| Prediction {
            mean: self.mean.clone(),
            covariance: &self.scale * (self.degrees_of_freedom / excess),
        })
    }
}

/// Posterior of a Student-t process: a network whose readout has the random weight variance `s^2`.
///
/// # Shapes
/// `train` `N x N`, `cross` (test against training) `T x N`, `test` `T x T`: kernels at `s^2 = 1`; `targets` `N x outputs`. The
/// noise is in units of `s^2`.
///
/// # Errors
/// A shape mismatch, [`TheoryError::Solve`] if `train + noise + jitter` is not positive definite,
/// [`TheoryError::NoPrediction`] if the prior's shape or scale is not positive.
pub fn student_t_posterior(
    train: MatRef<'_, f64>,
    cross: MatRef<'_, f64>,
    test: MatRef<'_, f64>,
    targets: MatRef<'_, f64>,
    prior: InverseGamma,
    regularization: Regularization,
) -> Result<StudentPosterior, TheoryError> {
    if !(prior.shape > 0.0 && prior.scale > 0.0) {
        let InverseGamma { shape, scale } = prior;
        let reason = format!("an inverse gamma distribution of shape {shape} and scale {scale}; both must be positive");
        return Err(TheoryError::NoPrediction { reason });
    }
    let parts = Conditioning::new(train, cross, test, targets, regularization)?;
    let outputs = targets.ncols() as f64;
    let observed = train.nrows() as f64 * outputs;
    let beta: f64 = parts.fits.iter().sum();
    let posterior = InverseGamma { shape: prior.shape + 0.5 * observed, scale: prior.scale + 0.5 * beta };
    // The integral of N(y; 0, s^2 K) over the prior of s^2.
    let log_evidence = libm::lgamma(posterior.shape) - libm::lgamma(prior.shape) + prior.shape * prior.scale.ln()
        - posterior.shape * posterior.scale.ln()
        - 0.5 * (observed * (2.0 * std::f64::consts::PI).ln() + outputs * parts.log_determinant);
    Ok(StudentPosterior {
        degrees_of_freedom: 2.0 * posterior.shape,
        mean: parts.mean,
        scale: parts.covariance * (posterior.scale / posterior.shape),
        readout_variance: posterior,
        log_evidence,
        spectrum: parts.spectrum,
        regularization,
    })
}
