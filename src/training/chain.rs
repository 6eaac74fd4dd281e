//! One step of training in host memory, for networks that are a chain of dense layers and activations.
//!
//! ```text
//! z_l = gain a_{l-1} W_l + gain b_l,   a_l = phi(z_l)
//! d_L = dLoss/dz_L,   d_{l-1} = (gain d_l W_l^T) phi'(z_{l-1})
//! dLoss/dW_l = gain a_{l-1}^T d_l,     dLoss/db_l = gain sum_x d_l(x)
//! ```
//!
//! The same step as [`gradient`](super::gradient::gradient) and [`Updater`](super::optimizer::Updater), which are its oracle, without a graph: the
//! gradient of a weight matrix is made tile by tile, and each tile is used up by the update while it is in cache. Weights are taken out
//! of their tensors and put back without a copy. Tiles are cut by the shapes alone, so that no number depends on the number of threads.

use burn::tensor::{DType, Device, Tensor, TensorData};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use widthwise_theory::{Activation, Layer, Operation, Scaling};

use super::fused::{Entries, Real, Rule};
use super::loss::{Targets, loss};
use super::optimizer::{OptimizerState, Updater};
use crate::config::{Anchor, Loss};
use crate::network::{self, Batch, Network, Parameters};

/// Columns of a product that one thread makes at once.
const COLUMNS: usize = 256;
/// Rows of a weight matrix that one thread updates at once, and columns of a tile of its gradient: the tile stays in cache.
const ROWS: usize = 256;
const TILE_COLUMNS: usize = 512;

/// One layer of a chain.
enum Link {
    /// A dense layer, by its number from 0.
    Dense(usize),
    /// An activation.
    Activation(Activation),
}

/// The layers of `network`, if it is a chain on the CPU and the update knows no anchor.
fn links(network: &Network, updater: &Updater) -> Option<Vec<Link>> {
    let pulls_elsewhere = updater.l2.strength != 0.0 && updater.l2.toward == Anchor::Init;
    if *network.placement().0 != Device::flex() || network.is_centred() || pulls_elsewhere {
        return None;
    }
    let mut dense = 0;
    let link = |(index, node): (usize, &widthwise_theory::Node)| {
        if node.inputs != [index] {
            return None;
        }
        match &node.operation {
            Operation::Layer(Layer::Dense { .. }) => {
                dense += 1;
                Some(Link::Dense(dense - 1))
            }
            Operation::Layer(Layer::Activation { function }) => Some(Link::Activation(function.clone())),
            _ => None,
        }
    };
    network.nodes().iter().enumerate().map(link).collect()
}

