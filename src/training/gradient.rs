//! The loss of a batch and its gradient by Burn's automatic differentiation.

use burn::tensor::Tensor;

use super::loss::{Targets, loss};
use crate::config::Loss;
use crate::network::{Batch, Network, NoTap, Parameters};

/// Loss, `[1]` on the device, and the gradient of every parameter. Parameters leave as they came: outside any graph.
pub fn gradient(network: &mut Network, batch: &Batch, targets: &Targets, kind: Loss) -> (Tensor<1>, Vec<Parameters>) {
    let plain = network.parameters.clone();
    network.parameters = plain.iter().map(|p| p.map(|t| t.clone().autodiff().require_grad())).collect();
    let value = loss(kind, network.forward(batch, &mut NoTap), targets);
    let mut gradients = value.backward();
    let leaves = std::mem::replace(&mut network.parameters, plain);
    let taken = leaves
        .iter()
        .map(|leaf| leaf.map(|t| t.grad_remove(&mut gradients).unwrap_or_else(|| t.clone().inner().zeros_like())))
        .collect();
    (value.inner(), taken)
}
