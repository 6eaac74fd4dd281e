//! The Cramer-von Mises distance to a Gaussian.
//!
//! With `U_i = Phi(z_i)` of the sorted, standardised sample,
//!
//! ```text
//! W2 = 1/(12N) + sum_i (U_i - (2i-1)/(2N))^2
//! null known:      (W2 - .4/N + .6/N^2)(1 + 1/N)      p by the limiting law
//! null estimated:  W2 (1 + .5/N)                      p by fits
//!
//! P(W2 <= x) = 1/(pi sqrt x) sum_k (-1)^k C(-1/2, k) sqrt(4k+1) exp(-y_k) K_1/4(y_k),  y_k = (4k+1)^2 / (16x)
//! ```
//!
//! Modified forms and fits: Stephens 1974 and D'Agostino and Stephens 1986 ("Goodness-of-fit techniques"). Limiting
//! law: Anderson and Darling 1952 ("Asymptotic theory of certain goodness of fit criteria based on stochastic
//! processes").

use std::f64::consts::PI;

use super::error::GaussianityError;
use super::null::{Null, TestOutcome, normal_cdf};

/// Cramer-von Mises test of `sample`, independent values, against `null`; the statistic is `W2`.
///
/// # Errors
/// If there are no values (fewer than five for [`Null::Estimated`]), if some are not finite or all are equal, or if the
/// null has no variance.
pub fn cramer_von_mises<T: Copy + Into<f64>>(sample: &[T], null: Null) -> Result<TestOutcome, GaussianityError> {
    let standard = null.standardize("a Cramer-von Mises test", sample)?;
    let n = standard.len() as f64;
    let squares = standard.iter().enumerate().map(|(i, &z)| (normal_cdf(z) - (i as f64 + 0.5) / n).powi(2));
    let statistic = squares.sum::<f64>() + 1.0 / (12.0 * n);
    let (modified, p_value) = match null {
        Null::Known { .. } => {
            let modified = (statistic - 0.4 / n + 0.6 / (n * n)) * (1.0 + 1.0 / n);
            (modified, limiting_tail(modified))
        }
        Null::Estimated => {
            let modified = statistic * (1.0 + 0.5 / n);
            (modified, estimated_tail(modified))
        }
    };
    Ok(TestOutcome { statistic, modified, p_value })
}

/// Probability that the limiting law exceeds `x`.
fn limiting_tail(x: f64) -> f64 {
    if x < 0.02 {
        // The distribution function is below 1e-3 at 0.02 and the modified form is rough so far down.
        return 1.0;
    }
    if x > 4.0 {
        // The series sums to 1 within rounding.
        return 0.0;
    }
    let mut coefficient = 1.0;
    let mut distribution = 0.0;
    for k in 0..20 {
        let k = f64::from(k);
        let y = (4.0 * k + 1.0).powi(2) / (16.0 * x);
        distribution += coefficient * (4.0 * k + 1.0).sqrt() * damped_bessel_k_quarter(y);
        // (-1)^k C(-1/2, k) = (1/2)(3/2)...(k-1/2) / k!
        coefficient *= (k + 0.5) / (k + 1.0);
    }
    (1.0 - distribution / (PI * x.sqrt())).clamp(0.0, 1.0)
}

/// `exp(-y) K_1/4(y)`, the term of the series without its factors, from `K_v(y) = int_0^inf exp(-y cosh t) cosh(v t) dt` by the trapezoidal rule, which converges
/// faster than any power of its step for this integrand.
fn damped_bessel_k_quarter(y: f64) -> f64 {
    let step = 0.05;
    let integrand = |i: i32| {
        let t = step * f64::from(i);
        (-y * (1.0 + t.cosh())).exp() * (0.25 * t).cosh()
    };
    step * (0.5 * integrand(0) + (1..200).map(integrand).take_while(|&value| value > 0.0).sum::<f64>())
}

/// Probability of a larger modified statistic when mean and variance are estimated.
fn estimated_tail(w: f64) -> f64 {
    match w {
        w if w < 0.0275 => 1.0 - (-13.953 + 775.5 * w - 12542.61 * w * w).exp(),
        w if w < 0.051 => 1.0 - (-5.903 + 179.546 * w - 1515.29 * w * w).exp(),
        w if w < 0.092 => (0.886 - 31.62 * w + 10.897 * w * w).exp(),
        // The fit turns upwards beyond 1.1.
        w => (1.111 - 34.242 * w.min(1.1) + 12.832 * w.min(1.1).powi(2)).exp(),
    }
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, reference, round_off};

    use super::super::{Level, Statistic, critical_value};
    use super::*;

    const STANDARD: Null = Null::Known { mean: 0.0, variance: 1.0 };

    #[test]
    fn one_value_in_the_middle_has_the_smallest_statistic() {
        assert_near(cramer_von_mises(&[0.0f32], STANDARD).unwrap().statistic, 1.0 / 12.0, round_off(1));
    }

    // SciPy 1.17.1.
    #[test]
    fn the_bessel_function_and_the_limiting_law_are_those_of_an_independent_program() {
        assert_near(damped_bessel_k_quarter(1.0) * 1f64.exp(), 0.4307397744485814, reference(13));
        assert_near(damped_bessel_k_quarter(300.0) * 600f64.exp(), 0.07233755399641474, reference(12));
        assert_near(limiting_tail(0.1), 0.5848734384067971, reference(12));
        assert_near(limiting_tail(0.347), 0.10019124868694851, reference(12));
        assert_near(limiting_tail(0.743), 0.010025523981498807, reference(12));
    }

    #[test]
    fn p_values_reproduce_the_table() {
        for level in Level::ALL {
            let p = level.probability();
            // The slope of the limiting tail is at most 0.7 there.
            assert_near(limiting_tail(critical_value(Statistic::CramerVonMises, STANDARD, level)), p, reference(3));
            // The fit and the table were rounded apart.
            let w = critical_value(Statistic::CramerVonMises, Null::Estimated, level);
            assert_near(estimated_tail(w), p, 2.0 * reference(3));
        }
    }

    #[test]
    fn tails_fall() {
        let mut last = [1.0, 1.0];
        for i in 0..400 {
            let x = 0.005 * f64::from(i);
            let now = [limiting_tail(2.0 * x), estimated_tail(x)];
            for (now, last) in now.into_iter().zip(last) {
                assert!((0.0..=1.0).contains(&now));
                // The pieces of the fit meet within 0.01.
                assert!(now <= last + 1e-2, "{x} {now} {last}");
            }
            last = now;
        }
    }
}
