//! Cholesky factorization `L L^T = K + jitter` in single precision, in the lower triangle of the store.
//!
//! Left-looking by panels of columns: of the panel at `k` of width `w`,
//!
//! ```text
//! D = K_kk + jitter - L_k,<k L_k,<k^T = L_kk L_kk^T          C = K_>k,k - L_>k,<k L_k,<k^T,      L_>k,k = C L_kk^-T
//! ```
//!
//! so that nearly all work is one long matrix product a panel, done in chunks of rows. The panel is read from the upper
//! triangle, which no step writes.

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;

use super::error::{RegressionError, expect_option};
use super::store::KernelStore;

/// Columns of a panel.
const PANEL: usize = 384;
/// Rows that a task takes at least and at most.
const CHUNK: (usize, usize) = (192, 1536);
/// Factor between one jitter and the next.
const GROWTH: f64 = 10.0;

/// Which jitters to try: `start`, then ten times more each time a pivot fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JitterSearch {
    /// First value added to the diagonal of the kernel, in the units of the kernel; not negative.
    pub start: f64,
    /// Most values to try, at least 1. If `start` is 0 there is only one.
    pub tries: usize,
}

/// One attempt to factor the kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JitterTry {
    /// Value added to the diagonal.
    pub jitter: f64,
    /// The pivot that was lost in rounding, if one was: not above `eps` (of `f32`) times its diagonal entry.
    pub failed_pivot: Option<usize>,
}

/// A kernel and the factor of `K + jitter`, ready to solve for any ridge.
#[derive(Debug)]
pub struct FactoredKernel<'a> {
    pub(super) store: &'a KernelStore,
    tries: Vec<JitterTry>,
    seconds: f64,
}

impl KernelStore {
    /// Factors `K + jitter` below the diagonal; the kernel stays as it is.
    ///
    /// Costs `N^3 / 3` multiplications and additions a try, no memory beyond a few panels.
    ///
    /// # Errors
    /// [`RegressionError::NotPositiveDefinite`] if all tries fail, [`RegressionError::Option`] for a negative start or no tries.
    pub fn factor(&mut self, search: &JitterSearch) -> Result<FactoredKernel<'_>, RegressionError> {
        expect_option(search.start >= 0.0 && search.start.is_finite(), "jitter start", search.start, "0 or more")?;
        expect_option(search.tries > 0, "jitter tries", search.tries as f64, "at least 1")?;
        let begin = Instant::now();
        let mut tries = Vec::new();
        let mut jitter = search.start;
        for _ in 0..search.tries {
            let failed_pivot = self.factor_with(jitter, PANEL).err();
            tries.push(JitterTry { jitter, failed_pivot });
            if failed_pivot.is_none() {
                return Ok(FactoredKernel { store: self, tries, seconds: begin.elapsed().as_secs_f64() });
            }
            if jitter == 0.0 {
                break;
            }
            jitter *= GROWTH;
        }
        Err(RegressionError::NotPositiveDefinite { tries })
    }

    /// One try; the index of the pivot that fails otherwise.
    fn factor_with(&mut self, jitter: f64, width: usize) -> Result<(), usize> {
        let size = self.size;
        for start in (0..size).step_by(width) {
            let width = width.min(size - start);
            let end = start + width;
            let (left, rest) = self.data.split_at_mut(start * size);
            let (panel, right) = rest.split_at_mut(width * size);
            let left = MatRef::from_column_major_slice(&*left, size, start);
            let right = MatRef::from_column_major_slice(&*right, size, size - end);
            let mut panel = MatMut::from_column_major_slice_mut(panel, size, width);
            let before = left.subrows(start, width);

            let diagonal = &self.diagonal[start..end];
            let block = diagonal_block(panel.as_ref().subrows(start, width), diagonal, jitter, before);
            let factor = factor_block(block, diagonal, jitter).map_err(|pivot| start + pivot)?;
            for j in 0..width {
                for i in j..width {
                    panel[(start + i, j)] = factor[(i, j)];
                }
            }

            let below = panel.subrows_mut(end, size - end);
            let chunk = (below.nrows() / 16).clamp(CHUNK.0, CHUNK.1);
            below.par_row_chunks_mut(chunk).enumerate().with_max_len(1).for_each(|(index, mut rows)| {
                let first = index * chunk;
                let kernel = right.submatrix(start, first, width, rows.nrows());
                copy_transposed(rows.as_mut(), kernel);
                let lhs = left.subrows(end + first, rows.nrows());
                matmul(rows.as_mut(), Accum::Add, lhs, before.transpose(), -1.0_f32, Par::Seq);
                solve_lower_triangular_in_place(factor.as_ref(), rows.transpose_mut(), Par::Seq);
            });
        }
        Ok(())
    }
}

