//! Blocks of examples for the empirical NTK, pulled back in host memory where the layers of a network allow it.
//!
//! Pulling `N O` sensitivities through dense layers and convolutions is nearly all of the work, and every one of those steps is a
//! matrix product. Here they are done in pieces that stay in cache, slopes of activations applied to a piece before it leaves.
//! Networks with other layers go through the pullbacks of [`Observation`], which are the oracle of what is here.

mod flat;
mod flow;
mod image;
mod kernel;
mod padded_image;
mod route;

use burn::tensor::Tensor;
use widthwise_probes::Observed;
use widthwise_probes::ntk::{BlockPlan, Columns, ExampleBlock, LayerShare, LayerTerm, gather};
use widthwise_tensors::Number;
use widthwise_theory::architecture::{Layer, Operation};

use crate::network::{Batch, Network};
use crate::observation::Observation;
use image::ImageShares;
pub(crate) use kernel::total;
pub use kernel::{ntk, ntk_by_layer};
use route::Route;

/// Rows of weights that are taken to the host at once.
const ROWS: usize = 1024;

/// As [`Number::pull`], with no copy of all besides the result.
fn pull_by_rows<T: Number>(weight: &Tensor<2>) -> Vec<T> {
    let [rows, columns] = weight.dims();
    let mut values = Vec::with_capacity(rows * columns);
    for start in (0..rows).step_by(ROWS) {
        values.extend(T::pull(weight.clone().narrow(0, start, ROWS.min(rows - start))));
    }
    values
}

/// A network with its weights in host memory, ready to make blocks.
pub struct BlockMaker<'a, T> {
    network: &'a Network,
    plan: BlockPlan,
    /// Weights of every layer that is pulled back; none where pullbacks go through tensors.
    weights: Vec<Vec<T>>,
    route: Option<Route>,
}

impl<'a, T: Number> BlockMaker<'a, T> {
    /// Prepares a network for the kernel of `plan`.
    pub fn new(network: &'a Network, plan: BlockPlan) -> Self {
        let route = Route::of(network, &plan);
        let layers = network.weight_layers().iter().zip(&network.parameters);
        let weights =
            route.iter().flat_map(|route| {
                let is_pulled_back = |index: usize| route.has_weights[network.nodes()[index].inputs[0]];
                layers.clone().map(move |(layer, parameters)| {
                    if is_pulled_back(layer.index) { pull_by_rows(&parameters.weight) } else { Vec::new() }
                })
            });
        let weights = weights.collect();
        Self { network, plan, weights, route }
    }

    /// Bytes of the weights that [`BlockMaker::new`] holds next to the network.
    pub fn weight_bytes(network: &Network, plan: &BlockPlan) -> usize {
        let Some(route) = Route::of(network, plan) else { return 0 };
        let is_pulled_back = |index: usize| route.has_weights[network.nodes()[index].inputs[0]];
        let layers = network.weight_layers().iter().filter(|layer| is_pulled_back(layer.index));
        layers.map(|layer| layer.fan_in * layer.branches * layer.width * size_of::<T>()).sum()
    }

    /// Whether pullbacks are done in host memory.
    pub fn is_direct(&self) -> bool {
        self.route.is_some()
    }

    /// The plan.
    pub fn plan(&self) -> &BlockPlan {
        &self.plan
    }

    /// The block of some examples.
    pub fn block(&self, batch: &Batch) -> ExampleBlock<T> {
        self.block_of(&Observation::new(self.network, batch))
    }

    /// The same of examples that have gone through the network already.
    pub(crate) fn block_of(&self, observation: &Observation<'_>) -> ExampleBlock<T> {
        let Some(route) = &self.route else { return gather(observation, &self.plan) };
        let states = observation.states();
        let grouping = self.plan.grouping(observation.examples());
        let mut shares: Vec<Option<LayerTerm<T>>> = self.network.weight_layers().iter().map(|_| None).collect();
        let ends = flat::pull_back(self, route, states, &grouping, &mut shares);
        if let Some(padded_image) = &route.padded_image {
            ImageShares { maker: self, route, padded_image, states, grouping: &grouping }.pull_back(&ends, &mut shares);
        }
        let layers = shares.into_iter().enumerate().map(|(index, share)| {
            let geometry = observation.geometry(index + 1);
            let mean = if matches!(share, Some(LayerTerm::Readout { .. })) { 1.0 } else { self.plan.mean() };
            let Some(share) = share else { unreachable!("every weight layer reaches the readout") };
            LayerShare { weight: geometry.weight_tangent * mean, bias: geometry.bias_tangent * mean, share }
        });
        ExampleBlock { grouping, layers: layers.collect() }
    }

    /// Input rows of a layer at one position, `F x N`.
    fn rows(&self, number: usize, states: &[Tensor<2>]) -> Columns<T> {
        let node = &self.network.nodes()[self.network.weight_layers()[number].index];
        let state = states[node.inputs[0]].clone();
        let [examples, features] = state.dims();
        Columns::by_column(T::pull(state), features, examples)
    }

    /// Factor of the weights of a layer.
    fn gain(&self, number: usize) -> T {
        T::of(self.network.linear_scalings()[number].weight_gain)
    }

    /// Number of the weight layer of a node.
    fn number(&self, index: usize) -> Option<usize> {
        self.network.weight_layers().iter().position(|layer| layer.index == index)
    }

    fn layer(&self, index: usize) -> Option<&Layer> {
        match &self.network.nodes()[index].operation {
            Operation::Layer(layer) => Some(layer),
            Operation::Sum { .. } => None,
        }
    }
}
