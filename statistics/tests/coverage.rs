//! What the errors of ladders are worth: how often intervals cover the power, and how often a true limit is rejected, on synthetic ladders.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Normal};
use widthwise_statistics::judge::holm;
use widthwise_statistics::power_law::{Center, PowerLaw, fit};
use widthwise_statistics::{COVERAGE, Rung, extrapolate};
use widthwise_testing::sampling;

const TRIALS: u32 = 2000;

/// The sampling error of a share of that size.
fn binomial(share: f64) -> f64 {
    (share * (1.0 - share) / f64::from(TRIALS)).sqrt()
}

/// A ladder whose truth is known.
#[derive(Debug, Clone, Copy)]
struct Synthetic<'a> {
    widths: &'a [usize],
    members: usize,
    power: f64,
    /// `c / n_1`.
    correction: f64,
    /// Relative, of the members of a width.
    spread: f64,
}

impl Synthetic<'_> {
    /// `3 n^power (1 + c/n)` times gamma variates of mean one.
    fn rungs(&self, random: &mut impl Rng) -> Vec<Rung> {
        let shape = self.spread.powi(-2);
        let noise = Gamma::new(shape, 1.0 / shape).unwrap();
        let mut rung = |&width: &usize| {
            let share = self.widths[0] as f64 / width as f64;
            let size = 3.0 * (width as f64).powf(self.power) * (1.0 + self.correction * share);
            Rung { width, values: (0..self.members).map(|_| size * noise.sample(random)).collect() }
        };
        self.widths.iter().map(&mut rung).collect()
    }

    /// The share of ladders that have the power in the interval of such a fit.
    fn covered(&self, random: &mut ChaCha8Rng, law: impl Fn(&[Rung], &mut ChaCha8Rng) -> PowerLaw) -> f64 {
        let is_covered = |_: &u32| {
            let [low, high] = law(&self.rungs(random), random).exponent.interval(COVERAGE);
            (low..high).contains(&self.power)
        };
        f64::from((0..TRIALS).filter(is_covered).count() as u32) / f64::from(TRIALS)
    }
}

const FIVE: &[usize] = &[64, 128, 256, 512, 1024];
const SEVEN: &[usize] = &[64, 128, 256, 512, 1024, 2048, 4096];

#[test]
fn a_power_alone_and_a_free_correction_are_covered_as_often_as_they_say() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for (members, spread) in [(10, 0.5), (10, 0.2), (12, 0.3), (24, 0.5), (24, 0.3), (60, 0.5)] {
        let pure = Synthetic { widths: FIVE, members, power: -0.5, correction: 0.0, spread };
        let corrected = Synthetic { widths: SEVEN, power: -1.0, correction: -0.3, ..pure };
        let alone = pure.covered(&mut random, |rungs, random| fit(rungs, Center::Mean, 0.0, random).unwrap());
        let free =
            corrected.covered(&mut random, |rungs, random| fit(rungs, Center::Mean, f64::INFINITY, random).unwrap());
        eprintln!("{members} members, spread {spread}: {alone} without and {free} with a free correction");
        for found in [alone, free] {
            assert!((found - COVERAGE).abs() < sampling(binomial(COVERAGE)), "{members} {spread}: {found}");
        }
    }
}

#[test]
fn corrections_of_the_allowed_size_are_covered() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (members, spread, allowed) in
        [(10, 0.2, 0.3), (12, 0.5, 0.3), (24, 0.3, 0.3), (24, 0.3, 0.05), (200, 0.3, 0.05)]
    {
        for share in [0.0, 0.5, -0.5, 1.0, -1.0] {
            let ladder = Synthetic { widths: FIVE, members, power: -1.0, correction: share * allowed, spread };
            let found = ladder.covered(&mut random, |rungs, random| fit(rungs, Center::Mean, allowed, random).unwrap());
            eprintln!("{members} members, spread {spread}: {found} at {share} of {allowed}");
            assert!(found > COVERAGE - sampling(binomial(COVERAGE)), "{members} {spread} {share} {allowed}: {found}");
        }
    }
}

#[test]
fn a_tested_correction_is_not_covered() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let ladder = Synthetic { widths: FIVE, members: 24, power: -1.0, correction: -0.2, spread: 0.3 };
    // Kept where it is significant at about 5 %, and left out otherwise.
    let tested = |rungs: &[Rung], random: &mut ChaCha8Rng| {
        let free = fit(rungs, Center::Mean, f64::INFINITY, random).unwrap();
        if free.correction.unwrap().z(0.0).abs() > 2.0 { free } else { fit(rungs, Center::Mean, 0.0, random).unwrap() }
    };
    let found = ladder.covered(&mut random, tested);
    let carried = ladder.covered(&mut random, |rungs, random| fit(rungs, Center::Mean, 0.3, random).unwrap());
    eprintln!("{found} after a test, {carried} with the correction carried");
    assert!(found < 0.5 && carried > COVERAGE - sampling(binomial(COVERAGE)), "{found} {carried}");
}

/// Of so many ladders of five limits each, like kernels and losses have them: the share of which one is rejected. The members of three are normal and scatter
/// as `n^-1/2`, those of two are gamma variates of this shape.
fn rejected(members: usize, level: f64, shape: f64, random: &mut ChaCha8Rng) -> f64 {
    let normal = Normal::new(0.0, 1.0).unwrap();
    let skewed = Gamma::new(shape, 1.0 / shape).unwrap();
    let near = |n: f64, random: &mut ChaCha8Rng| 2.0 + 9.0 / n + 5.0 / n.sqrt() * normal.sample(random);
    let far = |n: f64, random: &mut ChaCha8Rng| (1.0 + skewed.sample(random)) * (1.0 + 9.0 / n);
    let mut p_value = |is_near: bool| {
        let mut value = |n: f64| if is_near { near(n, random) } else { far(n, random) };
        let rung = |&width: &usize| Rung { width, values: (0..members).map(|_| value(width as f64)).collect() };
        let rungs: Vec<Rung> = SEVEN.iter().map(rung).collect();
        extrapolate(&rungs).unwrap().p_value_of([2.0, 2.0]).unwrap()
    };
    let mut has_rejected = || holm(&[true, true, true, false, false].map(&mut p_value), level).contains(&true);
    (0..TRIALS).filter(|_| has_rejected()).count() as f64 / f64::from(TRIALS)
}

#[test]
fn true_limits_are_rejected_as_seldom_as_the_level_says() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for (members, level) in [(10, 0.05), (12, 0.05), (12, 0.01), (12, 0.001), (24, 0.05), (24, 0.01)] {
        // As skewed as an exponential law, and less.
        for shape in [1.0, 2.0] {
            let share = rejected(members, level, shape, &mut random);
            eprintln!("{members} members at {level}, shape {shape}: {share} of ladders");
            assert!(share < level + sampling(binomial(level)), "{members} {level} {shape}: {share}");
        }
    }
}

#[test]
fn limits_as_skewed_as_squared_normal_numbers_are_rejected_too_often() {
    // Student's law does not know of skewness. What it costs at the level of ladders stays below one in a hundred.
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let (level, most) = (0.001, 0.01);
    for members in [12, 24] {
        let share = rejected(members, level, 0.5, &mut random);
        eprintln!("{members} members at {level}, squared normal: {share} of ladders");
        assert!(share > level && share < most, "{members}: {share}");
    }
}
