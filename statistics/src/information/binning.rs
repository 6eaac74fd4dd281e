//! Information of a layer rounded to cells.
//!
//! With `b` the map from a layer to its row of cells, and each of the `n` examples of weight `1/n`,
//!
//! ```text
//! I(X;b(T)) = H(b(T)) - H(b(T)|X)          I(b(T);Y) = H(b(T)) - sum_y p(y) H(b(T)|Y=y)
//! ```
//!
//! For distinct inputs to a deterministic network `H(b(T)|X) = 0`. The rule `b` is part of the result: the same run
//! can compress under bins scaled to the layer and expand under bins of fixed width (Shwartz-Ziv and Tishby 2017,
//! arXiv 1703.00810, used 30 fixed bins on tanh; Saxe et al. 2018, "On the information bottleneck theory of deep
//! learning").
//!
//! Rows are compared through a 64-bit key, a linear hash with random odd multipliers, so the cost is
//! `O(n units + n log n)`; two different rows among `n` share a key with probability of order `n^2 / 2^64`.

use rayon::prelude::*;

use super::entropy::{Correction, counts, entropy_of_counts, information_between, run_lengths};
use super::error::{InformationError, examples_of, one_an_example};
use super::estimate::{EstimateKind, InformationEstimate};

/// Seed of the multipliers: fixed, so that equal layers have equal keys in every run.
const KEY_SEED: u64 = 0x5769_6474_6877_6973;

/// How an activation becomes a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BinningRule {
    /// `bins` equal cells between `low` and `high`, closed at both ends; values outside join the outermost cells.
    Fixed {
        /// Lower end of the first cell.
        low: f64,
        /// Upper end of the last cell.
        high: f64,
        /// Number of cells.
        bins: usize,
    },
    /// Cell `floor(t / width)`, without end.
    Width(
        /// Width of a cell.
        f64,
    ),
    /// `bins` equal cells between the smallest and the largest activation of this layer over all units and examples.
    Adaptive {
        /// Number of cells.
        bins: usize,
    },
}

/// A rule with its range settled.
#[derive(Debug, Clone, Copy)]
enum Quantizer {
    Bounded { low: f64, cells_per_unit: f64, last: f64 },
    Unbounded { width: f64 },
}

impl Quantizer {
    fn new(rule: BinningRule, layer: &[f32]) -> Result<Self, InformationError> {
        match rule {
            BinningRule::Fixed { low, high, bins } => {
                if !low.is_finite() {
                    return Err(InformationError::Parameter {
                        parameter: "low",
                        found: low,
                        allowed: "a finite number",
                    });
                }
                if !(high.is_finite() && high > low) {
                    return Err(InformationError::Parameter {
                        parameter: "high",
                        found: high,
                        allowed: "a finite number above low",
                    });
                }
                Self::bounded(low, high, bins)
            }
            BinningRule::Adaptive { bins } => {
                let low = layer.iter().copied().fold(f32::INFINITY, f32::min);
                let high = layer.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                Self::bounded(low.into(), high.into(), bins)
            }
            BinningRule::Width(width) if width > 0.0 && width.is_finite() => Ok(Self::Unbounded { width }),
            BinningRule::Width(width) => Err(InformationError::Parameter {
                parameter: "width",
                found: width,
                allowed: "a positive, finite number",
            }),
        }
    }

    fn bounded(low: f64, high: f64, bins: usize) -> Result<Self, InformationError> {
        if bins == 0 {
            return Err(InformationError::Parameter { parameter: "bins", found: 0.0, allowed: "at least 1" });
        }
        // A constant layer has no range: all of it is one cell.
        let cells_per_unit = if high > low { bins as f64 / (high - low) } else { 0.0 };
        Ok(Self::Bounded { low, cells_per_unit, last: (bins - 1) as f64 })
    }

    fn cell(self, value: f32) -> i64 {
        let value = f64::from(value);
        match self {
            Self::Bounded { low, cells_per_unit, last } => {
                // Not below zero after the clamp, where a cast rounds down.
                ((value - low) * cells_per_unit).clamp(0.0, last) as i64
            }
            Self::Unbounded { width } => (value / width).floor() as i64,
        }
    }
}

