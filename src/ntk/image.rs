//! Pullbacks through convolutions, one example and output at a time: its cotangents stay in cache from the top to the first
//! layer, and all that is kept of it are the gradients of every layer.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use widthwise_probes::ntk::{Columns, Grouping, LayerTerm};
use widthwise_tensors::Number;
use widthwise_theory::architecture::{InputShape, Layer, Operation};

use super::BlockMaker;
use super::flat::{ImageEnd, span};
use super::flow::{ColumnOrder, Flow};
use super::padded_image::PaddedImage;
use super::route::{Route, low};
use crate::network::slope;

/// A convolution of a network.
struct Convolution<T> {
    number: usize,
    filter: [usize; 2],
    low: [usize; 2],
    from: InputShape,
    to: InputShape,
    /// For every row of the filter `[k_w n, C]`, its columns from the last to the first; empty where nothing lies below.
    adjoint: Vec<Vec<T>>,
}

/// What is kept of a layer.
struct KeptLayer<T> {
    gradients: Vec<T>,
    sums: Vec<T>,
}

/// Where the gradients and the sums of every column of a layer go, whichever thread makes them.
type ColumnSlots<'a, T> = [Vec<Mutex<&'a mut [T]>>; 2];

/// The images of one block.
pub(super) struct ImageShares<'a, T> {
    pub(super) maker: &'a BlockMaker<'a, T>,
    pub(super) route: &'a Route,
    pub(super) padded_image: &'a PaddedImage,
    pub(super) states: &'a [Tensor<2>],
    pub(super) grouping: &'a Grouping,
}

