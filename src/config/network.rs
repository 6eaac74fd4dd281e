//! `[network]` as values: which family, and what it takes.

use serde::{Deserialize, Serialize};
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{InitScheme, Padding, Parameterization};

use super::layer::{LayerConfig, ReadoutConfig};

/// `[network]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// `mlp`, `cnn`, `deep_linear`, `gated_deep_linear` or `layers`.
    pub family: Family,
    /// Number of hidden layers; ignored when `widths` is given.
    pub depth: usize,
    /// Units (channels) of every hidden layer; ignored when `widths` is given.
    pub width: usize,
    /// Units (channels) of each hidden layer in order.
    pub widths: Option<Vec<usize>>,
    /// The layers of family `layers`, all but the readout.
    pub layers: Option<Vec<LayerConfig>>,
    /// The readout of family `layers`; dense by default.
    pub readout: Option<ReadoutConfig>,
    /// Nonlinearity of an `mlp` or `cnn`, and of the layers that name none.
    pub activation: Activation,
    /// Weight variance times fan-in.
    pub sigma_w2: f64,
    /// Bias variance; 0 for no biases.
    pub sigma_b2: f64,
    /// Scaling of gains, variances and rates.
    pub parameterization: Parameterization,
    /// Distribution of the initial weights.
    pub init: InitScheme,
    /// Whether the network is `f(theta) - f(theta_0)`, so that its outputs start at zero.
    pub centred: bool,
    /// Convolutions of a `cnn`; filter, stride and padding of the layers that give none.
    pub convolution: ConvolutionConfig,
    /// Gates of a `gated_deep_linear` network and of gated layers.
    pub gates: GatesConfig,
}

impl NetworkConfig {
    /// Units (channels) of each hidden weight layer, in order.
    pub fn hidden_widths(&self) -> Vec<usize> {
        match (self.family, &self.widths) {
            (Family::Layers, _) => {
                LayerConfig::all(self.listed()).filter_map(|layer| layer.width(self.width)).collect()
            }
            (_, Some(widths)) => widths.clone(),
            (_, None) => vec![self.width; self.depth],
        }
    }

    /// The layers of the list, none for the other families.
    pub fn listed(&self) -> &[LayerConfig] {
        match (self.family, &self.layers) {
            (Family::Layers, Some(layers)) => layers,
            _ => &[],
        }
    }

    /// Whether any weight layer, the readout included, is gated.
    pub fn is_gated(&self) -> bool {
        match self.family {
            Family::GatedDeepLinear => true,
            Family::Layers => {
                let is_gated = |layer: &LayerConfig| matches!(layer, LayerConfig::GatedDense(_));
                matches!(self.readout, Some(ReadoutConfig::GatedDense(_)))
                    || LayerConfig::all(self.listed()).any(is_gated)
            }
            Family::Mlp | Family::Cnn | Family::DeepLinear => false,
        }
    }

    /// Whether any layer has a window, so that the inputs are images.
    pub fn reads_images(&self) -> bool {
        let has_window = |layer: &LayerConfig| {
            matches!(
                layer,
                LayerConfig::Convolution(_)
                    | LayerConfig::AveragePool(_)
                    | LayerConfig::SumPool(_)
                    | LayerConfig::GlobalAveragePool {}
            )
        };
        self.family == Family::Cnn || LayerConfig::all(self.listed()).any(has_window)
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            family: Family::Mlp,
            depth: 3,
            width: 1024,
            widths: None,
            layers: None,
            readout: None,
            activation: Activation::Relu,
            sigma_w2: 2.0,
            sigma_b2: 0.2,
            parameterization: Parameterization::Ntk,
            init: InitScheme::Gaussian,
            centred: false,
            convolution: ConvolutionConfig::default(),
            gates: GatesConfig::default(),
        }
    }
}

/// `network.family`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Fully connected.
    Mlp,
    /// Convolutional.
    Cnn,
    /// Fully connected without nonlinearity.
    DeepLinear,
    /// Globally gated deep linear (GGDLN).
    GatedDeepLinear,
    /// Any list of layers.
    Layers,
}

impl Family {
    /// The name in configurations and columns.
    pub fn name(self) -> &'static str {
        match self {
            Family::Mlp => "mlp",
            Family::Cnn => "cnn",
            Family::DeepLinear => "deep_linear",
            Family::GatedDeepLinear => "gated_deep_linear",
            Family::Layers => "layers",
        }
    }
}

/// `[network.convolution]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvolutionConfig {
    /// Height and width of every filter.
    pub filter_size: [usize; 2],
    /// Stride of every convolution.
    pub stride: [usize; 2],
    /// `same`, `valid`, `circular` or cells of zeros.
    pub padding: Padding,
    /// Average pooling window (and stride) after every activation; none by default.
    pub pool: Option<[usize; 2]>,
    /// `flatten` or `global_average`.
    pub readout: ConvolutionReadout,
}

impl Default for ConvolutionConfig {
    fn default() -> Self {
        Self {
            filter_size: [3, 3],
            stride: [1, 1],
            padding: Padding::Same,
            pool: None,
            readout: ConvolutionReadout::Flatten,
        }
    }
}

/// `network.convolution.readout`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConvolutionReadout {
    /// A dense readout of all positions and channels.
    Flatten,
    /// A dense readout of channel means.
    GlobalAverage,
}

/// `[network.gates]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatesConfig {
    /// What a gate computes.
    pub kind: GateKind,
    /// Number of gates M.
    pub count: usize,
    /// Threshold subtracted from `v.x/sqrt(d)`, in standard deviations of the direction.
    pub threshold: f64,
    /// The function of `smooth` gates.
    pub activation: Activation,
    /// Whether the input layer is gated too.
    pub input_layer: bool,
}

impl Default for GatesConfig {
    fn default() -> Self {
        Self {
            kind: GateKind::Heaviside,
            count: 8,
            threshold: 0.0,
            activation: Activation::Softplus,
            input_layer: false,
        }
    }
}

/// `network.gates.kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// Step functions of random Gaussian directions.
    Heaviside,
    /// `gates.activation` of random Gaussian directions.
    Smooth,
    /// Nearest of M centroids found by k-means on the training inputs, labels unused.
    KMeans,
    /// The one-hot task code that `preprocessing.permuted_tasks` appends to the inputs.
    Task,
}
