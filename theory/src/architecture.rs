//! The one description of a network, read by two interpreters: the finite `Network` and the infinite-width kernel.
//!
//! An [`Architecture`] lists layers from input to readout, branches nested. Weight layers are numbered `l = 1..=L+1` in the
//! order of the list, the readout last, in every file, column and message of the project; activations, pooling, norms and
//! reshaping carry no number. Its [`nodes`](Architecture::nodes) are the same as a graph.
//!
//! With `omega, beta ~ N(0, 1)` the map of weight layer `l` is
//! `z^l = sigma_w / sqrt(fan_in) * W a^{l-1} + sigma_b b`, up to the gains of its [`Parameterization`].

use serde::{Deserialize, Deserializer, Serialize};

use crate::activation::Activation;
use crate::error::TheoryError;
use crate::gates::Gates;
use crate::graph::Operation;
use crate::parameterization::Parameterization;

/// Channels, height and width of one example; a flat vector of `d` features is `1 x 1 x d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputShape {
    /// Number of channels (1 for a flat vector).
    pub channels: usize,
    /// Rows of an image (1 for a flat vector).
    pub height: usize,
    /// Columns of an image (the number of features for a flat vector).
    pub width: usize,
}

impl InputShape {
    /// The shape of a flat vector of `features` numbers.
    pub fn flat(features: usize) -> Self {
        Self { channels: 1, height: 1, width: features }
    }

    /// Channels, height and width.
    pub fn sizes(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Numbers in one example. Examples are stored channel-major: `(c * height + h) * width + w`.
    pub fn features(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// What stands outside the image in a convolution or a pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Zeros; output size `ceil(size / stride)`, the odd cell of padding at the high side.
    Same,
    /// None; output size `floor((size - filter) / stride) + 1`.
    Valid,
    /// The image repeats; output size `ceil(size / stride)`, offsets as for `Same`.
    Circular,
    /// So many cells of zeros above and below, and so many left and right, fewer than the window has: `padding=(p, q)` of
    /// PyTorch; output size `floor((size + 2 p - filter) / stride) + 1`. With a stride above 1 this may differ from `Same`,
    /// which puts as few cells as it needs, and the odd one at the high side.
    #[serde(untagged)]
    Zeros(#[serde(deserialize_with = "one_or_two")] [usize; 2]),
}

/// `[p, q]`, or `p` for `[p, p]`.
fn one_or_two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Cells {
        Both(usize),
        Each([usize; 2]),
    }
    Cells::deserialize(deserializer).map(|cells| match cells {
        Cells::Both(cells) => [cells; 2],
        Cells::Each(cells) => cells,
    })
}

impl Padding {
    /// Output size and number of cells before the first along axis 0 (rows) or 1 (columns), or `None` if the filter does not
    /// fit.
    pub fn geometry(self, axis: usize, size: usize, filter: usize, stride: usize) -> Option<(usize, usize)> {
        if filter == 0 || stride == 0 || size == 0 {
            return None;
        }
        match self {
            Padding::Valid => (size >= filter).then(|| ((size - filter) / stride + 1, 0)),
            Padding::Same | Padding::Circular => {
                let out = size.div_ceil(stride);
                let total = ((out - 1) * stride + filter).saturating_sub(size);
                Some((out, total / 2))
            }
            Padding::Zeros(cells) => {
                let before = cells[axis];
                let padded = before.checked_mul(2)?.checked_add(size)?;
                (before < filter && padded >= filter).then(|| ((padded - filter) / stride + 1, before))
            }
        }
    }
}

/// Variances of one weight layer: `W ~ N(0, sigma_w2 / fan_in)`, `b ~ N(0, sigma_b2)` in the standard parameterization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitVariance {
    /// Weight variance times fan-in.
    pub sigma_w2: f64,
    /// Bias variance; a layer has biases exactly when this is positive.
    pub sigma_b2: f64,
}

/// One layer. `width` of a convolution is its number of output channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "layer")]
pub enum Layer {
    /// Fully connected weight layer. On an image it flattens first: the fan-in is `channels * height * width`.
    Dense {
        /// Output units.
        width: usize,
        /// Variances of weights and biases.
        init: InitVariance,
    },
    /// Fully connected weight layer with one weight matrix a gate:
    /// `z_i = (fan_in M)^{-1/2} sum_m g_m(x) sum_j W^m_ij a_j` (Li and Sompolinsky 2022, 2210.17449).
    GatedDense {
        /// Output units.
        width: usize,
        /// Variances of weights and biases.
        init: InitVariance,
    },
    /// Two-dimensional convolution; fan-in is taps times input channels.
    Convolution {
        /// Output channels.
        width: usize,
        /// Height and width of the filter.
        filter_size: [usize; 2],
        /// Vertical and horizontal stride.
        stride: [usize; 2],
        /// Boundary rule.
        padding: Padding,
        /// Variances of weights and biases.
        init: InitVariance,
    },
    /// Elementwise nonlinearity.
    Activation {
        /// The function.
        function: Activation,
    },
    /// Mean over windows; cells outside the image do not exist (`Valid`) or count as zeros (`Same`).
    AveragePool {
        /// Height and width of the window.
        window: [usize; 2],
        /// Vertical and horizontal stride.
        stride: [usize; 2],
        /// Boundary rule.
        padding: Padding,
    },
    /// Sum over windows: average pooling times the number of cells of a window.
    SumPool {
        /// Height and width of the window.
        window: [usize; 2],
        /// Vertical and horizontal stride.
        stride: [usize; 2],
        /// Boundary rule.
        padding: Padding,
    },
    /// Mean over all positions of every channel.
    GlobalAveragePool,
    /// All positions and channels to one vector; costs nothing, kept to be explicit.
    Flatten,
    /// `(x - mean) / sqrt(variance + epsilon)` over the channels of every position, over all units of a flat state; no
    /// affine map after it (Ba, Kiros and Hinton 2016, 1607.06450).
    LayerNorm {
        /// Added to the variance; not negative.
        epsilon: f64,
    },
    /// `x / sqrt(mean of x^2 + epsilon)` over the same units: no mean is subtracted (Zhang and Sennrich 2019, 1910.07467).
    /// Its kernel is the one that neural-tangents uses for LayerNorm.
    RmsNorm {
        /// Added to the mean square; not negative.
        epsilon: f64,
    },
    /// Every unit of every example kept with probability `keep` and divided by it, else zero; an independent mask for every
    /// example of a batch (Srivastava et al. 2014). Theory speaks of the network with its masks on.
    Dropout {
        /// Probability that a unit stays, in (0, 1].
        keep: f64,
    },
    /// Several paths from one state, added: `sum_k scale_k branch_k(x)`.
    Branches {
        /// The paths; a path without layers is the identity, so that a residual block has one of these.
        branches: Vec<Branch>,
    },
}

/// One path of [`Layer::Branches`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Factor of its output in the sum.
    pub scale: f64,
    /// Its layers; none make the identity.
    pub layers: Vec<Layer>,
}

