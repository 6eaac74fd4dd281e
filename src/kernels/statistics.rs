//! What a kernel is like, from its file and without reading it into memory where it is large.

use std::io;

use faer::{Mat, Side};
use serde::Serialize;

use super::lanczos::{self, Extremes};
use crate::entries::Entries;
use crate::record::tiles::{MatrixFile, TileBlock};

/// Up to here all eigenvalues are computed, in `O(N^3)`.
const DENSE: usize = 2000;
/// Up to here the extreme ones are estimated by Lanczos iteration, which reads the file once a step.
const ITERATIVE: usize = 20_000;

/// Bytes that computing all eigenvalues takes: the matrix, a copy, and room to work in.
fn dense_bytes(size: usize) -> u64 {
    3 * 8 * (size as u64).pow(2)
}

/// Sums over the entries of a kernel, tile by tile, so that neither their order nor an interruption changes a bit.
#[derive(Debug, Clone)]
pub(super) struct EntrySums {
    tiles: Vec<[f64; 2]>,
    entries: Entries,
}

impl EntrySums {
    /// Nothing yet of `tiles` tiles.
    pub(super) fn new(tiles: usize) -> Self {
        Self { tiles: vec![[0.0; 2]; tiles], entries: Entries::default() }
    }

    /// Takes note of a tile, whose `values` stand row by row.
    pub(super) fn add(&mut self, tile: usize, block: &TileBlock, values: &mut dyn Iterator<Item = f64>) {
        let width = block.columns.len();
        let (mut sum, mut diagonal) = (0.0, 0.0);
        for (at, value) in values.enumerate() {
            sum += value;
            self.entries.add(block.rows.start + at / width, block.columns.start + at % width, value);
            if block.rows.start + at / width == block.columns.start + at % width {
                diagonal += value;
            }
        }
        self.tiles[tile] = [if block.is_mirrored { 2.0 * sum } else { sum }, diagonal];
    }

    /// The entries that it has taken note of.
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Sum of all entries, and of those with equal row and column.
    fn total(&self) -> [f64; 2] {
        self.tiles.iter().fold([0.0; 2], |[sum, diagonal], tile| [sum + tile[0], diagonal + tile[1]])
    }
}

/// What a kernel is like. Eigenvalues and diagonal are those of a symmetric kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelStatistics {
    /// Its name.
    pub kernel: String,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Mean of all entries.
    pub mean: f64,
    /// Mean of the diagonal.
    pub mean_diagonal: Option<f64>,
    /// Sum of the diagonal.
    pub trace: Option<f64>,
    /// Smallest eigenvalue, where eigenvalues are known.
    pub min_eigenvalue: Option<f64>,
    /// Largest eigenvalue, where eigenvalues are known.
    pub max_eigenvalue: Option<f64>,
    /// Absent where the smallest eigenvalue is lost in round-off.
    pub condition_number: Option<f64>,
    /// `all`, `lanczos` (the smallest eigenvalue is then an upper and the condition number a lower bound) or `none`.
    pub eigenvalues: &'static str,
}

impl KernelStatistics {
    /// Reads what is needed from `file`; `room` bytes of memory may be used.
    ///
    /// # Errors
    /// A failure to read.
    pub(super) fn new(
        kernel: &str,
        file: &MatrixFile,
        sums: &EntrySums,
        is_symmetric: bool,
        room: u64,
    ) -> io::Result<Self> {
        let (rows, columns) = (file.rows(), file.columns());
        let [sum, diagonal] = sums.total();
        let (extremes, eigenvalues) = if !is_symmetric || rows > ITERATIVE {
            (None, "none")
        } else if rows <= DENSE && dense_bytes(rows) <= room {
            (all_eigenvalues(file)?, "all")
        } else {
            (Some(lanczos::extremes(file)?), "lanczos")
        };
        Ok(Self::of(kernel, [rows, columns], sum, is_symmetric.then_some(diagonal), extremes, eigenvalues))
    }

