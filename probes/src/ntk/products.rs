//! Kernel-vector products without the kernel.
//!
//! With `v` a number for every row of the kernel, the gradient of `sum_{x o} v(x, o) f_o(x)` with respect to the weights of a
//! layer is `G = sum_{x o p} v(x, o) a_p(x) d_p^o(x)^T`, and
//!
//! ```text
//! (Theta v)(x, o) = sum_l g_l sum_p a_p(x)^T G_l d_p^o(x)  +  h_l sum_p b_l . d_p^o(x),     b = sum_{x o p} v(x, o) d_p^o(x).
//! ```
//!
//! Nothing larger than one layer's weights is made; blocks of examples follow each other twice.

use std::borrow::Borrow;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};

use rayon::prelude::*;

use super::block::{ExampleBlock, Grouping, LayerTerm};
use super::columns::{AxisOrder, Columns};
use widthwise_tensors::Number;

/// Rows of a product that one thread takes at once.
const ROWS: usize = 128;

/// The gradient of one layer, slab by slab.
struct Gradient<T> {
    /// `depth x F`, or the gradient as it stands where positions are contracted already.
    weights: Vec<Mat<T>>,
    /// `depth`.
    biases: Vec<Vec<T>>,
}

/// The kernel as a map of vectors.
pub struct NtkOperator<T> {
    layers: Vec<Gradient<T>>,
}

impl<T: Number> NtkOperator<T> {
    /// The gradient of `sum v f` over all blocks, which follow each other as in `vector`, where the numbers of every example stand
    /// one after the other.
    pub fn new<B: Borrow<ExampleBlock<T>>>(blocks: impl Iterator<Item = B>, vector: &[f64]) -> Self {
        let mut layers: Vec<Gradient<T>> = Vec::new();
        let mut start = 0;
        for block in blocks {
            let block = block.borrow();
            let count = block.grouping.columns();
            let vector = by_column(&block.grouping, &vector[start..start + count]);
            start += count;
            if layers.is_empty() {
                layers = block.layers.iter().map(|layer| Gradient::zero(&layer.share, &block.grouping)).collect();
            }
            for (gradient, layer) in layers.iter_mut().zip(&block.layers) {
                gradient.add(&layer.share, &block.grouping, &vector);
            }
        }
        Self { layers }
    }

    /// The part of `Theta v` that belongs to the examples of a block.
    pub fn apply(&self, block: &ExampleBlock<T>) -> Vec<f64> {
        let grouping = &block.grouping;
        let mut sums = vec![0.0; grouping.columns()];
        for (gradient, layer) in self.layers.iter().zip(&block.layers) {
            gradient.contract(&layer.share, grouping, layer.weight, layer.bias, &mut sums);
        }
        let (examples, per_example) = (grouping.examples, grouping.per_example);
        let of = |x: usize| (0..per_example).map(move |r| grouping.column(x, r));
        (0..examples).flat_map(of).map(|column| sums[column]).collect()
    }
}

impl<T: Number> Gradient<T> {
    fn zero(share: &LayerTerm<T>, grouping: &Grouping) -> Self {
        let make = |slabs: usize, depth: usize, width: usize| Self {
            weights: (0..slabs).map(|_| Mat::zeros(depth, width)).collect(),
            biases: vec![vec![T::default(); depth]; slabs],
        };
        match share {
            LayerTerm::Readout { rows } => make(1, grouping.per_example, rows.depth),
            LayerTerm::Dense { rows, derivatives } | LayerTerm::Positions { rows, derivatives, .. } => {
                make(derivatives.slabs, derivatives.depth, rows.depth)
            }
            LayerTerm::Gradients { gradients, sums } => Self {
                weights: (0..gradients.slabs).map(|_| Mat::zeros(gradients.depth, 1)).collect(),
                biases: sums.as_ref().map_or_else(Vec::new, |sums| vec![vec![T::default(); sums.depth]; sums.slabs]),
            },
        }
    }

