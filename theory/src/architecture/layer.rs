//! The layers a network may have.

use serde::{Deserialize, Serialize};

use super::Padding;
use crate::activation::Activation;

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
