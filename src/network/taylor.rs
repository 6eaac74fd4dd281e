//! The first- and second-order Taylor models of a network around parameters `theta_0`:
//! `f_0 + J delta` and `f_0 + J delta + 1/2 delta^T H delta` with `delta = theta - theta_0`, trained in `theta` by any optimizer.

use burn::tensor::Tensor;

use super::jet::Jet;
use super::{Batch, LayerParameters, Network};

/// How far a Taylor model goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaylorOrder {
    /// The linearized network.
    First,
    /// With the quadratic term.
    Second,
}

/// A network expanded around its parameters.
#[derive(Debug, Clone)]
pub struct TaylorModel {
    base: Network,
    order: TaylorOrder,
    /// The parameters `theta`, which start at those of the network.
    pub parameters: Vec<LayerParameters>,
}

impl TaylorModel {
    /// Expands `base` around its parameters, where it equals the network.
    pub fn new(base: Network, order: TaylorOrder) -> Self {
        Self { parameters: base.parameters.clone(), base, order }
    }

    /// The network at the point of expansion.
    pub fn base(&self) -> &Network {
        &self.base
    }

    /// Outputs `[N, O]` at the present parameters.
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        let moved = |now: &Tensor<2>, origin: &Tensor<2>| now.clone() - origin.clone();
        let pairs = self.parameters.iter().zip(&self.base.parameters);
        let delta: Vec<LayerParameters> = pairs
            .map(|(now, origin)| {
                let bias = now.bias.as_ref().zip(origin.bias.as_ref()).map(|(now, origin)| moved(now, origin));
                LayerParameters { weight: moved(&now.weight, &origin.weight), bias }
            })
            .collect();
        let Jet { value, first, second } = self.base.jet(batch, &delta, self.order == TaylorOrder::Second);
        let outputs = [first, second].into_iter().flatten().fold(value, |total, term| total + term);
        match self.base.centre(batch) {
            Some(centre) => outputs - centre,
            None => outputs,
        }
    }
}

impl Network {
    /// `J delta`, `[N, O]`: the derivative of the outputs as the parameters move along `delta`.
    pub fn push_forward(&self, batch: &Batch, delta: &[LayerParameters]) -> Tensor<2> {
        let Jet { value, first, .. } = self.jet(batch, delta, false);
        first.unwrap_or_else(|| value.zeros_like())
    }
}
