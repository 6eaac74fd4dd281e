//! The rules by which a number is judged.
//!
//! - [`Expected`]: a value or a bound against a number with its standard error, in standard errors. For single numbers.
//! - [`of_interval`]: an interval against an accepted one. For what has an interval of its own, as from resampling.
//! - [`p_value`], [`holm`] and [`is_resolved`]: Student's t over members, corrected for the number of claims. For many numbers at a time; p-values of
//!   numbers that were fitted are those of a [`StudentEstimate`](crate::StudentEstimate).

use crate::{Estimate, NullLaw, Verdict};

/// Standard errors at which a value is rejected.
const REJECTED: f64 = 4.0;

/// Standard errors that belong to a number when it is asked whether all of it lies within a tolerance.
pub const RESOLVED: f64 = 4.0;

/// Standard errors by which an inequality has to hold.
const HOLDS: f64 = 3.0;

/// What theory says of a number.
///
/// - A value *disagrees* if it lies four standard errors or more from theory; it *agrees* if it does not and four standard errors
///   are at most what is stated as its reach; otherwise it is *undecided*.
/// - An inequality *agrees* if it holds by three standard errors, *disagrees* if it is violated by three, and is *undecided* between.
/// - A bound that theory proves *disagrees* if it is exceeded by three standard errors, and otherwise agrees as a value does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// It is this number; an agreement has to be sharp to within `reach`.
    Value {
        /// The number.
        value: f64,
        /// Largest four standard errors of an agreement.
        reach: f64,
    },
    /// It is this number to within half a unit of its last digit: for what is computed and not sampled.
    Digits {
        /// The number.
        value: f64,
        /// Digits after the point.
        decimals: i32,
    },
    /// It is at most this; it disagrees three standard errors above, and an agreement has to be sharp to within `reach`.
    AtMost {
        /// The bound.
        bound: f64,
        /// Largest four standard errors of an agreement.
        reach: f64,
    },
    /// It is smaller.
    Below(f64),
    /// It is larger.
    Above(f64),
}

impl Expected {
    /// The verdict about a finding.
    pub fn judge(self, found: Estimate) -> Verdict {
        if !found.value.is_finite() || found.std_error.is_nan() {
            return Verdict::Undecided;
        }
        match self {
            Self::Value { value, reach } => match found.z(value).abs() {
                z if z >= REJECTED => Verdict::Disagrees,
                // Without spread and without distance there is nothing to decide by.
                z if z.is_nan() => Verdict::Undecided,
                _ if is_sharp(found, reach) => Verdict::Agrees,
                _ => Verdict::Undecided,
            },
            Self::Digits { value, decimals } => {
                let half_unit = 0.5 * 10f64.powi(-decimals);
                if (found.value - value).abs() <= half_unit * (1.0 + 1e-6) {
                    Verdict::Agrees
                } else {
                    Verdict::Disagrees
                }
            }
            Self::AtMost { bound, .. } if found.value - bound > HOLDS * found.std_error => Verdict::Disagrees,
            Self::AtMost { reach, .. } if is_sharp(found, reach) => Verdict::Agrees,
            Self::AtMost { .. } => Verdict::Undecided,
            Self::Below(bound) => Self::inequality(-found.z(bound)),
            Self::Above(bound) => Self::inequality(found.z(bound)),
        }
    }

    /// `z` is positive where the inequality holds.
    fn inequality(z: f64) -> Verdict {
        if z >= HOLDS {
            Verdict::Agrees
        } else if z <= -HOLDS {
            Verdict::Disagrees
        } else {
            Verdict::Undecided
        }
    }
}

/// The verdict about a number of which this interval is known: disagreement if it and the accepted one do not meet, agreement if they do and
/// it is no longer than the accepted one.
pub fn of_interval([low, high]: [f64; 2], accepted: [f64; 2]) -> Verdict {
    if high < accepted[0] || low > accepted[1] {
        Verdict::Disagrees
    } else if high - low <= accepted[1] - accepted[0] {
        Verdict::Agrees
    } else {
        Verdict::Undecided
    }
}

/// Whether four standard errors are at most `reach`.
pub fn is_sharp(found: Estimate, reach: f64) -> bool {
    REJECTED * found.std_error <= reach
}

/// On which sides of a prediction a number may not lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// The prediction is a value.
    Two,
    /// The prediction is an upper bound.
    Upper,
}

/// Student-t p-value of a finite `z` over `members`, of which there have to be two.
pub fn p_value(z: f64, members: usize, sides: Sides) -> Option<f64> {
    student_p_value(z, members.checked_sub(1)? as f64, sides)
}

/// The same of a `z` whose standard error has `freedom` degrees of freedom, not all of them whole numbers.
pub fn student_p_value(z: f64, freedom: f64, sides: Sides) -> Option<f64> {
    let law = Some(NullLaw::Student { freedom }).filter(|_| freedom > 0.0)?;
    // Members that differ by less than the smallest number leave no finite z, and no p-value.
    law.p_value(z, sides)
}

