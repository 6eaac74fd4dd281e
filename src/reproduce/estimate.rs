//! A number with its standard error, and what follows from several independent ones.

use crate::comparison::Comparison;

/// A number and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error; 0 for a number that was computed, NaN where there is none.
    pub std_error: f64,
}

impl Estimate {
    /// A number without sampling error.
    pub(super) fn exact(value: f64) -> Self {
        Self { value, std_error: 0.0 }
    }

    /// Mean of independent numbers, one a member.
    pub(super) fn mean(values: &[f64]) -> Self {
        let values: Vec<_> = values.iter().map(|&value| (value, None)).collect();
        let found = Comparison::over_members(&values);
        Self { value: found.measured, std_error: found.std_error.unwrap_or(f64::NAN) }
    }

    /// Mean of the differences of two numbers of each member.
    pub(super) fn paired_difference(values: &[f64], others: &[f64]) -> Self {
        Self::mean(&values.iter().zip(others).map(|(value, other)| value - other).collect::<Vec<_>>())
    }

    /// The difference of two independent estimates.
    pub(super) fn minus(self, other: Self) -> Self {
        Self { value: self.value - other.value, std_error: self.std_error.hypot(other.std_error) }
    }

    /// `(value - other) / std_error`.
    pub(super) fn z(self, other: f64) -> f64 {
        (self.value - other) / self.std_error
    }
}

/// The power of the width that independent positive estimates follow: the least-squares slope `sum c_i ln v_i` of the logarithms,
/// `c_i = (x_i - <x>) / sum (x - <x>)^2` with `x = ln n`, and its error to first order in the relative errors of the `v_i`.
pub(super) fn power_of_width(points: &[(usize, Estimate)]) -> Estimate {
    let x: Vec<f64> = points.iter().map(|(width, _)| (*width as f64).ln()).collect();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    let terms = points.iter().zip(&x).map(|((_, estimate), x)| ((x - mean) / squares, *estimate));
    let (mut value, mut variance) = (0.0, 0.0);
    for (weight, estimate) in terms {
        value += weight * estimate.value.ln();
        variance += (weight * estimate.std_error / estimate.value).powi(2);
    }
    Estimate { value, std_error: variance.sqrt() }
}

/// Statistic of all members with the standard error of the jackknife (Efron 1982): `sum (s_-m - <s_->)^2 (M - 1) / M`.
pub(super) fn jackknife(members: usize, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
    let all: Vec<usize> = (0..members).collect();
    let without: Vec<f64> = (0..members)
        .map(|left_out| statistic(&all.iter().copied().filter(|&member| member != left_out).collect::<Vec<_>>()))
        .collect();
    let mean = without.iter().sum::<f64>() / members as f64;
    let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
    let std_error = (squares * (members as f64 - 1.0) / members as f64).sqrt();
    Estimate { value: statistic(&all), std_error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_the_standard_error_of_the_mean() {
        let found = Estimate::mean(&[1.0, 2.0, 3.0, 6.0]);
        // Deviations -2, -1, 0, 3: variance 14/3, of the mean 14/12.
        assert_eq!(found.value, 3.0);
        assert!((found.std_error - (14.0_f64 / 12.0).sqrt()).abs() < 4.0 * f64::EPSILON);
        let paired = Estimate::paired_difference(&[3.0, 5.0], &[1.0, 2.0]);
        assert_eq!((paired.value, paired.std_error), (2.5, 0.5));
    }

    #[test]
    fn errors_of_independent_numbers_add_in_squares() {
        let [a, b] = [(5.0, 3.0), (1.0, 4.0)].map(|(value, std_error)| Estimate { value, std_error });
        assert_eq!(a.minus(b), Estimate { value: 4.0, std_error: 5.0 });
        assert_eq!(b.z(-3.0), 1.0);
    }

    #[test]
    fn a_power_of_the_width_is_found_with_the_error_of_its_ends() {
        let at = |width: usize, relative: f64| {
            let value = 3.0 * (width as f64).powf(-0.8);
            (width, Estimate { value, std_error: relative * value })
        };
        // Of two points the slope is the difference of the logarithms over ln 4.
        let found = power_of_width(&[at(64, 0.03), at(256, 0.04)]);
        assert!((found.value + 0.8).abs() < 1e2 * f64::EPSILON, "{found:?}");
        assert!((found.std_error - 0.05 / 4.0_f64.ln()).abs() < 1e2 * f64::EPSILON, "{found:?}");
        // The middle one of three has no weight.
        let three = power_of_width(&[at(64, 0.03), at(128, 0.5), at(256, 0.04)]);
        assert!((three.std_error - found.std_error).abs() < 1e2 * f64::EPSILON, "{three:?}");
    }

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        let values = [0.3, 1.7, -0.4, 2.2, 0.9];
        let mean = |members: &[usize]| members.iter().map(|&m| values[m]).sum::<f64>() / members.len() as f64;
        let (found, expected) = (jackknife(values.len(), mean), Estimate::mean(&values));
        assert!((found.value - expected.value).abs() < 1e2 * f64::EPSILON);
        assert!((found.std_error - expected.std_error).abs() < 1e2 * f64::EPSILON);
    }
}