    /// Adds a block, `vector` in the order of its columns.
    fn add(&mut self, share: &LayerTerm<T>, grouping: &Grouping, vector: &[T]) {
        match share {
            LayerTerm::Readout { rows } => {
                let chosen = spread(grouping, vector);
                add_product(self.weights[0].as_mut(), &chosen, rows);
                for (column, value) in vector.iter().enumerate() {
                    self.biases[0][grouping.place(column).1] += *value;
                }
            }
            LayerTerm::Dense { rows, derivatives } => self.add_rows(rows, derivatives, grouping, vector, 1),
            LayerTerm::Positions { positions, rows, derivatives } => {
                self.add_rows(rows, derivatives, grouping, vector, *positions);
            }
            LayerTerm::Gradients { gradients, sums } => {
                let one = vec![0; gradients.columns];
                for (slab, weights) in self.weights.iter_mut().enumerate() {
                    let sum = combine(gradients, slab, vector, &one, 1);
                    sum.values.iter().enumerate().for_each(|(k, value)| weights[(k, 0)] += *value);
                }
                for (slab, (biases, sums)) in self.biases.iter_mut().zip(sums.iter().cycle()).enumerate() {
                    let sum = combine(sums, slab, vector, &one, 1);
                    biases.iter_mut().zip(&sum.values).for_each(|(bias, value)| *bias += *value);
                }
            }
        }
    }

    fn add_rows(
        &mut self,
        rows: &Columns<T>,
        derivatives: &Columns<T>,
        grouping: &Grouping,
        vector: &[T],
        positions: usize,
    ) {
        let of = rows_of(grouping, positions);
        let vector: Vec<T> = vector.iter().flat_map(|value| std::iter::repeat_n(*value, positions)).collect();
        for (slab, weights) in self.weights.iter_mut().enumerate() {
            let combined = combine(derivatives, slab, &vector, &of, rows.columns);
            add_product(weights.as_mut(), &combined, rows);
            for (k, bias) in self.biases[slab].iter_mut().enumerate() {
                *bias +=
                    combined.view(0, k..k + 1, 0..rows.columns).row(0).iter().fold(T::default(), |sum, x| sum + *x);
            }
        }
    }

    /// Adds what the layer has to say of every column.
    fn contract(&self, share: &LayerTerm<T>, grouping: &Grouping, weight: f64, bias: f64, sums: &mut [f64]) {
        match share {
            LayerTerm::Readout { rows } => {
                let products = product(&self.weights[0], rows, AxisOrder::DepthMajor);
                for (column, sum) in sums.iter_mut().enumerate() {
                    let (x, r) = grouping.place(column);
                    *sum += weight * products.values[r * rows.columns + x].wide() + bias * self.biases[0][r].wide();
                }
            }
            LayerTerm::Dense { rows, derivatives } => {
                self.contract_rows(rows, derivatives, grouping, [weight, bias], 1, sums);
            }
            LayerTerm::Positions { positions, rows, derivatives } => {
                self.contract_rows(rows, derivatives, grouping, [weight, bias], *positions, sums);
            }
            LayerTerm::Gradients { gradients, sums: bias_sums } => {
                let one = vec![0; gradients.columns];
                for (slab, weights) in self.weights.iter().enumerate() {
                    let values = weights.col(0).iter().copied().collect();
                    let along = Columns { order: gradients.order, ..Columns::by_column(values, gradients.depth, 1) };
                    add_dots(gradients, slab, &along, &one, 1, weight, sums);
                }
                for (slab, (biases, columns)) in self.biases.iter().zip(bias_sums.iter().cycle()).enumerate() {
                    let along =
                        Columns { order: columns.order, ..Columns::by_column(biases.clone(), columns.depth, 1) };
                    add_dots(columns, slab, &along, &one, 1, bias, sums);
                }
            }
        }
    }

    fn contract_rows(
        &self,
        rows: &Columns<T>,
        derivatives: &Columns<T>,
        grouping: &Grouping,
        [weight, bias]: [f64; 2],
        positions: usize,
        sums: &mut [f64],
    ) {
        let of = rows_of(grouping, positions);
        for (slab, weights) in self.weights.iter().enumerate() {
            let mut along = product(weights, rows, derivatives.order);
            let (g, h) = (T::of(weight), T::of(bias));
            for k in 0..along.depth {
                for column in 0..along.columns {
                    let at = match along.order {
                        AxisOrder::DepthMajor => k * along.columns + column,
                        AxisOrder::ColumnMajor => column * along.depth + k,
                    };
                    along.values[at] = g * along.values[at] + h * self.biases[slab][k];
                }
            }
            add_dots(derivatives, slab, &along, &of, positions, 1.0, sums);
        }
    }
}

/// A vector in the order of columns.
fn by_column<T: Number>(grouping: &Grouping, vector: &[f64]) -> Vec<T> {
    let place = |column| {
        let (x, r) = grouping.place(column);
        T::of(vector[x * grouping.per_example + r])
    };
    (0..grouping.columns()).map(place).collect()
}

