//! D'Agostino's K2: skewness and kurtosis of one sample, each transformed to a normal score.
//!
//! With `g1, b2` the skewness and kurtosis of moments with divisor `N`, `K2 = Z1^2 + Z2^2` is close to chi-squared with
//! two degrees of freedom under a Gaussian (D'Agostino, Belanger and D'Agostino 1990, "A suggestion for using powerful
//! and informative tests of normality"; the score of `b2` is of Anscombe and Glynn 1983, "Distribution of the kurtosis
//! statistic b2 for normal samples"):
//!
//! ```text
//! Y  = g1 sqrt((N+1)(N+3) / (6(N-2)))        B = 3(N^2+27N-70)(N+1)(N+3) / ((N-2)(N+5)(N+7)(N+9))
//! W^2 = sqrt(2(B-1)) - 1                     Z1 = asinh(Y/alpha) / sqrt(ln W),  alpha = sqrt(2/(W^2-1))
//! x  = (b2 - 3(N-1)/(N+1)) / sqrt(24N(N-2)(N-3) / ((N+1)^2(N+3)(N+5)))
//! s  = 6(N^2-5N+2) / ((N+7)(N+9)) sqrt(6(N+3)(N+5) / (N(N-2)(N-3)))
//! A  = 6 + (8/s)(2/s + sqrt(1+4/s^2))
//! Z2 = [1 - 2/(9A) - cbrt((1-2/A) / (1 + x sqrt(2/(A-4))))] / sqrt(2/(9A))
//! ```

use super::cumulants::centred_sums;
use super::error::GaussianityError;
use super::null::{TestOutcome, finite_values};

/// D'Agostino's K2 test of `sample`, independent values, against a Gaussian of any mean and variance.
///
/// The statistic needs no modification for the size of the sample, and has no entry in
/// [`critical_value`](super::critical_value): compare the p-value with the level.
///
/// # Errors
/// If there are fewer than 20 values, if some are not finite or all are equal.
pub fn dagostino_k2<T: Copy + Into<f64>>(sample: &[T]) -> Result<TestOutcome, GaussianityError> {
    let sample = finite_values("D'Agostino's K2", sample, 20)?;
    let n = sample.len() as f64;
    let (mean, [s2, s3, s4]) = centred_sums(&sample);
    let variance = s2 / n;
    if variance <= f64::EPSILON.powi(2) * mean * mean {
        return Err(GaussianityError::ConstantSample { values: sample.len() });
    }
    let g1 = s3 / n / variance.powf(1.5);
    let b2 = s4 / n / (variance * variance);
    let statistic = skewness_score(g1, n).powi(2) + kurtosis_score(b2, n).powi(2);
    Ok(TestOutcome { statistic, modified: statistic, p_value: (-0.5 * statistic).exp() })
}

/// `Z1`.
fn skewness_score(g1: f64, n: f64) -> f64 {
    let y = g1 * ((n + 1.0) * (n + 3.0) / (6.0 * (n - 2.0))).sqrt();
    let b = 3.0 * (n * n + 27.0 * n - 70.0) * (n + 1.0) * (n + 3.0) / ((n - 2.0) * (n + 5.0) * (n + 7.0) * (n + 9.0));
    let w2 = (2.0 * (b - 1.0)).sqrt() - 1.0;
    let alpha = (2.0 / (w2 - 1.0)).sqrt();
    (y / alpha).asinh() / (0.5 * w2.ln()).sqrt()
}

/// `Z2`.
fn kurtosis_score(b2: f64, n: f64) -> f64 {
    let variance = 24.0 * n * (n - 2.0) * (n - 3.0) / ((n + 1.0).powi(2) * (n + 3.0) * (n + 5.0));
    let x = (b2 - 3.0 * (n - 1.0) / (n + 1.0)) / variance.sqrt();
    let s = 6.0 * (n * n - 5.0 * n + 2.0) / ((n + 7.0) * (n + 9.0))
        * (6.0 * (n + 3.0) * (n + 5.0) / (n * (n - 2.0) * (n - 3.0))).sqrt();
    let a = 6.0 + 8.0 / s * (2.0 / s + (1.0 + 4.0 / (s * s)).sqrt());
    let root = ((1.0 - 2.0 / a) / (1.0 + x * (2.0 / (a - 4.0)).sqrt())).cbrt();
    (1.0 - 2.0 / (9.0 * a) - root) / (2.0 / (9.0 * a)).sqrt()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;
    use widthwise_testing::{assert_near, reference, sampling};

    use super::*;

    // Rejection at the nominal 5% and N = 50 is 0.057 by the simulation of an independent program.
    #[test]
    fn gaussian_samples_are_rejected_at_the_quoted_rate() {
        let repeats = 5000;
        let mut rng = ChaCha8Rng::seed_from_u64(41);
        let mut rejected = 0;
        for _ in 0..repeats {
            let sample: Vec<f64> = (0..50).map(|_| rng.sample(StandardNormal)).collect();
            rejected += i32::from(dagostino_k2(&sample).unwrap().p_value < 0.05);
        }
        let standard_error = (0.057f64 * 0.943 / f64::from(repeats)).sqrt();
        assert_near(f64::from(rejected) / f64::from(repeats), 0.057, sampling(standard_error));
    }

    // SciPy 1.17.1, at 24 values.
    #[test]
    fn scores_are_those_of_an_independent_program() {
        let sample = super::super::tests::SAMPLE;
        let outcome = dagostino_k2(&sample).unwrap();
        assert_near(outcome.statistic, 0.30518540032649133, reference(12));
        assert_near(outcome.p_value, 0.8584793090955906, reference(12));
        let (_, [s2, s3, s4]) = centred_sums(&sample.map(f64::from));
        assert_near(skewness_score(s3 / 24.0 / (s2 / 24.0).powf(1.5), 24.0), -0.06627732877472398, reference(12));
        assert_near(kurtosis_score(s4 * 24.0 / (s2 * s2), 24.0), -0.5484457275036232, reference(12));
    }
}
