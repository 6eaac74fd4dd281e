//! The three kinds of tolerance that tests may use.

/// A tolerance with its reason.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// Rounding of about this many operations, relative to the larger of 1 and the expected value.
    RoundOff(usize),
    /// A reference printed to this many decimal places.
    Reference(i32),
    /// A random estimate with this standard error; five of them are allowed.
    Sampling(f64),
}

pub(crate) fn round_off(operations: usize) -> Bound {
    Bound::RoundOff(operations)
}

pub(crate) fn reference(decimals: i32) -> Bound {
    Bound::Reference(decimals)
}

pub(crate) fn sampling(standard_error: f64) -> Bound {
    Bound::Sampling(standard_error)
}

impl Bound {
    #[track_caller]
    pub(crate) fn check(self, found: f64, expected: f64) {
        let tolerance = match self {
            Self::RoundOff(operations) => 4.0 * f64::EPSILON * operations.max(1) as f64 * expected.abs().max(1.0),
            Self::Reference(decimals) => 0.500_001 * 10.0_f64.powi(-decimals),
            Self::Sampling(standard_error) => 5.0 * standard_error,
        };
        let difference = (found - expected).abs();
        assert!(
            difference <= tolerance,
            "found {found}, expected {expected}: {difference:e} exceeds {self:?} = {tolerance:e}"
        );
    }
}
