//! A network at one moment as the probes see it: implements [`Observed`] for every family at once.

use std::ops::Range;

use burn::tensor::Tensor;
use widthwise_probes::{LayerGeometry, Observed};

use widthwise_theory::architecture::Operation;

use crate::network::{Batch, Network, Tap};

/// One forward pass, recorded: every state on the way, and the outputs.
pub struct Observation<'a> {
    network: &'a Network,
    batch: &'a Batch,
    /// State 0 is the input; node `i` makes state `i + 1`, the last one the readout's pre-activation.
    states: Vec<Tensor<2>>,
    /// The last state, less the initial function where the network is centred.
    outputs: Tensor<2>,
}

struct TraceRecorder(Vec<Tensor<2>>);

impl Tap for TraceRecorder {
    fn state(&mut self, state: &Tensor<2>) {
        self.0.push(state.clone());
    }
}

impl<'a> Observation<'a> {
    /// Runs `network` on `batch` and keeps what the probes need.
    pub fn new(network: &'a Network, batch: &'a Batch) -> Self {
        let mut recorder = TraceRecorder(Vec::new());
        let outputs = network.forward(batch, &mut recorder);
        Self { network, batch, states: recorder.0, outputs }
    }

    /// The network.
    pub(crate) fn network(&self) -> &'a Network {
        self.network
    }

    /// State 0 is the input; node `i` makes state `i + 1`.
    pub(crate) fn states(&self) -> &[Tensor<2>] {
        &self.states
    }

    /// The examples of `range`, which are those of `batch`, without another forward pass.
    pub(crate) fn narrowed<'b>(&self, range: Range<usize>, batch: &'b Batch) -> Observation<'b>
    where
        'a: 'b,
    {
        let narrow = |state: &Tensor<2>| state.clone().narrow(0, range.start, range.len());
        let states = self.states.iter().map(narrow).collect();
        Observation { network: self.network, batch, states, outputs: narrow(&self.outputs) }
    }

    /// The examples.
    pub(crate) fn batch(&self) -> &'a Batch {
        self.batch
    }

    /// Outputs `[N, O]` of the network: of a centred one `f(theta) - f(theta_0)`, while its pre-activations are those of `f`.
    pub fn outputs(&self) -> Tensor<2> {
        self.outputs.clone()
    }

    /// What the weight layer after `layer` receives, `[N, features]`; the outputs for the readout.
    pub fn activations(&self, layer: usize) -> Tensor<2> {
        match self.network.weight_layers().get(layer) {
            Some(next) => self.states[self.network.nodes()[next.index].inputs[0]].clone(),
            None => self.outputs(),
        }
    }

    /// The node of a weight layer.
    fn node(&self, layer: usize) -> usize {
        self.network.weight_layers()[layer - 1].index
    }

    /// `[k N, n P]` channel-major to `[k, N, P, n]`.
    fn by_position(&self, layer: usize, flat: Tensor<2>) -> Tensor<4> {
        let geometry = &self.network.weight_layers()[layer - 1];
        let copies = flat.dims()[0] / self.batch.examples();
        let shape = [copies, self.batch.examples(), geometry.width, geometry.positions];
        flat.reshape(shape).swap_dims(2, 3)
    }

    /// `[k, N, P, n]` to `[k N, n P]` channel-major.
    fn channel_major(&self, cotangents: Tensor<4>) -> Tensor<2> {
        let [k, n, positions, units] = cotangents.dims();
        cotangents.swap_dims(2, 3).reshape([k * n, units * positions])
    }
}

impl Observed for Observation<'_> {
    fn examples(&self) -> usize {
        self.batch.examples()
    }

    fn layers(&self) -> usize {
        self.network.weight_layers().len()
    }

    fn geometry(&self, layer: usize) -> LayerGeometry {
        geometry(self.network, layer)
    }

    fn rows(&self, layer: usize) -> Tensor<3> {
        let input = self.network.nodes()[self.node(layer)].inputs[0];
        self.network.rows(layer, self.states[input].clone(), self.batch)
    }

    fn preactivations(&self, layer: usize) -> Tensor<3> {
        let flat = self.states[self.node(layer) + 1].clone();
        let by_position = self.by_position(layer, flat);
        let [_, n, positions, units] = by_position.dims();
        by_position.reshape([n, positions, units])
    }

    fn pull_back(&self, layer: usize, cotangents: Tensor<4>) -> Vec<Tensor<4>> {
        let nodes = self.network.nodes();
        let numbers = self.network.weight_layers();
        let like = cotangents.clone();
        // Whether a state depends on weights: cotangents go no further back than that.
        let mut has_weights = vec![false; self.states.len()];
        for (index, node) in nodes.iter().enumerate() {
            let is_weights = numbers.iter().any(|layer| layer.index == index);
            has_weights[index + 1] = is_weights || node.inputs.iter().any(|&input| has_weights[input]);
        }
        let mut waiting: Vec<Option<Tensor<2>>> = vec![None; self.states.len()];
        waiting[self.node(layer) + 1] = Some(self.channel_major(cotangents));
        let mut pulled: Vec<Option<Tensor<4>>> = vec![None; layer];
        for index in (0..=self.node(layer)).rev() {
            let Some(flat) = waiting[index + 1].take() else { continue };
            if let Some(number) = numbers.iter().position(|layer| layer.index == index) {
                pulled[number] = Some(self.by_position(number + 1, flat.clone()));
            }
            for (place, &input) in nodes[index].inputs.iter().enumerate().filter(|(_, input)| has_weights[**input]) {
                let flat = match &nodes[index].operation {
                    Operation::Layer(layer) => {
                        self.network.pull_back_layer(index, layer, flat.clone(), &self.states[input], self.batch)
                    }
                    Operation::Sum { scales } => flat.clone().mul_scalar(scales[place]),
                };
                waiting[input] = Some(match waiting[input].take() {
                    Some(others) => others + flat,
                    None => flat,
                });
            }
        }
        // Weight layers on other branches do not reach this one.
        let copies = like.dims()[0];
        let unreached = |number: usize| {
            let geometry = &numbers[number];
            let shape = [copies, self.batch.examples(), geometry.positions, geometry.width];
            Tensor::zeros(shape, (&like.device(), like.dtype()))
        };
        pulled.into_iter().enumerate().map(|(number, found)| found.unwrap_or_else(|| unreached(number))).collect()
    }
}

/// Sizes and gains of a weight layer, `1..=L+1`.
pub(crate) fn geometry(network: &Network, layer: usize) -> LayerGeometry {
    let geometry = &network.weight_layers()[layer - 1];
    let scaling = &network.linear_scalings()[layer - 1];
    let has_bias = network.parameters[layer - 1].bias.is_some();
    let bias = if has_bias { scaling.bias_gain.powi(2) } else { 0.0 };
    LayerGeometry {
        layer,
        positions: geometry.positions,
        fan_in: geometry.fan_in * geometry.branches,
        units: geometry.width,
        weight_tangent: scaling.weight_gain.powi(2) * scaling.weight_rate,
        bias_tangent: bias * scaling.bias_rate,
        weight_signal: scaling.weight_gain.powi(2) * scaling.weight_variance,
        bias_signal: bias * scaling.bias_variance,
    }
}
