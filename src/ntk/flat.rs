//! Pullbacks through dense layers, activations and sums.

use std::ops::Range;

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use widthwise_probes::ntk::{AxisOrder, Columns, Grouping, LayerTerm};
use widthwise_tensors::Number;
use widthwise_theory::architecture::{Layer, Operation};

use super::BlockMaker;
use super::flow::{ColumnOrder, Flow, multiply_chunk};
use super::route::Route;
use crate::network::slope;

/// Cotangents that have come down to an image.
pub(super) struct ImageEnd<T> {
    /// The state.
    pub(super) state: usize,
    /// One feature a channel and position, or one a channel if it is `pooled`.
    pub(super) flow: Flow<T>,
    /// Whether every position has the same, divided by their number.
    pub(super) is_pooled: bool,
}

/// Pulls the outputs back to all dense layers, whose shares are filled in, and to the images below them.
pub(super) fn pull_back<T: Number>(
    maker: &BlockMaker<'_, T>,
    route: &Route,
    states: &[Tensor<2>],
    grouping: &Grouping,
    shares: &mut [Option<LayerTerm<T>>],
) -> Vec<ImageEnd<T>> {
    let nodes = maker.network.nodes();
    let order = ColumnOrder::new(&maker.plan, grouping);
    let mut waiting: Vec<Option<Flow<T>>> = nodes.iter().map(|_| None).collect();
    waiting.push(Some(Flow::Identity));
    let mut ends = Vec::new();
    for (index, node) in nodes.iter().enumerate().rev() {
        let Some(flow) = waiting[index + 1].take() else { continue };
        let mut arrive = |state: usize, flow: Flow<T>, is_pooled: bool| {
            if route.is_image[state] {
                ends.push(ImageEnd { state, flow, is_pooled });
                return;
            }
            let features = states[state].dims()[1];
            waiting[state] = Some(match waiting[state].take() {
                Some(other) => other.plus(flow, &order, features),
                None => flow,
            });
        };
        let input = node.inputs[0];
        match &node.operation {
            Operation::Sum { scales } => {
                for (&input, &scale) in node.inputs.iter().zip(scales).filter(|(input, _)| route.has_weights[**input]) {
                    arrive(input, flow.clone().scaled(scale), false);
                }
            }
            Operation::Layer(Layer::Activation { function }) if route.has_weights[input] => {
                arrive(input, flow.times(&order, slopes(function, &states[input])), false);
            }
            Operation::Layer(Layer::Flatten) if route.has_weights[input] => arrive(input, flow, false),
            Operation::Layer(Layer::GlobalAveragePool) if route.has_weights[input] => {
                // A flat state is one position.
                arrive(input, flow, route.is_image[input]);
            }
            Operation::Layer(Layer::Dense { .. }) => {
                let Some(number) = maker.number(index) else { unreachable!("a dense layer has weights") };
                let units = maker.network.weight_layers()[number].width;
                if route.has_weights[input] {
                    // The slope of an activation right before is applied while a piece is in cache.
                    let before = input.checked_sub(1).filter(|_| route.readers[input] == 1 && !route.is_image[input]);
                    let fused = before.and_then(|before| match maker.layer(before) {
                        Some(Layer::Activation { function }) => Some((nodes[before].inputs[0], function)),
                        _ => None,
                    });
                    let gain = maker.gain(number);
                    let dense = Dense { weights: &maker.weights[number], gain, units, order: &order };
                    match fused.filter(|(state, _)| route.has_weights[*state]) {
                        Some((state, function)) => {
                            arrive(
                                state,
                                dense.pull_back(&flow, &maker.plan.wanted(), Some(slopes(function, &states[state]))),
                                false,
                            );
                        }
                        None => arrive(input, dense.pull_back(&flow, &maker.plan.wanted(), None), false),
                    }
                }
                let rows = maker.rows(number, states);
                shares[number] = Some(match flow {
                    Flow::Identity => LayerTerm::Readout { rows },
                    flow => LayerTerm::Dense { rows, derivatives: derivatives(flow, &order, units) },
                });
            }
            _ => {}
        }
    }
    ends
}

/// `phi'` at a state, `features x examples`.
fn slopes<T: Number>(function: &widthwise_theory::activation::Activation, state: &Tensor<2>) -> Vec<T> {
    T::pull(slope(function, state.clone()).transpose())
}