/// Whether an agreement means something: the number with four standard errors on either side lies within `tolerance` of the prediction, or
/// below the bound. A test that only fails to reject says little when members are few.
pub fn is_resolved(found: Estimate, predicted: f64, sides: Sides, tolerance: f64) -> bool {
    let Estimate { value, std_error } = found;
    match sides {
        Sides::Two => (value - predicted).abs() + RESOLVED * std_error <= tolerance,
        Sides::Upper => value + RESOLVED * std_error <= predicted,
    }
}

/// Holm's step-down procedure (1979): which hypotheses are rejected at family-wise level `alpha`.
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut rejected = vec![false; p_values.len()];
    for (rank, &index) in order.iter().enumerate() {
        let threshold = alpha / (p_values.len() - rank) as f64;
        if p_values[index].is_nan() || p_values[index] > threshold {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: f64, std_error: f64) -> Estimate {
        Estimate { value, std_error }
    }

    #[test]
    fn values_are_judged_by_their_errors() {
        let one = Expected::Value { value: 1.0, reach: 0.2 };
        assert_eq!(one.judge(found(1.15, 0.04)), Verdict::Agrees);
        assert_eq!(one.judge(found(1.17, 0.04)), Verdict::Disagrees);
        assert_eq!(one.judge(found(0.83, 0.04)), Verdict::Disagrees);
        assert_eq!(one.judge(found(1.0, 0.06)), Verdict::Undecided);
        for blind in [found(f64::NAN, 0.1), found(1.0, f64::NAN), found(1.0, 0.0)] {
            assert_eq!(one.judge(blind), Verdict::Undecided, "{blind:?}");
        }
    }

    #[test]
    fn inequalities_hold_by_three_standard_errors() {
        assert_eq!(Expected::Below(2.0).judge(found(1.0, 0.3)), Verdict::Agrees);
        assert_eq!(Expected::Below(2.0).judge(found(3.0, 0.3)), Verdict::Disagrees);
        assert_eq!(Expected::Below(2.0).judge(found(1.0, 0.4)), Verdict::Undecided);
        assert_eq!(Expected::Above(2.0).judge(found(3.0, 0.3)), Verdict::Agrees);
        assert_eq!(Expected::Above(2.0).judge(found(2.0, 0.0)), Verdict::Undecided);
    }

    #[test]
    fn bounds_are_kept_to_within_the_error() {
        let bound = Expected::AtMost { bound: -0.5, reach: 0.4 };
        assert_eq!(bound.judge(found(-0.45, 0.1)), Verdict::Agrees);
        assert_eq!(bound.judge(found(-0.15, 0.1)), Verdict::Disagrees);
        assert_eq!(bound.judge(found(-0.9, 0.2)), Verdict::Undecided);
        assert_eq!(bound.judge(Estimate::exact(-0.5)), Verdict::Agrees);
        assert_eq!(bound.judge(Estimate::exact(-0.4)), Verdict::Disagrees);
    }

    #[test]
    fn digits_are_those_of_the_reference() {
        let expected = Expected::Digits { value: 1.2346, decimals: 4 };
        assert_eq!(expected.judge(Estimate::exact(1.234_56)), Verdict::Agrees);
        assert_eq!(expected.judge(Estimate::exact(1.234_66)), Verdict::Disagrees);
    }

    #[test]
    fn holm_steps_down() {
        // Holm 1979 by hand: thresholds 0.05/4, 0.05/3, 0.05/2, 0.05 in order of p.
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm(&[0.01, 0.02, 0.02, 0.005], 0.05), [true, true, true, true]);
        assert_eq!(holm(&[], 0.05), Vec::<bool>::new());
    }

    #[test]
    fn intervals_are_held_against_the_accepted_one() {
        let accepted = [-1.2, -0.8];
        for (interval, expected) in [
            ([-1.1, -0.9], Verdict::Agrees),
            ([-0.8, -0.5], Verdict::Agrees),
            ([-1.5, -0.9], Verdict::Undecided),
            ([-0.7, -0.6], Verdict::Disagrees),
            ([-9.0, -1.3], Verdict::Disagrees),
        ] {
            assert_eq!(of_interval(interval, accepted), expected, "{interval:?}");
        }
    }

    #[test]
    fn p_values_are_those_of_the_table_of_students_t() {
        // The quantile 12.706 of one degree of freedom, 2.776 of four, at 5 % on two sides.
        for (z, members) in [(12.706, 2), (2.776, 5), (-2.776, 5)] {
            assert!((p_value(z, members, Sides::Two).unwrap() - 0.05).abs() < 5e-5, "{z}");
        }
        assert!((p_value(2.132, 5, Sides::Upper).unwrap() - 0.05).abs() < 5e-5);
        assert!(p_value(-2.132, 5, Sides::Upper).unwrap() > 0.94, "below the bound");
        assert_eq!((p_value(1.0, 1, Sides::Two), p_value(1.0, 0, Sides::Two)), (None, None));
        assert_eq!(p_value(f64::NAN, 5, Sides::Two), None);
    }

    #[test]
    fn an_agreement_is_sharp_to_within_the_tolerance() {
        let resolved = |value, std_error, sides| is_resolved(found(value, std_error), 1.0, sides, 0.125);
        assert!(resolved(1.0625, 0.015625, Sides::Two) && !resolved(1.0625, 0.03125, Sides::Two));
        assert!(resolved(0.5, 0.125, Sides::Upper) && !resolved(0.5, 0.25, Sides::Upper));
    }
}
