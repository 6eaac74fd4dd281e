//! Extreme eigenvalues of a symmetric matrix in a file, by Lanczos iteration.

use std::io;

use rand::RngExt;
use widthwise_statistics::lanczos::Lanczos;

use crate::record::tiles::MatrixFile;

/// Steps, each of which reads the whole file.
const STEPS: usize = 40;
/// Bytes of rows read at once.
const READ: usize = 4 << 20;

/// The two ends of a spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extremes {
    pub(super) smallest: f64,
    pub(super) largest: f64,
}

/// Estimates from inside the spectrum; exact up to round-off if the matrix has no more rows than there are steps.
///
/// # Errors
/// A failure to read.
pub(super) fn extremes(file: &MatrixFile) -> io::Result<Extremes> {
    let mut random = widthwise_datasets::stream(0, "kernel.lanczos");
    let start = (0..file.rows()).map(|_| random.random_range(-1.0..1.0)).collect();
    let mut lanczos = Lanczos::new(start);
    while lanczos.steps() < STEPS && lanczos.step(|vector| multiply(file, vector))? {}
    let [smallest, largest] = lanczos.extremes().unwrap_or([f64::NAN; 2]);
    Ok(Extremes { smallest, largest })
}

fn multiply(file: &MatrixFile, vector: &[f64]) -> io::Result<Vec<f64>> {
    let at_once = (READ / (8 * file.columns().max(1))).max(1);
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    let mut product = Vec::with_capacity(file.rows());
    for start in (0..file.rows()).step_by(at_once) {
        let rows = start..(start + at_once).min(file.rows());
        file.read_values(rows, 0..file.columns(), &mut bytes, &mut values)?;
        product.extend(values.chunks(file.columns()).map(|row| dot(row, vector)));
    }
    Ok(product)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::npy;
    use faer::{Mat, Side};

    #[test]
    fn the_largest_eigenvalue_is_sharp_and_the_smallest_an_upper_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.npy");
        let matrix = Mat::from_fn(120, 120, |i, j| (-((i as f64 - j as f64) / 20.0).powi(2)).exp());
        npy::write(&path, &matrix).unwrap();
        let found = extremes(&MatrixFile::open(&path, false).unwrap()).unwrap();
        let all = matrix.self_adjoint_eigenvalues(Side::Lower).unwrap();
        assert!((found.largest / all[119] - 1.0).abs() < 1e-10, "{found:?}");
        // To the round-off of 120 eigenvalues of the size of the largest.
        assert!(found.smallest > all[0] - 120.0 * f64::EPSILON * all[119], "{found:?}");
    }
}
