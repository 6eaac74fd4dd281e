//! The Kolmogorov-Smirnov distance to a Gaussian.
//!
//! With `U_i = Phi(z_i)` of the sorted, standardised sample,
//!
//! ```text
//! D = max_i max(i/N - U_i, U_i - (i-1)/N)
//! null known:      D (sqrt N + .12 + .11/sqrt N)      p = Q(lambda) = 2 sum_j (-1)^(j-1) exp(-2 j^2 lambda^2)
//! null estimated:  D (sqrt N - .01 + .85/sqrt N)      p by fits
//! ```
//!
//! The modified forms are those of Stephens 1974 ("EDF statistics for goodness of fit and some comparisons"). The fits
//! are, for small p, of Dallal and Wilkinson 1986 ("An analytic approximation to the distribution of Lilliefors's test
//! statistic for normality") and elsewhere quartics in the modified form.

use std::f64::consts::PI;

use super::error::GaussianityError;
use super::null::{Null, TestOutcome, normal_cdf};

/// Kolmogorov-Smirnov test of `sample`, independent values, against `null`; the statistic is the distance `D`.
///
/// # Errors
/// If there are no values (fewer than five for [`Null::Estimated`]), if some are not finite or all are equal, or if the
/// null has no variance.
pub fn kolmogorov_smirnov<T: Copy + Into<f64>>(sample: &[T], null: Null) -> Result<TestOutcome, GaussianityError> {
    let standard = null.standardize("a Kolmogorov-Smirnov test", sample)?;
    let n = standard.len() as f64;
    let distance = standard.iter().enumerate().fold(0.0f64, |largest, (i, &z)| {
        let u = normal_cdf(z);
        largest.max((i + 1) as f64 / n - u).max(u - i as f64 / n)
    });
    let (modified, p_value) = match null {
        Null::Known { .. } => {
            let modified = distance * (n.sqrt() + 0.12 + 0.11 / n.sqrt());
            (modified, kolmogorov_tail(modified))
        }
        Null::Estimated => {
            let modified = distance * (n.sqrt() - 0.01 + 0.85 / n.sqrt());
            (modified, lilliefors_tail(distance, modified, n))
        }
    };
    Ok(TestOutcome { statistic: distance, modified, p_value })
}

/// `Q(lambda)`.
fn kolmogorov_tail(lambda: f64) -> f64 {
    if lambda < 0.2 {
        // 1 - Q is below 1e-11 here.
        return 1.0;
    }
    if lambda < 1.0 {
        // The same function by the theta transformation, for where the alternating series converges slowly.
        let terms = (1..8).map(|j| (-f64::from(2 * j - 1).powi(2) * PI * PI / (8.0 * lambda * lambda)).exp());
        return 1.0 - (2.0 * PI).sqrt() / lambda * terms.sum::<f64>();
    }
    let term = |j: i32| (-2.0 * f64::from(j * j) * lambda * lambda).exp();
    2.0 * (term(1) - term(2) + term(3) - term(4) + term(5))
}

/// Probability of a larger distance when mean and variance are estimated.
fn lilliefors_tail(distance: f64, modified: f64, n: f64) -> f64 {
    // The fit was made up to 100 values; beyond, the distance is brought to 100 values by its scaling.
    let (d, m) = if n > 100.0 { (distance * (n / 100.0).powf(0.49), 100.0) } else { (distance, n) };
    let shifted = m + 2.78019;
    let small =
        (-7.01256 * d * d * shifted + 2.99587 * d * shifted.sqrt() - 0.122119 + 0.974598 / m.sqrt() + 1.67997 / m)
            .exp();
    if small <= 0.1 {
        return small;
    }
    let quartic = |c: [f64; 5]| c.iter().rev().fold(0.0, |value, c| value * modified + c);
    let p = match modified {
        k if k <= 0.302 => 1.0,
        k if k <= 0.5 => quartic([2.76773, -19.828315, 80.709644, -138.55152, 81.218052]),
        k if k <= 0.9 => quartic([-4.901232, 40.662806, -97.490286, 94.029866, -32.355711]),
        k if k <= 1.31 => quartic([6.198765, -19.558097, 23.186922, -12.234627, 2.423045]),
        _ => 0.0,
    };
    p.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, reference, round_off};

    use super::super::{Level, Statistic, critical_value};
    use super::*;

    #[test]
    fn one_value_in_the_middle_is_half_away() {
        let outcome = kolmogorov_smirnov(&[3.0f32], Null::Known { mean: 3.0, variance: 4.0 }).unwrap();
        assert_near(outcome.statistic, 0.5, round_off(1));
    }

    #[test]
    fn the_two_series_of_the_tail_agree() {
        for lambda in [0.7, 0.9, 0.999] {
            let alternating: f64 = (1..40)
                .map(|j: i32| {
                    2.0 * f64::from(1 - 2 * ((j - 1) % 2)) * (-2.0 * f64::from(j * j) * lambda * lambda).exp()
                })
                .sum();
            assert_near(kolmogorov_tail(lambda), alternating, round_off(8));
        }
        assert_near(kolmogorov_tail(0.2), 1.0, reference(11));
        // SciPy 1.17.1.
        assert_near(kolmogorov_tail(0.5), 0.9639452436648751, reference(13));
        assert_near(kolmogorov_tail(1.628), 0.009975522431181053, reference(13));
    }

    #[test]
    fn known_p_values_reproduce_the_table() {
        for level in Level::ALL {
            let lambda = critical_value(Statistic::KolmogorovSmirnov, Null::Known { mean: 0.0, variance: 1.0 }, level);
            // The slope of Q is at most 0.5 there, and the table has three decimals.
            assert_near(kolmogorov_tail(lambda), level.probability(), 0.5 * reference(3));
        }
    }

    #[test]
    fn a_shift_is_seen_by_the_known_null_alone() {
        // Midpoint quantiles of the logistic law serve as a smooth, symmetric sample.
        let sample: Vec<f64> = (0..200).map(|i| (f64::from(i) + 0.5) / 200.0).map(|u| (u / (1.0 - u)).ln()).collect();
        let shifted: Vec<f64> = sample.iter().map(|x| 0.55 * x + 1.0).collect();
        let known = kolmogorov_smirnov(&shifted, Null::Known { mean: 0.0, variance: 1.0 }).unwrap();
        assert!(known.p_value < 1e-6);
        let estimated = kolmogorov_smirnov(&shifted, Null::Estimated).unwrap();
        let unshifted = kolmogorov_smirnov(&sample, Null::Estimated).unwrap();
        assert_near(estimated.statistic, unshifted.statistic, round_off(200));
        assert!(estimated.p_value > 0.1);
    }
}
