//! The one description of a network, read by two interpreters: the finite `Network` and the infinite-width kernel.
//!
//! An [`Architecture`] lists layers from input to readout, branches nested. Weight layers are numbered `l = 1..=L+1` in the
//! order of the list, the readout last, in every file, column and message of the project; activations, pooling, norms and
//! reshaping carry no number. Its [`nodes`](Architecture::nodes) are the same as a graph.
//!
//! With `omega, beta ~ N(0, 1)` the map of weight layer `l` is
//! `z^l = sigma_w / sqrt(fan_in) * W a^{l-1} + sigma_b b`, up to the gains of its [`Parameterization`].

mod gates;
mod graph;
mod layer;
mod parameterization;
mod shape;
mod width_rates;

use serde::{Deserialize, Serialize};

pub use gates::{GateFunction, Gates};
pub use graph::{Node, Operation};
pub use layer::{Branch, InitVariance, Layer};
pub use parameterization::{Parameterization, Scaling, TangentScale, UpdateRule};
pub use shape::{InputShape, Padding};
pub use width_rates::WidthRates;

use crate::error::TheoryError;

/// How initial weights are drawn around the variances of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitScheme {
    /// Independent Gaussians: the one that theory assumes.
    #[default]
    Gaussian,
    /// Haar (semi-)orthogonal matrices scaled to the same variance; the same infinite-width kernels.
    Orthogonal,
    /// Uniform on `+-1/sqrt(fan_in)` for weights and biases, the default of PyTorch's layers: variances
    /// `1/(3 fan_in)` whatever `init` says, standard parameterization only, for comparison.
    Pytorch,
}

/// A network, whole: layers, gates, scheme and scaling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Shape of one input example.
    pub input: InputShape,
    /// Layers from input to readout; the last one is the readout and a weight layer.
    pub layers: Vec<Layer>,
    /// Gates shared by every [`Layer::GatedDense`]; required exactly when there is one.
    pub gates: Option<Gates>,
    /// Gains, variances and learning-rate factors.
    pub parameterization: Parameterization,
    /// Distribution of the initial weights.
    pub init_scheme: InitScheme,
}

/// The geometry of one weight layer inside its architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightLayer {
    /// Layer number, `1..=L+1`.
    pub layer: usize,
    /// Index into [`Architecture::nodes`].
    pub index: usize,
    /// Inputs of one output unit at one position and gate: channels times taps, or flat features.
    pub fan_in: usize,
    /// Output units or channels.
    pub width: usize,
    /// Positions at which the layer is applied (1 for dense layers).
    pub positions: usize,
    /// Number of weight matrices (gates) that share the input; 1 for ungated layers.
    pub branches: usize,
    /// Variances.
    pub init: InitVariance,
    /// Whether this is the first weight layer.
    pub is_first: bool,
    /// Whether this is the readout.
    pub is_readout: bool,
}

impl Architecture {
    /// The same network with its masks off, as it is evaluated: every dropout layer keeps all units.
    pub fn without_dropout(&self) -> Self {
        fn keep_all(layers: &mut [Layer]) {
            for layer in layers {
                match layer {
                    Layer::Dropout { keep } => *keep = 1.0,
                    Layer::Branches { branches } => branches.iter_mut().for_each(|branch| keep_all(&mut branch.layers)),
                    _ => {}
                }
            }
        }
        let mut changed = self.clone();
        keep_all(&mut changed.layers);
        changed
    }

    /// The same network with `width` units or channels in every hidden weight layer.
    pub fn with_hidden_width(&self, width: usize) -> Self {
        fn widen(layers: &mut [Layer], to: usize) {
            for layer in layers {
                match layer {
                    Layer::Dense { width, .. } | Layer::GatedDense { width, .. } | Layer::Convolution { width, .. } => {
                        *width = to;
                    }
                    Layer::Branches { branches } => {
                        branches.iter_mut().for_each(|branch| widen(&mut branch.layers, to))
                    }
                    _ => {}
                }
            }
        }
        let mut changed = self.clone();
        let hidden = changed.layers.len().saturating_sub(1);
        widen(&mut changed.layers[..hidden], width);
        changed
    }

    /// The weight layers in order, numbered from 1.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn weight_layers(&self) -> Result<Vec<WeightLayer>, TheoryError> {
        let nodes = self.nodes()?;
        let last = nodes.len() - 1;
        let mut found = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let Operation::Layer(layer) = &node.operation else { continue };
            let before = node.inputs[0].checked_sub(1).map_or(self.input, |node| nodes[node].shape);
            let (width, init, fan_in, positions, branches) = match layer {
                Layer::Dense { width, init } => (*width, *init, before.features(), 1, 1),
                Layer::GatedDense { width, init } => {
                    let gates = self.gates.as_ref().ok_or(TheoryError::MissingGates { index })?;
                    (*width, *init, before.features(), 1, gates.count())
                }
                Layer::Convolution { width, filter_size, init, .. } => {
                    let fan_in = before.channels.saturating_mul(filter_size[0]).saturating_mul(filter_size[1]);
                    (*width, *init, fan_in, node.shape.height * node.shape.width, 1)
                }
                _ => continue,
            };
            found.push(WeightLayer {
                layer: found.len() + 1,
                index,
                fan_in,
                width,
                positions,
                branches,
                init,
                is_first: found.is_empty(),
                is_readout: index == last,
            });
        }
        Ok(found)
    }

    /// Number of hidden layers `L`: weight layers less the readout.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn depth(&self) -> Result<usize, TheoryError> {
        Ok(self.weight_layers()?.len() - 1)
    }

    /// Number of network outputs.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn outputs(&self) -> Result<usize, TheoryError> {
        Ok(self.weight_layers()?.last().map_or(0, |layer| layer.width))
    }
}
