//! Bounds on the information of a layer read out through Gaussian noise.
//!
//! `T' = T + N(0, s2 I)` is a mixture of `n` Gaussians centred at the examples, and with `D_ij = |t_i - t_j|^2`
//!
//! ```text
//! I_b = ln n - (1/n) sum_i ln sum_j exp(-D_ij / b)        upper: b = 2 s2 (Kullback-Leibler)
//!                                                         lower: b = 8 s2 (Bhattacharyya)
//! lower <= I(X;T') <= upper <= ln n
//! ```
//!
//! (Kolchinsky and Tracey 2017, "Estimating mixture entropy with pairwise distances", arXiv 1706.02419). The same
//! sums over the `n_y` examples of one label bound `I(X;T'|Y=y)`, and `I(T';Y) = I(X;T') - sum_y p(y) I(X;T'|Y=y)`.
//!
//! Every sum contains the term `j = i`, which is 1 and the largest, so the sums need no shift against overflow and
//! lose nothing to underflow. With `e = exp(-D_ij / (8 s2))` the two bounds take one exponential a pair, `e` and `e^4`.

use std::hint::black_box;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::entropy::{Correction, entropy_of_counts, run_lengths};
use super::error::{InformationError, examples_of, one_an_example};
use super::estimate::{EstimateKind, InformationEstimate};

/// Rows of a tile, one task each.
const TILE_ROWS: usize = 64;
/// Columns of a tile: 256 KiB of inner products, which stay in a second-level cache.
const TILE_COLUMNS: usize = 512;

/// Bounds on `I(X;T')`, in nats, of ceiling `ln n`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KdeInputBounds {
    /// Upper bound.
    pub upper: InformationEstimate,
    /// Lower bound.
    pub lower: InformationEstimate,
}

/// Bounds on `I(X;T')` and `I(T';Y)`, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KdeBounds {
    /// Upper bound on `I(X;T')`.
    pub input_upper: InformationEstimate,
    /// Lower bound on `I(X;T')`.
    pub input_lower: InformationEstimate,
    /// `I(T';Y)` as the difference of two upper bounds, the usual curve, and itself no bound.
    pub label_estimate: InformationEstimate,
    /// Upper bound on `I(T';Y)`: the upper bound less the lower bounds within labels, at most `H(Y)`.
    pub label_upper: InformationEstimate,
    /// Lower bound on `I(T';Y)`: the lower bound less the upper bounds within labels, at least 0.
    pub label_lower: InformationEstimate,
}

/// Bounds on the information of `layer` about the input under read-out noise of variance `noise_variance` a unit.
///
/// Repeated inputs count as different examples.
///
/// # Shapes
/// `layer`: examples x `units`, row-major.
///
/// # Errors
/// If the layer is empty, not a whole number of rows or not finite, or the variance is not positive and finite.
pub fn kde_input_bounds(layer: &[f32], units: usize, noise_variance: f64) -> Result<KdeInputBounds, InformationError> {
    let examples = examples_of(layer, units)?;
    let bounds = kde_bounds(layer, units, noise_variance, &vec![0u8; examples])?;
    Ok(KdeInputBounds { upper: bounds.input_upper, lower: bounds.input_lower })
}

/// Bounds on the information of `layer` about the input and the label under read-out noise of variance
/// `noise_variance` a unit, from one pass over the pairs of examples.
///
/// The result does not depend on the number of threads. Memory is of the order of the layer, in f64.
///
/// # Shapes
/// `layer`: examples x `units`, row-major; `labels`: one an example.
///
/// # Errors
/// If the layer is empty, not a whole number of rows or not finite, if the variance is not positive and finite, or if
/// there is not one label an example.
pub fn kde_bounds<L: Copy + Ord>(
    layer: &[f32],
    units: usize,
    noise_variance: f64,
    labels: &[L],
) -> Result<KdeBounds, InformationError> {
    let examples = examples_of(layer, units)?;
    one_an_example("labels", examples, labels.len())?;
    if !(noise_variance > 0.0 && noise_variance.is_finite()) {
        return Err(InformationError::Parameter {
            parameter: "noise_variance",
            found: noise_variance,
            allowed: "a positive, finite number",
        });
    }
    // Sorted by label, the examples of one label are a range of columns and need no mask.
    let mut order: Vec<usize> = (0..examples).collect();
    order.sort_by_key(|&example| labels[example]);
    let sorted_labels: Vec<L> = order.iter().map(|&example| labels[example]).collect();
    let label_counts = run_lengths(&sorted_labels);
    let points = scaled_points(layer, units, noise_variance, &order);
    let logarithms = mean_logarithms(&points, units, &label_ranges(&label_counts));

    let input_ceiling = (examples as f64).ln();
    let label_ceiling = entropy_of_counts(&label_counts, Correction::None);
    let within_ceiling = input_ceiling - label_ceiling;
    // Rounding alone can put a value outside its range.
    let input = |value: f64, kind| InformationEstimate::of_input(value.clamp(0.0, input_ceiling), kind, input_ceiling);
    let input_upper = input(input_ceiling - logarithms.all_upper, EstimateKind::Upper);
    let input_lower = input(input_ceiling - logarithms.all_lower, EstimateKind::Lower);
    let within_upper = within_ceiling - logarithms.label_upper;
    let within_lower = within_ceiling - logarithms.label_lower;
    let label = |value: f64, kind, input: InformationEstimate| {
        InformationEstimate::of_label(value.clamp(0.0, label_ceiling), kind, label_ceiling, input)
    };
    Ok(KdeBounds {
        input_upper,
        input_lower,
        label_estimate: InformationEstimate {
            value: input_upper.value - within_upper,
            ..label(0.0, EstimateKind::Estimate, input_upper)
        },
        label_upper: label(input_upper.value - within_lower, EstimateKind::Upper, input_upper),
        label_lower: label(input_lower.value - within_upper, EstimateKind::Lower, input_lower),
    })
}

