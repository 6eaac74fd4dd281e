//! The one description of a network, read by two interpreters: the finite `Network` and the infinite-width kernel.
//!
//! An [`Architecture`] lists layers from input to readout. Weight layers are numbered `l = 1..=L+1`, the readout last, in
//! every file, column and message of the project; activations, pooling and reshaping carry no number.
//!
//! With `omega, beta ~ N(0, 1)` the map of weight layer `l` is
//! `z^l = sigma_w / sqrt(fan_in) * W a^{l-1} + sigma_b b`, up to the gains of its [`Parameterization`].

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::error::TheoryError;
use crate::gates::Gates;
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
}

impl Padding {
    /// Output size and number of cells before the first along one axis, or `None` if the filter does not fit.
    pub fn geometry(self, size: usize, filter: usize, stride: usize) -> Option<(usize, usize)> {
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
    /// Mean over all positions of every channel.
    GlobalAveragePool,
    /// All positions and channels to one vector; costs nothing, kept to be explicit.
    Flatten,
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
    /// Index into [`Architecture::layers`].
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
    /// Shapes before every layer and after the last one; entry `i` is the input of layer `i`.
    ///
    /// # Errors
    /// A window that does not fit, a layer list that is empty or does not end in a weight layer, a gated layer without gates.
    pub fn shapes(&self) -> Result<Vec<InputShape>, TheoryError> {
        let mut shape = self.input;
        let mut shapes = vec![shape];
        let window = |shape: InputShape, size: [usize; 2], stride: [usize; 2], padding: Padding, index: usize| {
            let rows = padding.geometry(shape.height, size[0], stride[0]);
            let columns = padding.geometry(shape.width, size[1], stride[1]);
            match (rows, columns) {
                (Some((height, _)), Some((width, _))) => Ok(InputShape { channels: shape.channels, height, width }),
                _ => Err(TheoryError::WindowDoesNotFit { index, window: size, image: [shape.height, shape.width] }),
            }
        };
        for (index, layer) in self.layers.iter().enumerate() {
            shape = match layer {
                Layer::Dense { width, .. } => InputShape::flat(*width),
                Layer::GatedDense { width, .. } => {
                    if self.gates.is_none() {
                        return Err(TheoryError::MissingGates { index });
                    }
                    InputShape::flat(*width)
                }
                Layer::Convolution { width, filter_size, stride, padding, .. } => {
                    let shape = window(shape, *filter_size, *stride, *padding, index)?;
                    InputShape { channels: *width, ..shape }
                }
                Layer::Activation { .. } => shape,
                Layer::AveragePool { window: size, stride, padding } => window(shape, *size, *stride, *padding, index)?,
                Layer::GlobalAveragePool => InputShape::flat(shape.channels),
                Layer::Flatten => InputShape::flat(shape.features()),
            };
            shapes.push(shape);
        }
        match self.layers.last() {
            Some(Layer::Dense { .. } | Layer::GatedDense { .. }) => Ok(shapes),
            _ => Err(TheoryError::NoReadout),
        }
    }

    /// The weight layers in order, numbered from 1.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn weight_layers(&self) -> Result<Vec<WeightLayer>, TheoryError> {
        let shapes = self.shapes()?;
        let last = self.layers.len() - 1;
        let mut found = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (width, init, fan_in, positions, branches) = match layer {
                Layer::Dense { width, init } => (*width, *init, shapes[index].features(), 1, 1),
                Layer::GatedDense { width, init } => {
                    let gates = self.gates.as_ref().ok_or(TheoryError::MissingGates { index })?;
                    (*width, *init, shapes[index].features(), 1, gates.count())
                }
                Layer::Convolution { width, filter_size, init, .. } => {
                    let out = shapes[index + 1];
                    let fan_in = shapes[index].channels * filter_size[0] * filter_size[1];
                    (*width, *init, fan_in, out.height * out.width, 1)
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