/// `K_kk + jitter - L_k,<k L_k,<k^T`, of which the lower triangle counts.
fn diagonal_block(upper: MatRef<'_, f32>, diagonal: &[f64], jitter: f64, before: MatRef<'_, f32>) -> Mat<f32> {
    let width = diagonal.len();
    let mut block = Mat::from_fn(width, width, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Equal => (diagonal[i] + jitter) as f32,
        std::cmp::Ordering::Greater => upper[(j, i)],
        std::cmp::Ordering::Less => 0.0,
    });
    let chunk = width.div_ceil(8).max(16);
    block.as_mut().par_row_chunks_mut(chunk).enumerate().for_each(|(index, mut rows)| {
        let first = index * chunk;
        let columns = first + rows.nrows();
        let lhs = before.subrows(first, rows.nrows());
        let rhs = before.subrows(0, columns).transpose();
        matmul(rows.as_mut().subcols_mut(0, columns), Accum::Add, lhs, rhs, -1.0_f32, Par::Seq);
    });
    block
}

/// Factors a block in `f64`; the first pivot below the rounding of its diagonal entry otherwise.
fn factor_block(block: Mat<f32>, diagonal: &[f64], jitter: f64) -> Result<Mat<f32>, usize> {
    let wide = Mat::from_fn(block.nrows(), block.ncols(), |i, j| f64::from(block[(i, j)]));
    let factor = match wide.llt(Side::Lower) {
        Ok(factor) => factor,
        Err(faer::linalg::solvers::LltError::NonPositivePivot { index }) => return Err(index),
    };
    let lower = factor.L();
    let lost = (0..wide.nrows()).find(|&i| {
        let kept = lower[(i, i)].powi(2) > f64::from(f32::EPSILON) * (diagonal[i] + jitter);
        // Also where the pivot is not a number.
        !kept
    });
    match lost {
        Some(pivot) => Err(pivot),
        None => Ok(Mat::from_fn(wide.nrows(), wide.ncols(), |i, j| if i >= j { lower[(i, j)] as f32 } else { 0.0 })),
    }
}

/// `rows <- kernel^T` in small squares, so that neither side strides through memory.
fn copy_transposed(mut rows: MatMut<'_, f32>, kernel: MatRef<'_, f32>) {
    const SQUARE: usize = 32;
    for first in (0..rows.nrows()).step_by(SQUARE) {
        let last = (first + SQUARE).min(rows.nrows());
        for left in (0..rows.ncols()).step_by(SQUARE) {
            let right = (left + SQUARE).min(rows.ncols());
            for j in left..right {
                for i in first..last {
                    rows[(i, j)] = kernel[(j, i)];
                }
            }
        }
    }
}

impl FactoredKernel<'_> {
    /// The value that was added to the diagonal of the factored kernel.
    pub fn jitter(&self) -> f64 {
        self.tries.last().map_or(0.0, |last| last.jitter)
    }

    /// Every try; the last one succeeded.
    pub fn tries(&self) -> &[JitterTry] {
        &self.tries
    }

    /// Wall-clock time of all tries, in seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Entry `(row, column)` of the factor `L`; zero above the diagonal.
    ///
    /// # Panics
    /// If an index is not below the number of examples.
    pub fn factor_entry(&self, row: usize, column: usize) -> f64 {
        if row < column { 0.0 } else { f64::from(self.store.data[column * self.store.size + row]) }
    }

    /// The kernel that was factored.
    pub fn kernel(&self) -> &KernelStore {
        self.store
    }

    /// `ln det (K + jitter)`, to the precision of the factor.
    pub fn log_determinant(&self) -> f64 {
        (0..self.store.size).map(|i| 2.0 * self.factor_entry(i, i).ln()).sum()
    }
}
