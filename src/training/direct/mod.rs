//! One step of training in host memory, for networks that are a chain of layers.
//!
//! The same step as [`gradient`](super::gradient::gradient) and [`Updater`](super::optimizer::Updater), which are its oracle, without a graph.
//! Weights are taken out of their tensors and put back without a copy. Two paths: [`layers`] for wide dense networks, whose weights come
//! from memory, and [`blocks`] for everything whose weights stay in cache.

mod activation;
mod blocks;
mod first_layer;
mod fused;
mod host_parameters;
mod layers;
mod links;
mod rows;
mod slices;
mod transposed_weights;
mod weight_gradient;

use burn::tensor::{DType, Tensor};

use super::optimizer::{OptimizerState, Updater};
use crate::config::Loss;
use crate::network::{Batch, Network};
use crate::objective::Targets;
use fused::UpdateNumber;
use host_parameters::{HostState, as_tensor};
use links::Link;

/// Weights of a dense layer from which on its products are worth packing.
const WIDE: usize = 1 << 19;

/// Takes one step and returns the loss before it, `[1]` on the device; `None`, with nothing changed, where the network is no chain of
/// layers known here. `step` counts from 1.
pub(super) fn step(
    network: &mut Network,
    (batch, targets, kind): (&Batch, &Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Option<Tensor<1>> {
    let links = links::links(network, updater)?;
    let seen = (batch, targets, kind);
    match network.placement().1 {
        DType::F32 => Some(step_of::<f32>(network, &links, seen, updater, step, state)),
        DType::F64 => Some(step_of::<f64>(network, &links, seen, updater, step, state)),
        _ => None,
    }
}

fn step_of<T: UpdateNumber>(
    network: &mut Network,
    links: &[Link],
    (batch, targets, kind): (&Batch, &Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Tensor<1> {
    let scalings = network.scalings().to_vec();
    let mut host_state = HostState::<T>::take(&mut network.parameters, state);
    let is_dense = links.iter().all(|link| matches!(link, Link::Dense(_) | Link::Activation(_)));
    let is_wide = host_state.layers.iter().any(|layer| layer.weight.len() >= WIDE);
    let method = if is_dense && is_wide { layers::step } else { blocks::step };
    let loss = method(&mut host_state, (links, &scalings), batch, (targets, kind), updater, step);
    host_state.give(&mut network.parameters, state);
    as_tensor(vec![loss], 1).reshape([1])
}
