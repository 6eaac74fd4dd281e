//! A step by blocks of examples: a thread takes a few examples through all layers and back, so that what lies between the layers stays in
//! its cache, and threads meet two or three times a step: after the product of a [first layer](super::first_layer) with many weights, after the
//! blocks, and after the update.
//!
//! ```text
//! z_l = gain a_{l-1} W_l + gain b_l,   a_l = phi(z_l)
//! d_L = dLoss/dz_L,   d_{l-1} = (gain d_l W_l^T) phi'(z_{l-1})
//! dLoss/dW_l = gain a_{l-1}^T d_l,     dLoss/db_l = gain sum_x d_l(x)
//! ```
//!
//! Sums over examples run in the order of the examples, of images in blocks that the shapes alone cut: no number depends on the number of
//! threads. A block adds up its own gradient of convolutions, whose filters are small next to their images; of dense layers it keeps rows and
//! cotangents, from which the update makes the gradient band by band, each used up while it is in cache.

use std::ops::Range;

use rayon::prelude::*;
use widthwise_theory::architecture::Scaling;

use super::activation::{self, Slope};
use super::first_layer::FirstLayer;
use super::fused::UpdateNumber;
use super::host_parameters::{HostParameters, HostState};
use super::links::{Link, positions};
use super::rows::{BatchTargets, transpose};
use super::slices::{add_rows, gated, rows_times, ungated};
use super::transposed_weights::TransposedWeights;
use super::weight_gradient::{BlockGradient, GradientShare, update};
use crate::config::Loss;
use crate::host::host_view::HostView;
use crate::host::product::Affine;
use crate::host::scratch::{Scratch, StateBuffer};
use crate::host::transpose::transposed;
use crate::network::Batch;
use crate::objective::Targets;
use crate::training::concurrency::threads;
use crate::training::optimizer::Updater;

/// Examples of a block of flat states, at least: rows of two tiles of a product.
const EXAMPLES: usize = 16;
/// Examples of flat states that go through the layers together, at most.
const GROUP: usize = 256;
/// Products of one number that are worth a thread, about.
const WORK: usize = 1 << 17;
/// Images that go through the layers together.
const IMAGES: usize = 4;
/// Blocks of images, at most, and numbers in their gradients together.
const IMAGE_BLOCKS: usize = 16;
const GRADIENTS: usize = 1 << 26;

/// What every block reads.
struct BlockContext<'s, 'a, T: UpdateNumber> {
    links: &'s [Link],
    layers: &'s [HostParameters<T>],
    scalings: &'s [Scaling],
    transposed_weights: TransposedWeights<'s, T>,
    inputs: &'a [T],
    gates: &'a [T],
    examples: usize,
    first_layer: Option<FirstLayer<T>>,
    wanted: &'s BatchTargets<T>,
    kind: Loss,
}

/// What a link keeps for the way back.
enum BackwardState<'a, T: UpdateNumber> {
    Nothing,
    /// Rows that it multiplied, or padded images.
    Read(StateBuffer<'a, T>),
    /// Of an activation.
    Slope(Slope<T>),
}

/// Takes one step; returns the loss before it.
pub(super) fn step<T: UpdateNumber>(
    host_state: &mut HostState<T>,
    (links, scalings): (&[Link], &[Scaling]),
    batch: &Batch,
    (targets, kind): (&Targets, Loss),
    updater: &Updater,
    step: u64,
) -> T {
    let wanted = BatchTargets::of(targets, kind);
    let weight_links: Vec<&Link> = links.iter().filter(|link| link.number().is_some()).collect();
    let (examples, inputs) = (batch.examples(), HostView::of(&batch.inputs));
    let gates = batch.gates.as_ref().map_or(HostView::Copied(Vec::new()), HostView::of);
    let (inputs, gates) = (inputs.numbers(), gates.numbers());
    let layers = &host_state.layers;
    let transposed_weights = TransposedWeights::new(&weight_links, layers);
    let first_layer = FirstLayer::of(links, layers, inputs, examples);
    let shared = BlockContext {
        links,
        layers,
        scalings,
        transposed_weights,
        inputs,
        gates,
        examples,
        first_layer,
        wanted: &wanted,
        kind,
    };
    let [block, group] = shared.cut(examples);
    let blocks: Vec<BlockGradient<T>> = (0..examples.div_ceil(block))
        .into_par_iter()
        .with_max_len(1)
        .map(|at| shared.block(at * block..examples.min((at + 1) * block), group))
        .collect();
    let total = blocks.iter().flat_map(|block| &block.losses).fold(T::default(), |total, &loss| total + loss);
    update(host_state, &weight_links, scalings, &blocks, updater, step);
    total
}

