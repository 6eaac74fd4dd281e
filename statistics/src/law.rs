//! The laws that a difference from theory has, in units of its standard error, while theory is right; and how often one that is off is
//! noticed.

use std::fmt;
use std::str::FromStr;

use statrs::distribution::{ChiSquared, ContinuousCDF, StudentsT};
use statrs::function::erf::erfc;
use statrs::function::gamma::ln_gamma;

use crate::judge::{RESOLVED, Sides};

/// Degrees of freedom from which a chi-squared number is taken as its cube root, which is Gaussian up to terms of order one over
/// these (Wilson and Hilferty 1931).
const MANY: f64 = 1e5;

/// Points of the integral over a chi-squared number.
const POINTS: usize = 2000;

/// The law of a standardized difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NullLaw {
    /// Of a mean over Gaussian numbers whose spread was found from them: Student's t.
    Student {
        /// Degrees of freedom: numbers less what was fitted to them.
        freedom: f64,
    },
    /// Of a variance of Gaussian numbers whose size is known: a chi-squared number less its mean, over its standard deviation.
    ChiSquared {
        /// Degrees of freedom.
        freedom: f64,
    },
}

impl NullLaw {
    /// The law of a mean over members: two are the fewest.
    pub fn of_members(members: usize) -> Option<Self> {
        (members > 1).then_some(Self::Student { freedom: members as f64 - 1.0 })
    }

    /// The law of the same number over `members` in place of `of`.
    #[must_use]
    pub fn of_as_many(self, members: usize, of: usize) -> Self {
        match self {
            // What was fitted stays.
            Self::Student { freedom } => Self::Student { freedom: (freedom + members as f64 - of as f64).max(1.0) },
            Self::ChiSquared { freedom } => Self::ChiSquared { freedom: freedom * members as f64 / of as f64 },
        }
    }

    /// Probability that a number whose prediction is right is resolved as agreeing ([`is_resolved`](crate::judge::is_resolved)), `reach`
    /// the tolerance in true standard errors; of a bound the room below it.
    pub fn agreement(self, reach: f64, sides: Sides) -> f64 {
        let within = |s: f64| {
            let left = reach - RESOLVED * s;
            let inside = 1.0 - above_gaussian(left);
            match sides {
                Sides::Two if left <= 0.0 => 0.0,
                Sides::Two => 2.0 * inside - 1.0,
                Sides::Upper => inside,
            }
        };
        match self {
            Self::Student { freedom } => over_spreads(freedom, within),
            Self::ChiSquared { .. } => within(1.0),
        }
    }

    /// Probability to lie above `z`.
    pub fn above(self, z: f64) -> f64 {
        match self {
            Self::Student { freedom } => StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.sf(z)),
            Self::ChiSquared { freedom } if freedom > MANY => above_gaussian(cube_root(freedom, z)),
            Self::ChiSquared { freedom } => chi_squared(freedom, z, |law, x| law.sf(x)),
        }
    }

    /// Probability to lie below `z`.
    pub fn below(self, z: f64) -> f64 {
        match self {
            Self::Student { .. } => self.above(-z),
            Self::ChiSquared { freedom } if freedom > MANY => above_gaussian(-cube_root(freedom, z)),
            Self::ChiSquared { freedom } => chi_squared(freedom, z, |law, x| law.cdf(x)),
        }
    }

    /// Probability that a difference lies as far out as `z`, on both sides or above; nothing where `z` is not finite.
    pub fn p_value(self, z: f64, sides: Sides) -> Option<f64> {
        let z = Some(z).filter(|z| z.is_finite())?;
        Some(match sides {
            Sides::Two => (2.0 * self.above(z).min(self.below(z))).min(1.0),
            Sides::Upper => self.above(z),
        })
    }

    /// Where the upper tail of probability `level` begins, and the lower one; the latter is without end for one-sided tests.
    pub fn critical(self, level: f64, sides: Sides) -> [f64; 2] {
        let upper = |tail: f64| bisect(|z| self.above(z) - tail);
        match sides {
            Sides::Two => [-bisect(|z| self.below(-z) - 0.5 * level), upper(0.5 * level)],
            Sides::Upper => [f64::NEG_INFINITY, upper(level)],
        }
    }

    /// Probability that a test at `level` rejects a difference whose true value is `shift` standard errors.
    pub fn power(self, shift: f64, level: f64, sides: Sides) -> f64 {
        let [low, high] = self.critical(level, sides);
        match self {
            Self::Student { freedom } => {
                let lower = if low.is_finite() { beyond(freedom, -shift, -low) } else { 0.0 };
                beyond(freedom, shift, high) + lower
            }
            // Its error is known, and the law only moves.
            Self::ChiSquared { .. } => self.above(high - shift) + self.below(low - shift),
        }
    }
}

/// Probability that a difference of true value `shift`, over its standard error as it is found, lies above `z`: noncentral t.
fn beyond(freedom: f64, shift: f64, z: f64) -> f64 {
    over_spreads(freedom, |s| above_gaussian(z * s - shift))
}

