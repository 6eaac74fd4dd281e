//! Matrices turned over, square by square.

use bytemuck::Pod;

use super::lanes::Lanes;
use super::scratch::Scratch;

/// Side of the squares: both sides of one stay in cache.
const SQUARE: usize = 16;

/// Writes the transpose of a matrix of `columns` columns.
pub(crate) fn transpose<T: Lanes>(matrix: &[T], columns: usize, into: &mut [T]) {
    let rows = matrix.len() / columns;
    for top in (0..rows).step_by(SQUARE) {
        for left in (0..columns).step_by(SQUARE) {
            for column in left..columns.min(left + SQUARE) {
                let bottom = rows.min(top + SQUARE);
                for (row, x) in (top..bottom).zip(&mut into[column * rows + top..column * rows + bottom]) {
                    *x = matrix[row * columns + column];
                }
            }
        }
    }
}

/// Matrices of `numbers` numbers and `columns` columns each, transposed.
pub(crate) fn transposed<T: Lanes + Pod>(matrices: &[T], numbers: usize, columns: usize) -> Scratch<T> {
    // Written column by column, a line of the cache is waited for again and again; zeros fetch the lines one after the other.
    let mut result = Scratch::zeros(matrices.len());
    for (matrix, into) in matrices.chunks_exact(numbers).zip(result.chunks_exact_mut(numbers)) {
        transpose(matrix, columns, into);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_change_places() {
        for (rows, columns) in [(37, 21), (16, 32), (3, 40), (20, 1)] {
            let matrices: Vec<f64> = (0..2 * rows * columns).map(|i| i as f64).collect();
            let found = transposed(&matrices, rows * columns, columns);
            for (i, &x) in matrices.iter().enumerate() {
                let (matrix, row, column) = (i / (rows * columns), i / columns % rows, i % columns);
                assert_eq!(found[(matrix * columns + column) * rows + row], x);
            }
        }
    }
}
