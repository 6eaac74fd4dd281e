//! What single precision costs: entries of the file against the same entries computed again in double precision.

use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::{Inputs, TrainedLayers, kernels_when_training};

use super::{KernelError, KernelInputs};
use crate::record::tiles::MatrixFile;

/// Rows, and columns, that are examined.
pub const PRECISION_SAMPLE: usize = 32;

/// Largest relative error of the kernel called `name` in `file`, on a grid of rows and columns.
///
/// # Errors
/// A failure to read.
pub(super) fn largest_error(
    name: &str,
    file: &MatrixFile,
    architecture: &Architecture,
    trained: TrainedLayers,
    KernelInputs { left, right }: KernelInputs<'_>,
) -> Result<f64, KernelError> {
    let rows = spread(file.rows(), PRECISION_SAMPLE);
    let columns = spread(file.columns(), PRECISION_SAMPLE);
    let right = right.map(|right| subset(right, &columns));
    let exact = kernels_when_training(architecture, &subset(left, &rows), right.as_ref(), trained)?;
    let exact = if name == "nngp" { exact.nngp } else { exact.ntk };
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    let mut largest: f64 = 0.0;
    for (i, &row) in rows.iter().enumerate() {
        for (j, &column) in columns.iter().enumerate() {
            file.read_values(row..row + 1, column..column + 1, &mut bytes, &mut values)?;
            let expected = exact[(i, j)];
            if expected != 0.0 {
                largest = largest.max(((values[0] - expected) / expected).abs());
            }
        }
    }
    Ok(largest)
}

/// Up to `most` numbers from `0..size`, evenly spread.
pub(super) fn spread(size: usize, most: usize) -> Vec<usize> {
    let count = size.min(most);
    (0..count).map(|k| k * size / count.max(1)).collect()
}

/// Some of the examples.
pub(super) fn subset(inputs: &Inputs, chosen: &[usize]) -> Inputs {
    let values = chosen.iter().flat_map(|&index| inputs.example(index)).copied().collect();
    Inputs { values, shape: inputs.shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_over_all() {
        assert_eq!(spread(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(spread(3, 5), [0, 1, 2]);
    }
}
