//! The kinds of bound that a comparison may have.

/// Rounding of `operations` floating-point operations on numbers of order one.
pub(crate) fn round_off(operations: usize) -> f64 {
    operations as f64 * f64::EPSILON
}

/// A printed number with that many decimals.
pub(crate) fn reference(decimals: i32) -> f64 {
    0.51 * 10_f64.powi(-decimals)
}

/// Four standard errors of a Monte Carlo mean.
pub(crate) fn sampling(standard_error: f64) -> f64 {
    4.0 * standard_error
}

/// Asserts `|measured - expected| <= bound`.
#[track_caller]
pub(crate) fn assert_within(measured: f64, expected: f64, bound: f64, what: &str) {
    assert!((measured - expected).abs() <= bound, "{what}: {measured} instead of {expected} (bound {bound:e})");
}

/// Asserts `|measured - expected| <= bound * max(1, |expected|)`.
#[track_caller]
pub(crate) fn assert_relative(measured: f64, expected: f64, bound: f64, what: &str) {
    assert_within(measured, expected, bound * expected.abs().max(1.0), what);
}
