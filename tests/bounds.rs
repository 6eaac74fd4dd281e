//! The bound of matrices; those of numbers are in `widthwise_testing`.

/// Largest entry of the difference of two matrices relative to the largest entry of the second.
pub(crate) fn relative_difference(found: &faer::Mat<f64>, expected: &faer::Mat<f64>) -> f64 {
    let entries = || (0..expected.ncols()).flat_map(|j| (0..expected.nrows()).map(move |i| (i, j)));
    let scale = entries().map(|e| expected[e].abs()).fold(0.0, f64::max);
    entries().map(|e| (found[e] - expected[e]).abs()).fold(0.0, f64::max) / scale
}
