//! Whether two kernels hold the same numbers in another order: rows permuted, or transposed.

use std::io;

use faer::Mat;
use widthwise_theory::conventions::{Difference, Explanation};

use super::compare::read;
use super::precision::spread;
use crate::record::tiles::MatrixFile;

/// Rows, and columns, on which an order is tried.
const SAMPLE: usize = 100;

/// Sums of rows and columns, by which these are found again elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    rows: Vec<f64>,
    columns: Vec<f64>,
}

impl Signature {
    /// Of no entries yet.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self { rows: vec![0.0; rows], columns: vec![0.0; columns] }
    }

    /// Takes note of an entry; the square keeps rows apart whose sums are equal.
    pub(super) fn add(&mut self, row: usize, column: usize, value: f64) {
        let share = value + 0.1 * value * value;
        self.rows[row] += share;
        self.columns[column] += share;
    }
}

/// The kernel is the transpose of the one here, up to `remains`.
pub(super) fn transposed(remains: Difference) -> Explanation {
    let text = "it is transposed: its rows are the columns here".to_owned();
    Explanation { id: "transposed".to_owned(), text, remains, complexity: 1 }
}

/// For every place the place of the same sum in the other; `None` if it is the same order.
fn order(here: &[f64], there: &[f64]) -> Option<Vec<usize>> {
    let sorted = |sums: &[f64]| {
        let mut places: Vec<usize> = (0..sums.len()).collect();
        places.sort_by(|a, b| sums[*a].total_cmp(&sums[*b]));
        places
    };
    let mut found = vec![0; here.len()];
    sorted(here).into_iter().zip(sorted(there)).for_each(|(here, there)| found[there] = here);
    // Rows of almost equal sums may change places by rounding: only sums that differ count.
    let is_same = found
        .iter()
        .enumerate()
        .all(|(there, &place)| place == there || (here[place] - here[there]).abs() <= 1e-9 * here[place].abs());
    (!is_same).then_some(found)
}

/// Orders of rows and columns, and the transpose of a square kernel, tried on some of the entries.
///
/// # Errors
/// A failure to read.
pub(super) fn explain(
    here: &MatrixFile,
    other: &MatrixFile,
    is_transposed: bool,
    is_symmetric: bool,
    signatures: &[Signature; 2],
) -> io::Result<Vec<Explanation>> {
    let rows = order(&signatures[0].rows, &signatures[1].rows);
    let columns = order(&signatures[0].columns, &signatures[1].columns);
    let mut found = Vec::new();
    let (row_sample, column_sample) = (spread(here.rows(), SAMPLE), spread(here.columns(), SAMPLE));
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    let mut block = |file: &MatrixFile, is_transposed: bool, place: &dyn Fn(usize, usize) -> (usize, usize)| {
        let mut matrix = Mat::zeros(row_sample.len(), column_sample.len());
        for (i, &row) in row_sample.iter().enumerate() {
            for (j, &column) in column_sample.iter().enumerate() {
                let (row, column) = place(row, column);
                read(file, row..row + 1, column..column + 1, is_transposed, &mut bytes, &mut values)?;
                matrix[(i, j)] = values[0];
            }
        }
        io::Result::Ok(matrix)
    };
    let theirs = block(other, is_transposed, &|i, j| (i, j))?;
    let at = |order: &Option<Vec<usize>>, place: usize| order.as_ref().map_or(place, |order| order[place]);
    if rows.is_some() || columns.is_some() {
        let ours = block(here, false, &|i, j| (at(&rows, i), at(&columns, j)))?;
        let what = match (&rows, &columns) {
            _ if is_symmetric => "its examples",
            (Some(_), Some(_)) => "its rows and columns",
            (Some(_), None) => "its rows",
            _ => "its columns",
        };
        let (text, remains) =
            (format!("{what} are in another order"), Difference::between(ours.as_ref(), theirs.as_ref()));
        found.push(Explanation { id: "permuted".to_owned(), text, remains, complexity: 1 });
    }
    if !is_symmetric && !is_transposed && here.rows() == here.columns() {
        let ours = block(here, false, &|i, j| (j, i))?;
        found.push(transposed(Difference::between(ours.as_ref(), theirs.as_ref())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::npy;

    fn explained(here: &Mat<f64>, other: &Mat<f64>, is_symmetric: bool) -> Vec<(String, f64)> {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, matrix: &Mat<f64>| {
            npy::write(&folder.path().join(name), matrix).unwrap();
            MatrixFile::open(&folder.path().join(name), false).unwrap()
        };
        let (here_file, other_file) = (open("here.npy", here), open("other.npy", other));
        let sign = |matrix: &Mat<f64>| {
            let mut signature = Signature::new(matrix.nrows(), matrix.ncols());
            (0..matrix.nrows()).for_each(|i| (0..matrix.ncols()).for_each(|j| signature.add(i, j, matrix[(i, j)])));
            signature
        };
        let found = explain(&here_file, &other_file, false, is_symmetric, &[sign(here), sign(other)]).unwrap();
        found.into_iter().map(|explanation| (explanation.text, explanation.remains.max)).collect()
    }

    #[test]
    fn another_order_is_found_again() {
        let entry = |i: usize, j: usize| 1.0 / (1.0 + (i as f64 - j as f64).powi(2)) + (i * j) as f64;
        let here = Mat::from_fn(9, 9, entry);
        let place = |i: usize| (2 * i + 3) % 9;
        let permuted = explained(&here, &Mat::from_fn(9, 9, |i, j| entry(place(i), place(j))), true);
        assert_eq!(permuted, [("its examples are in another order".to_owned(), 0.0)]);
        assert_eq!(explained(&here, &here, true), []);

        let entry = |i: usize, j: usize| ((3 * i + 7 * j * j) as f64).sin();
        let cross = Mat::from_fn(9, 4, entry);
        let rows = explained(&cross, &Mat::from_fn(9, 4, |i, j| entry(place(i), j)), false);
        assert_eq!(rows, [("its rows are in another order".to_owned(), 0.0)]);
        let columns = explained(&cross, &Mat::from_fn(9, 4, |i, j| entry(i, 3 - j)), false);
        assert_eq!(columns, [("its columns are in another order".to_owned(), 0.0)]);
        let square = Mat::from_fn(5, 5, entry);
        let turned = explained(&square, &Mat::from_fn(5, 5, |i, j| entry(j, i)), false);
        assert!(turned.iter().any(|(text, remains)| text.contains("transposed") && *remains == 0.0), "{turned:?}");
    }
}
