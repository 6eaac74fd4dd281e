//! The loss of a batch and its gradient by Burn's automatic differentiation.

use burn::tensor::Tensor;
use widthwise_theory::architecture::Scaling;

use crate::config::Loss;
use crate::network::{Batch, LayerParameters, Network, NoTap, TaylorModel};
use crate::objective::{Targets, loss};

/// What can be trained: outputs that depend on parameters.
pub trait Model {
    /// The parameters.
    fn parameters(&mut self) -> &mut Vec<LayerParameters>;

    /// Outputs `[N, O]`.
    fn outputs(&self, batch: &Batch) -> Tensor<2>;

    /// Learning-rate factors of the layers.
    fn scalings(&self) -> &[Scaling];

    /// The network, if that is what it is: some of them take steps without a graph.
    fn as_network(&mut self) -> Option<&mut Network> {
        None
    }
}

impl Model for Network {
    fn parameters(&mut self) -> &mut Vec<LayerParameters> {
        &mut self.parameters
    }

    fn outputs(&self, batch: &Batch) -> Tensor<2> {
        self.forward(batch, &mut NoTap)
    }

    fn scalings(&self) -> &[Scaling] {
        Network::scalings(self)
    }

    fn as_network(&mut self) -> Option<&mut Network> {
        Some(self)
    }
}

impl Model for TaylorModel {
    fn parameters(&mut self) -> &mut Vec<LayerParameters> {
        &mut self.parameters
    }

    fn outputs(&self, batch: &Batch) -> Tensor<2> {
        self.forward(batch)
    }

    fn scalings(&self) -> &[Scaling] {
        self.base().scalings()
    }
}

/// Loss, `[1]` on the device, and the gradient of every parameter. Parameters leave as they came: outside any graph.
pub fn gradient(
    model: &mut impl Model,
    batch: &Batch,
    targets: &Targets,
    kind: Loss,
) -> (Tensor<1>, Vec<LayerParameters>) {
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
