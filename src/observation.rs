//! A network at one moment as the probes see it: implements [`Observed`] for every family at once.

use burn::tensor::Tensor;
use widthwise_probes::{LayerGeometry, Observed};

use crate::network::{Batch, Network, Tap};

/// One forward pass, recorded: the input of every layer, and the outputs.
pub struct Observation<'a> {
    network: &'a Network,
    batch: &'a Batch,
    /// `states[i]` is the input of layer `i`; the last one is the output.
    states: Vec<Tensor<2>>,
}

struct Recorder(Vec<Tensor<2>>);

impl Tap for Recorder {
    fn input(&mut self, _index: usize, state: &Tensor<2>) {
        self.0.push(state.clone());
    }
}

impl<'a> Observation<'a> {
    /// Runs `network` on `batch` and keeps what the probes need.
    pub fn new(network: &'a Network, batch: &'a Batch) -> Self {
        let mut recorder = Recorder(Vec::new());
        let outputs = network.forward(batch, &mut recorder);
        let mut states = recorder.0;
        states.push(outputs);
        Self { network, batch, states }
    }

    /// Outputs `[N, O]`.
    pub fn outputs(&self) -> Tensor<2> {
        self.states[self.states.len() - 1].clone()
    }

    /// What the weight layer after `layer` receives, `[N, features]`; the outputs for the readout.
    pub fn activations(&self, layer: usize) -> Tensor<2> {
        match self.network.weight_layers().get(layer) {
            Some(next) => self.states[next.index].clone(),
            None => self.outputs(),
        }
    }

    fn layer_index(&self, layer: usize) -> usize {
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
        let geometry = &self.network.weight_layers()[layer - 1];
        let scaling = &self.network.linear_scalings()[layer - 1];
        let has_bias = self.network.parameters[layer - 1].bias.is_some();
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

    fn rows(&self, layer: usize) -> Tensor<3> {
        self.network.rows(layer, self.states[self.layer_index(layer)].clone(), self.batch)
    }

    fn preactivations(&self, layer: usize) -> Tensor<3> {
        let flat = self.states[self.layer_index(layer) + 1].clone();
        let by_position = self.by_position(layer, flat);
        let [_, n, positions, units] = by_position.dims();
        by_position.reshape([n, positions, units])
    }

    fn pull_back(&self, layer: usize, cotangents: Tensor<4>) -> Vec<Tensor<4>> {
        let mut flat = self.channel_major(cotangents.clone());
        let mut pulled = vec![cotangents];
        let mut current = layer;
        // From the output of one weight layer to that of the one before: through its weights, then whatever lies between.
        while current > 1 {
            let stop = self.layer_index(current - 1);
            for index in (stop + 1..=self.layer_index(current)).rev() {
                flat = self.network.pull_back_layer(index, flat, &self.states[index], self.batch);
            }
            current -= 1;
            pulled.push(self.by_position(current, flat.clone()));
        }
        pulled.reverse();
        pulled
    }
}
