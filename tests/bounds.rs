//! The three kinds of bound that a test may use.

/// Asserts that `found` equals `expected` to the round-off of `operations` additions at the scale `scale`.
#[track_caller]
pub(crate) fn round_off(found: f64, expected: f64, scale: f64, operations: usize) {
    let bound = 4.0 * f64::EPSILON * scale.abs() * (operations as f64).max(1.0);
    assert!((found - expected).abs() <= bound, "{found} against {expected}: beyond round-off {bound:e}");
}

/// Asserts that a mean agrees with its prediction within four standard errors.
#[track_caller]
pub(crate) fn sampling(found: f64, expected: f64, standard_error: f64, what: &str) -> f64 {
    let z = (found - expected) / standard_error;
    assert!(z.abs() < 4.0, "{what}: {found} +- {standard_error} against {expected}, z = {z:.2}");
    z
}

/// Largest entry of the difference of two matrices relative to the largest entry of the second.
pub(crate) fn relative_difference(found: &faer::Mat<f64>, expected: &faer::Mat<f64>) -> f64 {
    let entries = || (0..expected.ncols()).flat_map(|j| (0..expected.nrows()).map(move |i| (i, j)));
    let scale = entries().map(|e| expected[e].abs()).fold(0.0, f64::max);
    entries().map(|e| (found[e] - expected[e]).abs()).fold(0.0, f64::max) / scale
}
