//! Hermite series of many variances, and rows of pairs evaluated from them.
//!
//! Coefficients lie coefficient-major, so that a sum over `k` runs over many pairs at once; even and odd `k` apart, since a
//! parity makes one of the two short. By Horner's rule in `rho^2`, a term costs a product and two multiply-adds a pair:
//! `s <- s x + m`, `s' <- s' x + s`.

use pulp::{Arch, Simd, WithSimd};

use super::series::{HermiteSeries, correlation};
use super::slice::Stored;
use crate::activation::Activation;

/// Pairs worked on at a time.
const BLOCK: usize = 32;
/// Vectors of pairs in registers at a time.
const VECTORS: usize = 4;
/// Terms whose sum cannot reach this, relative to the norms, are left out.
const NEGLIGIBLE: f64 = 1e-17;
/// Blocks are sorted by their largest `|rho|`, each class with a number of terms of its own.
const CLASSES: [f64; 12] = [0.1, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97, 0.99, 1.0];

/// The [`HermiteSeries`] of a list of variances.
#[derive(Debug, Clone)]
pub(crate) struct SeriesTable {
    series: Vec<HermiteSeries>,
    variances: Vec<f64>,
    /// `d_k` for even and for odd `k`, each row of `stride` numbers.
    parities: [Vec<f64>; 2],
    /// Largest `|beta_k|` of any series, relative to its norm.
    largest: Vec<f64>,
    means: Vec<f64>,
    roots: Vec<f64>,
    stride: usize,
    /// Whether any series was cut before it had converged, and whether any is empty.
    cut: bool,
    has_empty: bool,
}

impl SeriesTable {
    /// The series of `activation` at all `variances`; equal ones are computed once.
    pub(crate) fn new(activation: &Activation, variances: &[f64]) -> Self {
        let mut series: Vec<HermiteSeries> = Vec::with_capacity(variances.len());
        let mut known = std::collections::HashMap::new();
        for (index, q) in variances.iter().enumerate() {
            let first = *known.entry(q.to_bits()).or_insert(index);
            series.push(if first < index { series[first].clone() } else { activation.hermite_series(*q) });
        }
        // Every block of every range lies inside of a row; an odd number of cache lines keeps rows from sharing cache sets.
        let stride = (variances.len() + BLOCK).next_multiple_of(8) | 8;
        let terms = series.iter().map(|series| series.slopes.len()).max().unwrap_or(0);
        let mut largest = vec![0.0_f64; terms];
        for series in &series {
            let beta = |k: usize| series.slopes[k].abs() * (k as f64 + 1.0).sqrt();
            let norm = (0..series.slopes.len()).map(|k| beta(k).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            for (k, largest) in largest.iter_mut().enumerate().take(series.slopes.len()) {
                *largest = largest.max(beta(k) / norm);
            }
        }
        let parities = [0, 1].map(|parity| {
            let mut rows = vec![0.0; terms.saturating_sub(parity).div_ceil(2) * stride];
            for (column, series) in series.iter().enumerate() {
                for (term, d) in series.slopes.iter().skip(parity).step_by(2).enumerate() {
                    rows[term * stride + column] = *d;
                }
            }
            rows
        });
        let padded = |number: fn(&HermiteSeries) -> f64| {
            let mut row: Vec<f64> = series.iter().map(number).collect();
            row.resize(stride, 0.0);
            row
        };
        let (means, roots) = (padded(|series| series.mean), padded(|series| series.root));
        let cut = series.iter().any(|series| series.tail > 0.0);
        let has_empty = series.iter().any(HermiteSeries::is_empty);
        Self { series, variances: variances.to_vec(), parities, largest, means, roots, stride, cut, has_empty }
    }
}

impl SeriesTable {
    /// The series of one column.
    pub(crate) fn series(&self, column: usize) -> Option<&HermiteSeries> {
        self.series.get(column)
    }
}

/// Two tables, with the number of terms that count between them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesPair<'a> {
    left: &'a SeriesTable,
    right: &'a SeriesTable,
    /// Of even and odd `k`, for each of [`CLASSES`].
    terms: [[usize; 2]; CLASSES.len()],
}

