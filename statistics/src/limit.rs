//! Values at infinite width: a parabola in `1/n` through the means over members, weighted with their standard errors, at
//! `1/n = 0`. A line where there are only three widths.
//!
//! Finite-width corrections to a mean are a series in `1/n`; with the second order taken along, what is left out is of third.

use faer::Mat;
use faer::linalg::solvers::Solve;

use crate::{Estimate, Rung};

/// Extrapolates to infinite width. `None` with fewer than three widths or two members, values that are not finite, or members
/// that are all equal.
pub fn extrapolate(rungs: &[Rung]) -> Option<Estimate> {
    let is_usable = |rung: &Rung| rung.values.len() > 1 && rung.values.iter().all(|value| value.is_finite());
    if rungs.len() < 3 || !rungs.iter().all(is_usable) {
        return None;
    }
    let terms = if rungs.len() > 3 { 3 } else { 2 };
    let means: Vec<Estimate> = rungs.iter().map(|rung| Estimate::mean(&rung.values)).collect();
    if means.iter().any(|mean| mean.std_error == 0.0) {
        return None;
    }
    // In units of the narrowest, so that the powers are of one size.
    let narrowest = rungs.iter().map(|rung| rung.width).min()? as f64;
    let weighted = Mat::from_fn(rungs.len(), terms, |i, power| {
        (narrowest / rungs[i].width as f64).powi(power as i32) / means[i].std_error
    });
    let right = Mat::from_fn(rungs.len(), 1, |i, _| means[i].value / means[i].std_error);
    let normal = weighted.transpose() * &weighted;
    let covariance = normal.partial_piv_lu().solve(Mat::<f64>::identity(terms, terms));
    let solution = &covariance * (weighted.transpose() * right);
    let limit = Estimate { value: solution[(0, 0)], std_error: covariance[(0, 0)].sqrt() };
    (limit.value.is_finite() && limit.std_error.is_finite()).then_some(limit)
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
        assert!((found.value - 2.0).abs() < 1e4 * f64::EPSILON, "{found:?}");
    }

    #[test]
    fn a_constant_has_the_standard_error_of_generalized_least_squares() {
        // Three widths 1, 2, 4 (u = 1, 1/2, 1/4) of equal error s: the line's intercept has variance s^2 / 3 + s^2 u-bar^2 / S_uu,
        // with u-bar = 7/12 and S_uu = 7/24.
        let rungs: Vec<Rung> = [1, 2, 4].into_iter().map(|width| Rung { width, values: vec![4.0, 6.0] }).collect();
        let found = extrapolate(&rungs).unwrap();
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
                .unwrap();
                ((found.value - 2.0) / found.std_error).powi(2)
            })
            .sum();
        let spread = squares / f64::from(trials);
        eprintln!("mean z^2 {spread:.3}");
        // Weights from 100 members: E z^2 is 1 but for terms of order 1/100; the sampling error of a mean of z^2 is sqrt(2/trials).
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
