//! The one large buffer: kernel above the diagonal, its factor below.
//!
//! Column-major; entry `(i, j)` is at `j N + i`. The kernel's diagonal is kept apart, in `f64`, because the diagonal of the
//! buffer belongs to the factor.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::error::{RegressionError, expect_option};
use crate::error::TheoryError;

/// A symmetric kernel on `N` examples in single precision, with room for its Cholesky factor.
#[derive(Debug)]
pub struct KernelStore {
    pub(super) size: usize,
    /// `N x N`; strictly upper triangle: the kernel. Lower triangle: the factor, once there is one.
    pub(super) data: Vec<f32>,
    pub(super) diagonal: Vec<f64>,
}

impl KernelStore {
    /// A kernel of zeros. The `4 N^2` bytes are taken from the system as they are first written.
    ///
    /// # Errors
    /// [`RegressionError::Memory`] if the address space does not hold them, [`RegressionError::Option`] for no examples.
    pub fn new(examples: usize) -> Result<Self, RegressionError> {
        expect_option(examples > 0, "examples", examples as f64, "at least 1")?;
        let bytes = examples.checked_mul(examples).and_then(|entries| entries.checked_mul(size_of::<f32>()));
        let too_much = || RegressionError::Memory { examples, bytes: bytes.unwrap_or(usize::MAX) };
        // `vec![0.0; n]` takes zeroed pages lazily but aborts on failure; so the reservation is tried first.
        let entries = bytes.ok_or_else(too_much)? / size_of::<f32>();
        Vec::<f32>::new().try_reserve_exact(entries).map_err(|_| too_much())?;
        Ok(Self { size: examples, data: vec![0.0; entries], diagonal: vec![0.0; examples] })
    }

    /// Computes the kernel tile by tile, in parallel: `tile(rows, columns, entries)` writes `K(rows, columns)`.
    ///
    /// Only tiles that meet the upper triangle are asked for, so `rows.start <= columns.start`. Entries are rounded to `f32`,
    /// those on the diagonal are kept as they are; what a tile has below the diagonal is ignored.
    ///
    /// # Shapes
    /// `entries` is `rows.len() x columns.len()`, column-major, filled with zeros; at most `tile_size` either way.
    ///
    /// # Errors
    /// The first error of `tile` that is met, or [`RegressionError::NotFinite`]. The store is then partly filled.
    pub fn fill(
        &mut self,
        tile_size: usize,
        tile: impl Fn(Range<usize>, Range<usize>, MatMut<'_, f64>) -> Result<(), TheoryError> + Sync,
    ) -> Result<(), RegressionError> {
        expect_option(tile_size > 0, "tile_size", tile_size as f64, "at least 1")?;
        let size = self.size;
        let stripes = self.data.par_chunks_mut(size * tile_size).zip(self.diagonal.par_chunks_mut(tile_size));
        stripes.enumerate().with_max_len(1).try_for_each(|(index, (stripe, diagonal))| {
            let columns = index * tile_size..(index * tile_size + diagonal.len());
            let mut entries = Mat::zeros(tile_size.min(size), columns.len());
            for start in (0..columns.end).step_by(tile_size) {
                let rows = start..(start + tile_size).min(columns.end);
                let mut part = entries.as_mut().subrows_mut(0, rows.len());
                part.fill(0.0);
                tile(rows.clone(), columns.clone(), part.as_mut())?;
                store_tile(&rows, &columns, part.as_ref(), stripe, diagonal)?;
            }
            Ok(())
        })
    }

    /// Number of examples `N`.
    pub fn examples(&self) -> usize {
        self.size
    }

    /// Entry of the kernel as it is stored, rounded to `f32` off the diagonal.
    ///
    /// # Panics
    /// If an index is not below the number of examples.
    pub fn entry(&self, row: usize, column: usize) -> f64 {
        let (low, high) = (row.min(column), row.max(column));
        if low == high { self.diagonal[low] } else { f64::from(self.data[high * self.size + low]) }
    }

    /// The diagonal of the kernel.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }
}

fn store_tile(
    rows: &Range<usize>,
    columns: &Range<usize>,
    entries: MatRef<'_, f64>,
    stripe: &mut [f32],
    diagonal: &mut [f64],
) -> Result<(), RegressionError> {
    let size = stripe.len() / columns.len();
    for (c, column) in columns.clone().enumerate() {
        for (r, row) in rows.clone().enumerate().take_while(|(_, row)| *row <= column) {
            let value = entries[(r, c)];
            if !(value as f32).is_finite() {
                return Err(RegressionError::NotFinite { row, column, value });
            }
            if row == column {
                diagonal[c] = value;
            } else {
                stripe[c * size + row] = value as f32;
            }
        }
    }
    Ok(())
}
