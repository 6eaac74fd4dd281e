//! Powers of the width: the least-squares line through `log` of a number against `log n`. Two kinds of error:
//!
//! - [`fit`] has the numbers of single members, takes their mean (or median) at every width and resamples them inside every width;
//! - [`power_of_estimates`] has one number a width with an error that is known, and propagates it to first order.

use rand::Rng;

use crate::resampling::{Bootstrap, RESAMPLES, drawn_again};
use crate::{Deviations, Estimate};

/// Positive numbers of independent members of one width.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// The width.
    pub width: usize,
    /// One number a member.
    pub values: Vec<f64>,
}

/// What stands for a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Center {
    /// The mean over members.
    Mean,
    /// Their median, which a few far ones do not move.
    Median,
}

impl Center {
    /// Of `values`, which are left in another order.
    pub fn of(self, values: &mut [f64]) -> f64 {
        match self {
            Self::Mean => values.iter().sum::<f64>() / values.len() as f64,
            Self::Median => {
                values.sort_by(f64::total_cmp);
                let half = values.len() / 2;
                if values.len().is_multiple_of(2) { 0.5 * (values[half - 1] + values[half]) } else { values[half] }
            }
        }
    }
}

/// `value = prefactor * width^exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    /// The power.
    pub exponent: f64,
    /// Value at width one.
    pub prefactor: f64,
    /// Where the middle [`COVERAGE`](crate::COVERAGE) of the resampled exponents lies, widened.
    pub interval: [f64; 2],
    /// Standard deviation of the resampled exponents, widened.
    pub std_error: f64,
}

/// Slope and intercept of the least-squares line through `points`.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let variance: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = covariance / variance;
    (slope, y - slope * x)
}

/// Fits a power of the width. `None` unless there are two widths or more and every value is positive and finite.
pub fn fit(rungs: &[Rung], center: Center, random: &mut impl Rng) -> Option<PowerLaw> {
    let is_positive = |rung: &Rung| !rung.values.is_empty() && rung.values.iter().all(|v| v.is_finite() && *v > 0.0);
    if rungs.len() < 2 || !rungs.iter().all(is_positive) {
        return None;
    }
    let point = |width: usize, values: &mut [f64]| ((width as f64).ln(), center.of(values).ln());
    let found: Vec<_> = rungs.iter().map(|rung| point(rung.width, &mut rung.values.clone())).collect();
    let (exponent, intercept) = line(&found);
    let mut slope = || {
        let resampled: Vec<_> =
            rungs.iter().map(|rung| point(rung.width, &mut drawn_again(&rung.values, random))).collect();
        line(&resampled).0
    };
    let slopes = (0..RESAMPLES).map(|_| slope()).collect();
    let fewest = rungs.iter().map(|rung| rung.values.len()).min()?;
    let Bootstrap { interval, std_error } = Bootstrap::of(exponent, slopes, fewest);
    Some(PowerLaw { exponent, prefactor: intercept.exp(), interval, std_error })
}

