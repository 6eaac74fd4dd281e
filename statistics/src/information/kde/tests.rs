use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use widthwise_testing::{assert_near, round_off, sampling};

use super::*;

fn gaussian_layer(examples: usize, units: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..examples * units).map(|_| rng.sample(StandardNormal)).collect()
}

/// Two clusters of radius 0.2, one a label, so close that neither label bound is trivial at unit noise.
fn two_clusters(labels: &[u8], units: usize, seed: u64) -> Vec<f32> {
    let mut layer = gaussian_layer(labels.len(), units, seed);
    for (row, &label) in layer.chunks_exact_mut(units).zip(labels) {
        row.iter_mut().for_each(|t| *t = 0.2 * *t + f32::from(label));
    }
    layer
}

/// The formula of the file's head, pair by pair.
fn pairwise(layer: &[f32], units: usize, b: f64) -> f64 {
    let rows: Vec<&[f32]> = layer.chunks_exact(units).collect();
    let n = rows.len() as f64;
    let squared =
        |a: &[f32], c: &[f32]| -> f64 { a.iter().zip(c).map(|(a, c)| (f64::from(*a) - f64::from(*c)).powi(2)).sum() };
    let sum = |a: &[f32]| rows.iter().map(|c| (-squared(a, c) / b).exp()).sum::<f64>();
    n.ln() - rows.iter().map(|a| sum(a).ln()).sum::<f64>() / n
}

#[test]
fn two_points_have_the_closed_form() {
    for (distance, variance) in [(0.5f32, 0.1f64), (2.0, 1.0), (1.0, 1e-3)] {
        let bounds = kde_input_bounds(&[3.0, 1.0, 3.0, 1.0 + distance], 2, variance).unwrap();
        let squared = f64::from(distance).powi(2);
        let closed = |b: f64| 2f64.ln() - (-squared / b).exp().ln_1p();
        assert_near(bounds.upper.value, closed(2.0 * variance), round_off(16));
        assert_near(bounds.lower.value, closed(8.0 * variance), round_off(16));
    }
}

#[test]
fn equal_points_tell_nothing() {
    let labels: Vec<usize> = (0..700).map(|i| i % 3).collect();
    let bounds = kde_bounds(&[0.3; 2100], 3, 1e-3, &labels).unwrap();
    for estimate in [bounds.input_upper, bounds.input_lower, bounds.label_estimate, bounds.label_upper] {
        assert_near(estimate.value, 0.0, round_off(700));
        assert!(!estimate.saturated);
    }
}

#[test]
fn far_points_tell_everything_and_say_that_they_are_saturated() {
    let layer: Vec<f32> = (0..600).map(|i| i as f32).collect();
    let labels: Vec<u8> = (0..600).map(|i| (i % 4) as u8).collect();
    let bounds = kde_bounds(&layer, 1, 1e-3, &labels).unwrap();
    for estimate in [bounds.input_upper, bounds.input_lower] {
        assert_near(estimate.value, 600f64.ln(), round_off(600));
        assert!(estimate.saturated);
    }
    for estimate in [bounds.label_estimate, bounds.label_upper, bounds.label_lower] {
        assert_near(estimate.value, 4f64.ln(), round_off(600));
        assert!(estimate.saturated);
    }
}

/// `I(X;T')` of the mixture by sampling it: the average of `ln p(t'|x) - ln p(t')`, and its standard error.
fn sampled_information(layer: &[f32], units: usize, variance: f64, draws: usize, seed: u64) -> (f64, f64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let examples = layer.len() / units;
    let mut terms = Vec::with_capacity(draws);
    for draw in 0..draws {
        let centre = draw % examples;
        let noise: Vec<f64> = (0..units).map(|_| variance.sqrt() * rng.sample::<f64, _>(StandardNormal)).collect();
        let of_centre = &layer[centre * units..(centre + 1) * units];
        let exponent = |row: &[f32]| {
            let shifted = row.iter().zip(of_centre).zip(&noise);
            shifted.map(|((t, c), e)| (f64::from(*c) + e - f64::from(*t)).powi(2)).sum::<f64>() / (-2.0 * variance)
        };
        let own = exponent(of_centre);
        let total: f64 = layer.chunks_exact(units).map(|row| (exponent(row) - own).exp()).sum();
        terms.push((examples as f64).ln() - total.ln());
    }
    let mean = terms.iter().sum::<f64>() / draws as f64;
    let variance = terms.iter().map(|term| (term - mean).powi(2)).sum::<f64>() / (draws - 1) as f64;
    (mean, (variance / draws as f64).sqrt())
}

#[test]
fn a_sampled_mixture_lies_between_the_bounds() {
    for (units, examples, variance, draws) in
        [(2, 200, 0.05, 2000), (5, 300, 0.1, 900), (5, 300, 1.0, 900), (20, 200, 0.05, 400), (20, 200, 2.0, 400)]
    {
        let layer = gaussian_layer(examples, units, 7);
        let bounds = kde_input_bounds(&layer, units, variance).unwrap();
        let (information, standard_error) = sampled_information(&layer, units, variance, draws, 8);
        assert!(bounds.lower.value <= information + sampling(standard_error), "{units} {variance} {information}");
        assert!(information - sampling(standard_error) <= bounds.upper.value, "{units} {variance} {information}");
    }
}

