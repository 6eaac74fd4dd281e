//! A step layer by layer, for wide dense layers: all threads share one product after the other, cut into tiles that stay in cache.
//!
//! ```text
//! z_l = gain a_{l-1} W_l + gain b_l,   a_l = phi(z_l)
//! d_L = dLoss/dz_L,   d_{l-1} = (gain d_l W_l^T) phi'(z_{l-1})
//! dLoss/dW_l = gain a_{l-1}^T d_l,     dLoss/db_l = gain sum_x d_l(x)
//! ```
//!
//! The gradient of a weight matrix is made tile by tile, and each tile is used up by the update while it is in cache. Tiles are cut by the
//! shapes alone, so that no number depends on the number of threads.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use widthwise_theory::architecture::Scaling;

use super::activation::{self, Slope};
use super::fused::{Rule, UpdateNumber, UpdateSlice};
use super::host_parameters::{HostParameters, HostState};
use super::links::Link;
use super::rows::{BatchTargets, transpose};
use crate::config::Loss;
use crate::host::host_view::HostView;
use crate::network::Batch;
use crate::objective::Targets;
use crate::training::optimizer::Updater;

/// Columns of a product that one thread makes at once.
const COLUMNS: usize = 256;
/// Rows of a weight matrix that one thread updates at once, and columns of a tile of its gradient: the tile stays in cache.
const ROWS: usize = 256;
const TILE_COLUMNS: usize = 512;

/// Takes one step; returns the loss before it. Every link is a dense layer or an activation.
pub(super) fn step<T: UpdateNumber>(
    host_state: &mut HostState<T>,
    (links, scalings): (&[Link], &[Scaling]),
    batch: &Batch,
    (targets, kind): (&Targets, Loss),
    updater: &Updater,
    step: u64,
) -> T {
    let HostState { layers, moments } = host_state;
    let examples = batch.examples();

    // Forward: what each dense layer reads, and what the way back needs of each activation.
    let host_view = HostView::of(&batch.inputs);
    let mut inputs: Vec<Cow<'_, [T]>> = Vec::new();
    let mut slopes: Vec<Slope<T>> = Vec::new();
    let mut now = Cow::Borrowed(host_view.numbers());
    for link in links {
        now = match link {
            Link::Dense(number) => {
                let z = layers[*number].forward(&now, examples, &scalings[*number]);
                inputs.push(now);
                Cow::Owned(z)
            }
            Link::Activation(function) => {
                let mut states = now.into_owned();
                slopes.push(activation::forward(function, &mut states, examples));
                Cow::Owned(states)
            }
            _ => unreachable!("dense layers and activations only"),
        };
    }
    let mut now = now.into_owned();
    let columns = now.len() / examples;
    let losses = transpose(kind, &mut now, columns, (&BatchTargets::of(targets, kind), 0), examples);
    let mut cotangents = now;

    // Backward, each layer updated as soon as nothing below needs its old weights.
    for link in links.iter().rev() {
        match link {
            Link::Dense(number) => {
                let (layer, scaling) = (&mut layers[*number], &scalings[*number]);
                let below = (*number > 0).then(|| layer.pull_back(&cotangents, examples, scaling));
                let Some(rows) = inputs.pop() else { unreachable!("one a dense layer") };
                let mut moments: Vec<&mut HostParameters<T>> =
                    moments.iter_mut().map(|set| &mut set[*number]).collect();
                layer.update(&mut moments, &rows, &cotangents, scaling, updater, step);
                cotangents = below.unwrap_or_default();
            }
            Link::Activation(function) => {
                let Some(slope) = slopes.pop() else { unreachable!("one an activation") };
                activation::backward(function, &mut cotangents, slope, examples);
            }
            _ => unreachable!("dense layers and activations only"),
        }
    }
    losses.into_iter().fold(T::default(), |total, loss| total + loss)
}

impl<T: UpdateNumber> HostParameters<T> {
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
        moments: &mut [&mut HostParameters<T>],
        rows: &[T],
        cotangents: &[T],
        scaling: &Scaling,
        updater: &Updater,
        step: u64,
    ) {
        let [features, units] = self.shape;
        let rule = Rule::new(updater, step);
        let examples = rows.len() / features;
        let rows = MatRef::from_row_major_slice(rows, examples, features);
        let cotangents = MatRef::from_row_major_slice(cotangents, examples, units);
        let (gain, weight_rule) = (T::of(scaling.weight_gain), rule.at_rate(scaling.weight_rate));
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
                        let entries = UpdateSlice {
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
            let entries = UpdateSlice {
                parameter: bias,
                first: sets.next().unwrap_or_default(),
                second: sets.next().unwrap_or_default(),
            };
            rule.at_rate(scaling.bias_rate).update(entries, &gradient);
        }
    }
}

/// Bands of a moment that there is not.
fn none<'a, T>(count: usize) -> Vec<&'a mut [T]> {
    (0..count).map(|_| Default::default()).collect()
}
