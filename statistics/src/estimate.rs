//! A number with its standard error, and what follows from several independent ones.

/// Numbers around their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviations {
    /// How many.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Sum of the squares of their distances from it.
    pub squares: f64,
}

impl Deviations {
    /// Of numbers in their order, which are gone through twice.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count();
        let mean = values.clone().sum::<f64>() / count as f64;
        Self { count, mean, squares: values.map(|value| (value - mean).powi(2)).sum() }
    }

    /// Square of the standard error of the mean of independent numbers; NaN for fewer than two.
    pub fn variance_of_mean(&self) -> f64 {
        let count = self.count as f64;
        if self.count > 1 { self.squares / (count - 1.0) / count } else { f64::NAN }
    }
}

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
    pub fn exact(value: f64) -> Self {
        Self { value, std_error: 0.0 }
    }

    /// Mean of independent numbers, one a member.
    pub fn mean(values: &[f64]) -> Self {
        let found = Deviations::of(values.iter().copied());
        Self { value: found.mean, std_error: found.variance_of_mean().sqrt() }
    }

    /// Mean of the differences of two numbers of each member.
    pub fn paired_difference(values: &[f64], others: &[f64]) -> Self {
        Self::mean(&values.iter().zip(others).map(|(value, other)| value - other).collect::<Vec<_>>())
    }

    /// The difference of two independent estimates.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { value: self.value - other.value, std_error: self.std_error.hypot(other.std_error) }
    }

    /// `(value - other) / std_error`.
    pub fn z(self, other: f64) -> f64 {
        (self.value - other) / self.std_error
    }
}

/// Round-off that a mean of measured numbers is allowed, in units of the last place.
const ROUND_OFF: f64 = 4.0;

/// `std_error`, if it is more than round-off of numbers of size `scale`.
pub fn beyond_round_off(std_error: f64, scale: f64, epsilon: f64) -> Option<f64> {
    Some(std_error).filter(|found| found.is_finite() && *found > ROUND_OFF * epsilon * scale)
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
        assert!(Estimate::mean(&[2.0]).std_error.is_nan() && Estimate::mean(&[]).value.is_nan());
        let paired = Estimate::paired_difference(&[3.0, 5.0], &[1.0, 2.0]);
        assert_eq!((paired.value, paired.std_error), (2.5, 0.5));
    }

    #[test]
    fn errors_of_independent_numbers_add_in_squares() {
        let [a, b] = [(5.0, 3.0), (1.0, 4.0)].map(|(value, std_error)| Estimate { value, std_error });
        assert_eq!(a.minus(b), Estimate { value: 4.0, std_error: 5.0 });
        assert_eq!(b.z(-3.0), 1.0);
    }
}