impl<'a, T: UpdateNumber> BlockContext<'_, 'a, T> {
    /// Examples of a block, and of a group that goes through the layers together.
    fn cut(&self, examples: usize) -> [usize; 2] {
        let filters = |link: &Link| match link {
            Link::Convolution(number, _) => self.layers[*number].weight.len(),
            _ => 0,
        };
        let numbers: usize = self.links.iter().map(filters).sum();
        if numbers == 0 {
            // One block a thread, so that each reads the weights once. Every sum runs over single examples in their order, so that no
            // number depends on the cut.
            let weights: usize = self.layers.iter().map(|layer| layer.weight.len()).sum();
            let pieces = (examples * weights / WORK).clamp(1, threads());
            let block = examples.div_ceil(pieces).next_multiple_of(8).max(EXAMPLES);
            return [block, block.min(GROUP)];
        }
        [examples.div_ceil((GRADIENTS / numbers).clamp(1, IMAGE_BLOCKS)), IMAGES]
    }

    /// Forward and back, a group at a time.
    fn block(&self, range: Range<usize>, group: usize) -> BlockGradient<'a, T> {
        let mut block = BlockGradient {
            losses: Vec::new(),
            layers: self.layers.iter().map(|_| GradientShare::default()).collect(),
        };
        self.transposed_weights.help();
        for start in range.clone().step_by(group) {
            self.group(start..range.end.min(start + group), &mut block);
        }
        block
    }

    fn group(&self, range: Range<usize>, block: &mut BlockGradient<'a, T>) {
        let examples = range.len();
        let of_range = |numbers: &'a [T]| {
            let each = numbers.len() / self.examples;
            &numbers[range.start * each..range.end * each]
        };
        let gates = of_range(self.gates);
        let mut state = StateBuffer::Borrowed(of_range(self.inputs));
        let mut kept = Vec::with_capacity(self.links.len());
        for link in self.links {
            let (next, way) = self.forward(link, state, gates, &range);
            kept.push(way);
            state = StateBuffer::Own(next);
        }
        let mut state = state.own();
        let columns = state.len() / examples;
        let wanted = (self.wanted, range.start);
        block.losses.extend(transpose(self.kind, &mut state, columns, wanted, self.examples));
        for link in self.links.iter().rev() {
            let Some(way) = kept.pop() else { unreachable!("one a link") };
            state = self.backward(link, state, way, gates, examples, &mut block.layers);
        }
    }

    /// What a link makes of `state`, and what it needs on the way back.
    fn forward(
        &self,
        link: &Link,
        state: StateBuffer<'a, T>,
        gates: &[T],
        range: &Range<usize>,
    ) -> (Scratch<T>, BackwardState<'a, T>) {
        let examples = range.len();
        match link {
            Link::Dense(number) => {
                let z = match &self.first_layer {
                    Some(first_layer) if *number == 0 => {
                        let (gain, bias) = self.affine(0);
                        first_layer.states(range.clone(), gain, &bias)
                    }
                    _ => self.multiplied(*number, &state, examples),
                };
                (z, BackwardState::Read(state))
            }
            Link::Gated(number) => {
                let rows = gated(&state, gates, examples);
                (self.multiplied(*number, &rows, examples), BackwardState::Read(StateBuffer::Own(rows)))
            }
            Link::Convolution(number, shifted_gemm) => {
                let ([image, padded, positions], units) = (shifted_gemm.sizes(), self.layers[*number].shape[0]);
                let mut room = Scratch::new(examples * padded);
                let mut z = Scratch::new(examples * positions * units);
                let (gain, bias) = self.affine(*number);
                let affine = Some(Affine { gain, bias: &bias });
                let filters = (&self.transposed_weights.of(*number).forward[..], units);
                let images = state.chunks_exact(image).zip(room.chunks_exact_mut(padded));
                for ((image, padded), z) in images.zip(z.chunks_exact_mut(positions * units)) {
                    shifted_gemm.pad(image, padded);
                    shifted_gemm.convolve(padded, filters, affine, z);
                }
                (z, BackwardState::Read(StateBuffer::Own(room)))
            }
            Link::Activation(function) => {
                let mut state = state.own();
                let slope = activation::forward(function, &mut state, examples);
                (state, BackwardState::Slope(slope))
            }
            Link::Average(shape) => {
                let share = T::of(1.0 / positions(shape) as f64);
                let mut means = Scratch::zeros(examples * shape.channels);
                for (means, image) in means.chunks_exact_mut(shape.channels).zip(state.chunks_exact(shape.features())) {
                    add_rows(means, image);
                    means.iter_mut().for_each(|mean| *mean *= share);
                }
                (means, BackwardState::Nothing)
            }
            Link::ToPositions(shape) => {
                (transposed(&state, shape.features(), positions(shape)), BackwardState::Nothing)
            }
            Link::ToChannels(shape) => (transposed(&state, shape.features(), shape.channels), BackwardState::Nothing),
        }
    }

    /// The cotangents of what a link read; empty where nothing below needs them.
    fn backward(
        &self,
        link: &Link,
        mut cotangents: Scratch<T>,
        kept: BackwardState<'a, T>,
        gates: &[T],
        examples: usize,
        shares: &mut [GradientShare<'a, T>],
    ) -> Scratch<T> {
        match (link, kept) {
            (Link::Dense(number) | Link::Gated(number), BackwardState::Read(rows)) => {
                let mut below = self.pulled_back(*number, &cotangents, examples);
                if matches!(link, Link::Gated(_)) && !below.is_empty() {
                    below = ungated(&below, gates, examples);
                }
                shares[*number].groups.push((rows, cotangents));
                below
            }
            (Link::Convolution(number, shifted_gemm), BackwardState::Read(images)) => {
                let [image, padded, positions] = shifted_gemm.sizes();
                let (units, share) = (self.layers[*number].shape[0], &mut shares[*number]);
                share.filters.resize(self.layers[*number].weight.len(), T::ZERO);
                share.bias.resize(units, T::ZERO);
                for (padded, cotangents) in images.chunks_exact(padded).zip(cotangents.chunks_exact(positions * units))
                {
                    shifted_gemm.add_gradient(padded, cotangents, units, &mut share.filters);
                    add_rows(&mut share.bias, cotangents);
                }
                if *number == 0 {
                    return Scratch::new(0);
                }
                let (adjoint, channels) = (shifted_gemm.adjoint(units), shifted_gemm.channels());
                let mut room = Scratch::new(adjoint.sizes()[1]);
                let mut below = Scratch::new(examples * image);
                let filters = (&self.transposed_weights.of(*number).backward[..], channels);
                let affine = Some(Affine { gain: T::of(self.scalings[*number].weight_gain), bias: &[] });
                for (cotangents, below) in cotangents.chunks_exact(positions * units).zip(below.chunks_exact_mut(image))
                {
                    adjoint.pad(cotangents, &mut room);
                    adjoint.convolve(&room, filters, affine, below);
                }
                below
            }
            _ if cotangents.is_empty() => cotangents,
            (Link::Activation(function), BackwardState::Slope(slope)) => {
                activation::backward(function, &mut cotangents, slope, examples);
                cotangents
            }
            (Link::Average(shape), _) => {
                let share = T::of(1.0 / positions(shape) as f64);
                let mut spread = Scratch::new(examples * shape.features());
                let images = spread.chunks_exact_mut(shape.features());
                for (row, image) in cotangents.chunks_exact_mut(shape.channels).zip(images) {
                    row.iter_mut().for_each(|c| *c *= share);
                    image.chunks_exact_mut(shape.channels).for_each(|position| position.copy_from_slice(row));
                }
                spread
            }
            (Link::ToPositions(shape), _) => transposed(&cotangents, shape.features(), shape.channels),
            (Link::ToChannels(shape), _) => transposed(&cotangents, shape.features(), positions(shape)),
            (Link::Dense(_) | Link::Gated(_) | Link::Convolution(..) | Link::Activation(_), _) => {
                unreachable!("kept on the way forward")
            }
        }
    }

    /// `gain a W + gain b`.
    fn multiplied(&self, number: usize, rows: &[T], examples: usize) -> Scratch<T> {
        let ([features, units], (gain, bias)) = (self.layers[number].shape, self.affine(number));
        let right = (&self.layers[number].weight[..], units);
        rows_times(rows, [examples, features], right, Some(Affine { gain, bias: &bias }))
    }

    /// `gain d W^T`; empty for the first layer.
    fn pulled_back(&self, number: usize, cotangents: &[T], examples: usize) -> Scratch<T> {
        if number == 0 {
            return Scratch::new(0);
        }
        let [features, units] = self.layers[number].shape;
        let gain = T::of(self.scalings[number].weight_gain);
        let right = (&self.transposed_weights.of(number).backward[..], features);
        rows_times(cotangents, [examples, units], right, Some(Affine { gain, bias: &[] }))
    }

    /// The gain of a layer, and its biases times theirs.
    fn affine(&self, number: usize) -> (T, Vec<T>) {
        let scaling = &self.scalings[number];
        let gain = T::of(scaling.bias_gain);
        let bias = self.layers[number].bias.iter().flat_map(|bias| &**bias).map(|&b| b * gain).collect();
        (T::of(scaling.weight_gain), bias)
    }
}
