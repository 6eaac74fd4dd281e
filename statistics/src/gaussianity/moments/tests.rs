use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use widthwise_testing::{assert_near, round_off, sampling};

use super::*;

/// Read-out pre-activations of random networks of `depth` hidden ReLU layers of `width` units, without biases, at
/// one input: given the layer before they are `N(0, q)`, so a layer costs `width` draws.
fn relu_members(members: usize, width: usize, depth: usize, units: usize, seed: u64) -> Vec<MemberMoments> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut network = || {
        let mut q = 1.0;
        for _ in 0..depth {
            let squares = (0..width).map(|_| rng.sample::<f64, _>(StandardNormal).max(0.0).powi(2));
            q *= 2.0 * squares.sum::<f64>() / width as f64;
        }
        let row: Vec<f32> = (0..units).map(|_| (q.sqrt() * rng.sample::<f64, _>(StandardNormal)) as f32).collect();
        MemberMoments::new(&row, units).unwrap()
    };
    (0..members).map(|_| network()).collect()
}

// Exact for every width: 3 [(1 + 5/n)^L - 1], since E q^2 gains the factor 1 + 5/n in each layer.
#[test]
fn relu_ensembles_have_the_exact_kurtosis_by_both_routes() {
    for (width, depth, members) in [(20, 1, 8000), (20, 3, 12000), (100, 2, 3000)] {
        let exact = 3.0 * ((1.0 + 5.0 / width as f64).powi(depth) - 1.0);
        let moments =
            ensemble_moments(&relu_members(members, width, depth as usize, 20, 11), EnsembleMean::Zero).unwrap();
        let pair = moments.pair_excess_kurtosis.unwrap();
        for route in [moments.excess_kurtosis, pair] {
            assert_near(route.value, exact, sampling(route.standard_error));
        }
        assert_near(moments.variance.value, 1.0, sampling(moments.variance.standard_error));
        assert_near(moments.skewness.value, 0.0, sampling(moments.skewness.standard_error));
        assert_near(moments.mean.value, 0.0, sampling(moments.mean.standard_error));
        // By how much pairs are the better route depends on how little q fluctuates; 0.6 was found at width 100.
        if width == 100 {
            assert!(pair.standard_error < 0.75 * moments.excess_kurtosis.standard_error);
        }
    }
}

// The jackknife of a smooth ratio is the influence function up to terms of higher order.
#[test]
fn the_jackknife_error_is_that_of_the_influence_function() {
    let members = relu_members(4000, 50, 1, 10, 12);
    let per_member: Vec<[f64; 2]> = members.iter().map(|m| [m.sums[0][1] / 10.0, m.sums[0][3] / 10.0]).collect();
    let count = per_member.len() as f64;
    let b = per_member.iter().map(|m| m[0]).sum::<f64>() / count;
    let a = per_member.iter().map(|m| m[1]).sum::<f64>() / count;
    let influence: Vec<f64> = per_member.iter().map(|m| m[1] / (b * b) - 2.0 * a * m[0] / b.powi(3)).collect();
    let mean = influence.iter().sum::<f64>() / count;
    let spread = influence.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let jackknife = ensemble_moments(&members, EnsembleMean::Zero).unwrap().kurtosis.standard_error;
    // Relative difference of order 1/members times the kurtosis of the influence.
    assert_near(jackknife / (spread / count).sqrt(), 1.0, 100.0 / count);
}