impl<'a> SeriesPair<'a> {
    /// Joins the series of first and second Gaussians.
    pub(crate) fn new(left: &'a SeriesTable, right: &'a SeriesTable) -> Self {
        let mut terms = [[0; 2]; CLASSES.len()];
        for (class, terms) in CLASSES.iter().zip(&mut terms) {
            let size = |k: usize| left.largest[k] * right.largest[k] * class.powi(k as i32);
            let mut rest = [0.0; 2];
            for k in (0..left.largest.len().min(right.largest.len())).rev() {
                let rest = &mut rest[k % 2];
                *rest += size(k);
                if *rest > NEGLIGIBLE {
                    terms[k % 2] = terms[k % 2].max(k / 2 + 1);
                }
            }
        }
        Self { left, right, terms }
    }
}

/// The first Gaussians of a row of pairs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FirstColumn {
    /// One for all pairs.
    One(usize),
    /// Consecutive ones from here on.
    From(usize),
}

impl FirstColumn {
    fn of(self, pair: usize) -> usize {
        match self {
            Self::One(column) => column,
            Self::From(start) => start + pair,
        }
    }
}

struct TableRows<'a, S> {
    pair: SeriesPair<'a>,
    first: FirstColumn,
    start: usize,
    covariance: &'a mut [S],
    tangent: &'a mut [S],
}

impl<S: Stored<f64>> WithSimd for TableRows<'_, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: Simd>(self, simd: I) {
        let TableRows { pair: SeriesPair { left, right, terms }, first, start, covariance, tangent } = self;
        let blocks = covariance.chunks_mut(BLOCK).zip(tangent.chunks_mut(BLOCK)).enumerate();
        for (block, (covariance, tangent)) in blocks {
            let (one, column) = (matches!(first, FirstColumn::One(_)), first.of(block * BLOCK));
            let from = start + block * BLOCK;
            // Whole blocks all the way: the loops below have a fixed length, and pairs beyond the end are zeros.
            let (mut c, mut root, mut means) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
            covariance.iter().zip(&mut c).for_each(|(stored, c)| *c = stored.load());
            root.copy_from_slice(&right.roots[from..from + BLOCK]);
            means.copy_from_slice(&right.means[from..from + BLOCK]);
            if one {
                let (a, mean) = (left.roots[column], left.means[column]);
                root.iter_mut().for_each(|root| *root *= a);
                means.iter_mut().for_each(|means| *means *= mean);
            } else {
                let (a, mean) = (&left.roots[column..column + BLOCK], &left.means[column..column + BLOCK]);
                root.iter_mut().zip(a).for_each(|(root, a)| *root *= a);
                means.iter_mut().zip(mean).for_each(|(means, mean)| *means *= mean);
            }
            let (mut rho, mut square) = ([0.0; BLOCK], [0.0; BLOCK]);
            let mut most = 0.0_f64;
            for pair in 0..BLOCK {
                let r = (c[pair] / root[pair].max(f64::MIN_POSITIVE)).clamp(-1.0, 1.0);
                (rho[pair], square[pair]) = (r, r * r);
                most = most.max(r.abs());
            }
            let class = CLASSES.iter().position(|class| most <= *class).unwrap_or(CLASSES.len() - 1);
            let mut sums = [[[0.0; BLOCK]; 2]; 2];
            for (parity, sums) in sums.iter_mut().enumerate() {
                let terms = terms[class][parity];
                if terms == 0 {
                    continue;
                }
                let b = (&right.parities[parity][from..], right.stride);
                if one {
                    // A series may be empty next to one that is not: such pairs are computed apart.
                    let slopes = left.series[column].slopes.get(parity..).unwrap_or_default();
                    horner::<I, true>(simd, terms, (slopes, 2), b, &square, sums);
                } else {
                    let a = (&left.parities[parity][column..], left.stride);
                    horner::<I, false>(simd, terms, a, b, &square, sums);
                }
            }
            let [[even, even_slope], [odd, odd_slope]] = &sums;
            let mut derivative = [0.0; BLOCK];
            for pair in 0..BLOCK {
                let (rho, x) = (rho[pair], square[pair]);
                // p = rho (E(x) + rho O(x)), with x = rho^2.
                let sum = even[pair] + rho * odd[pair];
                let slope = 2.0 * (rho * even_slope[pair] + x * odd_slope[pair]) + odd[pair];
                c[pair] = means[pair] + root[pair] * rho * sum;
                derivative[pair] = sum + rho * slope;
            }
            covariance.iter_mut().zip(&c).for_each(|(stored, c)| *stored = S::store(*c));
            tangent.iter_mut().zip(&derivative).for_each(|(stored, d)| *stored = S::store(*d * (*stored).load()));
        }
    }
}

