use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use widthwise_testing::{assert_near, reference, round_off};

use super::*;

const THIRTY: BinningRule = BinningRule::Fixed { low: -1.0, high: 1.0, bins: 30 };

/// Occupancies by comparing whole rows of cells.
fn occupancies_by_rows(layer: &[f32], units: usize, rule: BinningRule) -> Vec<usize> {
    let quantizer = Quantizer::new(rule, layer).unwrap();
    let mut rows: Vec<Vec<i64>> =
        layer.chunks_exact(units).map(|row| row.iter().map(|&t| quantizer.cell(t)).collect()).collect();
    rows.sort();
    let mut occupancies = run_lengths(&rows);
    occupancies.sort_unstable();
    occupancies
}

proptest! {
    #[test]
    fn keys_count_like_whole_rows(
        units in 1usize..5,
        values in prop::collection::vec(-1.5f32..1.5, 4..400),
        rule in prop_oneof![
            (1usize..6).prop_map(|bins| BinningRule::Fixed { low: -1.0, high: 1.0, bins }),
            (0.3f64..2.0).prop_map(BinningRule::Width),
            (1usize..6).prop_map(|bins| BinningRule::Adaptive { bins }),
        ],
    ) {
        let layer = &values[..values.len() / units * units];
        let mut occupancies = BinnedLayer::new(layer, units, rule).unwrap().occupancies();
        occupancies.sort_unstable();
        prop_assert_eq!(occupancies, occupancies_by_rows(layer, units, rule));
    }

    #[test]
    fn the_label_knows_no_more_than_either_entropy(
        values in prop::collection::vec(-1.0f32..1.0, 1..200),
        modulus in 1usize..6,
    ) {
        let labels: Vec<usize> = (0..values.len()).map(|i| i % modulus).collect();
        let binned = BinnedLayer::new(&values, 1, BinningRule::Width(0.2)).unwrap();
        let information = binned.label_information(&labels).unwrap();
        prop_assert!(information.value >= 0.0);
        prop_assert!(information.value <= information.ceiling + round_off(values.len()));
        prop_assert!(information.value <= binned.entropy().value + round_off(values.len()));
    }
}

#[test]
fn cells_are_closed_where_the_rule_says() {
    let fixed = Quantizer::new(BinningRule::Fixed { low: -1.0, high: 1.0, bins: 4 }, &[]).unwrap();
    let cells = [-7.0, -1.0, -0.5, -0.1, 0.0, 0.5, 1.0, 9.0].map(|t| fixed.cell(t));
    assert_eq!(cells, [0, 0, 1, 1, 2, 3, 3, 3]);
    let width = Quantizer::new(BinningRule::Width(0.5), &[]).unwrap();
    assert_eq!([-0.6, -0.5, -0.0, 0.0, 0.49, 0.5].map(|t| width.cell(t)), [-2, -1, 0, 0, 0, 1]);
    let adaptive = Quantizer::new(BinningRule::Adaptive { bins: 2 }, &[4.0, 8.0, 5.0]).unwrap();
    assert_eq!([4.0, 5.9, 6.0, 8.0].map(|t| adaptive.cell(t)), [0, 0, 1, 1]);
    let constant = Quantizer::new(BinningRule::Adaptive { bins: 30 }, &[2.0, 2.0]).unwrap();
    assert_eq!(constant.cell(2.0), 0);
}

#[test]
fn repeated_inputs_are_one_input_and_noise_is_subtracted() {
    // Inputs 7, 7, 8, 9; the network answers differently on the two presentations of 7.
    let noisy = BinnedLayer::new(&[0.1, 0.9, 0.9, 0.1], 1, BinningRule::Width(0.5)).unwrap();
    let information = noisy.input_information(Some(&[7, 7, 8, 9])).unwrap();
    assert_near(information.value, 0.5 * 2f64.ln(), round_off(8));
    assert_near(information.ceiling, 1.5 * 2f64.ln(), round_off(8));
    // A deterministic one loses nothing.
    let clean = BinnedLayer::new(&[0.1, 0.1, 0.9, 0.9], 1, BinningRule::Width(0.5)).unwrap();
    let information = clean.input_information(Some(&[7, 7, 8, 8])).unwrap();
    assert_near(information.value, clean.entropy().value, round_off(8));
    assert!(information.saturated);
}

#[test]
fn distinct_inputs_to_a_deterministic_network_tell_the_entropy() {
    let layer: Vec<f32> = (0..300).map(|i| (0.1 * i as f32).sin()).collect();
    let ids: Vec<u64> = (0..300).rev().collect();
    let binned = BinnedLayer::new(&layer, 3, THIRTY).unwrap();
    let information = binned.input_information(Some(&ids[..100])).unwrap();
    assert_near(information.value, binned.entropy().value, round_off(100));
    assert_eq!(information.kind, EstimateKind::Exact);
    assert_eq!(binned.input_information(None).unwrap(), binned.entropy());
}

