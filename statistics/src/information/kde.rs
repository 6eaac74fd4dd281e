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
mod tests;