#[test]
fn label_bounds_enclose_the_sampled_value() {
    let (units, examples, variance) = (3, 240, 1.0);
    let labels: Vec<u8> = (0..examples).map(|i| (i % 2) as u8).collect();
    let layer = two_clusters(&labels, units, 9);
    let bounds = kde_bounds(&layer, units, variance, &labels).unwrap();
    let (mut information, all_error) = sampled_information(&layer, units, variance, 2400, 10);
    let mut standard_error = all_error;
    for label in [0, 1] {
        let chosen: Vec<f32> = layer
            .chunks_exact(units)
            .zip(&labels)
            .filter(|(_, l)| **l == label)
            .flat_map(|(row, _)| row)
            .copied()
            .collect();
        let share = chosen.len() as f64 / layer.len() as f64;
        let (within, error) = sampled_information(&chosen, units, variance, 2400, 11);
        information -= share * within;
        standard_error += share * error;
    }
    assert!(bounds.label_lower.value <= information + sampling(standard_error), "{bounds:?} {information}");
    assert!(information - sampling(standard_error) <= bounds.label_upper.value, "{bounds:?} {information}");
    assert!(0.0 < bounds.label_lower.value && bounds.label_upper.value < bounds.label_upper.ceiling);
}

// Sizes beyond one tile in both directions, labels out of order.
#[test]
fn tiles_agree_with_the_pairwise_formula_within_and_across_labels() {
    let (units, examples, variance) = (3, TILE_COLUMNS + TILE_ROWS + 5, 1.0);
    let labels: Vec<u8> = (0..examples).map(|i| u8::from((i * 7) % 5 < 2)).collect();
    let layer = two_clusters(&labels, units, 3);
    let bounds = kde_bounds(&layer, units, variance, &labels).unwrap();
    assert_near(bounds.input_upper.value, pairwise(&layer, units, 2.0 * variance), round_off(examples));
    assert_near(bounds.input_lower.value, pairwise(&layer, units, 8.0 * variance), round_off(examples));
    let within = |b: f64| -> f64 {
        (0..2)
            .map(|label| {
                let rows = layer.chunks_exact(units).zip(&labels).filter(|(_, l)| **l == label);
                let chosen: Vec<f32> = rows.flat_map(|(row, _)| row).copied().collect();
                pairwise(&chosen, units, b) * chosen.len() as f64 / layer.len() as f64
            })
            .sum()
    };
    let (upper, lower) = (bounds.input_upper.value, bounds.input_lower.value);
    assert_near(bounds.label_estimate.value, upper - within(2.0 * variance), round_off(examples));
    assert_near(bounds.label_upper.value, upper - within(8.0 * variance), round_off(examples));
    assert_near(bounds.label_lower.value, lower - within(2.0 * variance), round_off(examples));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let layer = gaussian_layer(500, 4, 5);
    let labels: Vec<u8> = (0..500).map(|i| (i % 10) as u8).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| kde_bounds(&layer, 4, 0.1, &labels).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_common_offset_changes_nothing() {
    // Whole numbers, so that the shift is exact in f32; without centring the rounding would be 1e-16 * 1e12 / 8 s2.
    let layer: Vec<f32> = gaussian_layer(200, 2, 6).iter().map(|t| (t * 8.0).round()).collect();
    let shifted: Vec<f32> = layer.iter().map(|t| t + 1_048_576.0).collect();
    let (here, there) = (kde_input_bounds(&layer, 2, 1.0).unwrap(), kde_input_bounds(&shifted, 2, 1.0).unwrap());
    assert_near(here.upper.value, there.upper.value, 1_048_576.0 * round_off(1));
}

#[test]
fn a_variance_of_zero_is_refused() {
    assert!(matches!(
        kde_input_bounds(&[1.0, 2.0], 1, 0.0),
        Err(InformationError::Parameter { parameter: "noise_variance", .. })
    ));
    assert!(matches!(kde_bounds(&[1.0, 2.0], 1, 1.0, &[1u8]), Err(InformationError::Length { found: 1, .. })));
}

proptest! {
    #[test]
    fn bounds_are_ordered(
        layer in prop::collection::vec(-3f32..3.0, 2..60),
        variance in 1e-3f64..10.0,
    ) {
        let labels: Vec<u8> = (0..layer.len()).map(|i| (i % 2) as u8).collect();
        let bounds = kde_bounds(&layer, 1, variance, &labels).unwrap();
        prop_assert!(bounds.input_lower.value <= bounds.input_upper.value + round_off(layer.len()));
        prop_assert!(bounds.input_upper.value <= (layer.len() as f64).ln());
        prop_assert!(bounds.label_lower.value <= bounds.label_upper.value + round_off(layer.len()));
    }
}
