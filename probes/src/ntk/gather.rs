//! Takes the parts of the kernel to the host through the pullbacks of any network that can be observed.

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::block::{ExampleBlock, Grouping, LayerShare, LayerTerm};
use super::columns::Columns;
use super::output::NtkOutput;
use crate::observed::{LayerGeometry, Observed};
use widthwise_tensors::Number;

/// What blocks are made for; all blocks of a kernel share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlan {
    /// The numbers that are wanted.
    pub output: NtkOutput,
    /// Number O of outputs of the network.
    pub outputs: usize,
    /// Examples of the rows of the whole kernel.
    pub rows: usize,
    /// Examples of its columns.
    pub columns: usize,
}

impl BlockPlan {
    /// How many examples a row of the kernel stands for, and in which order.
    pub fn grouping(&self, examples: usize) -> Grouping {
        Grouping::new(examples, self.output.per_example(self.outputs))
    }

    /// Outputs whose derivatives are needed.
    pub fn wanted(&self) -> Vec<usize> {
        match self.output {
            NtkOutput::Logit(output) => vec![output],
            NtkOutput::Trace | NtkOutput::Full | NtkOutput::Diagonal => (0..self.outputs).collect(),
        }
    }

    /// Whether a column of its own belongs to every output; otherwise outputs are summed over.
    pub fn keeps_outputs(&self) -> bool {
        matches!(self.output, NtkOutput::Full | NtkOutput::Diagonal)
    }

    /// Factor of derivatives that are summed over outputs.
    pub fn mean(&self) -> f64 {
        if self.output == NtkOutput::Trace { 1.0 / self.outputs as f64 } else { 1.0 }
    }
}

/// The order in which a layer at many positions is contracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contraction {
    /// Positions first: the gradients of every example.
    Gradients,
    /// Pairs of positions of every pair of examples.
    Positions,
}

/// The order that costs fewer multiplications for a whole kernel.
pub fn contraction(plan: &BlockPlan, geometry: &LayerGeometry) -> Contraction {
    let (p, f, u) = (geometry.positions as f64, geometry.fan_in as f64, geometry.units as f64);
    let k = plan.wanted().len() as f64;
    let (n, m) = (plan.rows as f64, plan.columns as f64);
    // Of every output with every other one, or summed over.
    let pairs = n * m * if plan.keeps_outputs() { k * k } else { k };
    let gradients = (n + m) * p * f * k * u + pairs * f * u;
    let positions = (n * m * f + pairs * u) * p * p;
    if gradients <= positions { Contraction::Gradients } else { Contraction::Positions }
}

/// Everything that the kernel of these examples is made of.
pub fn gather<T: Number>(network: &impl Observed, plan: &BlockPlan) -> ExampleBlock<T> {
    let grouping = plan.grouping(network.examples());
    let readout = network.layers();
    let pulled = network.pull_back(readout, cotangents(network, plan));
    let layers = pulled.into_iter().enumerate().map(|(index, derivatives)| {
        let layer = index + 1;
        let geometry = network.geometry(layer);
        let rows = T::pull(network.rows(layer));
        if layer == readout {
            let rows = Columns::by_column(rows, geometry.fan_in, grouping.examples);
            return readout_share(&geometry, rows);
        }
        layer_share(plan, &grouping, &geometry, rows, T::pull(derivatives))
    });
    ExampleBlock { grouping, layers: layers.collect() }
}

/// The share of a readout: the derivative of an output with respect to itself is one.
fn readout_share<T>(geometry: &LayerGeometry, rows: Columns<T>) -> LayerShare<T> {
    LayerShare { weight: geometry.weight_tangent, bias: geometry.bias_tangent, share: LayerTerm::Readout { rows } }
}

/// The share of a layer from its input rows `[N, P, F]` and the derivatives of the wanted outputs `[K, N, P, n]`.
fn layer_share<T: Number>(
    plan: &BlockPlan,
    grouping: &Grouping,
    geometry: &LayerGeometry,
    rows: Vec<T>,
    derivatives: Vec<T>,
) -> LayerShare<T> {
    let (n, p, f, u) = (grouping.examples, geometry.positions, geometry.fan_in, geometry.units);
    let (weight, bias) = (geometry.weight_tangent * plan.mean(), geometry.bias_tangent * plan.mean());
    let share = if p == 1 {
        LayerTerm::Dense {
            rows: Columns::by_column(rows, f, n),
            derivatives: arranged(plan, grouping, derivatives, u, 1),
        }
    } else if contraction(plan, geometry) == Contraction::Positions {
        LayerTerm::Positions {
            positions: p,
            rows: Columns::by_column(rows, f, n * p),
            derivatives: arranged(plan, grouping, derivatives, u, p),
        }
    } else {
        let sums = (bias > 0.0).then(|| {
            let mut sums = vec![T::default(); derivatives.len() / p];
            for (sums, derivatives) in sums.chunks_exact_mut(u).zip(derivatives.chunks_exact(p * u)) {
                for derivative in derivatives.chunks_exact(u) {
                    sums.iter_mut().zip(derivative).for_each(|(sum, value)| *sum += *value);
                }
            }
            arranged(plan, grouping, sums, u, 1)
        });
        // G^k(x) = sum_p a_p(x) d_p^k(x)^T.
        let mut gradients = vec![T::default(); derivatives.len() / (p * u) * f * u];
        gradients.par_chunks_exact_mut(f * u).enumerate().for_each(|(index, gradient)| {
            let a = MatRef::from_column_major_slice(&rows[index % n * p * f..][..p * f], f, p);
            let d = MatRef::from_column_major_slice(&derivatives[index * p * u..][..p * u], u, p);
            let into = MatMut::from_column_major_slice_mut(gradient, u, f);
            matmul(into, Accum::Replace, d, a.transpose(), T::of(1.0), Par::Seq);
        });
        LayerTerm::Gradients { gradients: arranged(plan, grouping, gradients, f * u, 1), sums }
    };
    LayerShare { weight, bias, share }
}

/// `[K, N, P, depth]` as columns of depth: a slab an output, or a column an output where those are kept.
fn arranged<T: Number>(
    plan: &BlockPlan,
    grouping: &Grouping,
    values: Vec<T>,
    depth: usize,
    positions: usize,
) -> Columns<T> {
    let n = grouping.examples;
    if !plan.keeps_outputs() {
        let slabs = plan.wanted().len();
        return Columns { slabs, ..Columns::by_column(values, depth, n * positions) };
    }
    let run = positions * depth;
    let mut columns = vec![T::default(); values.len()];
    for (index, values) in values.chunks_exact(run).enumerate() {
        let column = grouping.column(index % n, index / n);
        columns[column * run..(column + 1) * run].copy_from_slice(values);
    }
    Columns::by_column(columns, depth, grouping.columns() * positions)
}

/// The wanted rows of the identity at the outputs, `[K, N, 1, O]`.
fn cotangents(network: &impl Observed, plan: &BlockPlan) -> Tensor<4> {
    let like = network.preactivations(network.layers());
    let identity = Tensor::<2>::eye(plan.outputs, &like.device()).cast(like.dtype());
    let wanted = plan.wanted();
    let rows = match plan.output {
        NtkOutput::Logit(output) => identity.narrow(0, output, 1),
        NtkOutput::Trace | NtkOutput::Full | NtkOutput::Diagonal => identity,
    };
    rows.reshape([wanted.len(), 1, 1, plan.outputs]).repeat_dim(1, network.examples())
}