// Independent Gaussians: 8 members of 4 units at one input, for which the bias is exact.
#[test]
fn few_members_bias_the_kurtosis_and_the_jackknife_sees_it() {
    let repeats = 400;
    let (mut raw, mut corrected) = (Vec::new(), Vec::new());
    for seed in 0..repeats {
        let moments = ensemble_moments(&relu_members(8, 20, 0, 4, 100 + seed), EnsembleMean::Zero).unwrap();
        raw.push(moments.kurtosis.value);
        corrected.push(moments.kurtosis.unbiased());
    }
    // A plain ratio of moments of N independent Gaussians about a known mean has expectation 3 N / (N + 2) = 2.82.
    for values in [raw, corrected] {
        assert_near(mean(&values), 3.0, sampling(error(&values)));
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard error of [`mean`].
fn error(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|v| (v - centre).powi(2)).sum::<f64>().sqrt() / values.len() as f64
}

// Independent Gaussians, few members of few units, about zero and about the estimated mean: excesses, pair excesses and
// skewnesses are zero on average, with and without the jackknife's correction.
#[test]
fn few_gaussian_values_have_no_excess() {
    for (members, units) in [(8, 1), (5, 1), (2, 4), (3, 2), (6, 3)] {
        for about in [EnsembleMean::Zero, EnsembleMean::Estimated] {
            let mut found: [Vec<f64>; 6] = Default::default();
            for seed in 0..20_000 {
                let moments = ensemble_moments(&relu_members(members, 1, 0, units, 500 + seed), about).unwrap();
                let pair = moments.pair_excess_kurtosis.unwrap_or(moments.excess_kurtosis);
                for (k, moment) in [moments.excess_kurtosis, pair, moments.skewness].into_iter().enumerate() {
                    found[2 * k].push(moment.value);
                    found[2 * k + 1].push(moment.unbiased());
                }
            }
            for values in &found {
                assert_near(mean(values), 0.0, sampling(error(values)));
            }
        }
    }
}

// Twelve members whose units share their q: the ratio of averages misses a twelfth of the excess, which the jackknife gives back.
#[test]
fn the_jackknife_gives_back_what_few_members_hide() {
    let (mut raw, mut corrected) = (Vec::new(), Vec::new());
    for seed in 0..8000 {
        let moments = ensemble_moments(&relu_members(12, 100, 1, 100, 9000 + seed), EnsembleMean::Zero).unwrap();
        raw.push(moments.excess_kurtosis.value);
        corrected.push(moments.excess_kurtosis.unbiased());
    }
    let exact = 3.0 * 5.0 / 100.0;
    let hidden = exact - mean(&raw);
    assert!(hidden > 3.0 * error(&raw), "{} of {exact}", mean(&raw));
    assert!((exact - mean(&corrected)).abs() < 0.35 * hidden + 3.0 * error(&corrected), "{}", mean(&corrected));
}

#[test]
fn too_few_values_have_no_kurtosis() {
    for (members, units) in [(2, 1), (2, 3), (4, 1), (3, 1)] {
        let found = ensemble_moments(&relu_members(members, 1, 0, units, 1), EnsembleMean::Zero);
        assert!(matches!(found, Err(GaussianityError::TooFew { what: "values", .. })), "{members} x {units}");
    }
}

#[test]
fn moments_about_the_estimated_mean_do_not_see_a_shift() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut rows = || -> Vec<f32> { (0..12).map(|_| rng.sample::<f32, _>(StandardNormal)).collect() };
    let layers: Vec<Vec<f32>> = (0..40).map(|_| rows()).collect();
    let shifted = |by: [f32; 2]| -> Vec<MemberMoments> {
        let shift = |z: &Vec<f32>| -> Vec<f32> { z.iter().enumerate().map(|(i, z)| z + by[i / 6]).collect() };
        layers.iter().map(|z| MemberMoments::new(&shift(z), 6).unwrap()).collect()
    };
    let here = ensemble_moments(&shifted([0.0, 0.0]), EnsembleMean::Estimated).unwrap();
    let there = ensemble_moments(&shifted([2.0, -1.0]), EnsembleMean::Estimated).unwrap();
    // The shifted values are rounded to f32.
    let bound = f64::from(f32::EPSILON) / f64::EPSILON * round_off(4);
    assert_near(there.mean.value - here.mean.value, 0.5, bound);
    for (a, b) in [
        (here.variance, there.variance),
        (here.skewness, there.skewness),
        (here.kurtosis, there.kurtosis),
        (here.pair_excess_kurtosis.unwrap(), there.pair_excess_kurtosis.unwrap()),
    ] {
        assert_near(a.value, b.value, bound);
        assert_near(a.standard_error, b.standard_error, bound);
    }
}

