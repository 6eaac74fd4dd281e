//! The three kinds of bound a test may state.

/// Rounding of `operations` additions of terms of order one.
pub(crate) fn round_off(operations: usize) -> f64 {
    4.0 * operations.max(1) as f64 * f64::EPSILON
}

/// A reference value quoted to `digits` decimals.
pub(crate) fn reference(digits: i32) -> f64 {
    // One unit of the last digit and not a half: the quoted value may have been truncated.
    10f64.powi(-digits)
}

/// A Monte Carlo average with this standard error; four of them, so that a fixed seed is not a lucky one.
pub(crate) fn sampling(standard_error: f64) -> f64 {
    4.0 * standard_error
}

/// Fails unless `found` is within `bound` of `expected`.
#[track_caller]
pub(crate) fn assert_within(found: f64, expected: f64, bound: f64) {
    assert!((found - expected).abs() <= bound, "found {found}, expected {expected} within {bound:e}");
}
