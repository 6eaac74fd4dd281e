//! Powers of the width: `log` of the mean (or median) over members against `log n`, by least squares, with an interval from
//! resampling the members inside every width (Efron and Tibshirani 1993, the percentile interval). Resampled means of `m` members
//! scatter too little, by `sqrt((m - 1)/m)`, since a resample varies about the members' mean instead of the true one; intervals and
//! errors are widened by as much (Hesterberg 2015, 1411.5279).

use rand::{Rng, RngExt};

/// Resamples behind an interval.
pub const RESAMPLES: usize = 2000;

/// Share of the resamples inside an interval.
pub const COVERAGE: f64 = 0.95;

/// Positive numbers of independent members of one width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rung {
    /// The width.
    pub(super) width: usize,
    /// One number a member.
    pub(super) values: Vec<f64>,
}

/// What stands for a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Center {
    /// The mean over members.
    Mean,
    /// Their median, which a few far ones do not move.
    Median,
}

impl Center {
    /// Of `values`, which are left in another order.
    pub(super) fn of(self, values: &mut [f64]) -> f64 {
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
pub(super) struct PowerLaw {
    /// The power.
    pub(super) exponent: f64,
    /// Value at width one.
    pub(super) prefactor: f64,
    /// Where the middle [`COVERAGE`] of the resampled exponents lies, widened.
    pub(super) interval: [f64; 2],
    /// Standard deviation of the resampled exponents, widened.
    pub(super) std_error: f64,
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
pub(super) fn fit(rungs: &[Rung], center: Center, random: &mut impl Rng) -> Option<PowerLaw> {
    let is_positive = |rung: &Rung| !rung.values.is_empty() && rung.values.iter().all(|v| v.is_finite() && *v > 0.0);
    if rungs.len() < 2 || !rungs.iter().all(is_positive) {
        return None;
    }
    let point = |width: usize, values: &mut [f64]| ((width as f64).ln(), center.of(values).ln());
    let found: Vec<_> = rungs.iter().map(|rung| point(rung.width, &mut rung.values.clone())).collect();
    let (exponent, intercept) = line(&found);
    let mut slopes: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let resampled: Vec<_> = rungs
                .iter()
                .map(|rung| {
                    let members = rung.values.len();
                    let mut drawn: Vec<f64> =
                        (0..members).map(|_| rung.values[random.random_range(0..members)]).collect();
                    point(rung.width, &mut drawn)
                })
                .collect();
            line(&resampled).0
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - COVERAGE);
    let mean = slopes.iter().sum::<f64>() / RESAMPLES as f64;
    let squares: f64 = slopes.iter().map(|slope| (slope - mean).powi(2)).sum();
    let fewest = rungs.iter().map(|rung| rung.values.len()).min()?.max(2) as f64;
    let widening = (fewest / (fewest - 1.0)).sqrt();
    let end = |share: f64| exponent + widening * (quantile(&slopes, share) - exponent);
    Some(PowerLaw {
        exponent,
        prefactor: intercept.exp(),
        interval: [end(tail), end(1.0 - tail)],
        std_error: widening * (squares / (RESAMPLES - 1) as f64).sqrt(),
    })
}

/// Of ascending values, linear between them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, Gamma};

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
            let found = fit(&rungs, center, &mut widthwise_datasets::stream(1, "test")).unwrap();
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
        let mut random = widthwise_datasets::stream(2, "test");
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
        let mut random = widthwise_datasets::stream(3, "test");
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
        let mut random = widthwise_datasets::stream(3, "test");
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(fit(&[rung(value), other.clone()], Center::Mean, &mut random), None);
        }
        assert_eq!(fit(&[other], Center::Mean, &mut random), None);
    }
}
