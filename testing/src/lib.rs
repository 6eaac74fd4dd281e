//! What the tests of several crates share: the commands of the [`documents`], and the kinds of bound that a test may state. Whatever is held against something else is within one of:
//!
//! | bound | because |
//! |---|---|
//! | [`round_off`] | both are computed, in two ways that agree exactly |
//! | [`reference()`] | one is a number as somebody printed it |
//! | [`sampling`] | one is a mean over random draws |
//!
//! or a number with a sentence next to it that derives it.

pub mod documents;

/// Standard errors that a mean of random draws may be off: so many that a fixed seed is not a lucky one.
pub const STANDARD_ERRORS: f64 = 4.0;

/// Rounding of so many floating-point operations on numbers of order one: each contributes at most an epsilon of `f64`.
pub fn round_off(operations: usize) -> f64 {
    operations as f64 * f64::EPSILON
}

/// A reference value rounded to so many decimals: half a unit of the last, and a millionth of it for the digits that `f64` adds.
pub fn reference(decimals: i32) -> f64 {
    0.500_001 * 10_f64.powi(-decimals)
}

/// A mean of random draws with this standard error.
pub fn sampling(standard_error: f64) -> f64 {
    STANDARD_ERRORS * standard_error
}

/// Asserts `|found - expected| <= bound`.
#[track_caller]
pub fn assert_near(found: f64, expected: f64, bound: f64) {
    assert_within(found, expected, bound, "found");
}

/// Asserts `|found - expected| <= bound`, and says where it fails what was compared.
#[track_caller]
pub fn assert_within(found: f64, expected: f64, bound: f64, what: &str) {
    let difference = (found - expected).abs();
    assert!(difference <= bound, "{what}: {found} instead of {expected}, off by {difference:e} and not {bound:e}");
}

/// Asserts `|found - expected| <= bound * max(1, |expected|)`: bounds of numbers of order one for numbers of any size above.
#[track_caller]
pub fn assert_relative(found: f64, expected: f64, bound: f64, what: &str) {
    assert_within(found, expected, bound * expected.abs().max(1.0), what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(assertion: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(assertion).is_ok()
    }

    #[test]
    fn every_bound_is_what_its_name_says() {
        // Ten additions of 0.1 are off by one epsilon at most each.
        let sum: f64 = [0.1; 10].iter().sum();
        assert!(sum != 1.0 && (sum - 1.0).abs() <= round_off(10));
        assert_eq!(round_off(0), 0.0);
        // Two thirds, rounded and not cut.
        let exact = 2.0 / 3.0;
        assert!((exact - 0.67_f64).abs() <= reference(2) && (exact - 0.66_f64).abs() > reference(2));
        // A number exactly between two printed ones is within the bound of both.
        assert!((0.125 - 0.12_f64).abs() <= reference(2) && (0.125 - 0.13_f64).abs() <= reference(2));
        assert_eq!(sampling(0.25), 1.0);
    }

    #[test]
    fn assertions_fail_beyond_their_bounds_and_where_there_is_no_number() {
        assert!(holds(|| assert_within(1.5, 1.0, 0.5, "edge")));
        assert!(!holds(|| assert_within(1.5, 1.0, 0.49, "beyond")));
        assert!(holds(|| assert_relative(104.0, 100.0, 0.04, "edge")));
        assert!(!holds(|| assert_relative(104.0, 100.0, 0.039, "beyond")));
        assert!(holds(|| assert_relative(0.04, 0.0, 0.04, "small numbers are held as they are")));
        assert!(!holds(|| assert_within(f64::NAN, 1.0, 0.5, "no number")));
    }
}
