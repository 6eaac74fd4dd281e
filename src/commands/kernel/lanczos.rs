//! Extreme eigenvalues of a symmetric matrix in a file, by Lanczos iteration with full reorthogonalization.
//!
//! Lanczos 1950; Golub and Van Loan, Matrix Computations, 4th edition, chapter 10. The eigenvalues of the projected
//! matrix lie within the spectrum: the largest converges within a few tens of steps, the smallest is an upper bound that
//! is loose where small eigenvalues crowd.

use std::io;

use faer::{Mat, Side};
use rand::RngExt;
use widthwise::record::tiles::MatrixFile;

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
    let size = file.rows();
    let mut random = widthwise_datasets::stream(0, "kernel.lanczos");
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut next: Vec<f64> = (0..size).map(|_| random.random_range(-1.0..1.0)).collect();
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut scale: f64 = 0.0;
    loop {
        let length = norm(&next);
        // What is left is rounding: the basis spans an invariant space.
        if basis.len() == STEPS.min(size) || length <= 1e-12 * scale {
            break;
        }
        if !basis.is_empty() {
            beside.push(length);
        }
        next.iter_mut().for_each(|value| *value /= length);
        basis.push(next);
        let last = &basis[basis.len() - 1];
        let mut image = multiply(file, last)?;
        diagonal.push(dot(&image, last));
        scale = scale.max(norm(&image));
        for _ in 0..2 {
            for vector in &basis {
                let share = dot(&image, vector);
                image.iter_mut().zip(vector).for_each(|(value, along)| *value -= share * along);
            }
        }
        next = image;
    }
    let steps = diagonal.len();
    let projected = Mat::from_fn(steps, steps, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    });
    let found = projected.self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
    let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
    Ok(Extremes { smallest: end(found.first()), largest: end(found.last()) })
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

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use widthwise::record::npy;

    use super::*;

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
