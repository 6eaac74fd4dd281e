//! Errors from the sample itself: leaving members out, and drawing them again.

use rand::{Rng, RngExt};

use crate::{Deviations, Estimate};

/// Resamples behind a standard error.
pub(crate) const RESAMPLES: usize = 2000;

/// What a statistic comes to without one member, each in its turn (Efron 1982).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jackknife {
    /// Mean over the members left out.
    pub mean: f64,
    /// Standard error of the statistic of all: `sum (s_-m - <s_->)^2 (M - 1) / M` is its square.
    pub std_error: f64,
    members: f64,
}

impl Jackknife {
    /// From the statistic without member 0, 1 and so on.
    pub fn of(left_out: impl Iterator<Item = f64> + Clone) -> Self {
        let Deviations { count, mean, squares } = Deviations::of(left_out);
        let members = count as f64;
        Self { mean, std_error: (squares * (members - 1.0) / members).sqrt(), members }
    }

    /// Bias of `of_all`, the statistic of all members, to first order in one over their number.
    pub fn bias(&self, of_all: f64) -> f64 {
        (self.members - 1.0) * (self.mean - of_all)
    }
}

/// A statistic of all members with the standard error of the jackknife; it is told which members to examine.
pub fn jackknife(members: usize, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
    let all: Vec<usize> = (0..members).collect();
    let without: Vec<f64> = (0..members)
        .map(|left_out| statistic(&all.iter().copied().filter(|&member| member != left_out).collect::<Vec<_>>()))
        .collect();
    Estimate { value: statistic(&all), std_error: Jackknife::of(without.into_iter()).std_error }
}

/// As many members, drawn from `members` with replacement. None may not be drawn from: `members` are one or more.
pub(crate) fn drawn_again(members: &[f64], random: &mut impl Rng) -> Vec<f64> {
    (0..members.len()).map(|_| members[random.random_range(0..members.len())]).collect()
}

/// Variance of a statistic of `members` from what it came to on resamples.
///
/// Resampled means of `m` members scatter too little, by `sqrt((m - 1)/m)`, since a resample varies about the members' mean instead of the true one; the
/// variance is widened by as much (Hesterberg 2015, 1411.5279).
pub(crate) fn widened_variance(resampled: &[f64], members: usize) -> f64 {
    let Deviations { count, squares, .. } = Deviations::of(resampled.iter().copied());
    let members = members.max(2) as f64;
    squares / (count as f64 - 1.0) * members / (members - 1.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        let values = [0.3, 1.7, -0.4, 2.2, 0.9];
        let mean = |members: &[usize]| members.iter().map(|&m| values[m]).sum::<f64>() / members.len() as f64;
        let (found, expected) = (jackknife(values.len(), mean), Estimate::mean(&values));
        assert!((found.value - expected.value).abs() < 1e2 * f64::EPSILON);
        assert!((found.std_error - expected.std_error).abs() < 1e2 * f64::EPSILON);
    }

    #[test]
    fn the_jackknife_takes_the_bias_off_a_variance() {
        // Of the variance with 1/M the bias is known and the jackknife exact: it turns it into the one with 1/(M - 1).
        let values = [0.3, 1.7, -0.4, 2.2, 0.9];
        let variance = |members: &mut dyn Iterator<Item = f64>| {
            let members: Vec<f64> = members.collect();
            let found = Deviations::of(members.into_iter());
            (found.squares / found.count as f64, found.squares / (found.count as f64 - 1.0))
        };
        let without = |m: usize| variance(&mut (0..5).filter(|other| *other != m).map(|m| values[m])).0;
        let (biased, unbiased) = variance(&mut values.iter().copied());
        let found = Jackknife::of((0..5).map(without));
        assert!((biased - found.bias(biased) - unbiased).abs() < 1e2 * f64::EPSILON);
    }

    #[test]
    fn the_variance_of_resamples_is_widened() {
        // 0, 1 ... 2000, of two members: twice the variance, with the sum of k^2 from -1000 to 1000.
        let resampled: Vec<f64> = (0..=2000).map(f64::from).collect();
        let squares = 1000.0 * 1001.0 * 2001.0 / 3.0_f64;
        assert!((widened_variance(&resampled, 2) - 2.0 * squares / 2000.0).abs() < 1e-9);
    }

    #[test]
    fn resampled_means_scatter_as_the_mean_does() {
        let values = [0.3, 1.7, -0.4, 2.2, 0.9];
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mean = |members: Vec<f64>| members.iter().sum::<f64>() / members.len() as f64;
        let resampled: Vec<f64> = (0..RESAMPLES).map(|_| mean(drawn_again(&values, &mut random))).collect();
        let (found, expected) = (widened_variance(&resampled, values.len()), Estimate::mean(&values).std_error.powi(2));
        // A variance of R near-normal numbers is off by sqrt(2/R), relatively.
        assert!((found / expected - 1.0).abs() < 4.0 * (2.0 / RESAMPLES as f64).sqrt(), "{found} {expected}");
    }
}
