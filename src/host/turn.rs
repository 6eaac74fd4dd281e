//! Matrices turned over, square by square.

use super::lanes::Lanes;

/// Side of the squares: both sides of one stay in cache.
const SQUARE: usize = 16;

/// Writes the transpose of a matrix of `columns` columns.
pub(crate) fn turn<T: Lanes>(matrix: &[T], columns: usize, into: &mut [T]) {
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
pub(crate) fn turned<T: Lanes>(matrices: &[T], numbers: usize, columns: usize) -> Vec<T> {
    let mut result = vec![T::ZERO; matrices.len()];
    for (matrix, into) in matrices.chunks_exact(numbers).zip(result.chunks_exact_mut(numbers)) {
        turn(matrix, columns, into);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_change_places() {
        let (rows, columns) = (37, 21);
        let matrices: Vec<f64> = (0..2 * rows * columns).map(|i| i as f64).collect();
        let found = turned(&matrices, rows * columns, columns);
        for (i, &x) in matrices.iter().enumerate() {
            let (matrix, row, column) = (i / (rows * columns), i / columns % rows, i % columns);
            assert_eq!(found[(matrix * columns + column) * rows + row], x);
        }
    }
}