/// The mean of `of(s)` with `s^2` a chi-squared number over its degrees of freedom: what is found for a standard error of one.
fn over_spreads(freedom: f64, of: impl Fn(f64) -> f64) -> f64 {
    let nu = freedom;
    let reach = 12.0 / (2.0 * nu).sqrt();
    let (from, to) = ((1.0 - reach).max(0.0), 1.0 + reach);
    let scale = std::f64::consts::LN_2 + 0.5 * nu * (0.5 * nu).ln() - ln_gamma(0.5 * nu);
    let density = |s: f64| if s > 0.0 { (scale + (nu - 1.0) * s.ln() - 0.5 * nu * s * s).exp() } else { 0.0 };
    let step = (to - from) / POINTS as f64;
    let at = |i: usize| from + (i as f64 + 0.5) * step;
    (0..POINTS).map(|i| density(at(i)) * of(at(i))).sum::<f64>() * step
}

/// A chi-squared law at the number whose distance from the mean is `z` standard deviations.
fn chi_squared(freedom: f64, z: f64, of: impl Fn(&ChiSquared, f64) -> f64) -> f64 {
    let x = (freedom + z * (2.0 * freedom).sqrt()).max(0.0);
    ChiSquared::new(freedom).map_or(f64::NAN, |law| of(&law, x))
}

/// The number of standard deviations at which the cube root of that number lies.
fn cube_root(freedom: f64, z: f64) -> f64 {
    let ratio = (1.0 + z * (2.0 / freedom).sqrt()).max(0.0);
    let variance = 2.0 / (9.0 * freedom);
    (ratio.cbrt() - (1.0 - variance)) / variance.sqrt()
}

fn above_gaussian(z: f64) -> f64 {
    0.5 * erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Where a falling function passes through zero, above zero.
fn bisect(function: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    if function(low).is_nan() {
        return f64::NAN;
    }
    while function(high) > 0.0 && high < 1e9 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if function(middle) > 0.0 { low = middle } else { high = middle }
    }
    high
}

impl fmt::Display for NullLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Student { freedom } => write!(f, "student({freedom})"),
            Self::ChiSquared { freedom } => write!(f, "chi_squared({freedom})"),
        }
    }
}

