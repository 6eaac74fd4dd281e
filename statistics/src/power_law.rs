//! Powers of the width. Two kinds of error:
//!
//! - [`fit`] has the numbers of single members, takes their mean (or median) at every width, and has its errors from their spread;
//! - [`power_of_estimates`] has one number a width with an error that is known, and propagates it to first order.
//!
//! [`fit`] is of `value = A n^a (1 + c/n)`, by least squares in logarithms: `ln value = ln A + a ln n + c/n` to the order that is kept. The correction is
//! not tested and not chosen: an interval that follows a test of `c` misses the power where `c` is too small to be noticed and large enough to move it. It
//! is always there, as a number of mean zero whose standard deviation at the narrowest width is stated by who asks: one more equation
//! `c/n_1 = 0 ± allowed` among those of the widths. Where members are few it lends the power its error, and where they are many they decide about `c`
//! themselves. With 0 allowed the fit is that of a power alone, with infinitely much `c` is free.

use rand::Rng;

use crate::least_squares::{Equation, solve};
use crate::resampling::{RESAMPLES, drawn_again, widened_variance};
use crate::{Deviations, Estimate, StudentEstimate};

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

/// `value = prefactor * width^exponent * (1 + correction / width)`, to first order in the correction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    /// The power.
    pub exponent: StudentEstimate,
    /// Its factor.
    pub prefactor: f64,
    /// The correction, if one was allowed.
    pub correction: Option<Estimate>,
}

impl PowerLaw {
    /// The fitted value at a width.
    pub fn at(&self, width: f64) -> f64 {
        let correction = self.correction.map_or(0.0, |correction| correction.value / width);
        self.prefactor * width.powf(self.exponent.estimate.value) * correction.exp()
    }
}

/// Logarithm of the center of a rung and the square of its standard error.
fn log_center(rung: &Rung, center: Center, random: &mut impl Rng) -> (f64, f64) {
    let mut values = rung.values.clone();
    let value = center.of(&mut values);
    let variance = match center {
        Center::Mean => Deviations::of(values.iter().copied()).variance_of_mean() / (value * value),
        Center::Median => {
            // Next to the center's, so that members that are all equal have no spread from round-off.
            let log = |mut members: Vec<f64>| (center.of(&mut members) / value).ln();
            let resampled: Vec<f64> = (0..RESAMPLES).map(|_| log(drawn_again(&values, random))).collect();
            widened_variance(&resampled, values.len())
        }
    };
    (value.ln(), variance)
}

/// Fits a power of the width with a correction of standard deviation `allowed` at the narrowest one. Widths weigh as their members count. `None` unless
/// every width has two members or more, every value is positive and finite, and there are two widths, with a correction three.
pub fn fit(rungs: &[Rung], center: Center, allowed: f64, random: &mut impl Rng) -> Option<PowerLaw> {
    let is_usable = |rung: &Rung| rung.values.len() > 1 && rung.values.iter().all(|v| v.is_finite() && *v > 0.0);
    let fewest = if allowed == 0.0 { 2 } else { 3 };
    if rungs.len() < fewest || !rungs.iter().all(is_usable) {
        return None;
    }
    let logs: Vec<f64> = rungs.iter().map(|rung| (rung.width as f64).ln()).collect();
    let middle = logs.iter().sum::<f64>() / logs.len() as f64;
    let narrowest = rungs.iter().map(|rung| rung.width).min()? as f64;
    let centers: Vec<(f64, f64)> = rungs.iter().map(|rung| log_center(rung, center, random)).collect();
    // Of one member. Relative spreads differ little from width to width, and weights that all widths share in do not know the single means.
    let spread = rungs.iter().zip(&centers).map(|(rung, center)| rung.values.len() as f64 * center.1).sum::<f64>();
    let spread = spread / rungs.len() as f64;
    let regressors = |i: usize| [1.0, logs[i] - middle, narrowest / rungs[i].width as f64];
    let law = |intercept: StudentEstimate, exponent: StudentEstimate, correction| PowerLaw {
        exponent,
        prefactor: (intercept.estimate.value - exponent.estimate.value * middle).exp(),
        correction,
    };
    if allowed == 0.0 {
        let [intercept, exponent] = solve(&of_widths(rungs, &centers, |i| [1.0, regressors(i)[1]]))?;
        return Some(law(intercept, exponent, None));
    }
    let mut equations = of_widths(rungs, &centers, regressors);
    if allowed.is_finite() {
        let (variance, regressors) = (allowed * allowed, [0.0, 0.0, 1.0]);
        let weight = spread / variance;
        equations.push(Equation { regressors, value: 0.0, variance, freedom: f64::INFINITY, weight });
    }
    let [intercept, exponent, StudentEstimate { estimate, .. }] = solve(&equations)?;
    let correction = Estimate { value: estimate.value * narrowest, std_error: estimate.std_error * narrowest };
    Some(law(intercept, exponent, Some(correction)))
}