impl<T: Number> ImageShares<'_, T> {
    /// Fills in the shares of all convolutions.
    pub(super) fn pull_back(&self, ends: &[ImageEnd<T>], shares: &mut [Option<LayerTerm<T>>]) {
        let nodes = self.maker.network.nodes();
        let order = ColumnOrder::new(&self.maker.plan, self.grouping);
        let convolutions: Vec<Option<Convolution<T>>> = (0..nodes.len()).map(|index| self.convolution(index)).collect();
        let factored = self.factored(ends);
        // Of every convolution, one buffer a column; of a factored one whose outputs are summed over, one an example.
        let columns = |index: usize| {
            if factored == Some(index) && !order.keeps_outputs() { order.examples() } else { order.columns() }
        };
        let mut kept: Vec<KeptLayer<T>> = Vec::new();
        for (index, convolution) in convolutions.iter().enumerate() {
            let (gradients, sums) = convolution.as_ref().map_or((0, 0), |convolution| {
                let has_bias = self.maker.network.parameters[convolution.number].bias.is_some();
                (
                    columns(index) * convolution.gradient_length(),
                    if has_bias { columns(index) * convolution.to.channels } else { 0 },
                )
            });
            kept.push(KeptLayer { gradients: vec![T::default(); gradients], sums: vec![T::default(); sums] });
        }
        let states: Vec<Vec<T>> = self.host_states();
        let slopes: Vec<Vec<T>> = (0..nodes.len()).map(|index| self.slopes(index)).collect();
        let places: Vec<ColumnSlots<'_, T>> = kept
            .iter_mut()
            .zip(&convolutions)
            .map(|(kept, convolution)| {
                let (gradient, units) = convolution.as_ref().map_or((1, 1), |c| (c.gradient_length(), c.to.channels));
                [
                    kept.gradients.chunks_mut(gradient).map(Mutex::new).collect(),
                    kept.sums.chunks_mut(units).map(Mutex::new).collect(),
                ]
            })
            .collect();
        (0..order.examples()).into_par_iter().with_max_len(1).for_each(|example| {
            let draw = |state: usize, image: &[T]| {
                let (shape, mut padded_image) = (self.maker.network.shape(state), Vec::new());
                let features = shape.features();
                self.padded_image.draw(shape, &image[example * features..(example + 1) * features], &mut padded_image);
                padded_image
            };
            let example = Example {
                shares: self,
                order: &order,
                convolutions: &convolutions,
                states: states
                    .iter()
                    .enumerate()
                    .map(|(state, image)| if image.is_empty() { Vec::new() } else { draw(state, image) })
                    .collect(),
                slopes: slopes
                    .iter()
                    .enumerate()
                    .map(|(index, slopes)| if slopes.is_empty() { Vec::new() } else { draw(index + 1, slopes) })
                    .collect(),
                example,
                places: &places,
            };
            if let Some(index) = factored {
                example.contract_factored(index, &ends[0]);
            }
            for output in 0..order.outputs {
                example.pull_back(output, ends, factored);
            }
        });
        drop(places);
        for (index, (convolution, kept)) in convolutions.into_iter().zip(kept).enumerate() {
            let Some(convolution) = convolution else { continue };
            let share = |values: Vec<T>, depth: usize| {
                let summed_over = !order.keeps_outputs() && factored != Some(index);
                let slabs = if summed_over { order.outputs } else { 1 };
                let columns = values.len() / depth / slabs;
                Columns { slabs, ..Columns::by_column(values, depth, columns) }
            };
            let sums = (!kept.sums.is_empty()).then(|| share(kept.sums, convolution.to.channels));
            let gradients = share(kept.gradients, convolution.gradient_length());
            shares[convolution.number] = Some(LayerTerm::Gradients { gradients, sums });
        }
    }

    fn convolution(&self, index: usize) -> Option<Convolution<T>> {
        let network = self.maker.network;
        let Some(Layer::Convolution { filter_size, padding, .. }) = self.maker.layer(index) else { return None };
        let number = self.maker.number(index)?;
        let input = network.nodes()[index].inputs[0];
        let (from, to, filter) = (network.shape(input), network.shape(index + 1), *filter_size);
        let (weights, gain) = (&self.maker.weights[number], self.maker.gain(number));
        let taps = filter[0] * filter[1];
        let row = |i: usize| {
            let mut values = Vec::with_capacity(filter[1] * to.channels * from.channels);
            for j in (0..filter[1]).rev() {
                for unit in 0..to.channels {
                    let filters = &weights[unit * from.channels * taps..][..from.channels * taps];
                    values.extend((0..from.channels).map(|channel| gain * filters[channel * taps + i * filter[1] + j]));
                }
            }
            values
        };
        let adjoint = if self.route.has_weights[input] { (0..filter[0]).map(row).collect() } else { Vec::new() };
        Some(Convolution {
            number,
            filter,
            low: std::array::from_fn(|axis| low(*padding, axis, filter[axis])),
            from,
            to,
            adjoint,
        })
    }

    /// The convolution whose cotangents are the same for every position up to the slopes above it: below a mean over all
    /// positions that the readout reads.
    fn factored(&self, ends: &[ImageEnd<T>]) -> Option<usize> {
        let [ImageEnd { state, flow: Flow::Constant(_), is_pooled: true }] = ends else { return None };
        let mut state = *state;
        loop {
            if self.route.readers[state] != 1 {
                return None;
            }
            match self.maker.layer(state.checked_sub(1)?) {
                Some(Layer::Activation { .. }) => state = self.maker.network.nodes()[state - 1].inputs[0],
                Some(Layer::Convolution { .. }) => return Some(state - 1),
                _ => return None,
            }
        }
    }

    /// Inputs of convolutions, `[N, features]`; nothing for other states.
    fn host_states(&self) -> Vec<Vec<T>> {
        let nodes = self.maker.network.nodes();
        let is_read = |state: usize| {
            nodes.iter().enumerate().any(|(index, node)| {
                node.inputs[0] == state && matches!(self.maker.layer(index), Some(Layer::Convolution { .. }))
            })
        };
        let pull = |state: usize| if is_read(state) { T::pull(self.states[state].clone()) } else { Vec::new() };
        (0..self.states.len()).map(pull).collect()
    }

    /// `phi'` of an activation among images, `[N, features]`; nothing for other nodes.
    fn slopes(&self, index: usize) -> Vec<T> {
        let input = self.maker.network.nodes()[index].inputs[0];
        match self.maker.layer(index) {
            Some(Layer::Activation { function }) if self.route.is_image[input] => {
                T::pull(slope(function, self.states[input].clone()))
            }
            _ => Vec::new(),
        }
    }
}

/// One example on its canvases.
struct Example<'a, 'b, T> {
    shares: &'a ImageShares<'a, T>,
    order: &'a ColumnOrder,
    convolutions: &'a [Option<Convolution<T>>],
    states: Vec<Vec<T>>,
    slopes: Vec<Vec<T>>,
    example: usize,
    places: &'a [ColumnSlots<'b, T>],
}

