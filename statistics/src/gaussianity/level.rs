//! What the statistics of an ensemble come to where there is nothing to see: over as many independent Gaussian values.
//!
//! Eight values of a Gaussian have a Kolmogorov-Smirnov distance of 0.2, and a kurtosis that spreads by 1 around 3. Spreads of the moments
//! are exact for the estimators of [`ensemble_moments`](super::ensemble_moments) with `N` values, members times units, because ratios of
//! moments do not depend on the scale:
//!
//! ```text
//! variance of      about a known mean           about the estimated mean
//! kurtosis         24 (N-1) / ((N+4)(N+6))      24 N (N-2)(N-3) / ((N-1)^2 (N+3)(N+5))
//! skewness         15 N / ((N+2)(N+4))          6 (N-2) / ((N+1)(N+3))
//! ```
//!
//! The second column is Fisher's (1930, "The moments of the distribution for normal samples of measures of departure from normality"),
//! times the square of the factor that takes off the bias. The distance has no such form; its level is drawn.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::error::GaussianityError;
use super::ks::kolmogorov_smirnov;
use super::moments::{EnsembleMean, FEW_VALUES};
use super::null::Null;

/// Samples drawn for the level of the distance.
const DRAWS: usize = 400;

/// Mean and standard deviation of a statistic over ensembles of Gaussian values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NullLevel {
    /// Mean over ensembles.
    pub mean: f64,
    /// Standard deviation of one ensemble's statistic.
    pub spread: f64,
}

/// Levels of the skewness and the kurtosis of `values` values at one input, at least four. At several inputs, which share
/// members, the spread is at most that of one.
pub fn null_moments(values: usize, about: EnsembleMean) -> [NullLevel; 2] {
    let n = values as f64;
    let [skewness, kurtosis] = match about {
        EnsembleMean::Zero => [15.0 * n / ((n + 2.0) * (n + 4.0)), 24.0 * (n - 1.0) / ((n + 4.0) * (n + 6.0))],
        EnsembleMean::Estimated => [
            6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0)),
            24.0 * n * (n - 2.0) * (n - 3.0) / ((n - 1.0).powi(2) * (n + 3.0) * (n + 5.0)),
        ],
    };
    [NullLevel { mean: 0.0, spread: skewness.sqrt() }, NullLevel { mean: 3.0, spread: kurtosis.sqrt() }]
}

/// Level of the Kolmogorov-Smirnov distance of `values` values from the Gaussian of their own mean and variance. That of many values
/// is scaled from fewer by the root of their number.
///
/// # Errors
/// As [`kolmogorov_smirnov`]: fewer than five values.
pub fn null_distance(values: usize, random: &mut impl Rng) -> Result<NullLevel, GaussianityError> {
    let drawn = values.min(FEW_VALUES);
    let mut draw = || {
        let sample: Vec<f64> = (0..drawn).map(|_| StandardNormal.sample(random)).collect();
        Ok(kolmogorov_smirnov(&sample, Null::Estimated)?.statistic)
    };
    let distances = (0..DRAWS).map(|_| draw()).collect::<Result<Vec<f64>, GaussianityError>>()?;
    let count = DRAWS as f64;
    let mean = distances.iter().sum::<f64>() / count;
    let squares: f64 = distances.iter().map(|distance| (distance - mean).powi(2)).sum();
    let scale = (drawn as f64 / values as f64).sqrt();
    Ok(NullLevel { mean: scale * mean, spread: scale * (squares / (count - 1.0)).sqrt() })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use widthwise_testing::{assert_near, sampling};

    use super::super::{MemberMoments, ensemble_moments};
    use super::*;

    // Four standard errors of the mean square of what is drawn, which is not Gaussian.
    #[test]
    fn spreads_are_those_of_ensembles_of_gaussian_values() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for (members, units, draws) in [(8, 1, 40_000), (5, 1, 40_000), (2, 4, 40_000), (16, 4, 10_000), (8, 160, 2000)]
        {
            for about in [EnsembleMean::Zero, EnsembleMean::Estimated] {
                let mut found = [const { Vec::new() }; 2];
                for _ in 0..draws {
                    let mut member = || {
                        let row: Vec<f32> = (0..units).map(|_| StandardNormal.sample(&mut random)).collect();
                        MemberMoments::new(&row, units).unwrap()
                    };
                    let members: Vec<_> = (0..members).map(|_| member()).collect();
                    let moments = ensemble_moments(&members, about).unwrap();
                    found[0].push(moments.skewness.unbiased());
                    found[1].push(moments.kurtosis.unbiased() - 3.0);
                }
                let levels = null_moments(members * units, about);
                assert_eq!(levels.map(|level| level.mean), [0.0, 3.0]);
                for (values, level) in found.iter().zip(levels) {
                    let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
                    let count = squares.len() as f64;
                    let mean = squares.iter().sum::<f64>() / count;
                    let variance = squares.iter().map(|square| (square - mean).powi(2)).sum::<f64>() / count;
                    // The jackknife's correction, taken off from more than FEW_VALUES, adds a little of its own.
                    let own = if members * units > FEW_VALUES { 0.03 * mean } else { 0.0 };
                    assert_near(mean, level.spread.powi(2), sampling((variance / count).sqrt()) + own);
                }
            }
        }
    }

    #[test]
    fn distances_follow_the_modified_form_of_stephens() {
        // Mean and spread of D (sqrt N - .01 + .85/sqrt N) hardly depend on N.
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let modified = |n: f64| n.sqrt() - 0.01 + 0.85 / n.sqrt();
        let large = null_distance(1024, &mut random).unwrap();
        for values in [8, 32, 512, 100_000] {
            let level = null_distance(values, &mut random).unwrap();
            let ratio = modified(values as f64) / modified(1024.0);
            let count = DRAWS as f64;
            // Both sides are drawn, and the form is good to a few percent for few values.
            assert_near(level.mean * ratio, large.mean, 0.03 * large.mean + sampling(large.spread / count.sqrt()));
            let error = large.spread / (2.0 * count).sqrt();
            assert_near(level.spread * ratio, large.spread, 0.05 * large.spread + sampling(2.0 * error));
        }
        assert!(null_distance(4, &mut random).is_err());
    }
}
