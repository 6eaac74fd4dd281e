//! A number whose standard error was estimated too, from members that can be counted: Student's law instead of the normal one.

use crate::judge::{Sides, student_p_value};
use crate::{Estimate, NullLaw};

/// Degrees of freedom beyond which Student's law is the normal one to six digits.
const NORMAL: f64 = 1e6;

/// Share of the true numbers that intervals cover.
pub const COVERAGE: f64 = 0.95;

/// A number, its standard error, and the degrees of freedom of that error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudentEstimate {
    /// Number and standard error.
    pub estimate: Estimate,
    /// Degrees of freedom; infinite for an error that is known.
    pub freedom: f64,
}

impl StudentEstimate {
    /// The interval that covers the true number with probability `share`, the same on both sides.
    pub fn interval(&self, share: f64) -> [f64; 2] {
        let Estimate { value, std_error } = self.estimate;
        let law = NullLaw::Student { freedom: self.freedom.min(NORMAL) };
        let reach = std_error * law.critical(1.0 - share, Sides::Two)[1];
        [value - reach, value + reach]
    }

    /// How likely a number this far from `[low, high]` or farther is where the true one lies inside: 1 inside of it, and outside the two-sided p-value of
    /// the nearer end. At 5 % it rejects what [`Self::interval`] of 95 % does not meet. `None` without a standard error.
    pub fn p_value_of(&self, [low, high]: [f64; 2]) -> Option<f64> {
        let Estimate { value, std_error } = self.estimate;
        student_p_value((value - value.clamp(low, high)) / std_error, self.freedom, Sides::Two)
    }

    /// p-value of the hypothesis that the true number is at most `bound`.
    pub fn p_value_of_bound(&self, bound: f64) -> Option<f64> {
        student_p_value(self.estimate.z(bound), self.freedom, Sides::Upper)
    }
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, reference};

    use super::*;

    fn found(value: f64, std_error: f64, freedom: f64) -> StudentEstimate {
        StudentEstimate { estimate: Estimate { value, std_error }, freedom }
    }

    #[test]
    fn intervals_have_the_quantiles_of_the_table_of_students_t() {
        for (share, freedom, expected) in [
            (0.95, 1.0, 12.706),
            (0.95, 4.0, 2.776),
            (0.95, 11.0, 2.201),
            (0.999, 11.0, 4.437),
            (0.95, f64::INFINITY, 1.960),
        ] {
            let [low, high] = found(1.0, 2.0, freedom).interval(share);
            assert_near(0.5 * (high - 1.0), expected, reference(3));
            assert_near(high - 1.0, 1.0 - low, 1e2 * f64::EPSILON);
        }
    }

    #[test]
    fn an_interval_is_rejected_beyond_its_nearer_end() {
        let accepted = [-1.0, -0.5];
        assert_eq!(found(-0.7, 0.1, 11.0).p_value_of(accepted), Some(1.0));
        for value in [-1.0 - 0.2201, -0.5 + 0.2201] {
            assert_near(found(value, 0.1, 11.0).p_value_of(accepted).unwrap(), 0.05, 5e-5);
        }
        // A point is an interval without length; without spread and without distance there is nothing to decide by.
        assert_near(found(2.776, 1.0, 4.0).p_value_of([0.0, 0.0]).unwrap(), 0.05, 5e-5);
        assert_eq!(found(0.0, 0.0, 4.0).p_value_of([0.0, 0.0]), None);
        assert_eq!(found(0.0, f64::NAN, 4.0).p_value_of([1.0, 1.0]), None);
    }

    #[test]
    fn a_bound_is_rejected_from_above() {
        assert_near(found(2.132, 1.0, 4.0).p_value_of_bound(0.0).unwrap(), 0.05, 5e-5);
        assert!(found(-2.132, 1.0, 4.0).p_value_of_bound(0.0).unwrap() > 0.94);
    }
}
