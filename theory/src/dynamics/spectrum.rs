//! Eigenvalues of a kernel matrix and what they allow.

use faer::{MatRef, Side};

use super::expect_shape;
use crate::error::TheoryError;

/// Eigenvalues of a kernel on the training examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Ascending, as computed; those within rounding of zero may be negative.
    pub eigenvalues: Vec<f64>,
    /// Eigenvalues not larger than this in size count as zero: `N eps lambda_max`.
    pub zero_below: f64,
}

impl Spectrum {
    /// Of the lower triangle of a symmetric `N x N` matrix.
    ///
    /// # Errors
    /// A shape mismatch, or [`TheoryError::Solve`] if the decomposition does not converge.
    pub fn of(kernel: MatRef<'_, f64>) -> Result<Self, TheoryError> {
        expect_shape("kernel (columns)", kernel.nrows(), kernel.ncols())?;
        let eigenvalues = kernel.self_adjoint_eigenvalues(Side::Lower).map_err(|_| TheoryError::Solve {
            operation: "the eigendecomposition of the kernel",
            size: kernel.nrows(),
            smallest: f64::NAN,
            largest: f64::NAN,
        })?;
        Ok(Self::from_ascending(eigenvalues))
    }

    pub(super) fn from_ascending(eigenvalues: Vec<f64>) -> Self {
        let largest = eigenvalues.last().copied().unwrap_or(f64::NAN);
        Self { zero_below: eigenvalues.len() as f64 * f64::EPSILON * largest, eigenvalues }
    }

    /// Smallest eigenvalue, as computed.
    pub fn smallest(&self) -> f64 {
        self.eigenvalues.first().copied().unwrap_or(f64::NAN)
    }

    /// Largest eigenvalue.
    pub fn largest(&self) -> f64 {
        self.eigenvalues.last().copied().unwrap_or(f64::NAN)
    }

    /// Number of eigenvalues that differ from zero.
    pub fn rank(&self) -> usize {
        self.eigenvalues.iter().filter(|lambda| **lambda > self.zero_below).count()
    }

    /// Largest over smallest eigenvalue; infinite if some eigenvalue counts as zero.
    pub fn condition_number(&self) -> f64 {
        if self.rank() < self.eigenvalues.len() { f64::INFINITY } else { self.largest() / self.smallest() }
    }

    /// Learning rate of fastest contraction of the slowest mode, `2/(lambda_min + lambda_max)`.
    pub fn fastest_learning_rate(&self) -> f64 {
        2.0 / (self.smallest().max(0.0) + self.largest())
    }
}
