//! How much is lost by storing kernels in single precision, measured on a sample of pairs.

use super::engine::KernelEngine;
use super::output::KernelTile;
use super::prepared::PreparedInputs;
use crate::error::TheoryError;

/// Differences between a kernel as computed, in double precision, and as stored in single, on a sample of pairs. Every one is
/// relative to `sqrt(K(x, x) K(y, y))`, so that entries near zero do not count for more than they weigh in a matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SinglePrecisionError {
    /// Pairs compared.
    pub pairs: usize,
    /// Largest and root mean square difference of `K`.
    pub nngp: [f64; 2],
    /// The same of `Theta`; `None` if there is no tangent kernel.
    pub ntk: Option<[f64; 2]>,
}

impl KernelEngine {
    /// The error of storing kernels in `f32`, on about `pairs` pairs spread evenly over `left x right`.
    ///
    /// At most `2^-24 = 6e-8`: all arithmetic, sums included, is in double precision whatever the storage.
    ///
    /// # Errors
    /// As [`KernelEngine::tile`]; a [`TheoryError::ShapeMismatch`] without examples.
    pub fn single_precision_error(
        &self,
        left: &PreparedInputs<'_>,
        right: &PreparedInputs<'_>,
        pairs: usize,
    ) -> Result<SinglePrecisionError, TheoryError> {
        let all = left.examples() * right.examples();
        if all == 0 || pairs == 0 {
            return Err(TheoryError::ShapeMismatch { what: "pairs to compare (at least)", expected: 1, found: 0 });
        }
        let has_tangent = self.expect_tangent().is_ok();
        let (left_diagonal, right_diagonal) = (self.diagonal(left), self.diagonal(right));
        let (mut largest, mut squares, mut count) = ([0.0_f64; 2], [0.0_f64; 2], 0);
        let mut scratch = self.scratch();
        for index in (0..all).step_by(all.div_ceil(pairs)) {
            let (i, j) = (index / right.examples(), index % right.examples());
            let mut kernels = [faer::Mat::<f64>::zeros(1, 1), faer::Mat::zeros(1, 1)];
            let [nngp, ntk] = &mut kernels;
            let tile = KernelTile { nngp: Some(nngp.as_mut()), ntk: has_tangent.then(|| ntk.as_mut()) };
            self.tile(left, i..i + 1, right, j..j + 1, tile, &mut scratch)?;
            for (which, kernel) in kernels.iter().enumerate() {
                let exact = kernel[(0, 0)];
                let scale = (left_diagonal[i][which] * right_diagonal[j][which]).sqrt();
                let difference = (f64::from(exact as f32) - exact).abs() / scale.max(f64::MIN_POSITIVE);
                largest[which] = largest[which].max(difference);
                squares[which] += difference * difference;
            }
            count += 1;
        }
        let of = |which: usize| [largest[which], (squares[which] / f64::from(count)).sqrt()];
        Ok(SinglePrecisionError { pairs: count as usize, nngp: of(0), ntk: has_tangent.then(|| of(1)) })
    }
}
