//! Small architectures and inputs.

use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, GateFunction, Gates, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};
use widthwise_theory::kernel::Inputs;

pub(crate) fn variance(sigma_w2: f64, sigma_b2: f64) -> InitVariance {
    InitVariance { sigma_w2, sigma_b2 }
}

pub(crate) fn activation(function: &Activation) -> Layer {
    Layer::Activation { function: function.clone() }
}

pub(crate) fn dense(width: usize, init: InitVariance) -> Layer {
    Layer::Dense { width, init }
}

pub(crate) fn convolution(filter_size: [usize; 2], stride: usize, padding: Padding, init: InitVariance) -> Layer {
    Layer::Convolution { width: 8, filter_size, stride: [stride, stride], padding, init }
}

pub(crate) fn network(input: InputShape, layers: Vec<Layer>) -> Architecture {
    Architecture {
        input,
        layers,
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    }
}

/// Hidden widths, one activation, one output.
pub(crate) fn mlp(features: usize, widths: &[usize], function: &Activation, init: InitVariance) -> Architecture {
    let mut layers = Vec::new();
    for &width in widths {
        layers.push(dense(width, init));
        layers.push(activation(function));
    }
    layers.push(dense(1, init));
    network(InputShape::flat(features), layers)
}

/// A linear network of gated layers above a plain first layer.
pub(crate) fn gated(features: usize, depth: usize, init: InitVariance, gates: Gates) -> Architecture {
    let mut layers = vec![dense(16, init)];
    layers.extend((1..depth).map(|_| Layer::GatedDense { width: 16, init }));
    layers.push(Layer::GatedDense { width: 1, init });
    Architecture { gates: Some(gates), ..network(InputShape::flat(features), layers) }
}

/// One gate that is always 1.
pub(crate) fn open_gate(features: usize) -> Gates {
    Gates { function: GateFunction::Heaviside, directions: vec![0.0; features], thresholds: vec![-1.0] }
}

/// Reproducible numbers without a pattern that matters: fractional parts of a quadratic sequence, centred.
pub(crate) fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i as f64 * 0.754_877_666 + (i * i) as f64 * 0.569_840_291).fract() * 3.0 - 1.5).collect()
}

pub(crate) fn flat_inputs(examples: usize, features: usize) -> Result<Inputs, TheoryError> {
    Inputs::new(numbers(examples * features), InputShape::flat(features))
}

/// Two inputs with unit variance and covariance 0.6 in two features.
pub(crate) fn correlated_pair() -> Result<Inputs, TheoryError> {
    let root = 2_f64.sqrt();
    Inputs::new(vec![root, 0.0, 0.6 * root, 0.8 * root], InputShape::flat(2))
}