impl<T: Number> Example<'_, '_, T> {
    fn padded_image(&self) -> &PaddedImage {
        self.shares.padded_image
    }

    /// Where what is kept of a layer's column goes: gradients, or sums.
    fn keep(&self, index: usize, kind: usize, column: usize, write: impl FnOnce(&mut [T])) {
        if let Some(place) = self.places[index][kind].get(column) {
            write(&mut place.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The cotangent of an output at a state, `[cells, C]`.
    fn start(&self, end: &ImageEnd<T>, output: usize) -> Vec<T> {
        let shape = self.shares.maker.network.shape(end.state);
        let positions = shape.height * shape.width;
        let mut padded_image = vec![T::default(); self.padded_image().cells * shape.channels];
        let share = if end.is_pooled { T::of(1.0 / positions as f64) } else { T::of(1.0) };
        for y in 0..shape.height {
            let row = &mut padded_image[self.padded_image().row(y) * shape.channels..][..shape.width * shape.channels];
            for (x, cell) in row.chunks_exact_mut(shape.channels).enumerate() {
                for (channel, value) in cell.iter_mut().enumerate() {
                    let feature = if end.is_pooled { channel } else { channel * positions + y * shape.width + x };
                    *value = share * end.flow.value(self.order, feature, self.example, output);
                }
            }
        }
        padded_image
    }

    fn pull_back(&self, output: usize, ends: &[ImageEnd<T>], factored: Option<usize>) {
        let nodes = self.shares.maker.network.nodes();
        let mut waiting: Vec<Option<Vec<T>>> = vec![None; nodes.len() + 1];
        for end in ends {
            add(&mut waiting[end.state], self.start(end, output));
        }
        for (index, node) in nodes.iter().enumerate().rev() {
            let Some(mut cotangent) = waiting[index + 1].take() else { continue };
            let input = node.inputs[0];
            match &node.operation {
                Operation::Sum { scales } => {
                    let inputs = node.inputs.iter().zip(scales);
                    for (&input, &scale) in inputs.filter(|(input, _)| self.shares.route.has_weights[**input]) {
                        let scale = T::of(scale);
                        add(&mut waiting[input], cotangent.iter().map(|value| scale * *value).collect());
                    }
                }
                Operation::Layer(Layer::Activation { .. }) => {
                    cotangent.iter_mut().zip(&self.slopes[index]).for_each(|(value, slope)| *value *= *slope);
                    add(&mut waiting[input], cotangent);
                }
                _ => {
                    let Some(convolution) = &self.convolutions[index] else {
                        unreachable!("no other layer makes images")
                    };
                    if factored != Some(index) {
                        let column = self.order.column(self.example, output);
                        self.keep(index, 0, column, |into| {
                            self.contract(convolution, &self.states[input], &cotangent, into)
                        });
                        self.keep(index, 1, column, |into| sum_cells(&cotangent, into));
                    }
                    if !convolution.adjoint.is_empty() {
                        add(&mut waiting[input], self.pull(convolution, &cotangent));
                    }
                }
            }
        }
    }

    /// `sum_p a_p d_p^T`, `[k_h, k_w, C, n]`.
    fn contract(&self, convolution: &Convolution<T>, input: &[T], cotangent: &[T], into: &mut [T]) {
        let (channels, units) = (convolution.from.channels, convolution.to.channels);
        let padded_image = self.padded_image();
        let length = padded_image.length(convolution.to);
        let window = convolution.filter[1] * channels;
        let d =
            MatRef::from_row_major_slice(&cotangent[padded_image.origin * units..][..length * units], length, units);
        for (i, into) in into.chunks_exact_mut(window * units).enumerate() {
            let start = padded_image.origin + i * padded_image.pitch
                - convolution.low[0] * padded_image.pitch
                - convolution.low[1];
            let rows = &input[start * channels..];
            let a = MatRef::from_column_major_slice_with_stride(rows, window, length, channels);
            let into = MatMut::from_column_major_slice_mut(into, units, window);
            matmul(into, Accum::Replace, d.transpose(), a.transpose(), T::of(1.0), Par::Seq);
        }
    }

    /// Cotangents at the input of a convolution.
    fn pull(&self, convolution: &Convolution<T>, cotangent: &[T]) -> Vec<T> {
        let (channels, units) = (convolution.from.channels, convolution.to.channels);
        let padded_image = self.padded_image();
        let length = padded_image.length(convolution.from);
        let window = convolution.filter[1] * units;
        let mut pulled = vec![T::default(); padded_image.cells * channels];
        let inside = span(padded_image.origin * channels, length * channels);
        for (i, weights) in convolution.adjoint.iter().enumerate() {
            let back = i * padded_image.pitch + convolution.filter[1] - 1;
            let start = padded_image.origin + convolution.low[0] * padded_image.pitch + convolution.low[1] - back;
            let rows = &cotangent[start * units..];
            let d = MatRef::from_column_major_slice_with_stride(rows, window, length, units).transpose();
            let weights = MatRef::from_row_major_slice(weights, window, channels);
            let into = MatMut::from_row_major_slice_mut(&mut pulled[inside.clone()], length, channels);
            let accumulate = if i == 0 { Accum::Replace } else { Accum::Add };
            matmul(into, accumulate, d, weights, T::of(1.0), Par::Seq);
        }
        padded_image.clear_gaps(convolution.from, &mut pulled);
        pulled
    }

    /// Gradients of a convolution whose cotangents are a weight of output and channel times slopes: contracted once for all
    /// outputs.
    fn contract_factored(&self, index: usize, end: &ImageEnd<T>) {
        let Some(convolution) = &self.convolutions[index] else { unreachable!("a convolution was found there") };
        let nodes = self.shares.maker.network.nodes();
        let shape = convolution.to;
        let share = T::of(1.0 / (shape.height * shape.width) as f64);
        let mut slopes = vec![T::default(); self.padded_image().cells * shape.channels];
        for y in 0..shape.height {
            slopes[self.padded_image().row(y) * shape.channels..][..shape.width * shape.channels].fill(share);
        }
        let mut state = end.state;
        while state != index + 1 {
            slopes.iter_mut().zip(&self.slopes[state - 1]).for_each(|(value, slope)| *value *= *slope);
            state = nodes[state - 1].inputs[0];
        }
        let units = shape.channels;
        let mut gradient = vec![T::default(); convolution.gradient_length()];
        self.contract(convolution, &self.states[nodes[index].inputs[0]], &slopes, &mut gradient);
        let mut sums = vec![T::default(); units];
        sum_cells(&slopes, &mut sums);
        let weight = |output: usize, unit: usize| end.flow.value(self.order, unit, self.example, output);
        let keep = |column: usize, weights: Vec<T>| {
            let scaled = |values: &[T], into: &mut [T]| {
                for (into, values) in into.chunks_exact_mut(units).zip(values.chunks_exact(units)) {
                    for ((into, value), weight) in into.iter_mut().zip(values).zip(&weights) {
                        *into = *value * *weight;
                    }
                }
            };
            self.keep(index, 0, column, |into| scaled(&gradient, into));
            self.keep(index, 1, column, |into| scaled(&sums, into));
        };
        if self.order.keeps_outputs() {
            for output in 0..self.order.outputs {
                keep(self.order.column(self.example, output), (0..units).map(|unit| weight(output, unit)).collect());
            }
        } else {
            let norm = |unit: usize| {
                (0..self.order.outputs).map(|output| weight(output, unit).wide().powi(2)).sum::<f64>().sqrt()
            };
            keep(self.example, (0..units).map(|unit| T::of(norm(unit))).collect());
        }
    }
}

impl<T> Convolution<T> {
    fn gradient_length(&self) -> usize {
        self.filter[0] * self.filter[1] * self.from.channels * self.to.channels
    }
}

fn add<T: Number>(waiting: &mut Option<Vec<T>>, cotangent: Vec<T>) {
    match waiting {
        Some(sum) => sum.iter_mut().zip(cotangent).for_each(|(sum, value)| *sum += value),
        None => *waiting = Some(cotangent),
    }
}

/// Adds up all cells.
fn sum_cells<T: Number>(padded_image: &[T], sums: &mut [T]) {
    for cell in padded_image.chunks_exact(sums.len()) {
        sums.iter_mut().zip(cell).for_each(|(sum, value)| *sum += *value);
    }
}