/// The power of the width that independent positive estimates follow: the slope `sum c_i ln v_i` with
/// `c_i = (x_i - <x>) / sum (x - <x>)^2`, `x = ln n`, and its error to first order in the relative errors of the `v_i`.
pub fn power_of_estimates(points: &[(usize, Estimate)]) -> Estimate {
    let x = points.iter().map(|(width, _)| (*width as f64).ln());
    let Deviations { mean, squares, .. } = Deviations::of(x.clone());
    let (mut value, mut variance) = (0.0, 0.0);
    for ((_, estimate), x) in points.iter().zip(x) {
        let weight = (x - mean) / squares;
        value += weight * estimate.value.ln();
        variance += (weight * estimate.std_error / estimate.value).powi(2);
    }
    Estimate { value, std_error: variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Gamma};

    use super::*;
    use crate::COVERAGE;

    const WIDTHS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];

    /// `3 n^power` times gamma variates of mean one and this relative spread.
    fn synthetic(power: f64, spread: f64, members: usize, random: &mut impl Rng) -> Vec<Rung> {
        let shape = spread.powi(-2);
        let noise = Gamma::new(shape, 1.0 / shape).unwrap();
        let value = |width: usize, noise: f64| 3.0 * (width as f64).powf(power) * noise;
        let rung = |width| {
            let values = (0..members).map(|_| value(width, noise.sample(random))).collect();
            Rung { width, values }
        };
        WIDTHS.into_iter().map(rung).collect()
    }

    #[test]
    fn an_exact_power_law_is_found_exactly() {
        let rungs: Vec<Rung> =
            WIDTHS.into_iter().map(|n| Rung { width: n, values: vec![3.0 * (n as f64).powf(-0.5); 4] }).collect();
        for center in [Center::Mean, Center::Median] {
            let found = fit(&rungs, center, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
            let off = [found.exponent + 0.5, found.interval[0] + 0.5, found.interval[1] + 0.5, found.std_error];
            assert!(off.iter().all(|off| off.abs() < 64.0 * f64::EPSILON), "{found:?}");
            assert!((found.prefactor - 3.0).abs() < 256.0 * f64::EPSILON, "{found:?}");
        }
    }

    #[test]
    fn the_line_is_that_of_the_normal_equations() {
        // By hand: x = 0, 1, 3, y = 1, 0, 4; slope 8/7, intercept 1/7.
        let (slope, intercept) = line(&[(0.0, 1.0), (1.0, 0.0), (3.0, 4.0)]);
        assert!((slope - 8.0 / 7.0).abs() < 8.0 * f64::EPSILON && (intercept - 1.0 / 7.0).abs() < 8.0 * f64::EPSILON);
    }

    #[test]
    fn intervals_cover_the_power_as_often_as_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for (members, power) in [(60, -1.0), (24, -0.5), (10, -0.5)] {
            let trials = 300;
            let mut errors = Vec::new();
            let covered = (0..trials)
                .filter(|_| {
                    let found = fit(&synthetic(power, 0.5, members, &mut random), Center::Mean, &mut random).unwrap();
                    errors.push((found.exponent - power) / found.std_error);
                    (found.interval[0]..found.interval[1]).contains(&power)
                })
                .count() as f64
                / f64::from(trials);
            let sampling = (COVERAGE * (1.0 - COVERAGE) / f64::from(trials)).sqrt();
            let spread = (errors.iter().map(|z| z * z).sum::<f64>() / f64::from(trials)).sqrt();
            eprintln!("{members} members: {covered} covered, errors are {spread:.3} standard errors");
            assert!((covered - COVERAGE).abs() < 4.0 * sampling, "{members}: {covered} covered");
            // The root mean square of that many standard normal numbers is one to within 1/sqrt(2 trials).
            assert!((spread - 1.0).abs() < 4.0 / (2.0 * f64::from(trials)).sqrt(), "{members}: {spread}");
        }
    }

    #[test]
    fn a_median_is_not_moved_by_one_far_member() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut rungs = synthetic(-1.0, 0.01, 25, &mut random);
        rungs[5].values[0] *= 1e6;
        let mean = fit(&rungs, Center::Mean, &mut random).unwrap();
        let median = fit(&rungs, Center::Median, &mut random).unwrap();
        assert!(mean.exponent > 0.0 && (median.exponent + 1.0).abs() < 4.0 * median.std_error, "{mean:?} {median:?}");
    }

    #[test]
    fn what_has_no_logarithm_has_no_power() {
        let rung = |value| Rung { width: 64, values: vec![1.0, value] };
        let other = Rung { width: 128, values: vec![1.0, 1.0] };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(fit(&[rung(value), other.clone()], Center::Mean, &mut random), None);
        }
        assert_eq!(fit(&[other], Center::Mean, &mut random), None);
    }

    #[test]
    fn a_power_of_the_width_is_found_with_the_error_of_its_ends() {
        let at = |width: usize, relative: f64| {
            let value = 3.0 * (width as f64).powf(-0.8);
            (width, Estimate { value, std_error: relative * value })
        };
        // Of two points the slope is the difference of the logarithms over ln 4.
        let found = power_of_estimates(&[at(64, 0.03), at(256, 0.04)]);
        assert!((found.value + 0.8).abs() < 1e2 * f64::EPSILON, "{found:?}");
        assert!((found.std_error - 0.05 / 4.0_f64.ln()).abs() < 1e2 * f64::EPSILON, "{found:?}");
        // The middle one of three has no weight.
        let three = power_of_estimates(&[at(64, 0.03), at(128, 0.5), at(256, 0.04)]);
        assert!((three.std_error - found.std_error).abs() < 1e2 * f64::EPSILON, "{three:?}");
    }
}
