//! The loss of a batch and its gradient by Burn's automatic differentiation.

use burn::tensor::Tensor;

use super::loss::{Targets, loss};
use crate::config::Loss;
use crate::network::{Batch, Network, NoTap, Parameters, TaylorModel};

/// What can be trained: outputs that depend on parameters.
pub trait Model {
    /// The parameters.
    fn parameters(&mut self) -> &mut Vec<Parameters>;

    /// Outputs `[N, O]`.
    fn outputs(&self, batch: &Batch) -> Tensor<2>;
}

impl Model for Network {
    fn parameters(&mut self) -> &mut Vec<Parameters> {
        &mut self.parameters
    }

    fn outputs(&self, batch: &Batch) -> Tensor<2> {
        self.forward(batch, &mut NoTap)
    }
}

impl Model for TaylorModel {
    fn parameters(&mut self) -> &mut Vec<Parameters> {
        &mut self.parameters
    }

    fn outputs(&self, batch: &Batch) -> Tensor<2> {
        self.forward(batch)
    }
}

/// Loss, `[1]` on the device, and the gradient of every parameter. Parameters leave as they came: outside any graph.
pub fn gradient(model: &mut impl Model, batch: &Batch, targets: &Targets, kind: Loss) -> (Tensor<1>, Vec<Parameters>) {
    let leaves = model.parameters().iter().map(|p| p.map(|t| t.clone().autodiff().require_grad())).collect();
    let plain = std::mem::replace(model.parameters(), leaves);
    let value = loss(kind, model.outputs(batch), targets);
    let mut gradients = value.backward();
    let leaves = std::mem::replace(model.parameters(), plain);
    let taken = leaves
        .iter()
        .map(|leaf| leaf.map(|t| t.grad_remove(&mut gradients).unwrap_or_else(|| t.clone().inner().zeros_like())))
        .collect();
    (value.inner(), taken)
}