impl Layer {
    /// The name used in configurations and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Layer::Dense { .. } => "dense",
            Layer::GatedDense { .. } => "gated_dense",
            Layer::Convolution { .. } => "convolution",
            Layer::Activation { .. } => "activation",
            Layer::AveragePool { .. } => "average_pool",
            Layer::SumPool { .. } => "sum_pool",
            Layer::GlobalAveragePool => "global_average_pool",
            Layer::Flatten => "flatten",
            Layer::LayerNorm { .. } => "layer_norm",
            Layer::RmsNorm { .. } => "rms_norm",
            Layer::Dropout { .. } => "dropout",
            Layer::Branches { .. } => "branches",
        }
    }

    /// `x + scale * layers(x)`: a residual block (He et al. 2016, 1512.03385).
    pub fn residual(scale: f64, layers: Vec<Layer>) -> Self {
        let skip = Branch { scale: 1.0, layers: Vec::new() };
        Layer::Branches { branches: vec![skip, Branch { scale, layers }] }
    }

    /// Applies `change` to the variances of this layer and of the layers inside it.
    pub fn change_variances(&mut self, change: &mut impl FnMut(&mut InitVariance)) {
        match self {
            Layer::Dense { init, .. } | Layer::GatedDense { init, .. } | Layer::Convolution { init, .. } => {
                change(init)
            }
            Layer::Branches { branches } => {
                branches.iter_mut().flat_map(|branch| &mut branch.layers).for_each(|l| l.change_variances(change));
            }
            Layer::Activation { .. }
            | Layer::AveragePool { .. }
            | Layer::SumPool { .. }
            | Layer::GlobalAveragePool
            | Layer::Flatten
            | Layer::LayerNorm { .. }
            | Layer::RmsNorm { .. }
            | Layer::Dropout { .. } => {}
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_padding_counts_windows_as_pytorch_does() {
        // floor((size + 2 p - filter) / stride) + 1, by torch.nn.Conv2d: size, filter, stride, p, output.
        for (size, filter, stride, p, out) in [
            (6, 3, 2, 1, 3),
            (7, 3, 2, 1, 4),
            (6, 3, 1, 2, 8),
            (6, 4, 2, 1, 3),
            (6, 5, 3, 2, 2),
            (1, 2, 1, 1, 2),
            (5, 3, 4, 0, 1),
        ] {
            assert_eq!(
                Padding::Zeros([p, 0]).geometry(0, size, filter, stride),
                Some((out, p)),
                "{size} {filter} {stride}"
            );
            assert_eq!(
                Padding::Zeros([0, p]).geometry(1, size, filter, stride),
                Some((out, p)),
                "{size} {filter} {stride}"
            );
        }
        // Windows of nothing but zeros, and windows that do not fit.
        assert_eq!(Padding::Zeros([3, 0]).geometry(0, 6, 3, 1), None);
        assert_eq!(Padding::Zeros([1, 1]).geometry(0, 2, 5, 1), None);
        assert_eq!(Padding::Zeros([usize::MAX, 1]).geometry(0, 6, usize::MAX, 1), None);
    }
}
