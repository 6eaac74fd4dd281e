//! An architecture compiled for the kernel recursion: what to do to a pair of examples, in order.

use super::TrainedLayers;
use super::window::Axis;
use crate::activation::Activation;
use crate::architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, WeightLayer};
use crate::error::TheoryError;
use crate::parameterization::TangentScale;

/// Factors of one weight layer; `K <- signal (sigma_w2 k + sigma_b2)` and so on, as in the [module](super) text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightStep {
    /// Index into the weight layers: layer number less one.
    pub(crate) number: usize,
    pub(crate) init: InitVariance,
    pub(crate) scale: TangentScale,
    pub(crate) gated: bool,
}

/// What happens to the covariances of a pair.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Dense(WeightStep),
    Convolution(WeightStep, Axis, Axis),
    /// The function and its index among the activations.
    Activation(Activation, usize),
    AveragePool(Axis, Axis),
    GlobalAveragePool,
    /// Keep `p = p'` from here on.
    Diagonal,
}

/// What a pair starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// `x.x' / features`.
    Inner,
    /// `K[p, p]`.
    Positions,
    /// `K[p, p']`.
    PositionPairs,
}

/// The steps of an architecture from the first weight layer on.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Layers before the first weight layer: functions of the data, not of the weights.
    pub(crate) deterministic: usize,
    /// Shape of an example at the first weight layer.
    pub(crate) shape: InputShape,
    pub(crate) start: Start,
    pub(crate) steps: Vec<Step>,
    pub(crate) weight_layers: usize,
    /// Whether any layer is gated.
    pub(crate) gated: bool,
}

fn no_prediction(reason: impl Into<String>) -> TheoryError {
    TheoryError::NoPrediction { reason: reason.into() }
}

impl Plan {
    pub(crate) fn new(architecture: &Architecture, trained: TrainedLayers) -> Result<Self, TheoryError> {
        if architecture.init_scheme == InitScheme::Pytorch {
            return Err(no_prediction(
                "init scheme \"pytorch\" draws weights and biases with variances of its own, not those of the layers; \
                 use \"gaussian\" or \"orthogonal\"",
            ));
        }
        let shapes = architecture.shapes()?;
        let weight_layers = architecture.weight_layers()?;
        let scales = architecture.tangent_scales()?;
        let deterministic = weight_layers.first().map_or(0, |layer| layer.index);
        let needs_pairs = position_pairs_needed(&architecture.layers);

        let mut steps = Vec::new();
        let mut numbers = 0;
        let mut activations = 0;
        // Whether the current features are Gaussian at infinite width, and whether positions have become units.
        let (mut gaussian, mut flat) = (false, false);
        let mut pairs = needs_pairs[deterministic];
        for (index, layer) in architecture.layers.iter().enumerate().skip(deterministic) {
            let shape = shapes[index];
            if flat && matches!(layer, Layer::Convolution { .. } | Layer::AveragePool { .. } | Layer::GlobalAveragePool)
            {
                return Err(no_prediction(format!(
                    "layer {index} convolves or pools the units of a flattened or dense layer, which have no positions"
                )));
            }
            match layer {
                Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } => {
                    let step = weight_step(&weight_layers[numbers], scales[numbers], trained, layer)?;
                    numbers += 1;
                    gaussian = true;
                    steps.push(match layer {
                        Layer::Convolution { filter_size, stride, padding, .. } => {
                            let (rows, columns) = axes(shape, *padding, *filter_size, *stride, index)?;
                            Step::Convolution(step, rows, columns)
                        }
                        _ => {
                            flat = true;
                            Step::Dense(step)
                        }
                    });
                }
                Layer::Activation { function: Activation::Identity } => {}
                Layer::Activation { function } => {
                    if !gaussian {
                        return Err(no_prediction(format!(
                            "layer {index} applies an activation to features that are not Gaussian at infinite width; put a \
                             weight layer between it and the activation before"
                        )));
                    }
                    gaussian = false;
                    steps.push(Step::Activation(function.clone(), activations));
                    activations += 1;
                }
                Layer::AveragePool { window, stride, padding } => {
                    let (rows, columns) = axes(shape, *padding, *window, *stride, index)?;
                    steps.push(Step::AveragePool(rows, columns));
                }
                Layer::GlobalAveragePool => {
                    flat = true;
                    steps.push(Step::GlobalAveragePool);
                }
                Layer::Flatten => flat = true,
                other => return Err(no_prediction(format!("layer {index} is {}", other.name()))),
            }
            if pairs && !needs_pairs[index + 1] {
                pairs = false;
                if !matches!(layer, Layer::GlobalAveragePool) {
                    steps.push(Step::Diagonal);
                }
            }
        }
        let start = match (&architecture.layers[deterministic], needs_pairs[deterministic]) {
            (Layer::Convolution { .. }, true) => Start::PositionPairs,
            (Layer::Convolution { .. }, false) => Start::Positions,
            _ => Start::Inner,
        };
        let gated = architecture.layers.iter().any(|layer| matches!(layer, Layer::GatedDense { .. }));
        Ok(Self { deterministic, shape: shapes[deterministic], start, steps, weight_layers: numbers, gated })
    }
}

/// For every layer and after the last, whether its input is needed at `p != p'`.
fn position_pairs_needed(layers: &[Layer]) -> Vec<bool> {
    let mut needed = vec![false; layers.len() + 1];
    for (index, layer) in layers.iter().enumerate().rev() {
        needed[index] = match layer {
            Layer::Dense { .. } | Layer::GatedDense { .. } => false,
            Layer::GlobalAveragePool => true,
            Layer::AveragePool { window, .. } => *window != [1, 1] || needed[index + 1],
            _ => needed[index + 1],
        };
    }
    needed
}

fn weight_step(
    layer: &WeightLayer,
    scale: TangentScale,
    trained: TrainedLayers,
    kind: &Layer,
) -> Result<WeightStep, TheoryError> {
    let (mut scale, init) = (scale, layer.init);
    let positive = init.sigma_w2 > 0.0 && init.sigma_w2.is_finite();
    if !(positive && init.sigma_b2 >= 0.0 && init.sigma_b2.is_finite()) {
        return Err(no_prediction(format!(
            "weight layer {} has sigma_w2 = {} and sigma_b2 = {}; kernels need sigma_w2 > 0 and sigma_b2 >= 0",
            layer.layer, init.sigma_w2, init.sigma_b2
        )));
    }
    match trained {
        TrainedLayers::All => {}
        TrainedLayers::ReadoutOnly if layer.is_readout => {}
        TrainedLayers::ReadoutOnly => (scale.weight, scale.bias) = (0.0, 0.0),
        TrainedLayers::BiasesFrozen => scale.bias = 0.0,
    }
    Ok(WeightStep { number: layer.layer - 1, init, scale, gated: matches!(kind, Layer::GatedDense { .. }) })
}

/// Both axes of a window on an image.
pub(crate) fn axes(
    shape: InputShape,
    padding: Padding,
    window: [usize; 2],
    stride: [usize; 2],
    index: usize,
) -> Result<(Axis, Axis), TheoryError> {
    let rows = Axis::new(padding, shape.height, window[0], stride[0]);
    let columns = Axis::new(padding, shape.width, window[1], stride[1]);
    rows.zip(columns).ok_or(TheoryError::WindowDoesNotFit { index, window, image: [shape.height, shape.width] })
}