/// Cotangents as the derivatives of a share.
fn derivatives<T: Number>(flow: Flow<T>, order: &ColumnOrder, units: usize) -> Columns<T> {
    let (examples, columns) = (order.examples(), order.columns());
    if order.keeps_outputs() {
        let values = flow.into_each(order, units);
        return Columns { values, slabs: 1, depth: units, columns, order: AxisOrder::DepthMajor };
    }
    match flow {
        // sum_o w_o^2 s s' = (|w| s)(|w| s').
        Flow::Scaled { weights, mut slopes } => {
            for (slopes, weights) in slopes.chunks_exact_mut(examples).zip(weights.chunks_exact(order.outputs)) {
                let norm = T::of(weights.iter().map(|weight| weight.wide().powi(2)).sum::<f64>().sqrt());
                slopes.iter_mut().for_each(|slope| *slope *= norm);
            }
            Columns { values: slopes, slabs: 1, depth: units, columns: examples, order: AxisOrder::DepthMajor }
        }
        flow => {
            let values = flow.into_each(order, units);
            let depth = units * order.outputs;
            Columns { values, slabs: 1, depth, columns: examples, order: AxisOrder::DepthMajor }
        }
    }
}

/// A dense layer.
struct Dense<'a, T> {
    /// `F x n`.
    weights: &'a [T],
    gain: T,
    units: usize,
    order: &'a ColumnOrder,
}

impl<T: Number> Dense<'_, T> {
    /// Cotangents at the input, times `slopes` if there are some.
    fn pull_back(&self, flow: &Flow<T>, wanted: &[usize], slopes: Option<Vec<T>>) -> Flow<T> {
        let features = self.weights.len() / self.units;
        let pulled = match flow {
            Flow::Identity => {
                let rows = self.weights.chunks_exact(self.units);
                Flow::Constant(rows.flat_map(|row| wanted.iter().map(|&output| self.gain * row[output])).collect())
            }
            Flow::Constant(values) => {
                let outputs = self.order.outputs;
                let mut pulled = vec![T::default(); features * outputs];
                let values = MatRef::from_row_major_slice(values, self.units, outputs);
                let into = MatMut::from_row_major_slice_mut(&mut pulled, features, outputs);
                matmul(into, Accum::Replace, self.matrix(), values, self.gain, Par::Seq);
                Flow::Constant(pulled)
            }
            Flow::Scaled { .. } | Flow::Each(_) => {
                return Flow::Each(self.pull_back_columns(flow, features, slopes.as_deref()));
            }
        };
        match slopes {
            Some(slopes) => pulled.times(self.order, slopes),
            None => pulled,
        }
    }

    fn matrix(&self) -> MatRef<'_, T> {
        MatRef::from_row_major_slice(self.weights, self.weights.len() / self.units, self.units)
    }

    fn pull_back_columns(&self, flow: &Flow<T>, features: usize, slopes: Option<&[T]>) -> Vec<T> {
        let (columns, chunk) = (self.order.columns(), self.order.chunk());
        let mut pulled = vec![T::default(); features * columns];
        let slopes = slopes.map(|slopes| MatRef::from_row_major_slice(slopes, features, self.order.examples()));
        let whole = MatMut::from_row_major_slice_mut(&mut pulled, features, columns);
        whole.par_col_chunks_mut(chunk).enumerate().with_max_len(1).for_each_init(Vec::new, |room, (at, mut into)| {
            let range = at * chunk..at * chunk + into.ncols();
            let runs = self.order.runs(range.clone());
            let cotangents = match flow {
                Flow::Each(values) => {
                    let all = MatRef::from_row_major_slice(values, self.units, columns);
                    all.subcols(range.start, range.len())
                }
                flow => {
                    room.resize(self.units * range.len(), T::default());
                    for (feature, row) in room.chunks_exact_mut(range.len()).enumerate() {
                        flow.fill(self.order, &runs, feature, row);
                    }
                    MatRef::from_row_major_slice(&room[..], self.units, range.len())
                }
            };
            matmul(into.as_mut(), Accum::Replace, self.matrix(), cotangents, self.gain, Par::Seq);
            if let Some(slopes) = slopes {
                multiply_chunk(&runs, slopes, into);
            }
        });
        pulled
    }
}

/// A range as long as `length` from `start`.
pub(super) fn span(start: usize, length: usize) -> Range<usize> {
    start..start + length
}