#[test]
fn errors_name_what_was_found() {
    assert_eq!(
        BinnedLayer::new(&[1.0, 2.0, 3.0], 2, THIRTY).unwrap_err(),
        InformationError::LayerShape { units: 2, found: 3 }
    );
    let error = BinnedLayer::new(&[1.0, 2.0, 3.0, f32::INFINITY], 2, THIRTY).unwrap_err();
    assert_eq!(error, InformationError::NotFinite { example: 1, unit: 1, value: f32::INFINITY });
    for rule in [
        BinningRule::Width(0.0),
        BinningRule::Adaptive { bins: 0 },
        BinningRule::Fixed { low: 1.0, high: 1.0, bins: 3 },
    ] {
        assert!(matches!(BinnedLayer::new(&[1.0], 1, rule), Err(InformationError::Parameter { .. })), "{rule:?}");
    }
    let binned = BinnedLayer::new(&[1.0, 2.0], 1, THIRTY).unwrap();
    assert!(matches!(binned.label_information(&[0u8; 3]), Err(InformationError::Length { found: 3, .. })));
}

/// For each vertex of an icosahedron, its five neighbours of one kind and its antipode.
const PARTNERS: [[usize; 5]; 12] = [
    [1, 3, 5, 10, 11],
    [0, 2, 3, 4, 11],
    [1, 3, 4, 8, 9],
    [0, 1, 2, 8, 10],
    [1, 2, 6, 9, 11],
    [0, 6, 7, 10, 11],
    [4, 5, 7, 9, 11],
    [5, 6, 8, 9, 10],
    [2, 3, 7, 9, 10],
    [2, 4, 6, 7, 8],
    [0, 3, 5, 7, 8],
    [0, 1, 4, 5, 6],
];
const ANTIPODES: [usize; 12] = [9, 7, 5, 6, 10, 2, 3, 1, 11, 0, 4, 8];

/// All 4096 patterns on the vertices: the pair counts `(w, n1, n3)` that fix the label, and the label, a threshold
/// on them. The task of Shwartz-Ziv and Tishby 2017 (arXiv 1703.00810).
fn icosahedron_task() -> (Vec<f32>, Vec<f32>, Vec<u8>) {
    let (mut patterns, mut invariants, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for pattern in 0..4096u32 {
        let one = |vertex: usize| pattern >> (11 - vertex) & 1;
        let w: u32 = (0..12).map(one).sum();
        let pairs = |i: usize| PARTNERS[i].iter().map(|&j| one(i) * one(j)).sum::<u32>();
        let n1 = (0..12).map(pairs).sum::<u32>() / 2;
        let n3 = (0..12).map(|i| one(i) * one(ANTIPODES[i])).sum::<u32>() / 2;
        let n2 = w * w.saturating_sub(1) / 2 - n1 - n3;
        patterns.extend((0..12).map(|vertex| one(vertex) as f32));
        invariants.extend([w as f32, n1 as f32, n3 as f32]);
        labels.push(u8::from(103 * w + 2 * n1 >= 430 + 22 * n2 + 34 * n3));
    }
    (patterns, invariants, labels)
}

#[test]
fn the_icosahedron_task_has_its_64_classes_and_its_label_information() {
    let (patterns, invariants, labels) = icosahedron_task();
    let rule = BinningRule::Width(1.0);
    let input = BinnedLayer::new(&patterns, 12, rule).unwrap();
    assert_near(input.entropy().bits(), 12.0, round_off(4096));
    assert!(input.entropy().saturated);
    // H(Y) = 0.999157 bit: 2118 of 4096 labels are 1.
    assert_near(input.label_information(&labels).unwrap().bits(), 0.999157, reference(6));
    let classes = BinnedLayer::new(&invariants, 3, rule).unwrap();
    assert_eq!(classes.occupied_cells(), 64);
    assert!(classes.correction_is_reliable());
    let information = classes.label_information(&labels).unwrap();
    assert_near(information.bits(), 0.999157, reference(6));
    assert!(!information.saturated);
}

#[test]
fn a_random_tanh_layer_keeps_all_patterns_apart() {
    let (patterns, _, labels) = icosahedron_task();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let weights: Vec<f32> = (0..120).map(|_| rng.sample::<f32, _>(StandardNormal) / 10f32.sqrt()).collect();
    let mut layer = Vec::with_capacity(40960);
    for pattern in patterns.chunks_exact(12) {
        let preactivation = |row: &[f32]| row.iter().zip(pattern).map(|(w, x)| w * x).sum::<f32>();
        layer.extend(weights.chunks_exact(12).map(|row| preactivation(row).tanh()));
    }
    let binned = BinnedLayer::new(&layer, 10, THIRTY).unwrap();
    assert!(binned.entropy().bits() >= 11.95, "{}", binned.entropy().bits());
    assert!(binned.label_information(&labels).unwrap().bits() >= 0.998);
}

#[test]
fn a_correction_is_an_estimate_and_vanishes_with_the_sample() {
    let values: Vec<f32> = (0..4000).map(|i| (i % 4) as f32).collect();
    let labels: Vec<u8> = (0..4000).map(|i| (i / 4 % 2) as u8).collect();
    let plain = BinnedLayer::new(&values, 1, BinningRule::Width(1.0)).unwrap();
    let corrected = plain.clone().with_correction(Correction::MillerMadow);
    assert_near(corrected.entropy().value - plain.entropy().value, 3.0 / 8000.0, round_off(4000));
    assert_eq!(corrected.entropy().kind, EstimateKind::Estimate);
    // 4 cells and 2 labels in all 8 pairs: (4 + 2 - 8 - 1) / (2 n), the negative of the chi-squared bias.
    let information = |layer: &BinnedLayer| layer.label_information(&labels).unwrap().value;
    assert_near(information(&corrected), -3.0 / 8000.0, round_off(4000));
    assert_near(information(&plain), 0.0, round_off(4000));
}
