//! Control variates: a mean with the part taken off that goes with another number whose mean is known.

use crate::{Deviations, Estimate};

/// Numbers with which a control pays: what it costs, a degree of freedom, is then little.
pub const FEWEST_CONTROLLED: usize = 8;

/// The mean of `values`, one a member, less the share of `control` in it, whose true mean is zero; its standard error has two degrees of freedom
/// less than there are members. That is the intercept of the least-squares line of `values` over `control`: of Gaussian numbers it is unbiased,
/// and its law Student's (Lavenberg and Welch 1981).
///
/// `None` for fewer than [`FEWEST_CONTROLLED`] members, or where the control does not vary.
pub fn controlled_mean(values: &[f64], control: &[f64]) -> Option<Estimate> {
    let members = values.len();
    if members < FEWEST_CONTROLLED || control.len() != members {
        return None;
    }
    let (of_values, of_control) = (Deviations::of(values.iter().copied()), Deviations::of(control.iter().copied()));
    let products: f64 = values.iter().zip(control).map(|(y, c)| (y - of_values.mean) * (c - of_control.mean)).sum();
    let slope = products / of_control.squares;
    let value = of_values.mean - slope * of_control.mean;
    let left: f64 =
        values.iter().zip(control).map(|(y, c)| (y - of_values.mean - slope * (c - of_control.mean)).powi(2)).sum();
    let variance = left / (members - 2) as f64;
    let std_error = (variance * (1.0 / members as f64 + of_control.mean.powi(2) / of_control.squares)).sqrt();
    (value.is_finite() && std_error.is_finite()).then_some(Estimate { value, std_error })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::NullLaw;
    use crate::judge::Sides;

    /// By hand: `y = 3 + 2 c` and deviations 1, -1, -1, 1 twice over that are orthogonal to both; `c` is 0 to 3 twice.
    #[test]
    fn the_intercept_and_its_error_are_those_of_the_line() {
        let control = [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0];
        let off = [1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0];
        let values: Vec<f64> = control.iter().zip(off).map(|(c, off)| 3.0 + 2.0 * c + off).collect();
        let found = controlled_mean(&values, &control).unwrap();
        // Residual variance 8 / 6, mean of c 3/2, its squares 10.
        let expected = (8.0 / 6.0 * (1.0 / 8.0 + 2.25 / 10.0_f64)).sqrt();
        assert!((found.value - 3.0).abs() < 16.0 * f64::EPSILON, "{found:?}");
        assert!((found.std_error - expected).abs() < 16.0 * f64::EPSILON, "{found:?}");
    }

    #[test]
    fn a_control_that_says_nothing_or_of_few_is_none() {
        assert_eq!(controlled_mean(&[1.0; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), None);
        assert_eq!(controlled_mean(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[1.0; 8]), None);
    }

    /// From the fewest members on p-values are uniform, whatever the correlation; and the error is smaller by its share.
    #[test]
    fn p_values_are_uniform() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        for (members, correlation) in [(FEWEST_CONTROLLED, 0.0), (FEWEST_CONTROLLED, 0.9), (16, 0.8)] {
            let trials = 4000;
            let own = (1.0_f64 - correlation * correlation).sqrt();
            let law = NullLaw::Student { freedom: members as f64 - 2.0 };
            let (mut p_values, mut squares) = (Vec::new(), 0.0);
            for _ in 0..trials {
                let control: Vec<f64> = (0..members).map(|_| normal()).collect();
                let values: Vec<f64> = control.iter().map(|c| correlation * c + own * normal()).collect();
                let Estimate { value, std_error } = controlled_mean(&values, &control).unwrap();
                squares += value * value;
                p_values.push(law.p_value(value / std_error, Sides::Two).unwrap());
            }
            for level in [0.01, 0.05, 0.5] {
                let share = p_values.iter().filter(|p| **p < level).count() as f64 / f64::from(trials);
                let sampling = (level * (1.0 - level) / f64::from(trials)).sqrt();
                assert!(
                    (share - level).abs() < 4.0 * sampling,
                    "{members} members, {correlation}: {share} below {level}"
                );
            }
            // Of Gaussian numbers the variance of the intercept is own^2 / M (M - 2) / (M - 3).
            let m = members as f64;
            let expected = own * own / m * (m - 2.0) / (m - 3.0);
            let found = squares / f64::from(trials);
            assert!((found / expected - 1.0).abs() < 4.0 * (3.0 / f64::from(trials)).sqrt(), "{found} for {expected}");
        }
    }
}