impl FromStr for NullLaw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text} is no law: chi_squared(64) and student(15) are");
        let inner = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let positive = |text: &str| text.parse::<f64>().ok().filter(|freedom| *freedom > 0.0);
        let chi_squared = inner("chi_squared").and_then(positive).map(|freedom| Self::ChiSquared { freedom });
        let student = || inner("student").and_then(positive).map(|freedom| Self::Student { freedom });
        chi_squared.or_else(student).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64, digits: f64, what: &str) {
        assert!((found / expected - 1.0).abs() < digits, "{what}: {found} for {expected}");
    }

    /// Tails of scipy 1.17, `chi2.sf` and `chi2.cdf`.
    #[test]
    fn a_chi_squared_law_has_its_tails() {
        for (freedom, z, below, above) in [
            (4.0, -1.0, 0.117_243_585_932_217_81, 0.882_756_414_067_782_2),
            (4.0, 4.0, 0.995_907_105_442_809_2, 0.004_092_894_557_190_797),
            (64.0, -3.0, 9.351_134_920_219_058e-5, 0.999_906_488_650_797_8),
            (64.0, 6.0, 0.999_998_721_032_507_3, 1.278_967_492_659_305_2e-6),
            (4096.0, -5.0, 1.053_901_893_792_179_7e-7, 0.999_999_894_609_810_6),
            (4096.0, 4.0, 0.999_950_938_752_580_1, 4.906_124_741_991_239e-5),
        ] {
            let law = NullLaw::ChiSquared { freedom };
            assert_near(law.below(z), below, 1e-9, "below");
            assert_near(law.above(z), above, 1e-9, "above");
        }
        // By cube roots: relative errors of the tails of order one over the degrees of freedom.
        let law = NullLaw::ChiSquared { freedom: 1_032_192.0 };
        assert_near(law.below(-5.0), 2.704_822_790_280_625_5e-7, 1e-4, "below");
        assert_near(law.above(4.0), 3.261_249_420_239_3e-5, 1e-4, "above");
        assert_near(law.above(0.0), 0.499_814_892_690_175, 1e-6, "above");
    }

    /// `chi2.isf`, `chi2.ppf` and `t.isf` of scipy 1.17.
    #[test]
    fn critical_values_are_quantiles() {
        let [low, high] = NullLaw::ChiSquared { freedom: 64.0 }.critical(1e-3, Sides::Two);
        assert_near(high, 3.878_009_472_419_366, 1e-8, "upper");
        assert_near(low, -2.725_468_006_730_939, 1e-8, "lower");
        for (freedom, expected) in
            [(15.0, 5.748_787_086_014_767), (3.0, 38.529_849_598_254_785), (7.0, 9.144_245_593_803_46)]
        {
            let [low, high] = NullLaw::Student { freedom }.critical(1e-3 / 26.0, Sides::Two);
            assert_near(high, expected, 1e-6, "student");
            assert_near(low, -high, 1e-9, "student");
        }
        assert!(NullLaw::Student { freedom: 0.0 }.critical(0.05, Sides::Two)[1].is_nan(), "no law, no quantile");
        let [low, high] = NullLaw::Student { freedom: 15.0 }.critical(0.5e-3 / 26.0, Sides::Upper);
        assert_near(high, 5.748_787_086_014_767, 1e-6, "one side");
        assert_eq!(low, f64::NEG_INFINITY);
    }

    /// `nct.sf` of scipy 1.17.
    #[test]
    fn shifted_means_have_a_noncentral_t() {
        for (freedom, z, shift, expected) in [
            (15.0, 5.75, 7.0, 0.824_595_141_754_865_1),
            (3.0, 38.5, 20.0, 0.153_401_369_351_911_68),
            (7.0, 9.1, 0.0, 1.984_830_229_222_288e-5),
            (15.0, 2.0, -1.0, 0.002_568_252_329_320_209_6),
            (100.0, 4.0, 4.5, 0.688_273_322_467_550_1),
            (1.0, 12.7, 3.0, 0.186_196_781_992_395_92),
            (11.0, 6.0, 12.0, 0.999_847_741_629_483_4),
        ] {
            let found = beyond(freedom, shift, z);
            assert_near(found, expected, 2e-5, &format!("{freedom} degrees of freedom, {shift} beyond {z}"));
        }
    }

    #[test]
    fn without_an_error_the_power_is_the_level() {
        for law in [NullLaw::Student { freedom: 7.0 }, NullLaw::ChiSquared { freedom: 50.0 }] {
            for sides in [Sides::Two, Sides::Upper] {
                assert_near(law.power(0.0, 0.01, sides), 0.01, 1e-4, &format!("{law} {sides:?}"));
            }
            assert!(law.power(30.0, 0.01, Sides::Two) > 0.999 && law.power(-30.0, 0.01, Sides::Upper) < 1e-4);
        }
    }

    /// Over many draws, as often as it says; and more members only help.
    #[test]
    fn agreements_are_as_frequent_as_they_say() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(12);
        let draws = 20_000;
        for (members, sides, tolerance) in [(8, Sides::Two, 2.0), (16, Sides::Two, 1.4), (16, Sides::Upper, 1.1)] {
            let root = (members as f64).sqrt();
            let expected = NullLaw::Student { freedom: members as f64 - 1.0 }.agreement(tolerance * root, sides);
            let mut agreed = 0;
            for _ in 0..draws {
                let values: Vec<f64> = (0..members).map(|_| StandardNormal.sample(&mut random)).collect();
                let bound = if sides == Sides::Two { 0.0 } else { tolerance };
                agreed += i32::from(crate::judge::is_resolved(crate::Estimate::mean(&values), bound, sides, tolerance));
            }
            let share = f64::from(agreed) / f64::from(draws);
            let sampling = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
            assert!(
                (0.02..0.98).contains(&expected) && (share - expected).abs() < 4.0 * sampling,
                "{share} for {expected}"
            );
        }
        assert_eq!(NullLaw::ChiSquared { freedom: 50.0 }.agreement(3.9, Sides::Two), 0.0);
    }

    #[test]
    fn laws_of_more_members_keep_what_was_fitted() {
        assert_eq!(NullLaw::Student { freedom: 14.0 }.of_as_many(32, 16), NullLaw::Student { freedom: 30.0 });
        assert_eq!(NullLaw::Student { freedom: 14.0 }.of_as_many(2, 16), NullLaw::Student { freedom: 1.0 });
        assert_eq!(NullLaw::ChiSquared { freedom: 64.0 }.of_as_many(8, 16), NullLaw::ChiSquared { freedom: 32.0 });
    }

    #[test]
    fn p_values_are_those_of_the_tails() {
        let law = NullLaw::ChiSquared { freedom: 64.0 };
        assert_near(law.p_value(-3.0, Sides::Two).unwrap(), 2.0 * 9.351_134_920_219_058e-5, 1e-9, "two sides");
        assert_near(law.p_value(6.0, Sides::Upper).unwrap(), 1.278_967_492_659_305_2e-6, 1e-9, "above");
        assert!(law.p_value(-0.05, Sides::Two).unwrap() <= 1.0 && law.p_value(f64::NAN, Sides::Two).is_none());
    }

    #[test]
    fn laws_are_written_and_read() {
        for law in [NullLaw::Student { freedom: 3.0 }, NullLaw::ChiSquared { freedom: 64512.0 }] {
            assert_eq!(law.to_string().parse::<NullLaw>(), Ok(law));
        }
        for text in ["paired_members", "chi_squared(0)", "student(0)", "student(x)", "chi_squared(4"] {
            assert!(text.parse::<NullLaw>().is_err(), "{text}");
        }
        assert_eq!((NullLaw::of_members(1), NullLaw::of_members(2)), (None, Some(NullLaw::Student { freedom: 1.0 })));
    }
}