    fn of(
        kernel: &str,
        [rows, columns]: [usize; 2],
        sum: f64,
        trace: Option<f64>,
        extremes: Option<Extremes>,
        eigenvalues: &'static str,
    ) -> Self {
        let condition_number = extremes.and_then(|Extremes { smallest, largest }| {
            let round_off = rows as f64 * f64::EPSILON * largest;
            (smallest > round_off).then(|| largest / smallest)
        });
        Self {
            kernel: kernel.to_owned(),
            rows,
            columns,
            mean: sum / (rows * columns) as f64,
            mean_diagonal: trace.map(|trace| trace / rows as f64),
            trace,
            min_eigenvalue: extremes.map(|extremes| extremes.smallest),
            max_eigenvalue: extremes.map(|extremes| extremes.largest),
            condition_number,
            eigenvalues,
        }
    }

    /// What is not in the table because of its cost, as a sentence.
    pub fn remark(&self) -> Option<String> {
        match self.eigenvalues {
            "lanczos" => Some(format!(
                "eigenvalues of {} examples are estimated by Lanczos iteration: the largest is sharp, the smallest an upper \
                 bound",
                self.rows
            )),
            "none" if self.trace.is_some() => {
                Some(format!("no eigenvalues: {} examples are more than {ITERATIVE}", self.rows))
            }
            _ => None,
        }
    }
}

fn all_eigenvalues(file: &MatrixFile) -> io::Result<Option<Extremes>> {
    let size = file.rows();
    let mut matrix = Mat::zeros(size, size);
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for i in 0..size {
        file.read_values(i..i + 1, 0..i + 1, &mut bytes, &mut values)?;
        values.iter().enumerate().for_each(|(j, value)| matrix[(i, j)] = *value);
    }
    let found = matrix.self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
    let ends = found.first().zip(found.last());
    Ok(ends.map(|(smallest, largest)| Extremes { smallest: *smallest, largest: *largest }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::npy;
    use crate::record::tiles::Grid;

    fn summary_of(matrix: &Mat<f64>, is_symmetric: bool, room: u64) -> KernelStatistics {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.npy");
        npy::write(&path, matrix).unwrap();
        let file = MatrixFile::open(&path, false).unwrap();
        let grid = Grid { rows: matrix.nrows(), columns: matrix.ncols(), tile: 2, is_symmetric };
        let blocks = grid.blocks();
        let mut sums = EntrySums::new(blocks.len());
        for (tile, block) in blocks.iter().enumerate() {
            let mut values = block.rows.clone().flat_map(|i| block.columns.clone().map(move |j| matrix[(i, j)]));
            sums.add(tile, block, &mut values);
        }
        KernelStatistics::new("ntk", &file, &sums, is_symmetric, room).unwrap()
    }

    #[test]
    fn a_summary_knows_the_spectrum() {
        let matrix = Mat::from_fn(3, 3, |i, j| if i == j { 2.0 } else { 1.0 });
        let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 64.0 * f64::EPSILON;
        for (room, how) in [(u64::MAX, "all"), (0, "lanczos")] {
            let summary = summary_of(&matrix, true, room);
            assert!(near(summary.min_eigenvalue, 1.0) && near(summary.max_eigenvalue, 4.0), "{summary:?}");
            assert!(near(summary.condition_number, 4.0) && summary.eigenvalues == how, "{summary:?}");
            assert_eq!((summary.mean, summary.trace), (12.0 / 9.0, Some(6.0)));
        }
        let singular = summary_of(&Mat::from_fn(2, 2, |_, _| 1.0), true, u64::MAX);
        assert_eq!((singular.condition_number, singular.min_eigenvalue.is_some()), (None, true));
        let cross = summary_of(&matrix, false, u64::MAX);
        assert_eq!((cross.min_eigenvalue, cross.trace, cross.mean), (None, None, 12.0 / 9.0));
    }
}