/// Random odd multipliers, one a unit: the sequence of Steele, Lea and Flood 2014 ("Fast splittable pseudorandom
/// number generators").
fn key_multipliers(units: usize) -> Vec<u64> {
    let mut state = KEY_SEED;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) | 1
    };
    (0..units).map(|_| next()).collect()
}

/// A layer rounded to cells, one row of cells an example.
#[derive(Debug, Clone)]
pub struct BinnedLayer {
    /// One key for each example; equal exactly when the rows of cells are, up to hash collisions.
    keys: Vec<u64>,
    correction: Correction,
}

impl BinnedLayer {
    /// Rounds `layer` by `rule`.
    ///
    /// # Shapes
    /// `layer`: examples x `units`, row-major.
    ///
    /// # Errors
    /// If the layer is empty, not a whole number of rows or not finite, or if the rule has an empty range.
    pub fn new(layer: &[f32], units: usize, rule: BinningRule) -> Result<Self, InformationError> {
        examples_of(layer, units)?;
        let quantizer = Quantizer::new(rule, layer)?;
        let multipliers = key_multipliers(units);
        let key = |row: &[f32]| {
            row.iter().zip(&multipliers).fold(0u64, |key, (&value, &multiplier)| {
                key.wrapping_add(multiplier.wrapping_mul(quantizer.cell(value).wrapping_add(1) as u64))
            })
        };
        let keys = layer.par_chunks_exact(units).map(key).collect();
        Ok(Self { keys, correction: Correction::None })
    }

    /// The same cells, with every entropy corrected by `correction`; values become of kind
    /// [`EstimateKind::Estimate`] unless it is [`Correction::None`].
    #[must_use]
    pub fn with_correction(mut self, correction: Correction) -> Self {
        self.correction = correction;
        self
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.keys.len()
    }

    /// Number of different rows of cells among the examples.
    pub fn occupied_cells(&self) -> usize {
        self.occupancies().len()
    }

    /// Whether a quarter of the examples would suffice to fill the occupied cells once, below which no correction is
    /// to be trusted.
    pub fn correction_is_reliable(&self) -> bool {
        4 * self.occupied_cells() <= self.examples()
    }

    /// `H(b(T))` in nats, of ceiling `ln n`.
    pub fn entropy(&self) -> InformationEstimate {
        let value = entropy_of_counts(&self.occupancies(), self.correction);
        InformationEstimate::of_input(value, self.kind(), (self.examples() as f64).ln())
    }

    /// `I(X;b(T))` in nats, of ceiling `H(X)`.
    ///
    /// Examples of equal id count as one input, of a probability proportional to its examples, and `H(b(T)|X)` is
    /// subtracted, which is zero unless the network is noisy. Without ids all inputs are taken to be distinct and the
    /// value is [`entropy`](Self::entropy).
    ///
    /// # Errors
    /// If there is not one id an example.
    pub fn input_information(&self, input_ids: Option<&[u64]>) -> Result<InformationEstimate, InformationError> {
        let Some(ids) = input_ids else {
            return Ok(self.entropy());
        };
        one_an_example("input ids", self.examples(), ids.len())?;
        let value = information_between(&self.keys, ids, self.correction);
        let ceiling = entropy_of_counts(&counts(ids), Correction::None);
        Ok(InformationEstimate::of_input(value, self.kind(), ceiling))
    }

    /// `I(b(T);Y)` in nats, of ceiling `H(Y)`.
    ///
    /// # Errors
    /// If there is not one label an example.
    pub fn label_information<L: Copy + Ord>(&self, labels: &[L]) -> Result<InformationEstimate, InformationError> {
        one_an_example("labels", self.examples(), labels.len())?;
        let value = information_between(&self.keys, labels, self.correction);
        let ceiling = entropy_of_counts(&counts(labels), Correction::None);
        Ok(InformationEstimate::of_label(value, self.kind(), ceiling, self.entropy()))
    }

    fn kind(&self) -> EstimateKind {
        match self.correction {
            Correction::None => EstimateKind::Exact,
            Correction::MillerMadow => EstimateKind::Estimate,
        }
    }

    fn occupancies(&self) -> Vec<usize> {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        run_lengths(&keys)
    }
}

#[cfg(test)]
mod tests {
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
}