/// Takes one step and returns the loss before it, `[1]` on the device; `None`, with nothing changed, where the network is no chain.
pub(super) fn step(
    network: &mut Network,
    (batch, targets, kind): (&Batch, &Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Option<Tensor<1>> {
    let links = links(network, updater)?;
    let loss = (targets, kind);
    match network.placement().1 {
        DType::F32 => Some(step_of::<f32>(network, &links, batch, loss, updater, step, state)),
        DType::F64 => Some(step_of::<f64>(network, &links, batch, loss, updater, step, state)),
        _ => None,
    }
}

fn step_of<T: Real>(
    network: &mut Network,
    links: &[Link],
    batch: &Batch,
    (targets, kind): (&Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Tensor<1> {
    let scalings = network.scalings().to_vec();
    let mut layers: Vec<Held<T>> = std::mem::take(&mut network.parameters).into_iter().map(Held::take).collect();
    let mut moments: Vec<Vec<Held<T>>> =
        state.moments.iter_mut().map(|set| std::mem::take(set).into_iter().map(Held::take).collect()).collect();
    let examples = batch.examples();

    // Forward: what each dense layer reads, and what each activation reads.
    let mut inputs: Vec<Vec<T>> = Vec::new();
    let mut preactivations: Vec<Tensor<2>> = Vec::new();
    let mut now: Vec<T> = T::pull(batch.inputs.clone());
    for link in links {
        now = match link {
            Link::Dense(number) => {
                let z = layers[*number].forward(&now, examples, &scalings[*number]);
                inputs.push(now);
                z
            }
            Link::Activation(function) => {
                let z = as_tensor(now, examples);
                let next = T::pull(network::phi(function, z.clone()));
                preactivations.push(z);
                next
            }
        };
    }
    let outputs = as_tensor(now, examples).autodiff().require_grad();
    let value = loss(kind, outputs.clone(), targets);
    let gradients = value.backward();
    let Some(gradient) = outputs.grad(&gradients) else { unreachable!("every loss depends on the outputs") };
    let mut cotangents: Vec<T> = T::pull(gradient);

    // Backward, each layer updated as soon as nothing below needs its old weights.
    for (place, link) in links.iter().enumerate().rev() {
        match link {
            Link::Dense(number) => {
                let (layer, scaling) = (&mut layers[*number], &scalings[*number]);
                let below = (place > 0).then(|| layer.pull_back(&cotangents, examples, scaling));
                let Some(rows) = inputs.pop() else { unreachable!("one a dense layer") };
                let mut moments: Vec<&mut Held<T>> = moments.iter_mut().map(|set| &mut set[*number]).collect();
                layer.update(&mut moments, &rows, &cotangents, scaling, updater, step);
                cotangents = below.unwrap_or_default();
            }
            Link::Activation(function) => {
                let Some(z) = preactivations.pop() else { unreachable!("one an activation") };
                let slopes: Vec<T> = T::pull(network::slope(function, z));
                cotangents.iter_mut().zip(slopes).for_each(|(c, slope)| *c *= slope);
            }
        }
    }
    network.parameters = layers.into_iter().map(Held::give).collect();
    for (set, moments) in state.moments.iter_mut().zip(moments) {
        *set = moments.into_iter().map(Held::give).collect();
    }
    value.inner()
}

/// Parameters of a dense layer, or a moment of theirs, in host memory.
struct Held<T> {
    /// `F x n`, row-major.
    weight: Vec<T>,
    shape: [usize; 2],
    bias: Option<Vec<T>>,
}

impl<T: Real> Held<T> {
    /// Takes the numbers out of the tensors, without a copy where nothing else holds them.
    fn take(parameters: Parameters) -> Self {
        let shape = parameters.weight.dims();
        Self { weight: T::pull(parameters.weight), shape, bias: parameters.bias.map(T::pull) }
    }

    fn give(self) -> Parameters {
        let [rows, _] = self.shape;
        Parameters { weight: as_tensor(self.weight, rows), bias: self.bias.map(|bias| as_tensor(bias, 1)) }
    }

    fn matrix(&self) -> MatRef<'_, T> {
        MatRef::from_row_major_slice(&self.weight, self.shape[0], self.shape[1])
    }

    /// `gain a W + gain b`, `N x n`.
    fn forward(&self, rows: &[T], examples: usize, scaling: &Scaling) -> Vec<T> {
        let [features, units] = self.shape;
        let rows = MatRef::from_row_major_slice(rows, examples, features);
        let mut z = vec![T::default(); examples * units];
        let gain = T::of(scaling.weight_gain);
        let into = MatMut::from_row_major_slice_mut(&mut z, examples, units);
        into.par_col_chunks_mut(COLUMNS).enumerate().with_max_len(1).for_each(|(at, into)| {
            let columns = self.matrix().subcols(at * COLUMNS, into.ncols());
            matmul(into, Accum::Replace, rows, columns, gain, Par::Seq);
        });
        if let Some(bias) = &self.bias {
            let gain = T::of(scaling.bias_gain);
            let bias: Vec<T> = bias.iter().map(|&b| b * gain).collect();
            for row in z.chunks_exact_mut(units) {
                row.iter_mut().zip(&bias).for_each(|(z, &b)| *z += b);
            }
        }
        z
    }

    /// `gain d W^T`, `N x F`.
    fn pull_back(&self, cotangents: &[T], examples: usize, scaling: &Scaling) -> Vec<T> {
        let [features, units] = self.shape;
        let cotangents = MatRef::from_row_major_slice(cotangents, examples, units);
        let gain = T::of(scaling.weight_gain);
        let mut pulled = vec![T::default(); examples * features];
        let into = MatMut::from_row_major_slice_mut(&mut pulled, examples, features);
        into.par_col_chunks_mut(COLUMNS).enumerate().with_max_len(1).for_each(|(at, into)| {
            let weights = self.matrix().subrows(at * COLUMNS, into.ncols());
            matmul(into, Accum::Replace, cotangents, weights.transpose(), gain, Par::Seq);
        });
        pulled
    }

    /// Makes the gradient and moves down it.
    fn update(
        &mut self,
        moments: &mut [&mut Held<T>],
        rows: &[T],
        cotangents: &[T],
        scaling: &Scaling,
        updater: &Updater,
        step: u64,
    ) {
        let [features, units] = self.shape;
        let rule = |factor: f64| Rule {
            optimizer: updater.optimizer,
            rate: updater.learning_rate * factor,
            l2: updater.l2.strength,
            step,
        };
        let examples = rows.len() / features;
        let rows = MatRef::from_row_major_slice(rows, examples, features);
        let cotangents = MatRef::from_row_major_slice(cotangents, examples, units);
        let (gain, weight_rule) = (T::of(scaling.weight_gain), rule(scaling.weight_rate));
        // At least eight bands where the matrix has the rows for them.
        let band = ROWS.min(features.div_ceil(8).next_multiple_of(16));
        let mut sets = moments.iter_mut().map(|set| set.weight.chunks_mut(band * units).collect::<Vec<_>>());
        let first_bands = sets.next().unwrap_or_else(|| none(features.div_ceil(band)));
        let second_bands = sets.next().unwrap_or_else(|| none(features.div_ceil(band)));
        drop(sets);
        self.weight
            .par_chunks_mut(band * units)
            .zip(first_bands)
            .zip(second_bands)
            .enumerate()
            .with_max_len(1)
            .for_each_init(Vec::new, |room: &mut Vec<T>, (at, ((weights, first), second))| {
                let height = weights.len() / units;
                let rows = rows.subcols(at * band, height).transpose();
                room.resize(height * TILE_COLUMNS.min(units), T::default());
                for start in (0..units).step_by(TILE_COLUMNS) {
                    let width = TILE_COLUMNS.min(units - start);
                    let tile = &mut room[..height * width];
                    let into = MatMut::from_row_major_slice_mut(&mut *tile, height, width);
                    matmul(into, Accum::Replace, rows, cotangents.subcols(start, width), gain, Par::Seq);
                    for (row, gradient) in tile.chunks_exact(width).enumerate() {
                        let place = row * units + start..row * units + start + width;
                        let entries = Entries {
                            parameter: &mut weights[place.clone()],
                            first: if first.is_empty() { &mut [] } else { &mut first[place.clone()] },
                            second: if second.is_empty() { &mut [] } else { &mut second[place] },
                        };
                        weight_rule.update(entries, gradient);
                    }
                }
            });
        if let Some(bias) = &mut self.bias {
            let gain = T::of(scaling.bias_gain);
            let mut gradient = vec![T::default(); units];
            for example in 0..examples {
                for (sum, unit) in gradient.iter_mut().zip(0..units) {
                    *sum += cotangents[(example, unit)];
                }
            }
            gradient.iter_mut().for_each(|g| *g *= gain);
            let mut sets = moments.iter_mut().map(|set| set.bias.as_deref_mut().unwrap_or_default());
            let entries = Entries {
                parameter: bias,
                first: sets.next().unwrap_or_default(),
                second: sets.next().unwrap_or_default(),
            };
            rule(scaling.bias_rate).update(entries, &gradient);
        }
    }
}

/// Bands of a moment that there is not.
fn none<'a, T>(count: usize) -> Vec<&'a mut [T]> {
    (0..count).map(|_| Default::default()).collect()
}

/// Row-major numbers as a tensor of `rows` rows on the CPU.
fn as_tensor<T: Real>(values: Vec<T>, rows: usize) -> Tensor<2> {
    let columns = values.len() / rows;
    Tensor::from_data(TensorData::new(values, [rows, columns]), (&Device::flex(), T::DTYPE))
}