/// Averages over examples of `ln sum_j exp(-D_ij / b)`, over all `j` and over those of the label of `i`.
#[derive(Default)]
struct MeanLogarithms {
    all_upper: f64,
    all_lower: f64,
    label_upper: f64,
    label_lower: f64,
}

/// For each example, in order, the range of the examples of its label.
fn label_ranges(label_counts: &[usize]) -> Vec<Range<usize>> {
    let mut ranges = Vec::with_capacity(label_counts.iter().sum());
    for &count in label_counts {
        let start = ranges.len();
        ranges.resize(start + count, start..start + count);
    }
    ranges
}

/// The rows of `layer` in `order`, centred and divided by `sqrt(8 s2)`, so that `|x_i - x_j|^2 = D_ij / (8 s2)`.
///
/// Centring keeps the cancellation in `|x_i|^2 + |x_j|^2 - 2 x_i . x_j` small against the noise.
fn scaled_points(layer: &[f32], units: usize, noise_variance: f64, order: &[usize]) -> Vec<f64> {
    let mut mean = vec![0.0; units];
    for row in layer.chunks_exact(units) {
        for (mean, &value) in mean.iter_mut().zip(row) {
            *mean += f64::from(value);
        }
    }
    mean.iter_mut().for_each(|mean| *mean /= order.len() as f64);
    let scale = (8.0 * noise_variance).sqrt().recip();
    let mut points = Vec::with_capacity(layer.len());
    for &example in order {
        let row = &layer[example * units..(example + 1) * units];
        points.extend(row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean) * scale));
    }
    points
}

/// Sums of one row over the columns: `e^4` and `e` over all examples, then over those of its label.
#[derive(Clone, Copy, Default)]
struct RowSums {
    all: [f64; 2],
    label: [f64; 2],
}

fn mean_logarithms(points: &[f64], units: usize, label_of: &[Range<usize>]) -> MeanLogarithms {
    let examples = label_of.len();
    let squares: Vec<f64> = points.chunks_exact(units).map(|x| x.iter().map(|x| x * x).sum()).collect();
    // Collected in the order of the rows and only then added up: the same sum for any number of threads.
    let tiles: Vec<Vec<RowSums>> = (0..examples.div_ceil(TILE_ROWS))
        .into_par_iter()
        .map(|tile| {
            let rows = tile * TILE_ROWS..examples.min((tile + 1) * TILE_ROWS);
            row_tile_sums(points, units, &squares, label_of, rows)
        })
        .collect();
    let mut mean = MeanLogarithms::default();
    for row in tiles.iter().flatten() {
        mean.all_upper += row.all[0].ln();
        mean.all_lower += row.all[1].ln();
        mean.label_upper += row.label[0].ln();
        mean.label_lower += row.label[1].ln();
    }
    for sum in [&mut mean.all_upper, &mut mean.all_lower, &mut mean.label_upper, &mut mean.label_lower] {
        *sum /= examples as f64;
    }
    mean
}

/// On x86 the products of faer end with the upper halves of vector registers in use. Until those are freed, an exponential of the C library
/// takes 400 to 560 ns instead of 5 (Intel Xeon, model 207). Every function compiled for vectors frees
/// them at its end, this one does nothing else.
struct FreeRegisters;

impl WithSimd for FreeRegisters {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        black_box(simd.splat_f64s(black_box(0.0)));
    }
}

fn row_tile_sums(
    points: &[f64],
    units: usize,
    squares: &[f64],
    label_of: &[Range<usize>],
    rows: Range<usize>,
) -> Vec<RowSums> {
    let examples = squares.len();
    let block = |rows: &Range<usize>| {
        MatRef::from_row_major_slice(&points[rows.start * units..rows.end * units], rows.len(), units)
    };
    let mut sums = vec![RowSums::default(); rows.len()];
    let mut products = vec![0.0; rows.len() * TILE_COLUMNS.min(examples)];
    for start in (0..examples).step_by(TILE_COLUMNS) {
        let columns = start..examples.min(start + TILE_COLUMNS);
        let products = &mut products[..rows.len() * columns.len()];
        let tile = MatMut::from_row_major_slice_mut(products, rows.len(), columns.len());
        matmul(tile, Accum::Replace, block(&rows), block(&columns).transpose(), 1.0, Par::Seq);
        Arch::new().dispatch(FreeRegisters);
        for ((i, sums), products) in rows.clone().zip(&mut sums).zip(products.chunks_exact(columns.len())) {
            let of_label =
                label_of[i].start.clamp(columns.start, columns.end)..label_of[i].end.clamp(columns.start, columns.end);
            let add = |columns: Range<usize>| {
                let mut total = [0.0; 2];
                for j in columns {
                    let distance =
                        if i == j { 0.0 } else { (squares[i] + squares[j] - 2.0 * products[j - start]).max(0.0) };
                    let e = (-distance).exp();
                    let e2 = e * e;
                    total[0] += e2 * e2;
                    total[1] += e;
                }
                total
            };
            let before = add(columns.start..of_label.start);
            let label = add(of_label.clone());
            let after = add(of_label.end..columns.end);
            for b in 0..2 {
                sums.label[b] += label[b];
                sums.all[b] += before[b] + label[b] + after[b];
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
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
        let squared = |a: &[f32], c: &[f32]| -> f64 {
            a.iter().zip(c).map(|(a, c)| (f64::from(*a) - f64::from(*c)).powi(2)).sum()
        };
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
}