// Definition: centred moments and pairs, added up one by one.
#[test]
fn pooled_moments_agree_with_sums_over_units_and_pairs() {
    let layers = [[0.5f32, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 1.0, 0.5]];
    let members: Vec<_> = layers.iter().map(|z| MemberMoments::new(z, 3).unwrap()).collect();
    let mu = layers.iter().flatten().map(|&z| f64::from(z)).sum::<f64>() / 9.0;
    let power = |p: i32| layers.iter().flatten().map(|&z| (f64::from(z) - mu).powi(p)).sum::<f64>() / 9.0;
    let mut pairs = 0.0;
    for z in &layers {
        for i in 0..3 {
            for j in (0..3).filter(|&j| j != i) {
                pairs += ((f64::from(z[i]) - mu) * (f64::from(z[j]) - mu)).powi(2) / 18.0;
            }
        }
    }
    let moments = ensemble_moments(&members, EnsembleMean::Estimated).unwrap();
    assert_near(moments.variance.value, power(2), round_off(16));
    assert_near(moments.skewness.value, power(3) / power(2).powf(1.5), round_off(16));
    assert_near(moments.kurtosis.value, 10.0 / 8.0 * power(4) / power(2).powi(2), round_off(16));
    let pair = moments.pair_excess_kurtosis.unwrap();
    assert_near(pair.value, 3.0 * (80.0 / 66.0 * pairs / power(2).powi(2) - 1.0), round_off(32));
}

#[test]
fn inputs_of_different_variance_are_standardised_before_they_are_averaged() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let mut members = Vec::new();
    for _ in 0..500 {
        let row: Vec<f32> = (0..4).map(|_| rng.sample(StandardNormal)).collect();
        let scaled: Vec<f32> = row.iter().copied().chain(row.iter().map(|z| 16.0 * z)).collect();
        members.push((MemberMoments::new(&row, 4).unwrap(), MemberMoments::new(&scaled, 4).unwrap()));
    }
    let (one, two): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let one = ensemble_moments(&one, EnsembleMean::Zero).unwrap();
    let two = ensemble_moments(&two, EnsembleMean::Zero).unwrap();
    assert_near(two.kurtosis.value, one.kurtosis.value, round_off(500));
    // Two inputs of one network are one piece of evidence: the error must not shrink.
    assert_near(two.kurtosis.standard_error, one.kurtosis.standard_error, round_off(500));
    assert_near(two.variance.value, one.variance.value * (1.0 + 256.0) / 2.0, 200.0 * round_off(500));
}

#[test]
fn errors_name_the_member_or_the_input() {
    let member = |z: &[f32], units| MemberMoments::new(z, units).unwrap();
    assert!(matches!(
        ensemble_moments(&[member(&[1.0], 1)], EnsembleMean::Zero),
        Err(GaussianityError::TooFew { found: 1, .. })
    ));
    assert!(matches!(
        ensemble_moments(&[member(&[1.0, 2.0], 1), member(&[1.0, 2.0], 2)], EnsembleMean::Zero),
        Err(GaussianityError::MemberShape { member: 1, .. })
    ));
    let dead: Vec<_> = (1..=5).map(|z| member(&[z as f32, 0.0], 1)).collect();
    assert_eq!(ensemble_moments(&dead, EnsembleMean::Zero).unwrap_err(), GaussianityError::NoVariance { input: 1 });
    assert!(matches!(MemberMoments::new(&[f32::NAN], 1), Err(GaussianityError::NotFinite { index: 0, .. })));
    assert!(matches!(MemberMoments::new(&[1.0], 0), Err(GaussianityError::LayerShape { .. })));
}