/// The equations of the widths, each weighed as its members count.
fn of_widths<const TERMS: usize>(
    rungs: &[Rung],
    centers: &[(f64, f64)],
    regressors: impl Fn(usize) -> [f64; TERMS],
) -> Vec<Equation<TERMS>> {
    let equation = |(i, (rung, &(value, variance))): (usize, (&Rung, &(f64, f64)))| {
        let members = rung.values.len() as f64;
        Equation { regressors: regressors(i), value, variance, freedom: members - 1.0, weight: members }
    };
    rungs.iter().zip(centers).enumerate().map(equation).collect()
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
            let found = fit(&rungs, center, 0.0, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
            let Estimate { value, std_error } = found.exponent.estimate;
            assert!((value + 0.5).abs() < 64.0 * f64::EPSILON && std_error < 64.0 * f64::EPSILON, "{found:?}");
            assert!((found.prefactor - 3.0).abs() < 256.0 * f64::EPSILON, "{found:?}");
            assert_eq!(found.correction, None);
        }
    }

    #[test]
    fn an_exact_correction_is_found_exactly() {
        let value = |n: f64| 3.0 / n * (-16.0 / n).exp();
        let rungs = WIDTHS.map(|n| Rung { width: n, values: vec![value(n as f64); 4] });
        for (rungs, allowed) in [(&rungs[..], 0.3), (&rungs[..], f64::INFINITY), (&rungs[..3], 0.3)] {
            let found = fit(rungs, Center::Mean, allowed, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
            let correction = found.correction.unwrap();
            // Condition of the three columns: below 1e4 for three widths or more.
            assert!((found.exponent.estimate.value + 1.0).abs() < 1e4 * f64::EPSILON, "{found:?}");
            assert!((correction.value + 16.0).abs() < 64.0 * 1e4 * f64::EPSILON, "{found:?}");
            assert!((found.at(100.0) / value(100.0) - 1.0).abs() < 1e5 * f64::EPSILON, "{found:?}");
        }
        assert_eq!(fit(&rungs[..2], Center::Mean, f64::INFINITY, &mut ChaCha8Rng::seed_from_u64(1)), None);
    }

    #[test]
    fn a_correction_that_members_cannot_see_lends_the_power_its_error() {
        // So noisy that c keeps what it was given: the slope is that of the line, and u = 1, 1/2 ... against x = ln n adds its own.
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let noisy = WIDTHS.map(|n| Rung {
            width: n,
            values: [0.5, 1.5].map(|v| v / n as f64 * (1.0 + (n as f64).sin() / 4.0)).to_vec(),
        });
        let allowed = 1e-3;
        let [alone, both] =
            [0.0, allowed].map(|allowed| fit(&noisy, Center::Mean, allowed, &mut random).unwrap().exponent.estimate);
        let x: Vec<f64> = WIDTHS.iter().map(|n| (*n as f64).ln()).collect();
        let Deviations { mean, squares, .. } = Deviations::of(x.iter().copied());
        let slope = x.iter().zip(WIDTHS).map(|(x, n)| (x - mean) / squares * 64.0 / n as f64).sum::<f64>();
        // What members say about c is of relative order (allowed / error)^2, and the error here is above 1/10.
        assert!((both.value - alone.value).abs() < 1e-4, "{both:?} {alone:?}");
        let lent = (both.std_error.powi(2) - alone.std_error.powi(2)) / (allowed * slope).powi(2);
        assert!((lent - 1.0).abs() < 1e-3, "{lent}");
    }

    #[test]
    fn a_median_is_not_moved_by_one_far_member() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut rungs = synthetic(-1.0, 0.01, 25, &mut random);
        rungs[5].values[0] *= 1e6;
        let [mean, median] = [Center::Mean, Center::Median]
            .map(|center| fit(&rungs, center, 0.0, &mut random).unwrap().exponent.estimate);
        assert!(mean.value > 0.0 && median.z(-1.0).abs() < 4.0, "{mean:?} {median:?}");
    }

    #[test]
    fn what_has_no_logarithm_has_no_power() {
        let rung = |value| Rung { width: 64, values: vec![1.0, value] };
        let other = Rung { width: 128, values: vec![1.0, 1.0] };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(fit(&[rung(value), other.clone()], Center::Mean, 0.0, &mut random), None);
        }
        let single = Rung { width: 256, values: vec![1.0] };
        assert_eq!(fit(&[other.clone(), single], Center::Mean, 0.0, &mut random), None, "no spread");
        assert_eq!(fit(&[other], Center::Mean, 0.0, &mut random), None);
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