/// Horner's rule for `sum_j a_j b_j x^j` and its derivative; rows of `a` and `b` lie `stride` apart.
#[inline(always)]
fn horner<I: Simd, const ONE: bool>(
    simd: I,
    terms: usize,
    (a, a_stride): (&[f64], usize),
    (b, b_stride): (&[f64], usize),
    x: &[f64; BLOCK],
    [sums, slopes]: &mut [[f64; BLOCK]; 2],
) {
    let zero = simd.splat_f64s(0.0);
    let lanes = size_of::<I::f64s>() / size_of::<f64>();
    let width = lanes * VECTORS;
    for start in (0..BLOCK).step_by(width) {
        let x = I::as_simd_f64s(&x[start..start + width]).0;
        let x: [I::f64s; VECTORS] = std::array::from_fn(|v| x[v]);
        let (mut s, mut d) = ([zero; VECTORS], [zero; VECTORS]);
        for term in (0..terms).rev() {
            let b = I::as_simd_f64s(&b[term * b_stride + start..][..width]).0;
            let b: &[I::f64s] = &b[..VECTORS];
            if ONE {
                let a = simd.splat_f64s(a.get(term * a_stride).copied().unwrap_or(0.0));
                for v in 0..VECTORS {
                    d[v] = simd.mul_add_e_f64s(d[v], x[v], s[v]);
                    s[v] = simd.mul_add_e_f64s(s[v], x[v], simd.mul_f64s(a, b[v]));
                }
            } else {
                let a = I::as_simd_f64s(&a[term * a_stride + start..][..width]).0;
                let a: &[I::f64s] = &a[..VECTORS];
                for v in 0..VECTORS {
                    d[v] = simd.mul_add_e_f64s(d[v], x[v], s[v]);
                    s[v] = simd.mul_add_e_f64s(s[v], x[v], simd.mul_f64s(a[v], b[v]));
                }
            }
        }
        I::as_mut_simd_f64s(&mut sums[start..start + width]).0.copy_from_slice(&s);
        I::as_mut_simd_f64s(&mut slopes[start..start + width]).0.copy_from_slice(&d);
    }
}

impl Activation {
    /// As [`Activation::dual_slice`], from the series of both sides: pair `i` is column `first` (or `first + i`) of `left` with
    /// column `start + i` of `right`. Equals [`Activation::dual_in_series`] to rounding.
    ///
    /// # Panics
    /// If the slices differ in length or reach beyond the tables.
    pub(crate) fn dual_table<S: Stored<f64>>(
        &self,
        pair: SeriesPair<'_>,
        first: FirstColumn,
        start: usize,
        covariance: &mut [S],
        tangent: &mut [S],
    ) {
        let SeriesPair { left, right, .. } = pair;
        let count = covariance.len();
        assert_eq!(tangent.len(), count, "one tangent a pair");
        assert!(start + count <= right.series.len(), "one second Gaussian a pair");
        assert!(count == 0 || first.of(count - 1) < left.series.len(), "one first Gaussian a pair");
        let mut apart = Vec::new();
        if left.cut && right.cut || left.has_empty || right.has_empty {
            for (index, (c, t)) in covariance.iter().zip(&*tangent).enumerate() {
                let (i, j) = (first.of(index), start + index);
                let (a, b, c) = (&left.series[i], &right.series[j], (*c).load());
                if a.is_cut_short(b, correlation(c, a.root * b.root)) {
                    let dual = self.dual_apart(left.variances[i], c, right.variances[j]);
                    apart.push((index, dual.value, dual.derivative * (*t).load()));
                }
            }
        }
        Arch::new().dispatch(TableRows { pair, first, start, covariance, tangent });
        for (index, value, passed_on) in apart {
            (covariance[index], tangent[index]) = (S::store(value), S::store(passed_on));
        }
    }
}