/// The column of the rows that belongs to every column and position of the derivatives.
fn rows_of(grouping: &Grouping, positions: usize) -> Vec<usize> {
    let of = |column: usize| grouping.place(column).0 * positions;
    (0..grouping.columns()).flat_map(|column| of(column)..of(column) + positions).collect()
}

/// `v(x, r)` as a matrix `R x N`.
fn spread<T: Number>(grouping: &Grouping, vector: &[T]) -> Columns<T> {
    let per_example = grouping.per_example;
    let mut values = vec![T::default(); vector.len()];
    for (column, value) in vector.iter().enumerate() {
        let (x, r) = grouping.place(column);
        values[x * per_example + r] = *value;
    }
    Columns::by_column(values, per_example, grouping.examples)
}

/// Column `t` is the sum of the columns `c` with `of[c] = t`, each times its factor.
fn combine<T: Number>(columns: &Columns<T>, slab: usize, factors: &[T], of: &[usize], targets: usize) -> Columns<T> {
    let (depth, count) = (columns.depth, columns.columns);
    let values = &columns.values[slab * depth * count..(slab + 1) * depth * count];
    let mut sums = vec![T::default(); depth * targets];
    match columns.order {
        AxisOrder::ColumnMajor => {
            for ((values, factor), &target) in values.chunks_exact(depth).zip(factors).zip(of) {
                let sums = &mut sums[target * depth..(target + 1) * depth];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += *value * *factor);
            }
        }
        AxisOrder::DepthMajor => {
            for (values, sums) in values.chunks_exact(count).zip(sums.chunks_exact_mut(targets)) {
                for ((value, factor), &target) in values.iter().zip(factors).zip(of) {
                    sums[target] += *value * *factor;
                }
            }
        }
    }
    Columns { order: columns.order, ..Columns::by_column(sums, depth, targets) }
}

/// Adds `factor` times the product of every column with the one that belongs to it; positions of a column are added up.
fn add_dots<T: Number>(
    columns: &Columns<T>,
    slab: usize,
    along: &Columns<T>,
    of: &[usize],
    positions: usize,
    factor: f64,
    sums: &mut [f64],
) {
    let (depth, count) = (columns.depth, columns.columns);
    let values = &columns.values[slab * depth * count..(slab + 1) * depth * count];
    match columns.order {
        AxisOrder::ColumnMajor => {
            for (column, values) in values.chunks_exact(depth).enumerate() {
                let along = &along.values[of[column] * depth..][..depth];
                let dot: f64 = values.iter().zip(along).map(|(a, b)| (*a * *b).wide()).sum();
                sums[column / positions] += factor * dot;
            }
        }
        AxisOrder::DepthMajor => {
            for (values, along) in values.chunks_exact(count).zip(along.values.chunks_exact(along.columns)) {
                for (column, value) in values.iter().enumerate() {
                    sums[column / positions] += factor * (*value * along[of[column]]).wide();
                }
            }
        }
    }
}

/// Adds `left right^T`, chunks of rows at once.
fn add_product<T: Number>(into: MatMut<'_, T>, left: &Columns<T>, right: &Columns<T>) {
    let count = left.columns;
    in_chunks(into, |rows, chunk| {
        let lhs = left.view(0, rows, 0..count);
        matmul(chunk, Accum::Add, lhs, right.view(0, 0..right.depth, 0..count).transpose(), T::of(1.0), Par::Seq);
    });
}

/// `left right`, in the given order.
fn product<T: Number>(left: &Mat<T>, right: &Columns<T>, order: AxisOrder) -> Columns<T> {
    let (depth, count) = (left.nrows(), right.columns);
    let mut values = vec![T::default(); depth * count];
    let into = match order {
        AxisOrder::DepthMajor => MatMut::from_row_major_slice_mut(&mut values, depth, count),
        AxisOrder::ColumnMajor => MatMut::from_column_major_slice_mut(&mut values, depth, count),
    };
    in_chunks(into, |rows, chunk| {
        let lhs = left.as_ref().subrows(rows.start, rows.len());
        matmul(chunk, Accum::Replace, lhs, right.view(0, 0..right.depth, 0..count), T::of(1.0), Par::Seq);
    });
    Columns { order, ..Columns::by_column(values, depth, count) }
}

/// Chunks of rows on all threads, of a size that does not depend on their number.
fn in_chunks<T: Number>(into: MatMut<'_, T>, work: impl Fn(Range<usize>, MatMut<'_, T>) + Sync) {
    into.par_row_chunks_mut(ROWS).enumerate().for_each(|(index, chunk)| {
        let start = index * ROWS;
        work(start..start + chunk.nrows(), chunk);
    });
}
