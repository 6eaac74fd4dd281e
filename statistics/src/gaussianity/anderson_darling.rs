//! The Anderson-Darling distance to a Gaussian, which weighs the tails.
//!
//! With `U_i = Phi(z_i)` of the sorted, standardised sample,
//!
//! ```text
//! A2 = -N - (1/N) sum_i (2i-1) [ln U_i + ln(1 - U_(N+1-i))]
//! null known:      A2                                 p by the limiting law, as fitted by Marsaglia and Marsaglia
//! null estimated:  A2 (1 + .75/N + 2.25/N^2)          p by fits of D'Agostino and Stephens 1986
//! ```
//!
//! (Marsaglia and Marsaglia 2004, "Evaluating the Anderson-Darling distribution"; D'Agostino and Stephens 1986,
//! "Goodness-of-fit techniques".) `ln(1 - Phi(z))` is taken as `ln Phi(-z)`, so that outliers do not make it infinite.

use super::error::GaussianityError;
use super::null::{Null, TestOutcome, ln_normal_cdf};

/// Anderson-Darling test of `sample`, independent values, against `null`; the statistic is `A2`.
///
/// # Errors
/// If there are no values (fewer than five for [`Null::Estimated`]), if some are not finite or all are equal, or if the
/// null has no variance.
pub fn anderson_darling<T: Copy + Into<f64>>(sample: &[T], null: Null) -> Result<TestOutcome, GaussianityError> {
    let standard = null.standardize("an Anderson-Darling test", sample)?;
    let n = standard.len() as f64;
    let terms = standard.iter().zip(standard.iter().rev()).enumerate();
    let sum: f64 =
        terms.map(|(i, (&low, &high))| (2 * i + 1) as f64 * (ln_normal_cdf(low) + ln_normal_cdf(-high))).sum();
    let statistic = -n - sum / n;
    let (modified, p_value) = match null {
        Null::Known { .. } => (statistic, limiting_tail(statistic)),
        Null::Estimated => {
            let modified = statistic * (1.0 + 0.75 / n + 2.25 / (n * n));
            (modified, estimated_tail(modified))
        }
    };
    Ok(TestOutcome { statistic, modified, p_value })
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |value, c| value * x + c)
}

/// Probability that the limiting law exceeds `x`.
fn limiting_tail(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let distribution = if x < 2.0 {
        let fit = [2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691];
        (-1.2337141 / x).exp() / x.sqrt() * polynomial(&fit, x)
    } else {
        // The fit was made up to 32, where the tail is below 1e-13.
        let x = x.min(32.0);
        let fit = [1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146];
        return -(-polynomial(&fit, x).exp()).exp_m1();
    };
    1.0 - distribution
}

/// Probability of a larger modified statistic when mean and variance are estimated.
fn estimated_tail(a: f64) -> f64 {
    match a {
        a if a < 0.2 => 1.0 - polynomial(&[-13.436, 101.14, -223.73], a).exp(),
        a if a < 0.34 => 1.0 - polynomial(&[-8.318, 42.796, -59.938], a).exp(),
        a if a < 0.6 => polynomial(&[0.9177, -4.279, -1.38], a).exp(),
        // The parabola turns upwards far beyond its range.
        a => polynomial(&[1.2937, -5.709, 0.0186], a.min(153.0)).exp(),
    }
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, reference, round_off};

    use super::super::{Level, Statistic, critical_value};
    use super::*;

    const STANDARD: Null = Null::Known { mean: 0.0, variance: 1.0 };

    #[test]
    fn one_value_in_the_middle_has_the_closed_form() {
        // -1 - 2 ln(1/2).
        let outcome = anderson_darling(&[0.0f32], STANDARD).unwrap();
        assert_near(outcome.statistic, 2.0 * 2f64.ln() - 1.0, round_off(4));
    }

    #[test]
    fn an_outlier_is_rejected_and_not_infinite() {
        let sample: Vec<f32> = (0..20).map(|i| 0.1 * (i as f32 - 10.0)).chain([100.0]).collect();
        let outcome = anderson_darling(&sample, STANDARD).unwrap();
        assert!(outcome.statistic.is_finite() && outcome.p_value < 1e-6);
    }

    #[test]
    fn p_values_reproduce_the_table() {
        for level in Level::ALL {
            let p = level.probability();
            // Slopes below 0.2 and 0.6 on three decimals, and fits of about that quality.
            let known = critical_value(Statistic::AndersonDarling, STANDARD, level);
            assert_near(limiting_tail(known), p, reference(3));
            let estimated = critical_value(Statistic::AndersonDarling, Null::Estimated, level);
            assert_near(estimated_tail(estimated), p, reference(3));
        }
    }

    #[test]
    fn tails_fall() {
        let mut last = [1.0, 1.0];
        for i in 1..1000 {
            let x = 0.005 * f64::from(i);
            let now = [limiting_tail(x), estimated_tail(x)];
            for (now, last) in now.into_iter().zip(last) {
                assert!((0.0..=1.0).contains(&now));
                // The pieces of the fit meet within 0.01.
                assert!(now <= last + 1e-2, "{x} {now} {last}");
            }
            last = now;
        }
        assert!(limiting_tail(1e4) < 1e-12 && estimated_tail(1e4) < 1e-12);
    }
}
