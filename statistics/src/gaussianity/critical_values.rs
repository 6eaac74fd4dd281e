//! Critical values of the modified statistics (Stephens 1974, "EDF statistics for goodness of fit and some
//! comparisons"; D'Agostino and Stephens 1986, "Goodness-of-fit techniques").

use super::null::Null;

/// A statistic of the distance between an empirical distribution and a Gaussian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Largest distance.
    KolmogorovSmirnov,
    /// Integrated squared distance.
    CramerVonMises,
    /// Integrated squared distance over its variance, so that the tails count.
    AndersonDarling,
}

/// Probability of rejecting a true null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// 0.1.
    TenPercent,
    /// 0.05.
    FivePercent,
    /// 0.025.
    TwoAndAHalfPercent,
    /// 0.01.
    OnePercent,
}

impl Level {
    /// All levels, most lenient first.
    pub const ALL: [Level; 4] = [Level::TenPercent, Level::FivePercent, Level::TwoAndAHalfPercent, Level::OnePercent];

    /// The level as a probability.
    pub fn probability(self) -> f64 {
        match self {
            Level::TenPercent => 0.1,
            Level::FivePercent => 0.05,
            Level::TwoAndAHalfPercent => 0.025,
            Level::OnePercent => 0.01,
        }
    }
}

/// The value that the modified `statistic` exceeds with probability `level` when the sample has the distribution
/// `null`, whatever the mean and variance.
pub fn critical_value(statistic: Statistic, null: Null, level: Level) -> f64 {
    let row = match (statistic, null) {
        (Statistic::KolmogorovSmirnov, Null::Estimated) => [0.819, 0.895, 0.955, 1.035],
        (Statistic::CramerVonMises, Null::Estimated) => [0.104, 0.126, 0.148, 0.178],
        (Statistic::AndersonDarling, Null::Estimated) => [0.631, 0.752, 0.873, 1.035],
        (Statistic::KolmogorovSmirnov, Null::Known { .. }) => [1.224, 1.358, 1.480, 1.628],
        (Statistic::CramerVonMises, Null::Known { .. }) => [0.347, 0.461, 0.581, 0.743],
        (Statistic::AndersonDarling, Null::Known { .. }) => [1.933, 2.492, 3.070, 3.857],
    };
    match level {
        Level::TenPercent => row[0],
        Level::FivePercent => row[1],
        Level::TwoAndAHalfPercent => row[2],
        Level::OnePercent => row[3],
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;
    use widthwise_testing::{assert_near, sampling};

    use super::super::{anderson_darling, cramer_von_mises, kolmogorov_smirnov};
    use super::*;

    const STATISTICS: [Statistic; 3] =
        [Statistic::KolmogorovSmirnov, Statistic::CramerVonMises, Statistic::AndersonDarling];
    const STANDARD: Null = Null::Known { mean: 0.0, variance: 1.0 };

    /// Fractions rejected over Gaussian samples, by the tables and by the p-values, for each null, statistic, level.
    fn rejections(values: usize, repeats: usize, seed: u64) -> [[[[f64; 2]; 4]; 3]; 2] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rejected = [[[[0.0; 2]; 4]; 3]; 2];
        for _ in 0..repeats {
            let sample: Vec<f64> = (0..values).map(|_| rng.sample(StandardNormal)).collect();
            for (null, rejected) in [Null::Estimated, STANDARD].into_iter().zip(&mut rejected) {
                let outcomes = [
                    kolmogorov_smirnov(&sample, null).unwrap(),
                    cramer_von_mises(&sample, null).unwrap(),
                    anderson_darling(&sample, null).unwrap(),
                ];
                for ((statistic, outcome), rejected) in STATISTICS.into_iter().zip(outcomes).zip(rejected) {
                    for (level, rejected) in Level::ALL.into_iter().zip(rejected) {
                        let [by_table, by_p_value] = rejected;
                        if outcome.modified > critical_value(statistic, null, level) {
                            *by_table += 1.0 / repeats as f64;
                        }
                        if outcome.p_value < level.probability() {
                            *by_p_value += 1.0 / repeats as f64;
                        }
                    }
                }
            }
        }
        rejected
    }

    #[test]
    fn gaussian_samples_are_rejected_at_the_nominal_rates() {
        let repeats = 12000;
        for of_statistic in rejections(50, repeats, 31).iter().flatten() {
            for (level, rates) in Level::ALL.into_iter().zip(of_statistic) {
                let nominal = level.probability();
                let standard_error = (nominal * (1.0 - nominal) / repeats as f64).sqrt();
                for rate in rates {
                    assert_near(*rate, nominal, sampling(standard_error));
                }
            }
        }
    }

    // The units of a network share one random variance: a test within a network passes, the same test on all units of
    // all networks taken as independent rejects.
    #[test]
    fn the_width_shows_across_networks_and_not_within_one() {
        let (width, units, networks) = (20, 60, 1000);
        let mut rng = ChaCha8Rng::seed_from_u64(32);
        let mut pooled = Vec::new();
        let mut rejected = 0;
        let critical = critical_value(Statistic::AndersonDarling, Null::Estimated, Level::FivePercent);
        for _ in 0..networks {
            let mut q = 1.0;
            for _ in 0..3 {
                let squares = (0..width).map(|_| rng.sample::<f64, _>(StandardNormal).max(0.0).powi(2));
                q *= 2.0 * squares.sum::<f64>() / f64::from(width);
            }
            let z: Vec<f64> = (0..units).map(|_| q.sqrt() * rng.sample::<f64, _>(StandardNormal)).collect();
            rejected += i32::from(anderson_darling(&z, Null::Estimated).unwrap().modified > critical);
            pooled.extend(z);
        }
        let standard_error = (0.05f64 * 0.95 / f64::from(networks)).sqrt();
        assert_near(f64::from(rejected) / f64::from(networks), 0.05, sampling(standard_error));
        assert!(anderson_darling(&pooled, Null::Estimated).unwrap().modified > 10.0 * critical);
    }
}
