//! Entries of `network.layers` as values. What an entry leaves open is what `[network]` says.

use serde::{Deserialize, Serialize};
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::Padding;

/// One layer, for instance `"dense"` or `{ dense = { width = 64 } }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerConfig {
    /// Fully connected; an image is flattened first.
    Dense(DenseConfig),
    /// Fully connected, one weight matrix a gate of `[network.gates]`.
    GatedDense(DenseConfig),
    /// Convolution of an image.
    Convolution(ConvolutionLayerConfig),
    /// Elementwise nonlinearity.
    Activation(FunctionConfig),
    /// Mean over windows.
    AveragePool(PoolingConfig),
    /// Sum over windows.
    SumPool(PoolingConfig),
    /// Mean over all positions of every channel.
    GlobalAveragePool {},
    /// All positions and channels to one vector.
    Flatten {},
    /// Mean and variance over the channels of every position, or all units of a vector, taken out.
    LayerNorm(NormConfig),
    /// Mean square over the same units taken out.
    RmsNorm(NormConfig),
    /// Units left out at random while training.
    Dropout(DropoutConfig),
    /// `x + scale * layers(x)`.
    Residual(ResidualConfig),
    /// `sum_k scale_k layers_k(x)`.
    Branches(Vec<BranchConfig>),
}

impl LayerConfig {
    /// These layers and the ones inside them, in the order in which weight layers are numbered.
    pub fn all(layers: &[LayerConfig]) -> impl Iterator<Item = &LayerConfig> {
        let mut found = Vec::new();
        collect(layers, &mut found);
        found.into_iter()
    }

    /// Units (channels) of a weight layer, `default` where it gives none.
    pub fn width(&self, default: usize) -> Option<usize> {
        match self {
            LayerConfig::Dense(config) | LayerConfig::GatedDense(config) => Some(config.width.unwrap_or(default)),
            LayerConfig::Convolution(config) => Some(config.width.unwrap_or(default)),
            _ => None,
        }
    }
}

fn collect<'a>(layers: &'a [LayerConfig], found: &mut Vec<&'a LayerConfig>) {
    for layer in layers {
        found.push(layer);
        match layer {
            LayerConfig::Residual(block) => collect(&block.layers, found),
            LayerConfig::Branches(branches) => branches.iter().for_each(|branch| collect(&branch.layers, found)),
            _ => {}
        }
    }
}

/// `dense` and `gated_dense`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenseConfig {
    /// Units.
    pub width: Option<usize>,
    /// Weight variance times fan-in.
    pub sigma_w2: Option<f64>,
    /// Bias variance; 0 for no biases.
    pub sigma_b2: Option<f64>,
}

/// `convolution`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvolutionLayerConfig {
    /// Channels.
    pub width: Option<usize>,
    /// Height and width of the filter.
    pub filter_size: Option<[usize; 2]>,
    /// Vertical and horizontal stride.
    pub stride: Option<[usize; 2]>,
    /// Boundary rule.
    pub padding: Option<Padding>,
    /// Weight variance times fan-in.
    pub sigma_w2: Option<f64>,
    /// Bias variance; 0 for no biases.
    pub sigma_b2: Option<f64>,
}

/// `activation`: a function of its own, or that of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum FunctionConfig {
    /// This one.
    Own(Activation),
    /// `network.activation`.
    OfNetwork {},
}

/// `average_pool` and `sum_pool`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolingConfig {
    /// Height and width of the window.
    pub window: [usize; 2],
    /// Vertical and horizontal stride; the window by default.
    pub stride: Option<[usize; 2]>,
    /// Boundary rule; `valid` by default.
    #[serde(default = "valid")]
    pub padding: Padding,
}

fn valid() -> Padding {
    Padding::Valid
}

/// `layer_norm` and `rms_norm`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormConfig {
    /// Added to the variance or mean square.
    pub epsilon: f64,
}

impl Default for NormConfig {
    fn default() -> Self {
        Self { epsilon: 1e-5 }
    }
}

/// `dropout`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropoutConfig {
    /// Probability that a unit stays, in (0, 1].
    pub keep: f64,
}

/// `residual`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualConfig {
    /// Factor of the layers' output; the input has 1.
    #[serde(default = "one")]
    pub scale: f64,
    /// The layers next to the skip connection.
    pub layers: Vec<LayerConfig>,
}

/// One of `branches`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchConfig {
    /// Factor of its output in the sum.
    #[serde(default = "one")]
    pub scale: f64,
    /// Its layers; the identity by default.
    #[serde(default)]
    pub layers: Vec<LayerConfig>,
}

fn one() -> f64 {
    1.0
}

/// `network.readout`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadoutConfig {
    /// Fully connected.
    Dense(VariancesConfig),
    /// Fully connected, one weight matrix a gate.
    GatedDense(VariancesConfig),
}

impl ReadoutConfig {
    /// Its own variances.
    pub fn variances(&self) -> VariancesConfig {
        match self {
            Self::Dense(config) | Self::GatedDense(config) => *config,
        }
    }
}

/// Variances of a layer whose width comes from the data.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VariancesConfig {
    /// Weight variance times fan-in.
    pub sigma_w2: Option<f64>,
    /// Bias variance; 0 for no biases.
    pub sigma_b2: Option<f64>,
}
