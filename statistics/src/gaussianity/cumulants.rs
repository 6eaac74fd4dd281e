//! Unbiased cumulants of a sample of independent values (k-statistics; Fisher 1930, "Moments and product moments of
//! sampling distributions").
//!
//! With `S_r = sum (x - mean)^r` over `N` values,
//!
//! ```text
//! k2 = S2 / (N-1)                              G1 = k3 / k2^(3/2)
//! k3 = N S3 / ((N-1)(N-2))                     G2 = k4 / k2^2
//! k4 = [N(N+1) S4 - 3(N-1) S2^2] / ((N-1)(N-2)(N-3))
//! SE(G1) = sqrt(6N(N-1) / ((N-2)(N+1)(N+3)))   SE(G2) = 2 SE(G1) sqrt((N^2-1) / ((N-3)(N+5)))   if Gaussian
//! ```

use super::error::GaussianityError;
use super::null::finite_values;

/// Cumulants of a sample of independent values, with the errors they have when the values are Gaussian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cumulants {
    /// Number of values.
    pub values: usize,
    /// Average.
    pub mean: f64,
    /// `k2`, the unbiased variance.
    pub second: f64,
    /// `k3`, unbiased.
    pub third: f64,
    /// `k4`, unbiased.
    pub fourth: f64,
}

impl Cumulants {
    /// Cumulants of `sample`.
    ///
    /// # Errors
    /// If there are fewer than four values or some are not finite.
    pub fn new<T: Copy + Into<f64>>(sample: &[T]) -> Result<Self, GaussianityError> {
        let sample = finite_values("a fourth cumulant", sample, 4)?;
        let n = sample.len() as f64;
        let (mean, [s2, s3, s4]) = centred_sums(&sample);
        Ok(Self {
            values: sample.len(),
            mean,
            second: s2 / (n - 1.0),
            third: n * s3 / ((n - 1.0) * (n - 2.0)),
            fourth: (n * (n + 1.0) * s4 - 3.0 * (n - 1.0) * s2 * s2) / ((n - 1.0) * (n - 2.0) * (n - 3.0)),
        })
    }

    /// `G1`; undefined for a constant sample.
    pub fn skewness(&self) -> f64 {
        self.third / self.second.powf(1.5)
    }

    /// `G2`; undefined for a constant sample.
    pub fn excess_kurtosis(&self) -> f64 {
        self.fourth / (self.second * self.second)
    }

    /// Standard error of `k3` for Gaussian values of unit variance.
    pub fn third_error(&self) -> f64 {
        let n = self.values as f64;
        (6.0 * n / ((n - 1.0) * (n - 2.0))).sqrt()
    }

    /// Standard error of `k4` for Gaussian values of unit variance.
    pub fn fourth_error(&self) -> f64 {
        let n = self.values as f64;
        (24.0 * n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0))).sqrt()
    }

    /// Standard error of [`skewness`](Self::skewness) for Gaussian values.
    pub fn skewness_error(&self) -> f64 {
        let n = self.values as f64;
        (6.0 * n * (n - 1.0) / ((n - 2.0) * (n + 1.0) * (n + 3.0))).sqrt()
    }

    /// Standard error of [`excess_kurtosis`](Self::excess_kurtosis) for Gaussian values.
    pub fn excess_kurtosis_error(&self) -> f64 {
        let n = self.values as f64;
        2.0 * self.skewness_error() * ((n * n - 1.0) / ((n - 3.0) * (n + 5.0))).sqrt()
    }
}

/// Average, and `S2, S3, S4` about it.
pub(super) fn centred_sums(sample: &[f64]) -> (f64, [f64; 3]) {
    let mean = sample.iter().sum::<f64>() / sample.len() as f64;
    let sums = sample.iter().fold([0.0; 3], |[s2, s3, s4], x| {
        let d = x - mean;
        let d2 = d * d;
        [s2 + d2, s3 + d2 * d, s4 + d2 * d2]
    });
    (mean, sums)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Exp1, StandardNormal};
    use widthwise_testing::{assert_near, reference, round_off, sampling};

    use super::*;

    // N = 20, unit Gaussians: .34997... are the formulas in an independent program, which agreed with its simulation.
    #[test]
    fn errors_at_twenty_values_are_the_published_formulas() {
        let cumulants = Cumulants::new(&[0.0; 20]).unwrap();
        for (found, expected, digits) in [
            (cumulants.third_error().powi(2), 0.35088, 5),
            (cumulants.fourth_error().powi(2), 1.734, 3),
            (cumulants.skewness_error(), 0.5121, 4),
            (cumulants.excess_kurtosis_error(), 0.9924, 4),
        ] {
            assert_near(found, expected, reference(digits));
        }
    }

    #[test]
    fn errors_are_those_of_gaussian_samples() {
        let repeats = 20000;
        let mut rng = ChaCha8Rng::seed_from_u64(21);
        let mut squares = [0.0; 4];
        let mut cumulants = Cumulants::new(&[0.0; 20]).unwrap();
        for _ in 0..repeats {
            let sample: Vec<f64> = (0..20).map(|_| rng.sample(StandardNormal)).collect();
            cumulants = Cumulants::new(&sample).unwrap();
            let values = [cumulants.third, cumulants.fourth, cumulants.skewness(), cumulants.excess_kurtosis()];
            squares.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * value / f64::from(repeats));
        }
        let errors = [
            cumulants.third_error(),
            cumulants.fourth_error(),
            cumulants.skewness_error(),
            cumulants.excess_kurtosis_error(),
        ];
        for (square, error) in squares.into_iter().zip(errors) {
            // The squares have kurtosis up to about 20, so their average has the relative error sqrt(20 / repeats).
            assert_near(square / (error * error), 1.0, sampling((20.0 / f64::from(repeats)).sqrt()));
        }
    }

    // The cumulants of the exponential law are 1, 1, 2, 6.
    #[test]
    fn cumulants_of_an_exponential_sample_are_unbiased() {
        let repeats = 40000;
        let mut rng = ChaCha8Rng::seed_from_u64(22);
        let (mut third, mut fourth) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            let sample: Vec<f64> = (0..20).map(|_| rng.sample(Exp1)).collect();
            let cumulants = Cumulants::new(&sample).unwrap();
            third.push(cumulants.third);
            fourth.push(cumulants.fourth);
        }
        for (values, exact) in [(third, 2.0), (fourth, 6.0)] {
            let (mean, [s2, ..]) = centred_sums(&values);
            assert_near(mean, exact, sampling(s2.sqrt() / f64::from(repeats)));
        }
    }

    #[test]
    fn four_values_by_hand() {
        // Deviations -3, -1, 1, 3: S2 = 20, S3 = 0, S4 = 164.
        let cumulants = Cumulants::new(&[0.0f32, 2.0, 4.0, 6.0]).unwrap();
        assert_near(cumulants.mean, 3.0, round_off(4));
        assert_near(cumulants.second, 20.0 / 3.0, round_off(20));
        assert_near(cumulants.third, 0.0, round_off(20));
        assert_near(cumulants.fourth, (20.0 * 164.0 - 9.0 * 400.0) / 6.0, 100.0 * round_off(20));
    }
}
