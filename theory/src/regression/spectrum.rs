//! What iterations tell of the extreme eigenvalues of `K + ridge`. These are estimates; an exact spectrum costs `O(N^3)`.
//!
//! - Largest: a Ritz value of a short Lanczos process on `K + ridge`; never above the true one.
//! - Smallest, bound: the Rayleigh quotient of `K + ridge` at the vector that a short Lanczos process finds for the largest
//!   eigenvalue of `(L L^T)^-1`; never below the true one.
//! - Smallest, from conjugate gradients: if `L L^T = K + jitter` held exactly, an eigenvalue `lambda` of `K` would make
//!   `mu = (lambda + ridge) / (lambda + jitter)` one of the preconditioned system, so `lambda + ridge = mu (jitter - ridge) / (1 - mu)`
//!   at the smallest `mu` (jitter above ridge) or largest `mu` (below) of the Ritz values. Rounding of the factor, about
//!   `eps` (of `f32`) times the largest eigenvalue, spoils this where it is not small against `jitter`.

use std::time::Instant;

use faer::{Mat, Side};

use super::cholesky::FactoredKernel;
use super::conjugate_gradients::Ritz;
use super::ridge::PhaseTimes;

/// Steps of each Lanczos process.
const STEPS: usize = 10;

/// Estimates of the extreme eigenvalues of the kernel with its ridge; `None` where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumEstimate {
    /// Largest eigenvalue of `K + ridge`, from below.
    pub largest: Option<f64>,
    /// A number that the smallest eigenvalue of `K + ridge` does not exceed.
    pub smallest_bound: Option<f64>,
    /// Smallest eigenvalue of `K + ridge` from the coefficients of conjugate gradients; undefined if ridge equals jitter.
    pub smallest_from_iteration: Option<f64>,
    /// Smallest Ritz value of the preconditioned system.
    pub preconditioned_smallest: Option<f64>,
    /// Largest Ritz value of the preconditioned system.
    pub preconditioned_largest: Option<f64>,
}

impl SpectrumEstimate {
    /// The smaller of the two estimates of the smallest eigenvalue of `K + ridge`.
    pub fn smallest(&self) -> Option<f64> {
        match (self.smallest_bound, self.smallest_from_iteration) {
            (Some(bound), Some(estimate)) => Some(bound.min(estimate)),
            (bound, estimate) => bound.or(estimate),
        }
    }

    /// Largest over smallest estimate.
    pub fn condition_number(&self) -> Option<f64> {
        Some(self.largest? / self.smallest()?)
    }

    /// What conjugate gradients alone tell.
    pub(super) fn from_ritz(jitter: f64, ridge: f64, ritz: &Ritz) -> Self {
        let smallest_from_iteration = ritz.0.and_then(|(low, high)| {
            let mu = if jitter > ridge { low } else { high };
            let estimate = mu * (jitter - ridge) / (1.0 - mu);
            (estimate.is_finite() && estimate > 0.0).then_some(estimate)
        });
        Self {
            largest: None,
            smallest_bound: None,
            smallest_from_iteration,
            preconditioned_smallest: ritz.0.map(|(low, _)| low),
            preconditioned_largest: ritz.0.map(|(_, high)| high),
        }
    }

    /// Adds what two Lanczos processes tell.
    pub(super) fn measure(kernel: &FactoredKernel<'_>, ridge: f64, ritz: &Ritz, times: &mut PhaseTimes) -> Self {
        let begin = Instant::now();
        let size = kernel.store.examples();
        let product = |vector: &Mat<f64>| kernel.store.multiply(vector.as_ref()) + vector * ridge;
        let solve = |vector: &Mat<f64>| {
            let mut solved = vector.clone();
            kernel.precondition(&mut solved);
            solved
        };
        let largest = lanczos(size, product).map(|(value, _)| value);
        let smallest_bound = lanczos(size, solve).map(|(_, vector)| {
            let image = product(&vector);
            vector.col(0).transpose() * image.col(0)
        });
        times.spectrum_s += begin.elapsed().as_secs_f64();
        Self { largest, smallest_bound, ..Self::from_ritz(kernel.jitter(), ridge, ritz) }
    }
}

/// Largest Ritz value of a symmetric operator, with its vector of length one; the basis is kept orthogonal.
fn lanczos(size: usize, apply: impl Fn(&Mat<f64>) -> Mat<f64>) -> Option<(f64, Mat<f64>)> {
    let steps = STEPS.min(size);
    let mut basis: Vec<Mat<f64>> = Vec::new();
    let mut projected = Mat::zeros(steps, steps);
    // Any vector will do that is orthogonal to no eigenvector; the golden ratio spreads its entries over [1/2, 3/2).
    let mut next = Mat::from_fn(size, 1, |i, _| 0.5 + (i as f64 * 0.618_033_988_749_894_9).fract());
    let mut found = 0;
    for j in 0..steps {
        let length = next.norm_l2();
        if !(length > 0.0 && length.is_finite()) {
            break;
        }
        basis.push(&next * (1.0 / length));
        let image = apply(&basis[j]);
        next = image.clone();
        // Twice is enough (Kahan, Parlett).
        for pass in 0..2 {
            for (i, vector) in basis.iter().enumerate() {
                let overlap: f64 = vector.col(0).transpose() * next.col(0);
                if pass == 0 {
                    projected[(j, i)] = overlap;
                }
                next -= vector * overlap;
            }
        }
        found = j + 1;
        if next.norm_l2() <= size as f64 * f64::EPSILON * image.norm_l2() {
            break;
        }
    }
    let eigen = projected.as_ref().submatrix(0, 0, found, found).self_adjoint_eigen(Side::Lower).ok()?;
    let value = eigen.S().column_vector().iter().last().copied()?;
    let mut vector = Mat::zeros(size, 1);
    for (i, basis) in basis.iter().take(found).enumerate() {
        vector += basis * eigen.U()[(i, found - 1)];
    }
    let length = vector.norm_l2();
    Some((value, vector * (1.0 / length)))
}
