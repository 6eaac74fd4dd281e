//! Values at infinite width: a parabola in `1/n` through the means over members, at `1/n = 0`. A line where there are only three widths.
//!
//! Finite-width corrections to a mean are a series in `1/n`; with the second order taken along, what is left out is of third. A width weighs as its
//! members count over the variance that a power of the width, fitted to the variances of all, has there: see [`least_squares`](crate::least_squares).
//! Degrees of freedom are those of the width with the fewest members, one less than these. Welch's are two or three times as many, and too many for
//! means of skewed numbers, as losses are.

use crate::least_squares::{Equation, solve};
use crate::{Deviations, Rung, StudentEstimate};

/// Extrapolates to infinite width. `None` with fewer than three widths or two members, values that are not finite, or members
/// that are all equal.
pub fn extrapolate(rungs: &[Rung]) -> Option<StudentEstimate> {
    let is_usable = |rung: &Rung| rung.values.len() > 1 && rung.values.iter().all(|value| value.is_finite());
    if rungs.len() < 3 || !rungs.iter().all(is_usable) {
        return None;
    }
    let means: Vec<Deviations> = rungs.iter().map(|rung| Deviations::of(rung.values.iter().copied())).collect();
    let variances = smooth_variances(rungs, &means)?;
    // In units of the narrowest, so that the powers are of one size.
    let narrowest = rungs.iter().map(|rung| rung.width).min()? as f64;
    let inverse = |i: usize| narrowest / rungs[i].width as f64;
    let limit = if rungs.len() > 3 {
        solve(&equations(&means, &variances, |i| [1.0, inverse(i), inverse(i).powi(2)]))?[0]
    } else {
        solve(&equations(&means, &variances, |i| [1.0, inverse(i)]))?[0]
    };
    let fewest = rungs.iter().map(|rung| rung.values.len()).min()?;
    Some(StudentEstimate { freedom: fewest as f64 - 1.0, ..limit })
}

/// Variance of a member at every width, by a power of the width through the variances of all. `None` where one is zero.
fn smooth_variances(rungs: &[Rung], means: &[Deviations]) -> Option<Vec<f64>> {
    let logs: Vec<f64> = rungs.iter().map(|rung| (rung.width as f64).ln()).collect();
    let equation = |(mean, &log): (&Deviations, &f64)| {
        let freedom = mean.count as f64 - 1.0;
        // To first order in 1/f the logarithm of a variance has variance 2/f.
        Equation {
            regressors: [1.0, log],
            value: (mean.squares / freedom).ln(),
            variance: 2.0 / freedom,
            freedom,
            weight: freedom,
        }
    };
    let [intercept, power] = solve(&means.iter().zip(&logs).map(equation).collect::<Vec<_>>())?;
    let variance = |log: &f64| (intercept.estimate.value + power.estimate.value * log).exp();
    Some(logs.iter().map(variance).collect())
}

fn equations<const TERMS: usize>(
    means: &[Deviations],
    variances: &[f64],
    regressors: impl Fn(usize) -> [f64; TERMS],
) -> Vec<Equation<TERMS>> {
    let equation = |(i, (found, &variance)): (usize, (&Deviations, &f64))| {
        let members = found.count as f64;
        Equation {
            regressors: regressors(i),
            value: found.mean,
            variance: found.variance_of_mean(),
            freedom: members - 1.0,
            weight: members / variance,
        }
    };
    means.iter().zip(variances).enumerate().map(equation).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    const WIDTHS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];

    fn rungs(mut value: impl FnMut(f64) -> Vec<f64>) -> Vec<Rung> {
        WIDTHS.into_iter().map(|width| Rung { width, values: value(width as f64) }).collect()
    }

    #[test]
    fn a_parabola_in_the_inverse_width_is_found_exactly() {
        let found = extrapolate(&rungs(|n| {
            let mean = 2.0 - 30.0 / n + 400.0 / (n * n);
            vec![mean - 1e-3, mean + 1e-3]
        }))
        .unwrap();
        assert_eq!(found.freedom, 1.0);
        let found = found.estimate;
        assert!((found.value - 2.0).abs() < 1e4 * f64::EPSILON, "{found:?}");
    }

    #[test]
    fn a_constant_has_the_standard_error_of_generalized_least_squares() {
        // Three widths 1, 2, 4 (u = 1, 1/2, 1/4) of equal error s: the line's intercept has variance s^2 / 3 + s^2 u-bar^2 / S_uu,
        // with u-bar = 7/12 and S_uu = 7/24.
        let rungs: Vec<Rung> = [1, 2, 4].into_iter().map(|width| Rung { width, values: vec![4.0, 6.0] }).collect();
        let found = extrapolate(&rungs).unwrap().estimate;
        let expected = (1.0_f64 / 3.0 + (7.0_f64 / 12.0).powi(2) / (7.0 / 24.0)).sqrt();
        assert!((found.value - 5.0).abs() < 64.0 * f64::EPSILON, "{found:?}");
        assert!((found.std_error - expected).abs() < 64.0 * f64::EPSILON, "{found:?} against {expected}");
    }

    #[test]
    fn errors_are_as_large_as_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let trials = 1000;
        let squares: f64 = (0..trials)
            .map(|_| {
                let found = extrapolate(&rungs(|n| {
                    let noise = Normal::new(2.0 - 30.0 / n, 5.0 / n.sqrt()).unwrap();
                    (0..100).map(|_| noise.sample(&mut random)).collect()
                }))
                .unwrap()
                .estimate;
                ((found.value - 2.0) / found.std_error).powi(2)
            })
            .sum();
        let spread = squares / f64::from(trials);
        eprintln!("mean z^2 {spread:.3}");
        // Errors from 100 members: E z^2 is 1 but for terms of order 1/100; the sampling error of a mean of z^2 is sqrt(2/trials).
        let sampling = (2.0 / f64::from(trials)).sqrt();
        assert!((spread - 1.0).abs() < 4.0 * sampling, "{spread}");
    }

    #[test]
    fn two_widths_or_one_member_are_not_enough() {
        assert_eq!(extrapolate(&rungs(|_| vec![1.0])), None);
        assert_eq!(extrapolate(&rungs(|_| vec![1.0, 2.0])[..2]), None);
        assert_eq!(extrapolate(&rungs(|_| vec![1.0, f64::NAN])), None);
        assert_eq!(extrapolate(&rungs(|_| vec![1.0, 1.0])), None);
    }
}
