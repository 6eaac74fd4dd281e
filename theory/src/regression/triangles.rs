//! Products with the kernel and solves with its factor, in `f64` on tiles that are widened from `f32` as they are met.
//!
//! Every stored entry is read once a product: a tile serves its own place and the mirrored one. Partial sums belong
//! to fixed groups of tiles and are added in order, so that the number of threads changes no bit.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::store::KernelStore;

/// Side of a tile: 512 KiB when widened, which stays in a second-level cache.
const TILE: usize = 256;
/// Most groups of tiles with sums of their own.
const GROUPS: usize = 64;
/// Rows that a task of a triangular solve takes.
const CHUNK: usize = 1024;

impl KernelStore {
    /// `K vectors`, `N x outputs`.
    pub(super) fn multiply(&self, vectors: MatRef<'_, f64>) -> Mat<f64> {
        let (size, outputs) = (self.size, vectors.ncols());
        let stripes = size.div_ceil(TILE);
        let groups = stripes.min(GROUPS);
        // Stripes get longer with their number: equal areas have edges that grow like a square root.
        let edge = |group: usize| (stripes as f64 * (group as f64 / groups as f64).sqrt()).round() as usize;
        let partial_sum = |group: usize| {
            let mut sum = Mat::zeros((edge(group + 1) * TILE).min(size), outputs);
            let mut tile = Mat::zeros(TILE, TILE);
            for column in (edge(group)..edge(group + 1)).map(|stripe| stripe * TILE) {
                for row in (0..=column).step_by(TILE) {
                    self.add_tile(row, column, vectors, sum.as_mut(), &mut tile);
                }
            }
            sum
        };
        let sums: Vec<Mat<f64>> = (0..groups).into_par_iter().with_max_len(1).map(partial_sum).collect();
        let mut product = Mat::zeros(size, outputs);
        product.as_mut().par_row_chunks_mut(CHUNK).enumerate().for_each(|(index, mut rows)| {
            let first = index * CHUNK;
            for sum in sums.iter().filter(|sum| sum.nrows() > first) {
                let count = rows.nrows().min(sum.nrows() - first);
                let mut part = rows.as_mut().subrows_mut(0, count);
                part += sum.as_ref().subrows(first, count);
            }
        });
        product
    }

    /// Adds what one tile of the upper triangle and its mirror image contribute.
    fn add_tile(
        &self,
        row: usize,
        column: usize,
        vectors: MatRef<'_, f64>,
        mut sum: MatMut<'_, f64>,
        scratch: &mut Mat<f64>,
    ) {
        let height = TILE.min(self.size - row);
        let width = TILE.min(self.size - column);
        self.widen(row, column, height, width, scratch);
        if row == column {
            for j in 0..width {
                scratch[(j, j)] = self.diagonal[column + j];
                for i in 0..j {
                    scratch[(j, i)] = scratch[(i, j)];
                }
            }
        }
        let tile = scratch.as_ref().submatrix(0, 0, height, width);
        let part = sum.as_mut().subrows_mut(row, height);
        matmul(part, Accum::Add, tile, vectors.subrows(column, width), 1.0, Par::Seq);
        if row != column {
            let part = sum.subrows_mut(column, width);
            matmul(part, Accum::Add, tile.transpose(), vectors.subrows(row, height), 1.0, Par::Seq);
        }
    }

    /// Copies a rectangle of the buffer into `tile`.
    fn widen(&self, row: usize, column: usize, height: usize, width: usize, tile: &mut Mat<f64>) {
        for j in 0..width {
            let start = (column + j) * self.size + row;
            let narrow = &self.data[start..start + height];
            for (wide, narrow) in tile.col_as_slice_mut(j).iter_mut().zip(narrow) {
                *wide = f64::from(*narrow);
            }
        }
    }

    /// `vectors <- L^-1 vectors`.
    pub(super) fn solve_lower(&self, vectors: &mut Mat<f64>) {
        let mut block = Mat::zeros(TILE, TILE);
        for start in (0..self.size).step_by(TILE) {
            let width = TILE.min(self.size - start);
            let (head, tail) = vectors.as_mut().split_at_row_mut(start + width);
            let mut solved = head.subrows_mut(start, width);
            self.widen(start, start, width, width, &mut block);
            let factor = block.as_ref().submatrix(0, 0, width, width);
            solve_lower_triangular_in_place(factor, solved.as_mut(), Par::Seq);
            let solved = solved.as_ref();
            tail.par_row_chunks_mut(CHUNK).enumerate().for_each_init(
                || Mat::zeros(TILE, TILE),
                |scratch, (index, mut rows)| {
                    for first in (0..rows.nrows()).step_by(TILE) {
                        let height = TILE.min(rows.nrows() - first);
                        self.widen(start + width + index * CHUNK + first, start, height, width, scratch);
                        let tile = scratch.as_ref().submatrix(0, 0, height, width);
                        let part = rows.as_mut().subrows_mut(first, height);
                        matmul(part, Accum::Add, tile, solved, -1.0, Par::Seq);
                    }
                },
            );
        }
    }

    /// `vectors <- L^-T vectors`.
    pub(super) fn solve_lower_transposed(&self, vectors: &mut Mat<f64>) {
        let outputs = vectors.ncols();
        let mut block = Mat::zeros(TILE, TILE);
        for start in (0..self.size).step_by(TILE).rev() {
            let width = TILE.min(self.size - start);
            let (head, tail) = vectors.as_mut().split_at_row_mut(start + width);
            let mut solved = head.subrows_mut(start, width);
            let below = tail.as_ref();
            let partial_sum = |scratch: &mut Mat<f64>, index: usize| {
                let mut sum = Mat::zeros(width, outputs);
                let last = ((index + 1) * CHUNK).min(below.nrows());
                for first in (index * CHUNK..last).step_by(TILE) {
                    let height = TILE.min(last - first);
                    self.widen(start + width + first, start, height, width, scratch);
                    let tile = scratch.as_ref().submatrix(0, 0, height, width).transpose();
                    matmul(sum.as_mut(), Accum::Add, tile, below.subrows(first, height), 1.0, Par::Seq);
                }
                sum
            };
            let chunks = (0..below.nrows().div_ceil(CHUNK)).into_par_iter();
            let sums: Vec<Mat<f64>> = chunks.map_init(|| Mat::zeros(TILE, TILE), partial_sum).collect();
            for sum in &sums {
                solved -= sum;
            }
            self.widen(start, start, width, width, &mut block);
            let factor = block.as_ref().submatrix(0, 0, width, width);
            solve_upper_triangular_in_place(factor.transpose(), solved, Par::Seq);
        }
    }
}
